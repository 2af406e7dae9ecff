//! Manifests that are none, or that say what is not so.

use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::MAX_MANIFEST_SIZE;
use registry_tests::documents::{descriptor, image_document};
use serde_json::{Value, json};

use super::{CONFIG, HELLO, MANIFEST_TYPE, Registry, TOOL, good_image};

const PUT: &str = "PUT /v2/app/manifests/new";
const INVALID: (u16, &str) = (400, "MANIFEST_INVALID");
const INDEX_TYPE: (&str, &str) = ("Content-Type", "application/vnd.oci.image.index.v1+json");
const DOCKER_TYPE: (&str, &str) =
    ("Content-Type", "application/vnd.docker.distribution.manifest.v2+json");

/// A good manifest that is not in the registry yet.
fn good() -> Value {
    let mut document = image_document(CONFIG, &[HELLO]);
    document["annotations"] = json!({"of": "a test"});
    document
}

/// The good manifest with something put in the place that a JSON pointer names.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = good();
    let (above, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let above = document.pointer_mut(above).expect("the good manifest has such a place");
    match above {
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        above => above[name] = value,
    }
    document
}

fn without(name: &str) -> Value {
    let mut document = good();
    document.as_object_mut().expect("an object").remove(name);
    document
}

/// Is this refused, under every way to say what it is and whether its length is declared or not?
fn refused(registry: &mut Registry, body: &[u8]) {
    registry.refuses(PUT, &[MANIFEST_TYPE], body, INVALID);
    registry.refuses(PUT, &[], body, INVALID);
    let mut chunked = Vec::new();
    if !body.is_empty() {
        chunked.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        chunked.extend_from_slice(body);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = [MANIFEST_TYPE, ("Transfer-Encoding", "chunked")];
    registry.refuses(PUT, &headers, &chunked, INVALID);
    let digest = Digest::sha256(body);
    registry.refuses(
        format!("PUT /v2/app/manifests/{digest}?tag=a"),
        &[MANIFEST_TYPE],
        body,
        INVALID,
    );
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let mut registry = Registry::new();
    let good = good().to_string();
    let bodies: Vec<Vec<u8>> = vec![
        b"".into(),
        b" \n".into(),
        b"null".into(),
        b"true".into(),
        b"2".into(),
        b"\"text\"".into(),
        b"[]".into(),
        b"{}".into(),
        b"[{}]".into(),
        b"NaN".into(),
        b"\0".into(),
        b"\xef\xbb\xbf".into(),
        [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        [b"\xff\xfe", good.as_bytes()].concat(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        format!("{good}{good}").into(),
        format!("{good},").into(),
        format!("{good}\0").into(),
        format!("\0{good}").into(),
        good.replace(',', ",,").into(),
        good.replace("}]", "},]").into(),
        good.replace('"', "'").into(),
        format!("// a remark\n{good}").into(),
        good.replace(":2", ":NaN").into(),
        good.replace(":2", ":Infinity").into(),
        good.replace(":2", ":02").into(),
        good.replace(":2", ":+2").into(),
        good.replace(":2", ":0x2").into(),
        good.replace("a test", "a \u{1} test").into(),
        good.replace("a test", "\\ud800").into(),
        good.replace("a test", "\\x").into(),
    ];
    for body in bodies {
        assert_ne!(body, good.as_bytes());
        refused(&mut registry, &body);
    }
    registry.works();
}

#[test]
fn text_that_is_not_utf_8_is_refused_wherever_it_stands() {
    let mut registry = Registry::new();
    for bad in [&b"\xff"[..], b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"] {
        for place in ["a test", "of", "annotations", "application/vnd.oci.image.config"] {
            let good = good().to_string();
            let (before, after) = good.split_once(place).expect("the good manifest has it");
            let body = [before.as_bytes(), bad, after.as_bytes()].concat();
            registry.refuses(PUT, &[MANIFEST_TYPE], &body, INVALID);
        }
    }
    registry.works();
}

#[test]
fn a_manifest_that_ends_early_is_refused_wherever_it_ends() {
    let mut registry = Registry::new();
    let good = good().to_string();
    for end in 0..good.len() {
        registry.refuses(PUT, &[MANIFEST_TYPE], &good.as_bytes()[..end], INVALID);
    }
    registry.works();
}

#[test]
fn a_name_that_comes_twice_is_refused_wherever_it_stands() {
    let mut registry = Registry::new();
    let good = good().to_string();
    for (once, twice) in [
        ("\"schemaVersion\":2", "\"schemaVersion\":2,\"schemaVersion\":2"),
        ("\"schemaVersion\":2", "\"schemaVersion\":2,\"schema\\u0056ersion\":1"),
        ("\"schemaVersion\":2", "\"schemaVersion\":2,\"x\":{\"y\":[{\"z\":1,\"z\":1}]}"),
        ("\"of\":\"a test\"", "\"of\":\"a test\",\"of\":\"another\""),
        ("\"config\":{", "\"config\":{\"size\":2,"),
        ("\"layers\":[", "\"layers\":[],\"layers\":["),
    ] {
        assert!(good.contains(once), "{once}");
        refused(&mut registry, good.replacen(once, twice, 1).as_bytes());
    }
    registry.works();
}

#[test]
fn nesting_of_any_depth_is_refused_and_nothing_overflows() {
    let mut registry = Registry::new();
    let good = good().to_string();
    for depth in [1000, 100_000, MAX_MANIFEST_SIZE / 2] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let times =
                (depth.min(MAX_MANIFEST_SIZE / (open.len() + close.len()))).saturating_sub(400);
            let nested = format!("{}1{}", open.repeat(times), close.repeat(times));
            registry.refuses(PUT, &[MANIFEST_TYPE], nested.as_bytes(), INVALID);
            registry.refuses(PUT, &[MANIFEST_TYPE], open.repeat(times).as_bytes(), INVALID);
            // Where a field is that nobody reads, too.
            let within = good.replacen('{', &format!("{{\"x\":{nested},"), 1);
            if within.len() <= MAX_MANIFEST_SIZE {
                registry.refuses(PUT, &[MANIFEST_TYPE], within.as_bytes(), INVALID);
            }
        }
    }
    registry.works();
}

#[test]
fn a_field_of_the_wrong_type_or_value_is_refused() {
    let mut registry = Registry::new();
    let hello = Digest::sha256(HELLO);
    let upper = format!("sha256:{}", hello.hex().to_uppercase());
    let (short, long) = (format!("sha256:{}", &hello.hex()[1..]), format!("{hello}0"));
    let config = "/config";
    for document in [
        with("/schemaVersion", json!(1)),
        with("/schemaVersion", json!(3)),
        with("/schemaVersion", json!(0)),
        with("/schemaVersion", json!(-2)),
        with("/schemaVersion", json!(2.5)),
        with("/schemaVersion", json!("2")),
        with("/schemaVersion", json!(null)),
        with("/schemaVersion", json!(true)),
        with("/schemaVersion", json!([2])),
        with("/schemaVersion", json!(u64::MAX)),
        without("schemaVersion"),
        with("/mediaType", json!(1)),
        with("/mediaType", json!("image")),
        with("/mediaType", json!("a/b/c")),
        with("/mediaType", json!("text/plain")),
        with("/mediaType", json!("application/vnd.oci.image.index.v1+json")),
        with("/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json\u{0}")),
        with("/artifactType", json!("no type")),
        with("/artifactType", json!({})),
        with(config, json!(null)),
        with(config, json!([])),
        with(config, json!("sha256")),
        with(config, json!({})),
        without("config"),
        with("/layers", json!({})),
        with("/layers", json!("none")),
        with("/layers", json!([null])),
        with("/layers", json!([[]])),
        with("/layers", json!([{}])),
        with("/layers/0", json!(hello.to_string())),
        with("/manifests", json!([])),
        with("/subject", json!("sha256")),
        with("/subject", json!({})),
        with("/subject", json!({"mediaType": "a/b", "size": 1})),
        with("/annotations", json!([])),
        with("/annotations", json!({"a": 1})),
        with("/annotations", json!({"a": null})),
        with("/config/size", json!(-1)),
        with("/config/size", json!(2.0)),
        with("/config/size", json!(2.5)),
        with("/config/size", json!(1e30)),
        with("/config/size", json!("2")),
        with("/config/size", json!(null)),
        with("/config/digest", json!(null)),
        with("/config/digest", json!("")),
        with("/config/digest", json!("sha256")),
        with("/config/digest", json!("sha256:")),
        with("/config/digest", json!(":x")),
        with("/config/digest", json!("../../../secret")),
        with("/config/digest", json!("sha256:../../secret")),
        with("/config/digest", json!(hello.hex())),
        with("/layers/0/digest", json!(upper)),
        with("/layers/0/digest", json!(short)),
        with("/layers/0/digest", json!(long)),
        with("/layers/0/digest", json!(format!("{hello}\u{0}"))),
        with("/layers/0/digest", json!(format!(" {hello}"))),
        with("/layers/0/mediaType", json!("")),
        with("/layers/0/mediaType", json!("layer")),
        with("/layers/0/urls", json!("http://x")),
        with("/layers/0/annotations", json!("x")),
    ] {
        refused(&mut registry, document.to_string().as_bytes());
    }
    let good = good().to_string();
    let size = format!("\"size\":{}", HELLO.len());
    assert!(good.contains(&size));
    for number in ["18446744073709551616", "1e400", "-0.0", "1E1", "11.0", &"9".repeat(10_000)] {
        let body = good.replace(&size, &format!("\"size\":{number}"));
        registry.refuses(PUT, &[MANIFEST_TYPE], body.as_bytes(), INVALID);
    }
    registry.works();
}

#[test]
fn a_size_that_is_not_that_of_what_is_stored_is_refused() {
    let mut registry = Registry::new();
    for size in [0, 1, 10, 12, u64::MAX] {
        refused(&mut registry, with("/layers/0/size", json!(size)).to_string().as_bytes());
    }
    // Twice the same blob, once with a wrong size.
    let mut document = good();
    let layer = document["layers"][0].clone();
    document["layers"] = json!([layer, layer]);
    document["layers"][1]["size"] = json!(5);
    refused(&mut registry, document.to_string().as_bytes());
    registry.pulls("app", HELLO);
    registry.works();
}

#[test]
fn what_a_manifest_calls_itself_has_to_be_what_the_client_calls_it_and_what_it_is() {
    let mut registry = Registry::new();
    let image = good().to_string();
    let bare = without("mediaType").to_string();
    let hello = Digest::sha256(HELLO);
    let entry = descriptor("application/vnd.oci.image.manifest.v1+json", &hello, HELLO.len());
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE.1, "manifests": []});
    let mixed = |name: &str, value: Value| {
        let mut document = index.clone();
        document[name] = value;
        document.to_string()
    };
    for (claimed, body) in [
        (INDEX_TYPE, image.clone()),
        (DOCKER_TYPE, image.clone()),
        // Whoever reads it later could not tell that it is Docker's.
        (DOCKER_TYPE, bare.clone()),
        (INDEX_TYPE, bare.clone()),
        (MANIFEST_TYPE, index.to_string()),
        (INDEX_TYPE, mixed("layers", json!([]))),
        (INDEX_TYPE, mixed("config", entry.clone())),
        (INDEX_TYPE, json!({"schemaVersion": 2, "mediaType": INDEX_TYPE.1}).to_string()),
        (INDEX_TYPE, mixed("manifests", json!({}))),
        (INDEX_TYPE, mixed("manifests", json!([null]))),
        (MANIFEST_TYPE, with("/manifests", json!([entry])).to_string()),
        (MANIFEST_TYPE, with("/manifests", json!(null)).to_string()),
        (INDEX_TYPE, mixed("layers", json!(null))),
        (MANIFEST_TYPE, with("/config/data", json!("not even base64")).to_string()),
        (("Content-Type", "text"), image.clone()),
        (("Content-Type", "/"), image.clone()),
        (("Content-Type", "a/b/c"), image.clone()),
        (("Content-Type", "\u{e9}/x"), image.clone()),
        (("Content-Type", "text/plain"), bare.clone()),
        (("Content-Type", "application/octet-stream"), bare.clone()),
        (("Content-Type", "application/vnd.docker.distribution.manifest.v1+json"), bare),
        (("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws"), image),
    ] {
        registry.refuses(PUT, &[claimed], body.as_bytes(), INVALID);
    }
    registry.works();
}

#[test]
fn a_manifest_that_refers_to_what_is_not_there_is_refused_and_names_it() {
    let mut registry = Registry::new();
    let hello = Digest::sha256(HELLO);
    let blob = "application/vnd.oci.image.layer.v1.tar";
    let unknown = (400, "MANIFEST_BLOB_UNKNOWN");
    let missing = Digest::sha256(b"never pushed");
    let sha512 = Digest::of(Algorithm::Sha512, HELLO);
    for (body, named) in [
        (with("/config", descriptor(blob, &missing, 5)), missing),
        (with("/layers/0", descriptor(blob, &missing, 5)), missing),
        (
            with("/layers", json!([descriptor(blob, &missing, 0), descriptor(blob, &hello, 11)])),
            missing,
        ),
        // Of another repository, and by a digest by which nobody has pushed it.
        (
            with("/layers/0", descriptor(blob, &Digest::sha256(TOOL), TOOL.len())),
            Digest::sha256(TOOL),
        ),
        (with("/layers/0", descriptor(blob, &sha512, HELLO.len())), sha512),
        // A layer of any other type has to be here, whatever its addresses.
        (
            with("/layers/0", {
                let mut layer = descriptor(blob, &missing, 5);
                layer["urls"] = json!(["http://elsewhere"]);
                layer
            }),
            missing,
        ),
    ] {
        let text = body.to_string();
        let answer = registry.refuses(PUT, &[MANIFEST_TYPE], text.as_bytes(), unknown);
        let shown = String::from_utf8_lossy(&answer.body);
        assert!(shown.contains(&format!("\"detail\":\"{named}\"")), "{shown}");
    }
    // An index needs manifests, and a blob is none.
    for (named, size) in [(hello, HELLO.len()), (missing, 5)] {
        let entry = descriptor("application/vnd.oci.image.manifest.v1+json", &named, size);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE.1, "manifests": [entry]});
        let answer = registry.refuses(PUT, &[INDEX_TYPE], index.to_string().as_bytes(), unknown);
        assert!(String::from_utf8_lossy(&answer.body).contains(&named.to_string()));
    }
    registry.works();
}

#[test]
fn a_manifest_is_not_stored_under_the_digest_of_another() {
    let mut registry = Registry::new();
    let body = good().to_string();
    let sha512 = Digest::of(Algorithm::Sha512, b"other");
    for digest in [Digest::sha256(b"other"), Digest::sha256(good_image().bytes()), sha512] {
        for query in ["", "?tag=a&tag=b"] {
            let put = format!("PUT /v2/app/manifests/{digest}{query}");
            registry.refuses(put, &[MANIFEST_TYPE], body.as_bytes(), (400, "DIGEST_INVALID"));
        }
    }
    registry.works();
}

#[test]
fn a_manifest_of_four_mebibytes_is_taken_and_one_byte_more_is_not() {
    let mut registry = Registry::new();
    let body = good().to_string();
    let padded = |size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    let largest = padded(MAX_MANIFEST_SIZE);
    let url = "/v2/app/manifests/large";
    let put = format!("PUT {url}");
    let chunked = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    let headers = [MANIFEST_TYPE, ("Transfer-Encoding", "chunked")];

    let too_large = padded(MAX_MANIFEST_SIZE + 1);
    let large = (413, "MANIFEST_INVALID");
    for (headers, body) in
        [(&[MANIFEST_TYPE][..], too_large.clone()), (&headers, chunked(&too_large))]
    {
        let answer = registry.refuses(&put, headers, body.as_bytes(), large);
        assert!(String::from_utf8_lossy(&answer.body).contains("4194304"));
    }
    for (headers, body) in [(&[MANIFEST_TYPE][..], largest.clone()), (&headers, chunked(&largest))]
    {
        assert_eq!(registry.ask(&put, headers, body.as_bytes()).status, 201);
        assert!(registry.ask(format!("GET {url}"), &[], b"").body == largest.as_bytes());
        assert_eq!(registry.ask(format!("DELETE {url}"), &[], b"").status, 202);
    }
    // What a client says of a length that it never sends is refused before a byte of it.
    for length in [MAX_MANIFEST_SIZE as u64 + 1, u64::MAX / 2] {
        let length = length.to_string();
        let headers = [MANIFEST_TYPE, ("Content-Length", &length), ("Expect", "100-continue")];
        registry.refuses(&put, &headers, b"", large);
    }
    registry.works();
}

#[test]
fn a_manifest_without_an_end_is_read_no_further_than_a_little_over_the_limit() {
    use std::io::Write as _;
    let mut registry = Registry::new();
    let before = registry.look();
    let mut connection = registry_tests::plain_http::connect(registry.address);
    let head = format!("{PUT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write_all(head.as_bytes()).expect("a server that reads");
    let mebibyte = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    for _ in 0..5 {
        connection.write_all(mebibyte.as_bytes()).expect("a server that reads");
    }
    // The client goes on sending for all the server knows.
    let answer = registry_tests::plain_http::answer(&mut connection, true);
    registry.is_error(&answer, (413, "MANIFEST_INVALID"), PUT);
    assert_eq!(before.changes(&registry.look()), "");
    drop(connection);
    registry.works();
}

#[test]
fn what_is_taken_is_given_back_as_it_was() {
    let mut registry = Registry::new();
    let foreign = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let unknown = json!({"mediaType": "a/b", "digest": foreign, "size": 5});
    for document in [
        with("/layers", json!(null)),
        with("/layers", json!([])),
        with("/annotations", json!(null)),
        with("/subject", json!(null)),
        with("/artifactType", json!("")),
        with("/mediaType", json!("")),
        with("/layers/0", unknown),
        with("/config/data", json!("e30=")),
        with("/unknown", json!({"schemaVersion": 1, "x": [null, 1e300]})),
        without("mediaType"),
        without("layers"),
    ] {
        let body = format!("\n\t{document:#}  \r\n");
        let digest = Digest::sha256(body.as_bytes());
        assert_eq!(registry.ask(PUT, &[MANIFEST_TYPE], body.as_bytes()).status, 201, "{body}");
        for reference in ["new", &digest.to_string()] {
            let answer = registry.ask(format!("GET /v2/app/manifests/{reference}"), &[], b"");
            assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()));
            assert_eq!(answer.header("content-type"), Some(MANIFEST_TYPE.1), "{body}");
        }
    }
    registry.works();
}
