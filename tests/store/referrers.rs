//! Referrers: manifests that have a subject.

use registry_store::backend::ErrorKind;
use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_tests::backends::{Fault, FaultyBackend, Method, Moment};
use registry_tests::documents::{
    descriptor, descriptor_of, image, image_document, manifest, push_manifest,
};
use registry_tests::world::{self, World, push, store_on};
use serde_json::json;

on_every_backend!(
    a_subject_without_referrers_has_none,
    a_referrer_is_listed_with_what_it_says,
    the_subject_need_not_exist,
    referrers_are_listed_in_pages_and_by_type,
    a_deleted_referrer_is_not_listed,
    referrers_of_another_repository_are_not_listed,
    a_referrer_may_be_an_index_and_be_named_by_its_sha512,
    what_clients_listed_under_the_subjects_tag_counts_too,
);

fn signature(subject: &Manifest, artifact_type: &str, note: &str) -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(subject);
    document["artifactType"] = artifact_type.into();
    document["annotations"] = json!({ "note": note });
    manifest(&document)
}

async fn a_subject_without_referrers_has_none(world: World) {
    let page = world.repository("a").referrers().list(&Digest::sha256(b"x"), None, None, 9).await;
    assert!(page.unwrap().items.is_empty());
}

async fn a_referrer_is_listed_with_what_it_says(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"{}", &[]);
    let subject_digest = push_manifest(&repository, &subject, &["v1"]).await;
    let referrer = signature(&subject, "application/vnd.example.sig", "hello");
    let digest = push_manifest(&repository, &referrer, &[]).await;
    let page = repository.referrers().list(&subject_digest, None, None, 9).await.unwrap();
    let [found] = page.items.as_slice() else { panic!("{page:?}") };
    assert_eq!(found.digest.known(), Some(&digest));
    assert_eq!(found.size, referrer.bytes().len() as u64);
    assert_eq!(&found.media_type, referrer.media_type());
    let artifact_type = found.artifact_type.as_ref().map(ToString::to_string);
    assert_eq!(artifact_type.as_deref(), Some("application/vnd.example.sig"));
    assert_eq!(found.annotations["note"], "hello");
}

async fn the_subject_need_not_exist(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"not pushed", &[]);
    push_manifest(&repository, &signature(&subject, "a/b", ""), &[]).await;
    let subject = subject.digest(Algorithm::Sha256);
    let page = repository.referrers().list(&subject, None, None, 9).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

async fn referrers_are_listed_in_pages_and_by_type(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"{}", &[]);
    let mut expected = Vec::new();
    for n in 0..7 {
        let kind = if n % 2 == 0 { "even/x" } else { "odd/x" };
        let referrer = signature(&subject, kind, &n.to_string());
        expected.push((push_manifest(&repository, &referrer, &[]).await, kind));
    }
    expected.sort();
    let subject = subject.digest(Algorithm::Sha256);
    for wanted in [None, Some("even/x"), Some("odd/x"), Some("other/x")] {
        let kind = wanted.map(|text| text.parse().unwrap());
        let mut found = Vec::new();
        loop {
            let page = repository
                .referrers()
                .list(&subject, kind.as_ref(), found.last(), 2)
                .await
                .unwrap();
            found.extend(page.items.iter().map(|found| *found.digest.known().unwrap()));
            if !page.more {
                break;
            }
        }
        let all = expected.iter().filter(|(_, kind)| wanted.is_none_or(|wanted| wanted == *kind));
        assert_eq!(found, all.map(|(digest, _)| *digest).collect::<Vec<_>>());
    }
}

async fn a_deleted_referrer_is_not_listed(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"{}", &[]);
    let referrer = push_manifest(&repository, &signature(&subject, "a/b", ""), &[]).await;
    repository.manifests().delete(&referrer).await.unwrap();
    let subject = subject.digest(Algorithm::Sha256);
    let page = repository.referrers().list(&subject, None, None, 9).await.unwrap();
    assert!(page.items.is_empty());
}

async fn referrers_of_another_repository_are_not_listed(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"{}", &[]);
    push_manifest(&repository, &signature(&subject, "a/b", ""), &[]).await;
    let subject = subject.digest(Algorithm::Sha256);
    let page = world.repository("b").referrers().list(&subject, None, None, 9).await.unwrap();
    assert!(page.items.is_empty());
}

async fn a_referrer_may_be_an_index_and_be_named_by_its_sha512(world: World) {
    let repository = world.repository("a");
    let subject = Digest::of(Algorithm::Sha512, b"subject");
    let referrer = manifest(&json!({
        "schemaVersion": 2,
        "mediaType": registry_store::media_type::MediaType::OCI_INDEX,
        "manifests": [],
        "subject": descriptor("a/b", &subject, 7),
    }));
    let digest = referrer.digest(Algorithm::Sha512);
    repository.manifests().put(&referrer, &digest, &[]).await.unwrap();
    let page = repository.referrers().list(&subject, None, None, 9).await.unwrap();
    assert_eq!(page.items[0].digest.known(), Some(&digest));
    assert_eq!(page.items[0].artifact_type, None);
}

async fn what_clients_listed_under_the_subjects_tag_counts_too(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let subject = image(b"{}", &[]);
    let others = signature(&image(b"other", &[]), "a/b", "of another subject");
    let mut manifests = vec![others.clone()];
    for n in 0..9 {
        manifests.push(signature(&subject, "a/b", &n.to_string()));
    }
    let mut expected = Vec::new();
    for manifest in &manifests {
        let digest = push_manifest(&repository, manifest, &[]).await;
        expected.push(digest);
    }
    // What an older registry left: manifests without a record of ours, listed under the tag.
    let subject = subject.digest(Algorithm::Sha256);
    let layout = registry_store::layout::RepositoryLayout::new(repository.name());
    for digest in expected.iter().skip(1).step_by(2) {
        world.backend.delete(&[layout.referrer_link(&subject, digest)]).await.unwrap();
    }
    let listed: Vec<&Manifest> = manifests.iter().take(7).collect();
    let tag = format!("sha256-{}", subject.hex());
    push_manifest(&repository, &registry_tests::documents::index(&listed), &[&tag]).await;

    // The first is of another subject; those at 7 and 9 are neither recorded nor listed.
    let mut expected: Vec<Digest> = expected
        .into_iter()
        .enumerate()
        .filter(|(n, _)| ![0, 7, 9].contains(n))
        .map(|(_, d)| d)
        .collect();
    expected.sort();
    for size in 1..=8 {
        let mut found = Vec::new();
        loop {
            let page =
                repository.referrers().list(&subject, None, found.last(), size).await.unwrap();
            found.extend(page.items.iter().map(|found| *found.digest.known().unwrap()));
            if !page.more {
                break;
            }
        }
        assert_eq!(found, expected, "in pages of {size}");
    }
}

/// The tag that clients keep a list under, then the link and the content of each referrer.
#[tokio::test]
async fn what_lies_foreign_in_the_place_of_one_object_keeps_no_other_from_being_listed() {
    for call in 1..=5 {
        let world = World::memory();
        let repository = world.repository("a");
        push(&repository, b"{}").await;
        let subject = image(b"{}", &[]);
        for note in ["one", "other"] {
            push_manifest(&repository, &signature(&subject, "a/b", note), &[]).await;
        }
        let backend = FaultyBackend::new(world.backend.clone());
        let (method, kind) = (Some(Method::Read), ErrorKind::Foreign);
        backend.arm(Fault { method, call, kind, moment: Moment::Before });
        let store = store_on(backend.clone());
        let subject = subject.digest(Algorithm::Sha256);
        let page = world::repository(&store, "a").referrers().list(&subject, None, None, 9).await;
        assert!(!backend.disarm(), "call {call} was met");
        assert_eq!(page.unwrap().items.len(), if call == 1 { 2 } else { 1 }, "call {call}");
    }
}
