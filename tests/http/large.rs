//! What is too large or too many for a table.

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, request};
use registry_http::Options;
use registry_store::digest::{Algorithm, Digest};
use registry_tests::documents::{
    descriptor_of, image, image_document, manifest, push_image, push_manifest,
};
use registry_tests::server::{Answer, Client, Protocol, Server, streamed, whole};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn ask(method: Method, url: &str) -> request::Builder {
    Request::builder().method(method).uri(url)
}

pub(crate) async fn get(client: &mut Client, url: &str) -> Answer {
    client.send(ask(Method::GET, url), whole("")).await
}

/// Follows a listing from page to page, and returns what `of` finds on each, together.
pub(crate) async fn follow(
    client: &mut Client,
    url: &str,
    of: impl Fn(&Value) -> &Value,
) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = Some(url.to_owned());
    while let Some(url) = next {
        let page = get(client, &url).await;
        assert_eq!(page.status, 200, "{url}");
        found.extend_from_slice(of(&page.json()).as_array().expect("a list"));
        let link = page.header("link").strip_prefix('<');
        next = link.and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(ToOwned::to_owned);
    }
    found
}

#[tokio::test]
async fn all_tags_come_in_one_answer_however_many_there_are() {
    let fixture = Fixture::new().await;
    let tags: Vec<String> = (0..2500).map(|number| format!("t{number:04}")).collect();
    let repository = fixture.world.repository("many");
    push_image(&repository, b"{}", &[], "t0000").await;
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    push_manifest(&repository, &image(b"{}", &[]), &names).await;

    let server = Server::start(fixture.service(Options::default())).await;
    for protocol in BOTH {
        let mut client = server.connect(protocol).await;
        let all = get(&mut client, "/v2/many/tags/list").await;
        assert_eq!(all.json(), json!({"name": "many", "tags": tags}));
        assert_eq!(all.header("link"), "");
        let rest = get(&mut client, "/v2/many/tags/list?last=t0499").await;
        assert_eq!(rest.json(), json!({"name": "many", "tags": tags[500..]}));
        let head = client.send(ask(Method::HEAD, "/v2/many/tags/list"), whole("")).await;
        assert_eq!((head.status.as_u16(), head.header("content-type")), (200, "application/json"));

        let paged = follow(&mut client, "/v2/many/tags/list?n=5000", |page| &page["tags"]).await;
        assert_eq!(json!(paged), json!(tags));
    }
}

#[tokio::test]
async fn referrers_come_in_pages_that_together_hold_each_once() {
    let fixture = Fixture::new().await;
    let repository = fixture.world.repository("many");
    push_image(&repository, b"{}", &[], "v1").await;
    let subject = image(b"{}", &[]);
    for number in 0..230 {
        let mut document = image_document(b"{}", &[]);
        document["subject"] = descriptor_of(&subject);
        document["annotations"] = json!({"number": number.to_string()});
        push_manifest(&repository, &manifest(&document), &[]).await;
    }

    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let url = format!("/v2/many/referrers/{}", subject.digest(Algorithm::Sha256));
    for query in ["", "?n=100", "?n=7"] {
        let found = follow(&mut client, &format!("{url}{query}"), |page| &page["manifests"]).await;
        let mut numbers: Vec<u64> = found
            .iter()
            .map(|found| found["annotations"]["number"].as_str().expect("text"))
            .map(|number| number.parse().expect("a number"))
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..230).collect::<Vec<_>>(), "{query}");
    }
}

#[tokio::test]
async fn a_page_of_referrers_ends_when_it_has_grown_large() {
    let fixture = Fixture::new().await;
    let repository = fixture.world.repository("wordy");
    push_image(&repository, b"{}", &[], "v1").await;
    let subject = image(b"{}", &[]);
    for number in 0..120 {
        let mut document = image_document(b"{}", &[]);
        document["subject"] = descriptor_of(&subject);
        document["annotations"] = json!({number.to_string(): "x".repeat(50_000)});
        push_manifest(&repository, &manifest(&document), &[]).await;
    }

    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let url = format!("/v2/wordy/referrers/{}", subject.digest(Algorithm::Sha256));
    let first = get(&mut client, &url).await.json();
    // 4 MiB are full with the 84th.
    assert_eq!(first["manifests"].as_array().map(Vec::len), Some(84));
    let all = follow(&mut client, &url, |page| &page["manifests"]).await;
    assert_eq!(all.len(), 120);
}

#[tokio::test]
async fn a_manifest_takes_fifty_tags_and_no_more() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    for (count, status) in [(50, 201), (51, 414)] {
        let tags: String = (0..count).map(|number| format!("tag=t{number}&")).collect();
        let url = fixture.fill_in(&format!("/v2/app/manifests/{{other}}?{tags}"));
        let answer =
            client.send(ask(Method::PUT, &url), whole(fixture.fill_in("{other.json}"))).await;
        assert_eq!(answer.status, status);
        let listed = answer.headers.get_all("oci-tag").iter().count();
        assert_eq!(listed, if status == 201 { count } else { 0 });
    }
}

/// Twenty-one million bytes that nothing compresses or repeats.
fn layer() -> Bytes {
    let hashes = (0u32..650_000).map(|number| Digest::sha256(&number.to_be_bytes()));
    hashes.flat_map(|digest| digest.as_bytes().to_vec()).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn a_layer_of_many_parts_is_pushed_each_way_and_pulled_unchanged() {
    let layer = layer();
    let digest = Digest::sha256(&layer);
    for protocol in BOTH {
        for way in ["one POST", "one PATCH of no known length", "chunks"] {
            let fixture = Fixture::new().await;
            let server = Server::start(fixture.service(Options::default())).await;
            let mut client = server.connect(protocol).await;
            push(&mut client, way, &layer, &digest).await;
            let pulled = get(&mut client, &format!("/v2/new/blobs/{digest}")).await;
            assert_eq!(pulled.status, 200, "{way}");
            assert!(pulled.body == layer, "{way} over {protocol:?} changed it");
            pull_in_parts(&server, protocol, &layer, &digest).await;
        }
    }
}

async fn push(client: &mut Client, way: &str, layer: &Bytes, digest: &Digest) {
    if way == "one POST" {
        let url = format!("/v2/new/blobs/uploads/?digest={digest}");
        let answer = client.send(ask(Method::POST, &url), whole(layer.clone())).await;
        assert_eq!(answer.status, 201);
        return;
    }

    let start = client.send(ask(Method::POST, "/v2/new/blobs/uploads/"), whole("")).await;
    let mut location = start.header("location").to_owned();
    let chunk = if way == "chunks" { 5_000_000 } else { layer.len() };
    for start in (0..layer.len()).step_by(chunk) {
        let part = layer.slice(start..(start + chunk).min(layer.len()));
        let end = start + part.len() - 1;
        let request = ask(Method::PATCH, &location);
        let answer = if way == "chunks" {
            let request = request.header("Content-Range", format!("{start}-{end}"));
            client.send(request, whole(part)).await
        } else {
            let parts: Vec<_> = part.chunks(30_000).map(|part| part.to_vec().into()).collect();
            client.send(request, streamed(stream::iter(parts.into_iter().map(Ok)))).await
        };
        assert_eq!((answer.status.as_u16(), answer.header("range")), (202, &*format!("0-{end}")));
        answer.header("location").clone_into(&mut location);
    }
    let url = format!("{location}&digest={digest}");
    assert_eq!(client.send(ask(Method::PUT, &url), whole("")).await.status, 201);
}

/// As containerd does: several ranges of one blob at a time.
async fn pull_in_parts(server: &Server, protocol: Protocol, layer: &Bytes, digest: &Digest) {
    let size = layer.len();
    let part = size / 4 + 1;
    let pulls = (0..4).map(async |number| {
        let (start, end) = (number * part, ((number + 1) * part).min(size));
        let request = ask(Method::GET, &format!("/v2/new/blobs/{digest}"))
            .header("Range", format!("bytes={start}-{}", end - 1));
        let answer = server.connect(protocol).await.send(request, whole("")).await;
        let range = format!("bytes {start}-{}/{size}", end - 1);
        assert_eq!((answer.status.as_u16(), answer.header("content-range")), (206, &*range));
        assert!(answer.body == layer.slice(start..end), "{range} is not what was pushed");
    });
    futures::future::join_all(pulls).await;
}
