//! What listings cost in calls of the backend: on a filesystem each `list_children` is a pass over all names.

use std::sync::Arc;

use futures::TryStreamExt as _;
use registry_store::backend::{
    Backend, BackendExt as _, Key, MemoryBackend, Meta, PutMode, PutRequest, list_places_by_walking,
};
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::page::Page;
use registry_store::repository::Repository;
use registry_tests::backends::{CountedBackend, Counts, Method};
use registry_tests::documents::{descriptor_of, image, image_document, manifest};
use registry_tests::world::{repository, store_on};

/// A repository on memory, counted.
struct Counted {
    backend: CountedBackend,
    keys: RepositoryLayout,
    a: Repository,
}

fn counted() -> Counted {
    let backend = CountedBackend::new(Arc::new(MemoryBackend::new()));
    let a = repository(&store_on(backend.clone()), "a");
    let keys = RepositoryLayout::new(a.name());
    Counted { backend, keys, a }
}

impl Counted {
    async fn put(&self, objects: impl IntoIterator<Item = (Key, String)>) {
        let request = |(key, content): (Key, String)| PutRequest {
            key,
            bytes: content.into(),
            mode: PutMode::Create,
        };
        let puts = objects.into_iter().map(request).collect();
        self.backend.put_all(puts).await.unwrap();
        self.backend.reset();
    }

    fn passes(&self) -> u64 {
        self.backend.reset().of(Method::ListChildren)
    }
}

/// The links below tags that are none: a push broke off before `current/link`.
fn broken_off(keys: &RepositoryLayout, count: usize) -> Vec<(Key, String)> {
    let digest = Digest::sha256(b"whatever");
    let link = |number| keys.tag_index_link(&format!("t{number:05}").parse().unwrap(), &digest);
    (0..count).map(|number| (link(number), digest.to_string())).collect()
}

fn whole(keys: &RepositoryLayout, count: usize) -> Vec<(Key, String)> {
    let digest = Digest::sha256(b"whatever");
    let link = |number| keys.tag_current_link(&format!("t{number:05}").parse().unwrap());
    (0..count).map(|number| (link(number), digest.to_string())).collect()
}

/// What a page of tags costs on a medium where names are cheap and looks are not.
impl Counted {
    async fn look(&self, after: Option<&str>, limit: usize) -> Page<(String, Meta)> {
        let (place, path) = (self.keys.tags(), RepositoryLayout::TAG_CURRENT);
        self.backend.list_children_by_looking(&place, path, after, limit).await.unwrap()
    }
}

#[tokio::test]
async fn a_page_of_tags_costs_one_listing() {
    let counted = counted();
    counted.put(whole(&counted.keys, 3000)).await;
    let page = counted.a.tags().list(Some("t00500"), 1000).await.unwrap();
    assert!(page.items.len() == 1000 && page.more);
    let counts: Counts = counted.backend.reset();
    assert_eq!((counts.of(Method::ListChildrenWith), counts.total()), (1, 1));
}

#[tokio::test]
async fn all_tags_cost_a_listing_for_every_eight_thousand() {
    let counted = counted();
    counted.put(whole(&counted.keys, 20_000)).await;
    let parts: Vec<_> = counted.a.tags().all(None, 1000).try_collect().await.unwrap();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1000; 20]);
    let counts = counted.backend.reset();
    assert_eq!((counts.of(Method::ListChildrenWith), counts.total()), (3, 3));
}

#[tokio::test]
async fn a_listing_by_looks_costs_one_pass_and_a_look_at_each_and_one_more() {
    let counted = counted();
    counted.put(whole(&counted.keys, 3000)).await;
    let page = counted.look(Some("t00500"), 1000).await;
    assert!(page.items.len() == 1000 && page.more);
    let counts = counted.backend.reset();
    assert_eq!((counts.of(Method::ListChildren), counts.of(Method::Head)), (1, 1001));
    assert_eq!(counts.total(), 1002);
}

#[tokio::test]
async fn a_listing_by_looks_behind_many_names_that_are_no_tags_costs_few_passes() {
    let counted = counted();
    counted.put(broken_off(&counted.keys, 5000)).await;
    counted.put([(counted.keys.tag_current_link(&"z".parse().unwrap()), "x".into())]).await;
    let page = counted.look(None, 1).await;
    assert_eq!(page.items.len(), 1);
    // 2, 4, 8 … names at a time.
    let passes = counted.passes();
    assert!(passes <= 13, "{passes} passes");
}

#[tokio::test]
async fn referrers_of_a_rare_type_cost_few_passes() {
    let counted = counted();
    let subject = image(b"{}", &[]);
    let subject_digest = subject.digest(Algorithm::Sha256);
    let mut objects = Vec::new();
    for number in 0..5000 {
        let mut document = image_document(b"{}", &[]);
        document["subject"] = descriptor_of(&subject);
        let kind = if number % 2500 == 0 { "rare/x" } else { "common/x" };
        document["artifactType"] = kind.into();
        document["annotations"] = serde_json::json!({ "number": number.to_string() });
        let digest = Digest::sha256(document.to_string().as_bytes());
        assert_eq!(manifest(&document).digest(Algorithm::Sha256), digest);
        objects.push((layout::blob(&digest), document.to_string()));
        for link in [
            counted.keys.revision_link(&digest),
            counted.keys.referrer_link(&subject_digest, &digest),
        ] {
            objects.push((link, digest.to_string()));
        }
    }
    counted.put(objects).await;
    let rare = "rare/x".parse().unwrap();
    let referrers = counted.a.referrers();
    let page = referrers.list(&subject_digest, Some(&rare), None, 100).await.unwrap();
    assert_eq!(page.items.len(), 2);
    // 1000, 2000 and the rest, of sha256; and once for sha512.
    let passes = counted.passes();
    assert!(passes <= 6, "{passes} passes");

    // Names of a whole batch are read at once, also for small pages.
    let page = referrers.list(&subject_digest, None, None, 5).await.unwrap();
    assert!(page.items.len() == 5 && page.more);
    assert_eq!(counted.passes(), 1);
}

#[tokio::test]
async fn a_page_of_the_catalog_costs_one_pass_over_each_directory_of_names() {
    let counted = counted();
    let digest = Digest::sha256(b"whatever");
    let names = (0..50).flat_map(|number| [format!("r{number:02}"), format!("g/r{number:02}/x")]);
    let links = names.map(|name| {
        let keys = RepositoryLayout::new(&name.parse().unwrap());
        (keys.layer_link(&digest), digest.to_string())
    });
    let links: Vec<_> = links.collect();
    counted.put(links).await;
    let store = store_on(counted.backend.clone());
    let page = store.repositories(None, 1000).await.unwrap();
    assert_eq!(page.items.len(), 100);
    let counts = counted.backend.reset();
    assert_eq!((counts.of(Method::ListPlaces), counts.total()), (1, 1));

    let place = layout::repositories();
    let marks = ["_layers", "_manifests"];
    let page = list_places_by_walking(&counted.backend, &place, &marks, None, 1000).await.unwrap();
    assert_eq!(page.items.len(), 100);
    let counts = counted.backend.reset();
    // The top, `g`, what is directly below each, and what is nested there.
    assert_eq!(counts.of(Method::ListChildren), 1 + 1 + 100 + 50);
    assert_eq!(counts.total(), counts.of(Method::ListChildren));
}

#[tokio::test]
async fn a_repository_is_seen_behind_more_nested_ones_than_are_listed_at_once() {
    let counted = counted();
    let digest = Digest::sha256(b"whatever");
    let link = |name: String| {
        let keys = RepositoryLayout::new(&name.parse().unwrap());
        (keys.layer_link(&digest), digest.to_string())
    };
    // Digits come before the mark of a repository.
    let nested: Vec<_> = (0..1500).map(|number| link(format!("a/{number:04}"))).collect();
    counted.put(nested).await;
    counted.put([link("a".into())]).await;
    let store = store_on(counted.backend.clone());
    let page = store.repositories(None, 2000).await.unwrap();
    assert_eq!(page.items.len(), 1501);
    assert_eq!(page.items[0].as_str(), "a");
}
