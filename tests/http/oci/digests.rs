//! Digests (items 12 to 17).

use registry_store::digest::Algorithm;
use registry_tests::server::whole;
use serde_json::{Value, json};

use super::registry::{BOTH, FOREIGN, Registry, image, index, is, is_refused, sha256, sha512};

/// Texts of the grammar, of algorithms that nobody here knows.
const UNKNOWN: [&str; 6] = [
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
    "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    "a.b_c-d+e:x=_-Z9",
    "0:0",
    FOREIGN,
];

/// Texts that are no digests by their grammar, as they stand in a URL.
const BROKEN: [&str; 16] = [
    "sha256",
    "sha256:",
    ":abc",
    ":",
    "SHA256:abc",
    "a..b:c",
    "+a:b",
    "a+:b",
    "a:b:c",
    "a:b+c",
    "a:b.c",
    "a:b%20c",
    "a:b%2Fc",
    "a%20b:c",
    "%C3%A4:b",
    "a:%00",
];

/// What begins with a known algorithm and is none of its hashes.
fn misshapen() -> Vec<String> {
    let (short, long) = (sha256(b"x"), sha512(b"x"));
    let upper = |text: &str| text.to_uppercase().replacen("SHA", "sha", 1);
    vec![
        upper(&short),
        upper(&long),
        format!("{}A", &short[..short.len() - 1]),
        format!("{short}0"),
        short[..short.len() - 1].to_owned(),
        format!("{}g", &short[..short.len() - 1]),
        short.replace("sha256", "sha512"),
        long.replace("sha512", "sha256"),
        format!("{long}0"),
        long[..long.len() - 1].to_owned(),
        format!("{}=", &long[..long.len() - 1]),
    ]
}

#[tokio::test]
async fn item_012_a_text_of_the_grammar_is_a_digest() {
    let mut registry = Registry::new().await;
    for digest in UNKNOWN {
        assert_eq!(registry.referrers("a", digest).await, [] as [Value; 0], "{digest}");
    }
}

#[tokio::test]
async fn item_012_a_text_outside_of_the_grammar_is_none_wherever_it_stands() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[]).await;
    let location = registry.start("a").await;
    for digest in BROKEN {
        for line in [
            format!("GET /v2/a/referrers/{digest}"),
            format!("GET /v2/a/blobs/{digest}"),
            format!("DELETE /v2/a/blobs/{digest}"),
            format!("POST /v2/a/blobs/uploads/?digest={digest}"),
            format!("PUT {location}&digest={digest}"),
        ] {
            let answer = registry.ask(&line, &[], whole("")).await;
            assert_eq!(answer.status, 400, "{line}: {answer:?}");
            is_refused(&answer, 400, "DIGEST_INVALID");
        }
    }
    for digest in ["sha256", "a..b:c", "a:b/c", "a:b c", "A:b", ":"] {
        let mut document = image(&[]);
        document["layers"] = json!([{"mediaType": "a/b", "digest": digest, "size": 1}]);
        let answer = registry.put_manifest("a", "v1", &document.to_string()).await;
        is_refused(&answer, 400, "MANIFEST_INVALID");
    }
}

#[tokio::test]
async fn item_013_sha256_names_blobs_and_manifests() {
    let mut registry = Registry::new().await;
    let blob = registry.push("a", b"abc").await;
    assert_eq!(blob, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{blob}")).await.body, "abc");
    let manifest = registry.push_image("a", None, &[]).await;
    is(&registry.get(&format!("/v2/a/manifests/{manifest}")).await, 200);
}

#[tokio::test]
async fn item_013_its_digits_are_64_and_lower_case_wherever_it_stands() {
    let mut registry = Registry::new().await;
    registry.push("a", b"x").await;
    let text = image(&[]).to_string();
    for digest in misshapen() {
        for url in [format!("/v2/a/blobs/{digest}"), format!("/v2/a/referrers/{digest}")] {
            is_refused(&registry.get(&url).await, 400, "DIGEST_INVALID");
        }
        let url = format!("/v2/a/blobs/uploads/?digest={digest}");
        is_refused(&registry.post(&url, "x").await, 400, "DIGEST_INVALID");
        is_refused(&registry.put_manifest("a", &digest, &text).await, 400, "DIGEST_INVALID");
        let mut document = image(&[b"x"]);
        document["layers"][0]["digest"] = json!(digest);
        let answer = registry.put_manifest("a", "v1", &document.to_string()).await;
        is_refused(&answer, 400, "MANIFEST_INVALID");
    }
}

#[tokio::test]
async fn item_014_sha512_names_blobs_and_manifests_and_blake3_does_not() {
    let mut registry = Registry::new().await;
    let digest = sha512(b"abc");
    assert_eq!(digest.len(), "sha512:".len() + 128);
    is(&registry.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "abc").await, 201);
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).await.body, "abc");

    registry.push("a", b"{}").await;
    let text = image(&[]).to_string();
    let digest = sha512(text.as_bytes());
    is(&registry.put_manifest("a", &digest, &text).await, 201);
    assert_eq!(registry.get(&format!("/v2/a/manifests/{digest}")).await.body, text);

    let url = format!("/v2/a/blobs/uploads/?digest={FOREIGN}");
    is_refused(&registry.post(&url, "abc").await, 400, "DIGEST_INVALID");
    is_refused(&registry.put_manifest("a", FOREIGN, &text).await, 400, "DIGEST_INVALID");
}

#[tokio::test]
async fn item_015_a_digest_of_an_unknown_algorithm_passes_wherever_a_manifest_has_one() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for digest in UNKNOWN {
        let strange = json!({"mediaType": "application/x", "digest": digest, "size": 7});
        let mut with_layer = image(&[]);
        with_layer["layers"] = json!([strange]);
        let mut with_config = image(&[]);
        with_config["config"] = strange.clone();
        let mut with_subject = image(&[]);
        with_subject["subject"] = strange.clone();
        for document in [with_layer, with_config, with_subject, index(&[strange])] {
            let text = document.to_string();
            is(&registry.put_manifest("a", "v1", &text).await, 201);
            assert_eq!(registry.get("/v2/a/manifests/v1").await.body, text);
        }
    }
}

#[tokio::test]
async fn item_016_a_digest_that_is_none_or_unknown_is_refused_in_every_push_of_a_blob() {
    let mut registry = Registry::new().await;
    let mut location = registry.start("a").await;
    let all: Vec<String> = UNKNOWN.into_iter().chain(BROKEN).map(Into::into).collect();
    for digest in all.into_iter().chain(misshapen()) {
        let url = format!("/v2/a/blobs/uploads/?digest={digest}");
        is_refused(&registry.post(&url, "abc").await, 400, "DIGEST_INVALID");
        // With the whole body, and behind a stream; a mount of it is a session that it cannot close.
        let url = format!("{location}&digest={digest}");
        is_refused(&registry.put(&url, "abc").await, 400, "DIGEST_INVALID");
        let mount = registry.post(&format!("/v2/a/blobs/uploads/?mount={digest}&from=b"), "").await;
        is(&mount, 202);
        let streamed = registry.stream(mount.header("location"), "abc").await;
        is(&streamed, 202);
        let url = format!("{}&digest={digest}", streamed.header("location"));
        is_refused(&registry.put(&url, "").await, 400, "DIGEST_INVALID");
        location = registry.get(&location).await.header("location").to_owned();
    }
    for algorithm in ["md5", "blake3", "SHA256", "sha-256", "sha256:", "%00"] {
        let url = format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}");
        is_refused(&registry.post(&url, "").await, 400, "DIGEST_INVALID");
    }
    // A session that was not closed by such a digest goes on.
    is(&registry.put(&format!("{location}&digest={}", sha256(b"abc")), "abc").await, 201);
}

#[tokio::test]
async fn item_017_a_blob_keeps_the_digest_it_was_pushed_under_however_it_was_pushed() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for algorithm in Algorithm::ALL {
            let contents = ["at once", "in two requests", "as a stream", "told before"];
            let digest_of = |content: &str| {
                registry_store::digest::Digest::of(algorithm, content.as_bytes()).to_string()
            };
            let digests = contents.map(digest_of);
            let url = format!("/v2/a/blobs/uploads/?digest={}", digests[0]);
            is(&registry.post(&url, contents[0]).await, 201);
            let location = registry.start("a").await;
            is(&registry.put(&format!("{location}&digest={}", digests[1]), contents[1]).await, 201);
            let told = format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}");
            for (number, url) in [(2, "/v2/a/blobs/uploads/"), (3, &told)] {
                let opened = registry.post(url, "").await;
                let streamed = registry.stream(opened.header("location"), contents[number]).await;
                let url = format!("{}&digest={}", streamed.header("location"), digests[number]);
                is(&registry.put(&url, "").await, 201);
            }
            for (content, digest) in contents.iter().zip(&digests) {
                let url = format!("/v2/a/blobs/{digest}");
                let answer = registry.get(&url).await;
                is(&answer, 200);
                assert_eq!(answer.body, *content);
                assert_eq!(answer.header("docker-content-digest"), digest);
                assert_eq!(registry.head(&url).await.header("docker-content-digest"), digest);
            }
        }
    }
}

#[tokio::test]
async fn item_017_a_manifest_keeps_the_digest_it_was_pushed_under() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let text = serde_json::to_string_pretty(&image(&[])).unwrap();
    let digest = sha512(text.as_bytes());
    is(&registry.put_manifest("a", &format!("{digest}?tag=v1"), &text).await, 201);
    for reference in ["v1", &digest] {
        let url = format!("/v2/a/manifests/{reference}");
        let answer = registry.get(&url).await;
        assert_eq!(answer.body, text);
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(registry.head(&url).await.header("docker-content-digest"), digest);
    }
}
