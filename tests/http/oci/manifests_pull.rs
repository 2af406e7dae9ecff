//! Pulling manifests (items 18 to 24).

use registry_store::manifest::MAX_MANIFEST_SIZE;
use registry_store::media_type::MediaType;
use registry_tests::server::{Protocol, whole};
use serde_json::{Value, json};

use super::registry::{BOTH, Registry, image, index, is, is_refused, sha256, sha512};

const TYPES: [&str; 4] = [
    MediaType::OCI_MANIFEST,
    MediaType::OCI_INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_LIST,
];

/// A manifest of a type, laid out as no serializer here would.
fn of_type(media_type: &str) -> String {
    let mut document = match media_type {
        MediaType::OCI_INDEX | MediaType::DOCKER_LIST => index(&[]),
        _ => image(&[]),
    };
    document["mediaType"] = json!(media_type);
    format!("\n{}\r\n\t ", serde_json::to_string_pretty(&document).expect("text keys"))
}

#[tokio::test]
async fn item_018_a_manifest_is_read_as_the_bytes_that_were_pushed() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        for media_type in TYPES {
            let text = of_type(media_type);
            is(&registry.put_manifest("a", "v1", &text).await, 201);
            for reference in ["v1", &sha256(text.as_bytes())] {
                let answer = registry.get(&format!("/v2/a/manifests/{reference}")).await;
                is(&answer, 200);
                assert_eq!(answer.body, text);
            }
        }
    }
}

#[tokio::test]
async fn item_019_a_manifest_that_is_not_there_is_not_found() {
    let mut registry = Registry::new().await;
    let manifest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    let of_b = registry.push_image("b", Some("only-here"), &[b"other"]).await;
    for url in [
        "/v2/a/manifests/v2".to_owned(),
        "/v2/a/manifests/only-here".to_owned(),
        format!("/v2/a/manifests/{of_b}"),
        format!("/v2/a/manifests/{}", sha256(b"never pushed")),
        format!("/v2/a/manifests/{}", sha512(b"never pushed")),
        // A blob is no manifest, and a repository no part of another.
        format!("/v2/a/manifests/{}", sha256(b"layer")),
        format!("/v2/a/a/manifests/{manifest}"),
        "/v2/none/manifests/v1".to_owned(),
    ] {
        let answer = registry.get(&url).await;
        is_refused(&answer, 404, "MANIFEST_UNKNOWN");
        let reference = url.rsplit('/').next().unwrap();
        assert_eq!(answer.json()["errors"][0]["detail"], json!({"reference": reference}));
        is(&registry.head(&url).await, 404);
    }
}

#[tokio::test]
async fn item_020_its_type_is_the_one_it_was_pushed_with_and_has_no_parameters() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for media_type in TYPES {
        let text = of_type(media_type);
        for parameters in ["", ";charset=utf-8", " ; charset=\"UTF-8\"; q=1"] {
            let sent = format!("{media_type}{parameters}");
            let headers = [("content-type", &*sent)];
            let line = "PUT /v2/a/manifests/v1";
            is(&registry.ask(line, &headers, whole(text.clone())).await, 201);
            for reference in ["v1", &sha256(text.as_bytes())] {
                let url = format!("/v2/a/manifests/{reference}");
                assert_eq!(registry.get(&url).await.header("content-type"), media_type);
                assert_eq!(registry.head(&url).await.header("content-type"), media_type);
            }
        }
    }
}

#[tokio::test]
async fn item_020_so_it_is_where_the_document_does_not_say_its_type() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for media_type in [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX] {
        let mut document: Value = serde_json::from_str(&of_type(media_type)).unwrap();
        document.as_object_mut().unwrap().remove("mediaType");
        let headers = [("content-type", media_type)];
        let body = whole(document.to_string());
        is(&registry.ask("PUT /v2/a/manifests/v1", &headers, body).await, 201);
        let answer = registry.get("/v2/a/manifests/v1").await;
        assert_eq!(answer.header("content-type"), media_type);
    }
}

#[tokio::test]
async fn item_021_get_tells_the_digest_that_was_asked_for() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        let text = of_type(MediaType::OCI_MANIFEST);
        let (short, long) = (sha256(text.as_bytes()), sha512(text.as_bytes()));
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        is(&registry.put_manifest("a", &format!("{long}?tag=v2"), &text).await, 201);
        for (reference, digest) in
            [("v1", &short), (&*short, &short), ("v2", &long), (&*long, &long)]
        {
            let answer = registry.get(&format!("/v2/a/manifests/{reference}")).await;
            is(&answer, 200);
            assert_eq!(answer.header("docker-content-digest"), digest, "{reference}");
        }
    }
}

#[tokio::test]
async fn item_022_head_tells_size_and_digest_and_has_no_body() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        let text = of_type(MediaType::OCI_INDEX);
        let digest = sha256(text.as_bytes());
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        for reference in ["v1", &digest] {
            let answer = registry.head(&format!("/v2/a/manifests/{reference}")).await;
            is(&answer, 200);
            assert_eq!(answer.body, "");
            assert_eq!(answer.header("content-length"), text.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("content-type"), MediaType::OCI_INDEX);
        }
        for reference in ["v2", &sha256(b"never pushed")] {
            let answer = registry.head(&format!("/v2/a/manifests/{reference}")).await;
            is(&answer, 404);
            assert_eq!(answer.header("docker-content-digest"), "");
        }
    }
}

#[tokio::test]
async fn item_023_whatever_the_client_accepts_it_gets_what_is_stored_under_its_own_type() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for media_type in TYPES {
        let text = of_type(media_type);
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        for accept in [
            "*/*",
            "application/*",
            "text/html",
            "application/json",
            MediaType::OCI_MANIFEST,
            MediaType::DOCKER_LIST,
            MediaType::DOCKER_SCHEMA1,
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json;q=0.5",
            "nonsense",
            "",
        ] {
            let accepts = [("accept", accept), ("accept", "application/x")];
            let answer = registry.ask("GET /v2/a/manifests/v1", &accepts, whole("")).await;
            is(&answer, 200);
            assert_eq!(answer.body, text, "{accept}");
            assert_eq!(answer.header("content-type"), media_type, "{accept}");
            assert_eq!(answer.json()["mediaType"], media_type);
        }
    }
}

#[tokio::test]
async fn item_024_it_comes_with_its_length_and_not_chunked() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        let small = of_type(MediaType::OCI_MANIFEST);
        let large = format!("{small}{}", " ".repeat(MAX_MANIFEST_SIZE - small.len()));
        for text in [small, large] {
            is(&registry.put_manifest("a", "v1", &text).await, 201);
            let answer = registry.get("/v2/a/manifests/v1").await;
            assert_eq!(answer.header("content-length"), text.len().to_string());
            assert_eq!(answer.header("transfer-encoding"), "");
            assert!(answer.body == text, "{} bytes were changed", text.len());
        }
    }
}

#[tokio::test]
async fn item_024_a_client_of_http_1_0_gets_it_with_its_length_too() {
    let mut registry = Registry::with(registry_http::Options::default(), Protocol::Http1).await;
    registry.push_image("a", Some("v1"), &[]).await;
    let text = image(&[]).to_string();
    let sent = "GET /v2/a/manifests/v1 HTTP/1.0\r\nHost: x\r\n\r\n";
    let answered = super::sessions::exchange(&registry, sent).await;
    let length = format!("\r\ncontent-length: {}\r\n", text.len());
    assert!(answered.to_lowercase().contains(&length), "{answered}");
    assert!(answered.ends_with(&text), "{answered}");
}
