//! What is accepted as a manifest, and what is not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(content_type: &str, document: &Value) -> Result<Manifest, ManifestError> {
    let content_type: MediaType = content_type.parse().unwrap();
    Manifest::parse(Some(&content_type), document.to_string().into())
}

fn descriptor(content: &[u8]) -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": Digest::sha256(content).to_string(),
        "size": content.len(),
    })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor(b"config"),
        "layers": [descriptor(b"a"), descriptor(b"b")],
    })
}

fn refers_to(manifest: &Manifest) -> Vec<String> {
    manifest.dependencies().map(|dependency| dependency.descriptor().digest.to_string()).collect()
}

#[test]
fn an_image_needs_its_config_and_its_layers() {
    let manifest = parse(MediaType::OCI_MANIFEST, &image()).unwrap();
    let expected = [&b"config"[..], b"a", b"b"].map(|content| Digest::sha256(content).to_string());
    assert_eq!(refers_to(&manifest), expected);
    assert!(manifest.dependencies().all(|d| matches!(d, Dependency::Blob(_))));
}

#[test]
fn an_index_needs_its_manifests() {
    for media_type in [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
    ] {
        let mut document = json!({"schemaVersion": 2, "manifests": [descriptor(b"m")]});
        document["manifests"][0]["mediaType"] = media_type.into();
        let manifest = parse(MediaType::OCI_INDEX, &document).unwrap();
        assert!(manifest.dependencies().all(|d| matches!(d, Dependency::Manifest(_))));
        assert_eq!(manifest.dependencies().count(), 1);
    }
}

#[test]
fn what_an_index_lists_that_is_no_manifest_is_a_blob() {
    let mut document =
        json!({"schemaVersion": 2, "manifests": [descriptor(b"a"), descriptor(b"b")]});
    document["manifests"][1]["mediaType"] = "application/vnd.buildkit.cacheconfig.v0".into();
    let manifest = parse(MediaType::OCI_INDEX, &document).unwrap();
    assert!(manifest.dependencies().all(|d| matches!(d, Dependency::Blob(_))));
    assert_eq!(manifest.dependencies().count(), 2);
}

#[test]
fn an_index_may_be_empty_and_an_image_may_have_no_layers() {
    parse(MediaType::OCI_INDEX, &json!({"schemaVersion": 2, "manifests": []})).unwrap();
    let document = json!({"schemaVersion": 2, "config": descriptor(b"c"), "layers": []});
    assert_eq!(parse(MediaType::OCI_MANIFEST, &document).unwrap().dependencies().count(), 1);
}

#[test]
fn layers_that_are_fetched_from_elsewhere_are_not_needed() {
    let mut document = image();
    document["layers"][0]["mediaType"] =
        "application/vnd.oci.image.layer.nondistributable.v1.tar".into();
    assert_eq!(parse(MediaType::OCI_MANIFEST, &document).unwrap().dependencies().count(), 3);
    document["layers"][0]["urls"] = json!(["https://example.com/layer"]);
    assert_eq!(parse(MediaType::OCI_MANIFEST, &document).unwrap().dependencies().count(), 2);
}

#[test]
fn the_bytes_are_kept_as_pushed() {
    let text = format!("  {}\n", image());
    let manifest = Manifest::parse(None, text.clone().into()).unwrap();
    assert_eq!(manifest.bytes(), text.as_bytes());
    assert_eq!(manifest.digest(Algorithm::Sha256), Digest::sha256(text.as_bytes()));
}

#[test]
fn content_type_and_media_type_must_agree() {
    let error = parse(MediaType::DOCKER_MANIFEST, &image()).unwrap_err();
    assert!(matches!(error, ManifestError::MediaTypeMismatch { .. }));
}

#[test]
fn without_a_content_type_the_document_decides() {
    for content_type in [None, Some("application/json")] {
        let content_type = content_type.map(|text| text.parse().unwrap());
        let of = |document: Value| {
            let manifest =
                Manifest::parse(content_type.as_ref(), document.to_string().into()).unwrap();
            manifest.media_type().to_string()
        };
        assert_eq!(of(image()), MediaType::OCI_MANIFEST);
        assert_eq!(of(json!({"schemaVersion": 2, "manifests": []})), MediaType::OCI_INDEX);
        assert_eq!(
            of(json!({"schemaVersion": 2, "config": descriptor(b"c")})),
            MediaType::OCI_MANIFEST
        );
    }
}

#[test]
fn a_docker_manifest_needs_its_media_type_field() {
    let document = json!({"schemaVersion": 2, "config": descriptor(b"c"), "layers": []});
    assert!(matches!(
        parse(MediaType::DOCKER_MANIFEST, &document),
        Err(ManifestError::Field { .. })
    ));
}

#[test]
fn a_document_of_both_shapes_is_refused() {
    let mut document = image();
    document["manifests"] = json!([]);
    assert!(matches!(parse(MediaType::OCI_MANIFEST, &document), Err(ManifestError::Field { .. })));
    document["mediaType"] = MediaType::OCI_INDEX.into();
    assert!(matches!(parse(MediaType::OCI_INDEX, &document), Err(ManifestError::Field { .. })));
}

#[test]
fn other_types_and_versions_are_refused() {
    let document =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.artifact.manifest.v1+json"});
    let error = Manifest::parse(None, document.to_string().into()).unwrap_err();
    assert!(matches!(error, ManifestError::UnsupportedMediaType { .. }));
    let mut document = image();
    document["schemaVersion"] = 1.into();
    assert_eq!(
        parse(MediaType::OCI_MANIFEST, &document).unwrap_err(),
        ManifestError::SchemaVersion { found: 1 }
    );
}

#[test]
fn bad_json_and_bad_descriptors_are_refused() {
    for text in ["", "{", "[]", "null", "{\"schemaVersion\":2}{}", "\u{0}"] {
        assert!(Manifest::parse(None, text.to_owned().into()).is_err(), "{text:?}");
    }
    for (field, value) in [
        ("size", json!(-1)),
        ("size", json!("1")),
        ("size", json!(1.5)),
        ("digest", json!("sha256:abc")),
        ("digest", json!("../../etc/passwd")),
        ("mediaType", json!("nonsense")),
        ("mediaType", Value::Null),
    ] {
        let mut document = image();
        document["layers"][0][field] = value.clone();
        let error = parse(MediaType::OCI_MANIFEST, &document).unwrap_err();
        let expected = matches!(error, ManifestError::Json { .. } | ManifestError::Field { .. });
        assert!(expected, "{field} {value}: {error}");
    }
}

#[test]
fn names_must_be_unique_at_every_depth() {
    for text in [r#"{"a":1,"a":1}"#, r#"{"schemaVersion":2,"x":[{"a":{"a":1,"b":2,"a":3}}]}"#] {
        assert_eq!(
            Manifest::parse(None, text.to_owned().into()).unwrap_err(),
            ManifestError::DuplicateName { name: "a".to_owned() }
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let text = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(matches!(Manifest::parse(None, text.into()), Err(ManifestError::Json { .. })));
}

#[test]
fn a_manifest_is_at_most_4_mib() {
    let text = format!("{}{}", image(), " ".repeat(MAX_MANIFEST_SIZE));
    assert!(matches!(Manifest::parse(None, text.into()), Err(ManifestError::TooLarge { .. })));
}

#[test]
fn the_artifact_type_is_the_configs_where_there_is_none() {
    let mut document = image();
    document["config"]["mediaType"] = "application/vnd.example.config".into();
    let of = |document: &Value| {
        parse(MediaType::OCI_MANIFEST, document).unwrap().artifact_type().map(ToString::to_string)
    };
    assert_eq!(of(&document).as_deref(), Some("application/vnd.example.config"));
    document["artifactType"] = "application/vnd.example".into();
    assert_eq!(of(&document).as_deref(), Some("application/vnd.example"));
}

#[test]
fn a_digest_of_an_unknown_algorithm_is_accepted_in_a_descriptor() {
    let mut document = image();
    document["layers"][0]["digest"] = "blake3:0000".into();
    let manifest = parse(MediaType::OCI_MANIFEST, &document).unwrap();
    assert!(manifest.dependencies().any(|d| d.descriptor().digest.known().is_none()));
}

#[test]
fn stored_types_include_those_no_longer_accepted() {
    let of =
        |document: Value| stored_media_type(document.to_string().as_bytes()).unwrap().to_string();
    assert_eq!(of(json!({"schemaVersion": 1, "fsLayers": []})), MediaType::DOCKER_SCHEMA1);
    assert_eq!(of(json!({"schemaVersion": 2, "manifests": []})), MediaType::OCI_INDEX);
    assert_eq!(of(json!({"schemaVersion": 2, "layers": []})), MediaType::OCI_MANIFEST);
    assert_eq!(
        of(json!({"mediaType": "application/vnd.example+json"})),
        "application/vnd.example+json"
    );
    assert!(stored_media_type(b"").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
        let _ = Manifest::parse(None, bytes.into());
    }

    #[test]
    fn a_descriptor_survives_its_json_form(
        content: Vec<u8>, size: u64,
        annotations in prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..4),
        artifact in proptest::option::of("[a-z]{1,4}/[a-z]{1,4}"),
    ) {
        let descriptor = Descriptor {
            media_type: MediaType::constant(MediaType::OCI_MANIFEST),
            digest: crate::digest::AnyDigest::Known(Digest::sha256(&content)),
            size,
            urls: Vec::new(),
            artifact_type: artifact.map(|text| text.parse().unwrap()),
            annotations,
        };
        let text = serde_json::to_string(&descriptor).unwrap();
        prop_assert_eq!(serde_json::from_str::<Descriptor>(&text).unwrap(), descriptor);
    }
}

fn refused(media_type: &str, text: &str) -> ManifestError {
    let content_type = media_type.parse().unwrap();
    let parsed = Manifest::parse(Some(&content_type), text.to_owned().into());
    parsed.expect_err(text)
}

/// `image()` with one piece of its text replaced.
fn image_with(from: &str, to: &str) -> String {
    let text = image().to_string();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1)
}

#[test]
fn a_list_is_no_manifest_and_no_descriptor_though_a_derived_reader_would_take_it() {
    let list = json!([2, MediaType::OCI_INDEX, "", null, null, [], null, {}]).to_string();
    refused(MediaType::OCI_INDEX, &list);
    let mut document = image();
    let digest = document["config"]["digest"].clone();
    document["config"] = json!(["application/json", digest, 6]);
    refused(MediaType::OCI_MANIFEST, &document.to_string());
    let mut document = image();
    document["subject"] = json!(["application/json", digest, 6]);
    refused(MediaType::OCI_MANIFEST, &document.to_string());
    for text in ["null", "2", "\"x\"", "true", "1.5"] {
        refused(MediaType::OCI_INDEX, text);
    }
}

#[test]
fn a_field_in_another_spelling_is_refused_because_go_would_read_it_too() {
    for (from, to) in [
        ("\"layers\":", "\"Layers\":"),
        ("\"layers\":", "\"layers\":[],\"LAYERS\":"),
        ("\"mediaType\":", "\"mediatype\":"),
        ("\"digest\":", "\"dige\u{17f}t\":"),
        ("\"size\":", "\"Size\":1,\"size\":"),
        ("\"schemaVersion\":", "\"\u{17f}chemaVersion\":"),
    ] {
        let error = refused(MediaType::OCI_MANIFEST, &image_with(from, to));
        let told = error.to_string();
        assert!(told.starts_with("expected the field ") && !told.contains(" at line "), "{told}");
    }
    // Elsewhere a name is a name.
    let free =
        image_with("{", "{\"annotations\":{\"size\":\"1\",\"Size\":\"2\"},\"x\":{\"Layers\":1},");
    Manifest::parse(None, free.into()).unwrap();
}

#[test]
fn a_platform_is_an_object_of_texts_and_a_size_fits_into_an_int64() {
    let index = |entry: &str| {
        let mut entry: Value = serde_json::from_str(entry).unwrap();
        let base = descriptor(b"m");
        for (name, value) in base.as_object().unwrap() {
            let fields = entry.as_object_mut().unwrap();
            fields.entry(name.clone()).or_insert(value.clone());
        }
        json!({ "schemaVersion": 2, "manifests": [entry] }).to_string()
    };
    for entry in [
        r#"{"platform":"linux/amd64"}"#,
        r#"{"platform":["linux"]}"#,
        r#"{"platform":{"os":1}}"#,
        r#"{"platform":{"OS":"linux"}}"#,
        r#"{"platform":{"os.features":"x"}}"#,
        r#"{"platform":{"features":[1]}}"#,
        r#"{"size":9223372036854775808}"#,
        r#"{"size":-1}"#,
        r#"{"size":1.0}"#,
        r#"{"size":"1"}"#,
        r#"{"data":1}"#,
        r#"{"data":"!!"}"#,
        r#"{"data":"e30"}"#,
        r#"{"data":"e3=0"}"#,
        r#"{"data":"===="}"#,
        r#"{"urls":"x"}"#,
    ] {
        refused(MediaType::OCI_INDEX, &index(entry));
    }
    for entry in [
        r#"{"platform":null}"#,
        r#"{"platform":{"os":"linux","os.features":["x"],"features":null,"new":{"OS":1}}}"#,
        r#"{"size":9223372036854775807,"digest":"foo:bar"}"#,
        r#"{"data":"e30=","urls":null}"#,
        r#"{"data":""}"#,
        r#"{"data":"e3\n0="}"#,
    ] {
        Manifest::parse(None, index(entry).into()).unwrap();
    }
}

#[test]
fn an_empty_list_may_be_written_as_null_as_go_does() {
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": null });
    let parsed = parse(MediaType::OCI_INDEX, &index).unwrap();
    assert_eq!(parsed.dependencies().count(), 0);
    let without = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX });
    parse(MediaType::OCI_INDEX, &without).unwrap_err();
    // Without a type too, and then it is read as one again.
    let untyped = json!({ "schemaVersion": 2, "manifests": null }).to_string();
    for content_type in [Some(MediaType::OCI_INDEX.parse().unwrap()), None] {
        let parsed = Manifest::parse(content_type.as_ref(), untyped.clone().into()).unwrap();
        assert_eq!(parsed.media_type(), &stored_media_type(untyped.as_bytes()).unwrap());
        assert_eq!(parsed.media_type().as_str(), MediaType::OCI_INDEX);
    }
}

#[test]
fn a_field_of_the_other_shape_is_refused_even_if_it_is_null_because_containerd_does() {
    for value in [json!(null), json!([])] {
        let mut document = image();
        document["manifests"] = value;
        parse(MediaType::OCI_MANIFEST, &document).unwrap_err();
    }
    for (name, value) in [("layers", json!(null)), ("layers", json!([])), ("config", json!(null))] {
        let mut index = json!({ "schemaVersion": 2, "manifests": [] });
        index[name] = value;
        parse(MediaType::OCI_INDEX, &index).unwrap_err();
    }
}

#[test]
fn what_a_stored_manifest_says_counts_though_it_would_not_be_accepted_any_more() {
    let mut document = image();
    document["subject"] = descriptor(b"subject");
    document["Layers"] = json!([]);
    let text = document.to_string();
    Manifest::parse(None, text.clone().into()).unwrap_err();
    assert!(Manifest::parse_stored(text.into()).unwrap().subject().is_some());
}

#[test]
fn the_case_of_a_content_type_does_not_matter() {
    let upper = MediaType::OCI_MANIFEST.to_uppercase();
    assert_eq!(parse(&upper, &image()).unwrap().media_type().as_str(), MediaType::OCI_MANIFEST);
    let mut document = image();
    document.as_object_mut().unwrap().remove("mediaType");
    assert_eq!(parse(&upper, &document).unwrap().media_type().as_str(), MediaType::OCI_MANIFEST);
    let docker = MediaType::DOCKER_MANIFEST.to_uppercase();
    parse(&docker, &document).unwrap_err();
}
