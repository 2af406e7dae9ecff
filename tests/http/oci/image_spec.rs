//! What the image specification asks of manifests (items 101 to 103).

use registry_store::media_type::MediaType;
use registry_tests::server::whole;
use serde_json::{Value, json};

use super::registry::{Registry, described, image, index, is, is_refused, sha256};

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

#[tokio::test]
async fn item_101_the_empty_descriptor_may_stand_for_config_and_layers() {
    let mut registry = Registry::new().await;
    assert_eq!(registry.push("a", b"{}").await, EMPTY);
    let head = registry.head(&format!("/v2/a/blobs/{EMPTY}")).await;
    assert_eq!(head.header("content-length"), "2");
    let plain = json!({"mediaType": EMPTY_TYPE, "digest": EMPTY, "size": 2});
    let mut with_data = plain.clone();
    with_data["data"] = json!("e30=");
    for empty in [plain, with_data] {
        for artifact_type in [Some("application/vnd.example.thing"), None] {
            let mut document = image(&[]);
            document["config"] = empty.clone();
            document["layers"] = json!([empty]);
            if let Some(artifact_type) = artifact_type {
                document["artifactType"] = json!(artifact_type);
            }
            // Without its artifactType it is the author's fault, and stored all the same.
            registry.push_manifest("a", Some("v1"), &document).await;
            assert_eq!(registry.get("/v2/a/manifests/v1").await.body, document.to_string());
        }
    }
}

#[tokio::test]
async fn item_101_an_artifact_of_it_is_listed_by_its_type() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let mut document = image(&[]);
    document["config"]["mediaType"] = json!(EMPTY_TYPE);
    document["subject"] = described(&image(&[b"x"]));
    registry.push_manifest("a", None, &document).await;
    document["artifactType"] = json!("application/vnd.example.thing");
    registry.push_manifest("a", None, &document).await;
    let subject = sha256(image(&[b"x"]).to_string().as_bytes());
    let found = registry.referrers("a", &subject).await;
    let mut types: Vec<&str> =
        found.iter().map(|entry| entry["artifactType"].as_str().unwrap()).collect();
    types.sort_unstable();
    assert_eq!(types, ["application/vnd.example.thing", EMPTY_TYPE]);
}

/// Puts a text that is no manifest.
async fn is_none(registry: &mut Registry, text: impl Into<Vec<u8>>) {
    let text = text.into();
    let said = String::from_utf8_lossy(&text).into_owned();
    let body = whole(text);
    let answer = registry.ask("PUT /v2/a/manifests/v1", &[], body).await;
    assert_eq!(answer.status, 400, "{said}: {answer:?}");
    is_refused(&answer, 400, "MANIFEST_INVALID");
    is(&registry.get("/v2/a/manifests/v1").await, 404);
}

/// A document with one field set, or taken away.
fn with(mut document: Value, pointer: &str, value: Option<Value>) -> String {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    match value {
        Some(value) => parent.insert(field.to_owned(), value),
        None => parent.remove(field),
    };
    document.to_string()
}

#[tokio::test]
async fn item_102_the_schema_version_is_2() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for document in [image(&[]), index(&[])] {
        for version in [Some(json!(1)), Some(json!(3)), Some(json!("2")), Some(json!(2.5)), None] {
            is_none(&mut registry, with(document.clone(), "/schemaVersion", version)).await;
        }
    }
}

#[tokio::test]
async fn item_102_the_fields_of_each_type_are_there_and_those_of_the_other_are_not() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    is_none(&mut registry, with(index(&[]), "/manifests", None)).await;
    is_none(&mut registry, with(index(&[]), "/manifests", Some(json!({})))).await;
    is_none(&mut registry, with(image(&[]), "/config", None)).await;
    is_none(&mut registry, with(image(&[]), "/layers", Some(json!({})))).await;
    is_none(&mut registry, with(image(&[]), "/manifests", Some(json!([])))).await;
    is_none(&mut registry, with(index(&[]), "/layers", Some(json!([])))).await;
    for text in ["", "[]", "null", "2", "{}", "{", "hello"] {
        is_none(&mut registry, text).await;
    }
}

#[tokio::test]
async fn item_102_descriptors_are_whole_and_sizes_not_negative() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[b"layer"]).await;
    let subject = with(image(&[]), "/subject", Some(described(&image(&[]))));
    let subject: Value = serde_json::from_str(&subject).unwrap();
    for (document, place) in [
        (image(&[b"layer"]), "/config"),
        (image(&[b"layer"]), "/layers/0"),
        (index(&[described(&image(&[b"layer"]))]), "/manifests/0"),
        (subject, "/subject"),
    ] {
        for size in [Some(json!(-1)), Some(json!(1.5)), Some(json!("2")), None] {
            is_none(&mut registry, with(document.clone(), &format!("{place}/size"), size)).await;
        }
        is_none(&mut registry, with(document.clone(), &format!("{place}/digest"), None)).await;
        for media_type in [
            Some(json!("")),
            Some(json!("json")),
            Some(json!("a/")),
            Some(json!("/b")),
            Some(json!("a/b/c")),
            Some(json!("a/ b")),
            Some(json!(".a/b")),
            Some(json!(format!("a/{}", "b".repeat(128)))),
            Some(json!(5)),
            None,
        ] {
            let text = with(document.clone(), &format!("{place}/mediaType"), media_type);
            is_none(&mut registry, text).await;
        }
    }
    is_none(&mut registry, with(image(&[]), "/artifactType", Some(json!("json")))).await;
    is_none(&mut registry, with(image(&[]), "/annotations", Some(json!({"a": 1})))).await;
}

#[tokio::test]
async fn item_102_the_json_is_utf_8_without_duplicate_names() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let text = with(image(&[]), "/annotations", Some(json!({"key": "value"})));
    for (from, to) in [
        ("\"schemaVersion\":2", "\"schemaVersion\":2,\"schemaVersion\":2"),
        ("\"layers\":[]", "\"layers\":[],\"layers\":[]"),
        ("{\"key\":\"value\"}", "{\"key\":\"value\",\"k\\u0065y\":\"value\"}"),
        ("{\"key\":\"value\"}", "{\"key\":\"value\"},\"x\":[{\"y\":1,\"y\":1}]"),
    ] {
        assert!(text.contains(from), "{text}");
        is_none(&mut registry, text.replacen(from, to, 1)).await;
    }
    let value = text.find("value").unwrap();
    for broken in [&b"\xff"[..], b"\xc3(", b"\xed\xa0\x80", b"\0"] {
        let mut bytes = text.clone().into_bytes();
        bytes.splice(value..value, broken.iter().copied());
        is_none(&mut registry, bytes).await;
    }
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_none(&mut registry, utf_16).await;
    is(&registry.put_manifest("a", "v1", &text).await, 201);
}

#[tokio::test]
async fn item_103_the_two_types_of_oci_and_the_two_of_docker_are_accepted_and_no_others() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[b"layer"]).await;
    for (document, media_type, place) in [
        (image(&[b"layer"]), MediaType::OCI_MANIFEST, "config"),
        (image(&[b"layer"]), MediaType::DOCKER_MANIFEST, "config"),
        (index(&[described(&image(&[b"layer"]))]), MediaType::OCI_INDEX, "manifests"),
        (index(&[described(&image(&[b"layer"]))]), MediaType::DOCKER_LIST, "manifests"),
    ] {
        let text = with(document, "/mediaType", Some(json!(media_type)));
        is(&registry.put_manifest("a", "good", &text).await, 201);
        let pulled = registry.get("/v2/a/manifests/good").await;
        assert_eq!(pulled.header("content-type"), media_type);
        assert_eq!(pulled.body, text);
        assert!(pulled.json()[place].is_object() || pulled.json()[place].is_array());
    }
    for media_type in [
        MediaType::DOCKER_SCHEMA1,
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "text/plain",
    ] {
        is_none(&mut registry, with(image(&[]), "/mediaType", Some(json!(media_type)))).await;
    }
}
