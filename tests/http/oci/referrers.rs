//! Subjects and referrers (items 74 to 84).

use registry_http::Options;
use registry_store::layout::RepositoryLayout;
use registry_store::media_type::MediaType;
use registry_tests::server::{Answer, Protocol};
use serde_json::{Value, json};

use super::registry::{
    BOTH, FOREIGN, Registry, described, image, index, is, is_refused, referrer, sha256, sha512,
};

fn digests(descriptors: &[Value]) -> Vec<&str> {
    let mut digests: Vec<&str> =
        descriptors.iter().map(|entry| entry["digest"].as_str().expect("text")).collect();
    digests.sort_unstable();
    digests
}

/// What a `Link` to a next page leads to.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    if link.is_empty() {
        return None;
    }
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(target.expect("a link as RFC 5988 has it").to_owned())
}

#[track_caller]
fn is_an_index(answer: &Answer) {
    is(answer, 200);
    assert_eq!(answer.header("content-type"), MediaType::OCI_INDEX);
    let body = answer.json();
    assert_eq!(body["schemaVersion"], 2);
    assert_eq!(body["mediaType"], MediaType::OCI_INDEX);
    assert!(body["manifests"].is_array(), "{body}");
}

#[tokio::test]
async fn item_074_a_push_with_a_subject_tells_it() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push_image("a", None, &[]).await;
        let subject = image(&[]);
        let text = subject.to_string();
        let (short, long) = (sha256(text.as_bytes()), sha512(text.as_bytes()));
        for subject_digest in [&short, &long] {
            for mut document in [image(&[]), index(&[])] {
                document["subject"] = described(&subject);
                document["subject"]["digest"] = json!(subject_digest);
                let text = document.to_string();
                let digest = sha256(text.as_bytes());
                for reference in
                    ["v1", &digest, &sha512(text.as_bytes()), &format!("{digest}?tag=v2")]
                {
                    let answer = registry.put_manifest("a", reference, &text).await;
                    is(&answer, 201);
                    assert_eq!(answer.header("oci-subject"), subject_digest);
                }
            }
        }
        let answer = registry.put_manifest("a", "v1", &text).await;
        is(&answer, 201);
        assert_eq!(answer.header("oci-subject"), "");
    }
}

#[tokio::test]
async fn item_075_the_list_is_an_image_index() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push_image("a", None, &[]).await;
        let subject = image(&[]);
        let digest = sha256(subject.to_string().as_bytes());
        let url = format!("/v2/a/referrers/{digest}");
        for count in 0..3 {
            let answer = registry.get(&url).await;
            is_an_index(&answer);
            assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), count);
            let head = registry.head(&url).await;
            is(&head, 200);
            assert_eq!(head.header("content-type"), MediaType::OCI_INDEX);
            registry.push_manifest("a", None, &referrer(&count.to_string(), &subject)).await;
        }
        // It is a manifest that could be pushed.
        let listed = registry.get(&url).await;
        let text = String::from_utf8(listed.body.to_vec()).unwrap();
        is(&registry.put_manifest("a", "list", &text).await, 201);
    }
}

#[tokio::test]
async fn item_076_what_nobody_refers_to_has_an_empty_list_and_is_never_404() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    for url in [
        format!("/v2/a/referrers/{digest}"),
        format!("/v2/a/referrers/{}", sha256(b"layer")),
        format!("/v2/a/referrers/{}", sha256(b"never pushed")),
        format!("/v2/a/referrers/{}", sha512(b"never pushed")),
        format!("/v2/a/referrers/{FOREIGN}"),
        format!("/v2/none/referrers/{digest}"),
        format!("/v2/a/referrers/{digest}?artifactType=a/b"),
        format!("/v2/a/referrers/{digest}?last={}", sha256(b"x")),
        format!("/v2/a/referrers/{digest}?n=5"),
    ] {
        let answer = registry.get(&url).await;
        is_an_index(&answer);
        assert_eq!(answer.json()["manifests"], json!([]));
        assert_eq!(next(&answer), None);
    }
}

#[tokio::test]
async fn item_077_a_digest_that_is_none_is_refused() {
    let mut registry = Registry::new().await;
    registry.push_image("a", Some("v1"), &[]).await;
    let upper = sha256(b"x").to_uppercase();
    for text in ["v1", "sha256", "sha256:abc", "sha256:", "sha512:abc", ":x", "a:b:c", &*upper] {
        let url = format!("/v2/a/referrers/{text}");
        is_refused(&registry.get(&url).await, 400, "DIGEST_INVALID");
        is(&registry.head(&url).await, 400);
    }
}

#[tokio::test]
async fn item_078_each_entry_describes_a_manifest_of_the_repository() {
    let mut registry = Registry::new().await;
    for name in ["a", "b"] {
        registry.push_image(name, None, &[]).await;
    }
    let subject = image(&[]);
    let digest = sha256(subject.to_string().as_bytes());
    let notes = json!({"one": "1", "": "é"});
    let with_type = referrer("signature", &subject);
    let mut by_config = referrer("x", &subject);
    by_config.as_object_mut().unwrap().remove("artifactType");
    by_config["config"]["mediaType"] = json!("application/vnd.example.config");
    by_config["annotations"] = notes.clone();
    let mut of_index = index(&[described(&subject)]);
    of_index["subject"] = described(&subject);
    let mut of_index_with_type = of_index.clone();
    of_index_with_type["artifactType"] = json!("application/vnd.example.set");
    of_index_with_type["annotations"] = notes.clone();
    let expected = [
        (with_type, json!("application/vnd.example.signature"), json!({"of": "signature"})),
        (by_config, json!("application/vnd.example.config"), notes.clone()),
        (of_index, Value::Null, Value::Null),
        (of_index_with_type, json!("application/vnd.example.set"), notes),
    ];
    for (document, ..) in &expected {
        registry.push_manifest("a", None, document).await;
    }
    // Of another subject, and in another repository.
    registry.push_manifest("a", None, &referrer("other", &index(&[]))).await;
    registry.push_manifest("b", None, &referrer("elsewhere", &subject)).await;

    let found = registry.referrers("a", &digest).await;
    assert_eq!(found.len(), expected.len());
    for (document, artifact_type, annotations) in expected {
        let mut entry = described(&document);
        if !artifact_type.is_null() {
            entry["artifactType"] = artifact_type;
        }
        if !annotations.is_null() {
            entry["annotations"] = annotations;
        }
        assert!(found.contains(&entry), "{entry} is not among {found:?}");
        let url = format!("/v2/a/manifests/{}", entry["digest"].as_str().unwrap());
        assert_eq!(registry.get(&url).await.body, document.to_string());
    }
}

#[tokio::test]
async fn item_078_a_referrer_by_its_sha512_is_listed_by_it() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let mut document = referrer("signature", &image(&[]));
    let subject = sha512(image(&[]).to_string().as_bytes());
    document["subject"]["digest"] = json!(subject);
    let text = document.to_string();
    is(&registry.put_manifest("a", &sha512(text.as_bytes()), &text).await, 201);
    let found = registry.referrers("a", &subject).await;
    assert_eq!(digests(&found), [sha512(text.as_bytes())]);
    assert_eq!(found[0]["size"], text.len());
}

#[tokio::test]
async fn item_079_the_subject_need_not_exist_nor_stay() {
    let mut registry = Registry::new().await;
    registry.push("a", b"{}").await;
    let subject = image(&[b"comes later"]);
    let digest = sha256(subject.to_string().as_bytes());
    let signature = registry.push_manifest("a", None, &referrer("signature", &subject)).await;
    assert_eq!(digests(&registry.referrers("a", &digest).await), [&*signature]);
    registry.push_image("a", None, &[b"comes later"]).await;
    assert_eq!(digests(&registry.referrers("a", &digest).await), [&*signature]);
    is(&registry.delete(&format!("/v2/a/manifests/{digest}")).await, 202);
    assert_eq!(digests(&registry.referrers("a", &digest).await), [&*signature]);
}

#[tokio::test]
async fn item_080_a_referrer_that_is_deleted_is_no_longer_listed() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[]).await;
    let subject = image(&[]);
    let digest = sha256(subject.to_string().as_bytes());
    let stays = registry.push_manifest("a", None, &referrer("stays", &subject)).await;
    let goes = registry.push_manifest("a", Some("tagged"), &referrer("goes", &subject)).await;
    // A tag is not the manifest.
    is(&registry.delete("/v2/a/manifests/tagged").await, 202);
    assert_eq!(registry.referrers("a", &digest).await.len(), 2);
    is(&registry.delete(&format!("/v2/a/manifests/{goes}")).await, 202);
    assert_eq!(digests(&registry.referrers("a", &digest).await), [&*stays]);
    // And when it is pushed again it is listed again.
    registry.push_manifest("a", None, &referrer("goes", &subject)).await;
    assert_eq!(registry.referrers("a", &digest).await.len(), 2);
    is(&registry.delete(&format!("/v2/a/manifests/{stays}")).await, 202);
    assert_eq!(digests(&registry.referrers("a", &digest).await), [&*goes]);
}

/// A registry with five referrers of an image, two of them signatures, and the image's digest.
async fn with_five(options: Options) -> (Registry, String, Vec<String>) {
    let mut registry = Registry::with(options, Protocol::Http1).await;
    registry.push_image("a", None, &[]).await;
    let subject = image(&[]);
    let mut pushed = Vec::new();
    for (number, kind) in ["signature", "sbom", "sbom", "signature", "sbom"].into_iter().enumerate()
    {
        let mut document = referrer(kind, &subject);
        document["annotations"] = json!({"number": number.to_string()});
        pushed.push(registry.push_manifest("a", None, &document).await);
    }
    pushed.sort();
    (registry, sha256(subject.to_string().as_bytes()), pushed)
}

/// Follows the links, and returns each page.
async fn pages(registry: &mut Registry, url: String) -> Vec<Answer> {
    let mut pages = Vec::new();
    let mut url = Some(url);
    while let Some(page) = url {
        let answer = registry.get(&page).await;
        is_an_index(&answer);
        url = next(&answer);
        pages.push(answer);
    }
    pages
}

#[tokio::test]
async fn item_081_what_does_not_fit_comes_in_pages_each_an_index_with_other_entries() {
    for size in 1..=6 {
        let options = Options { referrers_max: size, ..Options::default() };
        let (mut registry, subject, pushed) = with_five(options).await;
        let pages = pages(&mut registry, format!("/v2/a/referrers/{subject}")).await;
        assert_eq!(pages.len(), 5usize.div_ceil(size));
        let mut found: Vec<String> = Vec::new();
        for page in &pages {
            let entries = page.json()["manifests"].as_array().unwrap().clone();
            assert!(entries.len() <= size, "{entries:?}");
            found.extend(digests(&entries).into_iter().map(ToOwned::to_owned));
        }
        found.sort();
        assert_eq!(found, pushed, "in pages of {size}");
    }
}

#[tokio::test]
async fn item_082_a_type_filters_and_the_answer_says_so() {
    let (mut registry, subject, _) = with_five(Options::default()).await;
    let url = format!("/v2/a/referrers/{subject}");
    for (kind, count) in [
        ("application/vnd.example.signature", 2),
        ("application/vnd.example.sbom", 3),
        ("application%2Fvnd.example.sbom", 3),
        ("application/vnd.example.none", 0),
        ("nonsense", 0),
    ] {
        let answer = registry.get(&format!("{url}?artifactType={kind}")).await;
        is_an_index(&answer);
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
        let found = answer.json()["manifests"].as_array().unwrap().clone();
        assert_eq!(found.len(), count, "{kind}");
        let wanted = kind.replace("%2F", "/");
        assert!(found.iter().all(|entry| entry["artifactType"] == wanted), "{found:?}");
    }
    for unfiltered in [url.clone(), format!("{url}?artifactType="), format!("{url}?other=x")] {
        let answer = registry.get(&unfiltered).await;
        assert_eq!(answer.header("oci-filters-applied"), "");
        assert_eq!(answer.json()["manifests"].as_array().map(Vec::len), Some(5));
    }
}

#[tokio::test]
async fn item_082_so_it_does_on_every_page() {
    let options = Options { referrers_max: 1, ..Options::default() };
    let (mut registry, subject, _) = with_five(options).await;
    let url = format!("/v2/a/referrers/{subject}?artifactType=application/vnd.example.sbom");
    let pages = pages(&mut registry, url).await;
    assert_eq!(pages.len(), 3);
    for page in pages {
        assert_eq!(page.header("oci-filters-applied"), "artifactType");
        assert_eq!(page.json()["manifests"][0]["artifactType"], "application/vnd.example.sbom");
    }
}

#[tokio::test]
async fn item_082_a_type_with_a_plus_is_found_however_it_is_written() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[]).await;
    let mut document = referrer("x", &image(&[]));
    document["artifactType"] = json!("application/vnd.example+json");
    registry.push_manifest("a", None, &document).await;
    let subject = sha256(image(&[]).to_string().as_bytes());
    for written in ["application/vnd.example+json", "application%2Fvnd.example%2Bjson"] {
        let answer =
            registry.get(&format!("/v2/a/referrers/{subject}?artifactType={written}")).await;
        assert_eq!(answer.json()["manifests"].as_array().map(Vec::len), Some(1), "{written}");
    }
}

/// Where there was no such API, referrers are manifests of which nobody has made a record, and lists that clients
/// have pushed under a tag.
#[tokio::test]
async fn item_083_what_clients_listed_before_there_was_this_api_is_listed_and_all_that_is_new() {
    let (mut registry, subject, old) = with_five(Options::default()).await;
    let layout = RepositoryLayout::new(&"a".parse().unwrap());
    for digest in &old {
        let record = layout.referrer_link(&subject.parse().unwrap(), &digest.parse().unwrap());
        registry.world.backend.delete(&[record]).await.unwrap();
    }
    assert_eq!(registry.referrers("a", &subject).await.len(), 0);

    // The list may be wrong in places: a manifest without that subject, and one that went since.
    let stranger = referrer("stranger", &index(&[]));
    registry.push_manifest("a", None, &stranger).await;
    let gone = referrer("gone", &image(&[]));
    let gone_digest = registry.push_manifest("a", None, &gone).await;
    let mut entries = vec![described(&image(&[])), described(&stranger), described(&gone)];
    for digest in &old {
        let manifest = registry.get(&format!("/v2/a/manifests/{digest}")).await.json();
        entries.push(described(&manifest));
        assert_eq!(entries.last().unwrap()["digest"], **digest);
    }
    let tag = subject.replace(':', "-");
    registry.push_manifest("a", Some(&tag), &index(&entries)).await;
    is(&registry.delete(&format!("/v2/a/manifests/{gone_digest}")).await, 202);
    assert_eq!(digests(&registry.referrers("a", &subject).await), old);

    let new = registry.push_manifest("a", None, &referrer("new", &image(&[]))).await;
    let mut all = old;
    all.push(new);
    all.sort();
    let found = registry.referrers("a", &subject).await;
    assert_eq!(digests(&found), all);
    assert!(found.iter().all(|entry| entry["artifactType"].is_string()), "{found:?}");
}

#[tokio::test]
async fn item_084_a_list_that_a_client_keeps_at_its_tag_is_stored_untouched() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[]).await;
    let subject = image(&[]).to_string();
    let long = sha512(subject.as_bytes());
    let tag_of_sha512 = format!("sha512-{}", &long["sha512:".len()..][..64]);
    assert_eq!(tag_of_sha512.len(), 71);
    let tags = [
        sha256(subject.as_bytes()).replace(':', "-"),
        tag_of_sha512,
        FOREIGN.replace(':', "-"),
        "multihash-base58-QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8".to_owned(),
        format!("{}-{}", "a".repeat(32), "x".repeat(64)),
    ];
    for tag in &tags {
        let url = format!("/v2/a/manifests/{tag}");
        is_refused(&registry.get(&url).await, 404, "MANIFEST_UNKNOWN");
        // The client adds one entry after another.
        let mut entries = Vec::new();
        for kind in ["signature", "sbom"] {
            let document = referrer(kind, &image(&[]));
            registry.push_manifest("a", None, &document).await;
            let mut entry = described(&document);
            entry["artifactType"] = document["artifactType"].clone();
            entries.push(entry);
            let text = serde_json::to_string_pretty(&index(&entries)).unwrap();
            is(&registry.put_manifest("a", tag, &text).await, 201);
            let pulled = registry.get(&url).await;
            assert_eq!(pulled.header("content-type"), MediaType::OCI_INDEX);
            assert_eq!(pulled.header("docker-content-digest"), sha256(text.as_bytes()));
            assert_eq!(pulled.header("etag"), format!("\"{}\"", sha256(text.as_bytes())));
            assert_eq!(pulled.body, text);
        }
    }
    let mut sorted = tags.to_vec();
    sorted.sort();
    assert_eq!(registry.tags("/v2/a/tags/list").await, json!(sorted));
    is(&registry.delete(&format!("/v2/a/manifests/{}", tags[0])).await, 202);
    is(&registry.get(&format!("/v2/a/manifests/{}", tags[0])).await, 404);
}
