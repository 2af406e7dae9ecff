//! Pushing manifests (items 59 to 73).

use std::collections::BTreeSet;

use registry_store::manifest::MAX_MANIFEST_SIZE;
use registry_store::media_type::MediaType;
use registry_tests::server::whole;
use serde_json::{Value, json};

use super::registry::{
    BOTH, Registry, described, image, index, is, is_refused, leads_to, parts, sha256, sha512,
};

/// A manifest laid out as no serializer here would, with what none here reads.
const ODD: &str = "{ \"layers\" : [ ],\r\n\t\"x\": [1.50, 1e2, \"\\u00e4\", null, {\"layers\": 0}],
  \"config\":{\"size\":2,\"digest\":
  \"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\", \"mediaType\":\"a/b\"}
  ,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"schemaVersion\":2}\n\n";

#[tokio::test]
async fn item_059_the_bytes_that_were_pushed_are_kept() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        for reference in ["v1", &sha256(ODD.as_bytes()), &sha512(ODD.as_bytes())] {
            is(&registry.put_manifest("a", reference, ODD).await, 201);
            let pulled = registry.get(&format!("/v2/a/manifests/{reference}")).await;
            assert_eq!(pulled.body, ODD);
        }
        // In parts, of no declared length.
        let body = parts(&[&ODD[..7], &ODD[7..100], &ODD[100..]]);
        is(&registry.ask("PUT /v2/a/manifests/v2", &[], body).await, 201);
        assert_eq!(registry.get("/v2/a/manifests/v2").await.body, ODD);
    }
}

#[tokio::test]
async fn item_060_a_push_tells_where_the_manifest_is_pulled_from() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a/b", b"{}").await;
        for reference in ["v1", &sha256(ODD.as_bytes()), &sha512(ODD.as_bytes())] {
            let answer = registry.put_manifest("a/b", reference, ODD).await;
            is(&answer, 201);
            assert_eq!(answer.body, "");
            assert!(answer.header("location").starts_with("/v2/a/b/manifests/"), "{answer:?}");
            let pulled = registry.get(answer.header("location")).await;
            is(&pulled, 200);
            assert_eq!(pulled.body, ODD);
        }
    }
}

#[tokio::test]
async fn item_061_a_push_tells_the_digest_of_the_client() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let (short, long) = (sha256(ODD.as_bytes()), sha512(ODD.as_bytes()));
    let tagged = format!("{long}?tag=v2");
    for (reference, digest) in
        [("v1", &short), (&*short, &short), (&*long, &long), (&*tagged, &long)]
    {
        let answer = registry.put_manifest("a", reference, ODD).await;
        is(&answer, 201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        leads_to(&answer, &format!("/v2/a/manifests/{digest}"));
    }
}

#[tokio::test]
async fn item_062_parameters_of_the_type_are_ignored() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let text = image(&[]).to_string();
    for parameters in ["; charset=utf-8", ";charset=utf-8;x=\"y;z\"", " ; ", ";"] {
        let media_type = format!("{}{parameters}", MediaType::OCI_MANIFEST);
        let headers = [("content-type", &*media_type)];
        is(&registry.ask("PUT /v2/a/manifests/v1", &headers, whole(text.clone())).await, 201);
        let pulled = registry.get("/v2/a/manifests/v1").await;
        assert_eq!(pulled.header("content-type"), MediaType::OCI_MANIFEST);
    }
}

#[tokio::test]
async fn item_062_a_type_that_is_not_the_document_s_is_refused() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for (document, others) in [
        (image(&[]), [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, "text/plain"]),
        (index(&[]), [MediaType::OCI_MANIFEST, MediaType::DOCKER_LIST, "a/b"]),
    ] {
        for media_type in others.into_iter().chain(["nonsense", "a/b/c"]) {
            let headers = [("content-type", media_type)];
            let body = whole(document.to_string());
            let answer = registry.ask("PUT /v2/a/manifests/v1", &headers, body).await;
            is_refused(&answer, 400, "MANIFEST_INVALID");
        }
    }
    is(&registry.get("/v2/a/manifests/v1").await, 404);
}

#[tokio::test]
async fn item_062_a_document_need_not_say_its_type_and_a_request_neither() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for (mut document, media_type) in
        [(image(&[]), MediaType::OCI_MANIFEST), (index(&[]), MediaType::OCI_INDEX)]
    {
        let with_type = document.to_string();
        is(&registry.ask("PUT /v2/a/manifests/v1", &[], whole(with_type)).await, 201);
        document.as_object_mut().unwrap().remove("mediaType");
        for headers in [&[("content-type", media_type)][..], &[]] {
            let text = document.to_string();
            let line = "PUT /v2/a/manifests/v2";
            is(&registry.ask(line, headers, whole(text.clone())).await, 201);
            let pulled = registry.get("/v2/a/manifests/v2").await;
            assert_eq!(
                (pulled.header("content-type"), &*pulled.body),
                (media_type, text.as_bytes())
            );
        }
    }
    // A type that the document contradicts by its shape.
    let mut bare = image(&[]);
    bare.as_object_mut().unwrap().remove("mediaType");
    let headers = [("content-type", MediaType::OCI_INDEX)];
    let answer = registry.ask("PUT /v2/a/manifests/v3", &headers, whole(bare.to_string())).await;
    is_refused(&answer, 400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn item_063_a_digest_that_is_not_the_body_s_or_is_none_is_refused() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        for reference in [
            sha256(b"other"),
            sha512(b"other"),
            // As another serializer would have it.
            sha256(serde_json::from_str::<Value>(ODD).unwrap().to_string().as_bytes()),
            format!("{}?tag=v1", sha256(b"other")),
            "sha256:abc".to_owned(),
            "sha256:".to_owned(),
            "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            sha256(ODD.as_bytes()).to_uppercase(),
        ] {
            let answer = registry.put_manifest("a", &reference, ODD).await;
            is_refused(&answer, 400, "DIGEST_INVALID");
        }
        for reference in ["v1", &sha256(b"other"), &sha256(ODD.as_bytes())] {
            is(&registry.get(&format!("/v2/a/manifests/{reference}")).await, 404);
        }
    }
}

#[tokio::test]
async fn item_064_the_subject_need_not_exist() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let missing = image(&[b"never pushed"]);
    let digest = sha256(missing.to_string().as_bytes());
    for mut document in [image(&[]), index(&[])] {
        document["subject"] = described(&missing);
        let text = document.to_string();
        for reference in ["v1", &sha256(text.as_bytes())] {
            let answer = registry.put_manifest("a", reference, &text).await;
            is(&answer, 201);
            assert_eq!(answer.header("oci-subject"), digest);
        }
    }
    is(&registry.get(&format!("/v2/a/manifests/{digest}")).await, 404);
    assert_eq!(registry.referrers("a", &digest).await.len(), 2);
}

#[tokio::test]
async fn item_065_whatever_else_is_missing_is_named_each_by_itself() {
    let mut registry = Registry::new().await;
    registry.push("a", b"here").await;
    registry.push_image("b", None, &[b"elsewhere"]).await;
    // In another repository is not in this one.
    let document = image(&[b"here", b"missing", b"elsewhere"]);
    let answer = registry.put_manifest("a", "v1", &document.to_string()).await;
    is_refused(&answer, 400, "MANIFEST_BLOB_UNKNOWN");
    let expected: BTreeSet<String> =
        [&b"{}"[..], b"missing", b"elsewhere"].into_iter().map(sha256).collect();
    assert_eq!(details(&answer.json()), expected);

    let there = registry.push_image("a", None, &[b"here"]).await;
    let manifests = [described(&image(&[b"here"])), described(&image(&[b"elsewhere"]))];
    let answer = registry.put_manifest("a", "v1", &index(&manifests).to_string()).await;
    is_refused(&answer, 400, "MANIFEST_BLOB_UNKNOWN");
    let missing = manifests[1]["digest"].as_str().unwrap().to_owned();
    assert_eq!(details(&answer.json()), BTreeSet::from([missing]));

    is(&registry.get("/v2/a/manifests/v1").await, 404);
    is(&registry.get(&format!("/v2/a/manifests/{there}")).await, 200);
    registry.push_manifest("a", Some("v1"), &index(&manifests[..1])).await;
}

/// What the entries of a failure, all of one code, are about.
fn details(failure: &Value) -> BTreeSet<String> {
    let errors = failure["errors"].as_array().expect("a list");
    assert!(errors.iter().all(|error| error["code"] == errors[0]["code"]), "{failure}");
    let details = errors.iter().map(|error| error["detail"].as_str().expect("text").to_owned());
    let set: BTreeSet<_> = details.collect();
    assert_eq!(set.len(), errors.len(), "{failure}");
    set
}

#[tokio::test]
async fn item_066_layers_that_are_fetched_from_elsewhere_are_not_asked_for() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let mut document = image(&[b"never pushed"]);
        document["layers"][0]["mediaType"] = json!(media_type);
        document["layers"][0]["urls"] = json!(["https://example.com/layer"]);
        let text = document.to_string();
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        assert_eq!(registry.get("/v2/a/manifests/v1").await.body, text);
    }
    // Urls alone do not make a layer one of these.
    let mut document = image(&[b"never pushed"]);
    document["layers"][0]["urls"] = json!(["https://example.com/layer"]);
    let answer = registry.put_manifest("a", "v2", &document.to_string()).await;
    is_refused(&answer, 400, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn item_067_there_may_be_no_layers() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let mut absent = image(&[]);
    absent.as_object_mut().unwrap().remove("layers");
    let mut null = image(&[]);
    null["layers"] = Value::Null;
    for document in [image(&[]), absent, null] {
        let text = document.to_string();
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        assert_eq!(registry.get("/v2/a/manifests/v1").await.body, text);
    }
}

#[tokio::test]
async fn item_068_an_index_may_be_empty_and_may_list_indexes() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[]).await;
    let empty = index(&[]);
    let inner = index(&[described(&image(&[])), described(&empty)]);
    let outer = index(&[described(&inner), described(&empty)]);
    for document in [empty, inner, outer] {
        let text = document.to_string();
        is(&registry.put_manifest("a", "v1", &text).await, 201);
        let pulled = registry.get("/v2/a/manifests/v1").await;
        assert_eq!(
            (pulled.header("content-type"), &*pulled.body),
            (MediaType::OCI_INDEX, text.as_bytes())
        );
    }
}

#[tokio::test]
async fn item_069_what_is_unknown_is_no_error_and_a_config_is_not_read() {
    let mut registry = Registry::new().await;
    // No JSON, nothing, and an image's config that contradicts the image.
    let configs = [&b"\xff\x00{not JSON"[..], b"", b"{\"rootfs\":{\"diff_ids\":[\"x\"]}}"];
    for config in configs {
        registry.push("a", config).await;
        for media_type in [
            "application/vnd.example.config.v9+toml",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.empty.v1+json",
            "application/vnd.cncf.helm.config.v1+json",
        ] {
            let mut document = registry_tests::documents::image_document(config, &[config]);
            document["config"]["mediaType"] = json!(media_type);
            document["layers"][0]["mediaType"] = json!("application/vnd.example.layer+x");
            document["artifactType"] = json!("application/vnd.example.nobody-knows.v1");
            document["annotations"] = json!({"no.such.key": "x", "": "", "é ü": "\u{0}\n"});
            document["unknown"] = json!({"config": [{"digest": 5}], "size": -1});
            document["layers"][0]["unknown"] = json!([null, true]);
            document["layers"][0]["platform"] =
                json!({"os": "plan9", "os.version": "5", "unknown": 5});
            let text = document.to_string();
            is(&registry.put_manifest("a", "v1", &text).await, 201);
            assert_eq!(registry.get("/v2/a/manifests/v1").await.body, text);
        }
    }
    let mut list = index(&[described(&image(&[]))]);
    registry.push_image("a", None, &[]).await;
    list["artifactType"] = json!("application/vnd.example.nobody-knows.v1");
    list["unknown"] = json!("x");
    list["manifests"][0]["platform"] = json!({"architecture": "new", "variant": "v99"});
    list["manifests"][0]["artifactType"] = json!("application/vnd.example.other");
    is(&registry.put_manifest("a", "v1", &list.to_string()).await, 201);
}

#[tokio::test]
async fn item_070_the_data_of_a_descriptor_stays_as_it_is_there_or_not() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[b"layer"]).await;
    let plain = image(&[b"layer"]);
    let mut with_data = plain.clone();
    with_data["config"]["data"] = json!("e30=");
    with_data["layers"][0]["data"] = json!("bGF5ZXI=");
    with_data["subject"] = described(&plain);
    with_data["subject"]["data"] = json!("");
    let mut list = index(&[described(&plain)]);
    list["manifests"][0]["data"] = json!("eHg=");
    for document in [plain, with_data, list] {
        let digest = registry.push_manifest("a", Some("v1"), &document).await;
        for reference in ["v1", &digest] {
            let pulled = registry.get(&format!("/v2/a/manifests/{reference}")).await;
            assert_eq!(pulled.body, document.to_string());
        }
    }
}

/// A manifest of this size.
fn of_size(size: usize) -> &'static str {
    let mut document = image(&[]);
    document["annotations"] = json!({"x": ""});
    let length = document.to_string().len();
    document["annotations"]["x"] = json!("x".repeat(size - length));
    document.to_string().leak()
}

#[tokio::test]
async fn item_071_a_manifest_of_4_mib_is_accepted_and_a_larger_one_refused() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        let text = of_size(4 << 20);
        for body in [whole(text), parts(&[&text[..9], &text[9..]])] {
            is(&registry.ask("PUT /v2/a/manifests/v1", &[], body).await, 201);
            let pulled = registry.get("/v2/a/manifests/v1").await;
            assert!(pulled.body == text, "a manifest of 4 MiB was changed");
            is(&registry.delete("/v2/a/manifests/v1").await, 202);
        }
        let text = of_size((4 << 20) + 1);
        for body in [whole(text), parts(&[&text[..9], &text[9..]])] {
            let answer = registry.ask("PUT /v2/a/manifests/v1", &[], body).await;
            is_refused(&answer, 413, "MANIFEST_INVALID");
            let limit = json!({"limit": MAX_MANIFEST_SIZE});
            assert_eq!(answer.json()["errors"][0]["detail"], limit);
            is(&registry.get("/v2/a/manifests/v1").await, 404);
        }
    }
}

/// What OCI-Tag has, in however many headers.
fn accepted(answer: &registry_tests::server::Answer) -> Vec<String> {
    let values =
        answer.headers.get_all("oci-tag").iter().map(|value| value.to_str().expect("ASCII"));
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect()
}

#[tokio::test]
async fn item_072_tags_come_as_parameters_and_all_are_told() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push_image("a", None, &[]).await;
        let text = image(&[]).to_string();
        for count in [1, 2, 10, 50] {
            // The most of them, and each as long as can be, still fit into a URL.
            let length = if count == 50 { 128 } else { 3 };
            let tags: Vec<String> = (0..count)
                .map(|number| format!("t{number:0>width$}", width = length - 1))
                .collect();
            let reference = format!("{digest}?tag={}", tags.join("&tag="));
            let answer = registry.put_manifest("a", &reference, &text).await;
            is(&answer, 201);
            assert_eq!(accepted(&answer), tags);
            assert_eq!(registry.tags("/v2/a/tags/list").await, json!(tags));
            for tag in tags {
                let url = format!("/v2/a/manifests/{tag}");
                assert_eq!(registry.get(&url).await.header("docker-content-digest"), digest);
                is(&registry.delete(&url).await, 202);
            }
        }
        // One that is given twice is one; without parameters none is told.
        let answer =
            registry.put_manifest("a", &format!("{digest}?tag=v1&x=y&tag=v1"), &text).await;
        assert_eq!(accepted(&answer), ["v1"]);
        let answer = registry.put_manifest("a", &digest, &text).await;
        assert_eq!(accepted(&answer), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn item_072_too_many_tags_are_refused_and_so_is_one_that_is_none() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", None, &[]).await;
    let text = image(&[]).to_string();
    let many: String = (0..51).map(|number| format!("&tag=t{number}")).collect();
    let answer = registry.put_manifest("a", &format!("{digest}?{many}"), &text).await;
    is_refused(&answer, 414, "UNSUPPORTED");
    let answer = registry.put_manifest("a", &format!("{digest}?tag=good&tag=-bad"), &text).await;
    is_refused(&answer, 400, "MANIFEST_INVALID");
    let wrong = sha256(b"other");
    let answer = registry.put_manifest("a", &format!("{wrong}?tag=good"), &text).await;
    is_refused(&answer, 400, "DIGEST_INVALID");
    assert_eq!(registry.tags("/v2/a/tags/list").await, json!([]));
}

#[tokio::test]
async fn item_073_a_tag_by_its_name_is_sha256_and_one_by_parameter_what_the_digest_is() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let (short, long) = (sha256(ODD.as_bytes()), sha512(ODD.as_bytes()));
    for (reference, tag, digest) in [
        ("by-name".to_owned(), "by-name", &short),
        (format!("{short}?tag=short"), "short", &short),
        (format!("{long}?tag=long"), "long", &long),
        // The tag moves from one to the other and back.
        (format!("{long}?tag=by-name"), "by-name", &long),
        ("by-name".to_owned(), "by-name", &short),
    ] {
        let answer = registry.put_manifest("a", &reference, ODD).await;
        is(&answer, 201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        let pulled = registry.get(&format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(
            (pulled.header("docker-content-digest"), &*pulled.body),
            (&**digest, ODD.as_bytes())
        );
    }
    // Parameters go with a digest only.
    is(&registry.put_manifest("a", "named?tag=other", ODD).await, 201);
    is(&registry.get("/v2/a/manifests/other").await, 404);
}
