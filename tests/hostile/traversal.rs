//! Paths that lead elsewhere, in every segment of every endpoint: nothing is read or written outside of the root, and
//! nothing inside but where names lead.

use std::io::Write as _;
use std::net::TcpStream;

use percent_encoding::percent_decode_str;
use registry_store::digest::Digest;
use registry_tests::documents::image;

use crate::registry::{CONFIG, HELLO, Registry, answer};

/// What may stand for a segment, or for a part of one.
const PAYLOADS: &[&str] = &[
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e",
    "%252e%252e",
    "..%2f",
    "..%2F..%2F..%2Fsecret",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret",
    "..%252fsecret",
    "..%5c..%5csecret",
    "%2e%2e%5csecret",
    "..%5C",
    "%5c",
    "%2f",
    "%2fetc%2fpasswd",
    "..;",
    "..;/..;/secret",
    "..%3b",
    ".%00.",
    "..%00",
    "%00",
    "secret%00.json",
    "%c0%ae%c0%ae",
    "%c0%ae%c0%ae%c0%afsecret",
    "%e0%80%ae%e0%80%ae%e0%80%af",
    "%f0%80%80%ae",
    "%c1%9c",
    "%ef%bc%8e%ef%bc%8e",
    "%ef%bc%8f",
    "%e2%80%a4%e2%80%a4",
    "%e2%88%95secret",
    "%u002e%u002e",
    "..%0d%0aX:y",
    "%0a",
    "%7e",
    "~root",
    "..%c0%af",
    "....//",
    "..../secret",
    "../secret",
    "../../../../../../../../secret",
    "a/../../secret",
    "a%2f..%2f..",
    "C:%5csecret",
    "file:",
    "_layers%2fsha256",
    "docker%2fregistry",
];

/// Every endpoint, its segments apart.
fn endpoints(location: &str) -> Vec<(&'static str, String)> {
    let (hello, manifest) =
        (Digest::sha256(HELLO), Digest::sha256(image(CONFIG, &[HELLO]).bytes()));
    let mut all = vec![
        ("GET", "/v2/_catalog".to_owned()),
        ("GET", "/v2/app/tools/tags/list".to_owned()),
        ("GET", format!("/v2/app/tools/referrers/{manifest}")),
        ("POST", "/v2/app/tools/blobs/uploads".to_owned()),
    ];
    for method in ["GET", "PUT", "DELETE"] {
        all.push((method, "/v2/app/tools/manifests/v1".to_owned()));
        all.push((method, format!("/v2/app/tools/manifests/{manifest}")));
    }
    for method in ["GET", "DELETE"] {
        all.push((method, format!("/v2/app/tools/blobs/{hello}")));
    }
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        all.push((method, location.to_owned()));
    }
    all
}

/// Every value of a query that stands for a name of something that is kept.
fn queries(payload: &str) -> Vec<(&'static str, String)> {
    let (hello, session) = (Digest::sha256(HELLO), "6b3c9a93-af5d-473f-a4ff-9710022185cd");
    vec![
        ("GET", format!("/v2/_catalog?n=10&last={payload}")),
        ("GET", format!("/v2/app/tags/list?n=10&last={payload}")),
        ("GET", format!("/v2/app/referrers/{hello}?last={payload}")),
        ("POST", format!("/v2/app/tools/blobs/uploads/?mount={hello}&from={payload}")),
        ("POST", format!("/v2/app/tools/blobs/uploads/?mount={payload}&from=app")),
        ("POST", format!("/v2/app/tools/blobs/uploads/?digest={payload}")),
        ("POST", format!("/v2/app/tools/blobs/uploads/?digest-algorithm={payload}")),
        ("PUT", format!("/v2/app/tools/manifests/{hello}?tag={payload}")),
        ("PUT", format!("/v2/app/tools/blobs/uploads/{session}?digest={payload}")),
        ("PATCH", format!("/v2/app/tools/blobs/uploads/{session}?_offset=0&_tip={payload}")),
        ("PATCH", format!("/v2/app/tools/blobs/uploads/{session}?_state={payload}")),
    ]
}

/// Asks on a connection that is kept where it can be.
fn ask(
    registry: &Registry,
    kept: &mut Option<TcpStream>,
    method: &str,
    target: &str,
) -> (u16, String) {
    let body = if method == "PUT" && target.contains("/manifests/") {
        image(CONFIG, &[HELLO]).bytes().to_vec()
    } else if ["PUT", "PATCH"].contains(&method) {
        HELLO.to_vec()
    } else {
        Vec::new()
    };
    let mut stream = kept.take().unwrap_or_else(|| registry.connect());
    let mut sent = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    sent.extend_from_slice(&body);
    stream.write_all(&sent).unwrap();
    let answer = answer(&mut stream);
    if answer.header("connection") != Some("close")
        && answer.header("docker-distribution-api-version").is_some()
    {
        *kept = Some(stream);
    }
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

#[test]
fn no_segment_of_any_endpoint_leads_out_of_its_place() {
    let registry = Registry::new();
    let before = registry.files();
    let mut kept = None;
    let mut asked = 0;
    let session = "/v2/app/tools/blobs/uploads/6b3c9a93-af5d-473f-a4ff-9710022185cd";
    for (method, path) in endpoints(session) {
        let segments: Vec<&str> = path[1..].split('/').collect();
        for at in 0..segments.len() {
            for payload in PAYLOADS {
                let own = segments[at];
                // Dots may end a tag, and lead nowhere there.
                let decoded = percent_decode_str(payload).decode_utf8_lossy();
                if own == "v1" && decoded.chars().all(|it| it == '.') {
                    continue;
                }
                for put in [
                    (*payload).to_owned(),
                    format!("{own}{payload}"),
                    format!("{payload}{own}"),
                    format!("{own}/{payload}"),
                    format!("{payload}/{own}"),
                ] {
                    let mut changed = segments.clone();
                    changed[at] = &put;
                    let target = format!("/{}", changed.join("/"));
                    let (status, body) = ask(&registry, &mut kept, method, &target);
                    assert!(
                        [400, 404, 405].contains(&status),
                        "{method} {target}: {status} {body}"
                    );
                    assert!(
                        !body.contains("not to be touched") && !body.contains("root:"),
                        "{target}"
                    );
                    asked += 1;
                }
            }
        }
    }
    let found = registry.files();
    assert_eq!(
        found.symmetric_difference(&before).collect::<Vec<_>>(),
        Vec::<&std::path::PathBuf>::new()
    );
    assert!(asked > 10_000, "{asked}");
    registry.serves_others("after all of it");
}

#[test]
fn no_parameter_leads_out_of_its_place() {
    let registry = Registry::new();
    let before = registry.files();
    let mut kept = None;
    for payload in PAYLOADS {
        for (method, target) in queries(payload) {
            let (status, body) = ask(&registry, &mut kept, method, &target);
            // A mount that cannot be is the beginning of an upload; where to go on from need not exist.
            assert!([200, 202, 400, 404].contains(&status), "{method} {target}: {status} {body}");
            assert!(!body.contains("not to be touched") && !body.contains("root:"), "{target}");
        }
    }
    for file in registry.files().difference(&before) {
        let place = std::path::Path::new("root/docker/registry/v2/repositories/app/tools/_uploads");
        assert!(file.starts_with(place), "{file:?}");
    }
    registry.serves_others("after all of it");
}
