//! Collection: what it takes, what it leaves, and beside whom it does not run.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use registry_store::backend::{Backend, BackendExt as _, ErrorKind, Key, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::gc::{CollectOptions, Collected, Step};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_store::store::Store;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{CountedBackend, Fault, FaultyBackend, Method, Moment};
use registry_tests::documents::{
    descriptor_of, image, image_document, index, manifest, push_image, push_manifest,
};
use registry_tests::world::{World, body, pull, push, push_as};
use serde_json::json;

on_every_backend_that_is_looked_at_twice!(
    what_cannot_be_made_sure_of_ends_the_run_before_anything_goes_and_is_asked_once,
);

on_every_backend!(
    what_nothing_refers_to_goes_and_the_rest_is_as_it_was,
    a_dry_run_tells_the_same_and_changes_nothing,
    what_another_repository_refers_to_stays_with_every_link_to_it,
    a_deleted_image_goes_though_its_signature_stays,
    an_index_keeps_what_it_lists_though_that_was_deleted_by_name,
    an_index_keeps_what_it_lists_though_only_the_place_of_its_link_is_left,
    what_a_tagged_index_lists_keeps_what_it_lists_though_only_the_place_of_its_link_is_left,
    a_tag_that_cannot_be_read_keeps_all_manifests_and_is_told_of,
    a_layer_of_any_type_is_no_manifest,
    an_index_keeps_what_it_lists_of_types_that_nobody_knows,
    a_broken_link_by_a_sha512_keeps_all_of_its_repository,
    a_damaged_manifest_of_schema_1_keeps_its_signatures,
    without_repositories_nothing_goes_unless_that_is_meant,
    a_copy_under_a_name_of_ours_keeps_everything,
    what_is_somebodys_in_the_place_of_a_blob_stays,
    without_tags_go_only_those_that_nothing_keeps,
    of_an_unknown_type_every_digest_keeps_what_it_names,
    schema_1_keeps_its_layers_and_signatures,
    a_manifest_that_distribution_linked_as_a_blob_keeps_what_it_refers_to,
    a_blob_under_two_digests_stays_under_both_and_goes_under_both,
    what_cannot_be_told_keeps_all_of_its_repository_and_of_no_other,
    a_manifest_of_an_unknown_algorithm_keeps_all_of_its_repository,
    young_blobs_stay_with_their_links_if_that_is_asked_for,
    an_upload_goes_on_after_a_collection,
    a_link_whose_blob_has_gone_goes_too,
    what_lies_in_the_place_of_a_blob_goes_with_it,
    what_has_manifests_and_no_name_of_a_repository_keeps_everything,
    what_was_taken_is_not_there_to_anybody_and_can_be_pushed_again,
    a_blob_that_cannot_be_read_is_not_taken_for_one_that_refers_to_nothing,
);

/// Takes what nothing refers to.
pub(crate) async fn collect(store: &Store, options: CollectOptions) -> (Collected, Vec<Step>) {
    let mut steps = Vec::new();
    // A bucket's lock tells nothing, and some tests take the last repository.
    let options = CollectOptions { nobody_writes: true, no_repositories: true, ..options };
    let collected = store.collect(options, &mut |step| steps.push(step)).await.unwrap();
    (collected, steps)
}

const PLAIN: CollectOptions = CollectOptions {
    dry_run: false,
    delete_untagged: false,
    older_than: Duration::ZERO,
    nobody_writes: true,
    no_repositories: false,
    most_marks: 4,
};
const UNTAGGED: CollectOptions = CollectOptions { delete_untagged: true, ..PLAIN };

/// Every object of Distribution's layout, and ours in repositories.
pub(crate) async fn objects(backend: &dyn Backend) -> BTreeSet<String> {
    let top = layout::top();
    let keys: Vec<Key> = backend.list(&top, None).try_collect().await.unwrap();
    keys.iter().map(|key| key.below(&top).unwrap().to_owned()).collect()
}

fn links(name: &str) -> RepositoryLayout {
    RepositoryLayout::new(&name.parse().unwrap())
}

async fn put(world: &World, key: &Key, content: impl Into<Bytes>) {
    world.backend.put(key, content.into(), PutMode::Overwrite).await.unwrap();
}

/// Stores bytes under a digest, whatever it is of, and links them as a blob or as a manifest.
async fn store(world: &World, digest: &Digest, content: &[u8], link: &Key) {
    put(world, &layout::blob(digest), content.to_vec()).await;
    put(world, link, digest.to_string()).await;
}

fn taken(steps: &[Step]) -> BTreeSet<Digest> {
    let blob = |step: &Step| match step {
        Step::Blob { digest, .. } => Some(*digest),
        _ => None,
    };
    steps.iter().filter_map(blob).collect()
}

fn untagged(steps: &[Step]) -> BTreeSet<Digest> {
    let manifest = |step: &Step| match step {
        Step::Untagged { digest, .. } => Some(*digest),
        _ => None,
    };
    steps.iter().filter_map(manifest).collect()
}

fn sha256(manifest: &Manifest) -> Digest {
    manifest.digest(Algorithm::Sha256)
}

fn set(digests: &[Digest]) -> BTreeSet<Digest> {
    digests.iter().copied().collect()
}

/// A manifest with this subject.
fn about(subject: &Manifest, config: &[u8]) -> Manifest {
    let mut document = image_document(config, &[]);
    document["subject"] = descriptor_of(subject);
    manifest(&document)
}

async fn what_nothing_refers_to_goes_and_the_rest_is_as_it_was(world: World) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"layer", b"other"], "v1").await;
    let before = objects(&*world.backend).await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!(taken(&steps), set(&[]));
    let blobs =
        Collected { repositories: 1, manifests: 1, marked: 4, blobs: 4, ..Collected::default() };
    assert_eq!(collected, blobs);
    assert_eq!(objects(&*world.backend).await, before);

    let loose = push(&a, b"loose").await;
    let long = push_as(&world.repository("b"), Algorithm::Sha512, b"long").await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!(taken(&steps), set(&[loose, long]));
    assert_eq!((collected.removed_blobs, collected.removed_bytes, collected.links), (2, 9, 2));
    assert_eq!(objects(&*world.backend).await, before);
    assert_eq!(pull(&a, &Digest::sha256(b"layer")).await.unwrap(), b"layer");
}

async fn a_dry_run_tells_the_same_and_changes_nothing(world: World) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"layer"], "v1").await;
    push_image(&a, b"{}", &[b"later"], "v1").await;
    push(&a, b"loose").await;
    let before = objects(&*world.backend).await;
    // Nobody is kept out.
    let held = world.store.hold_off_collection().await.unwrap();
    let dry = CollectOptions { dry_run: true, ..UNTAGGED };
    let (told, steps) = collect(&world.store, dry).await;
    assert_eq!(objects(&*world.backend).await, before);
    assert_eq!((told.removed_manifests, told.removed_blobs, told.links), (1, 3, 2));
    drop(held);
    let (done, done_steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!(done, told);
    assert_eq!((taken(&done_steps), untagged(&done_steps)), (taken(&steps), untagged(&steps)));
}

async fn what_another_repository_refers_to_stays_with_every_link_to_it(world: World) {
    let (a, b) = (world.repository("a"), world.repository("a/b"));
    push_image(&a, b"{}", &[b"shared"], "v1").await;
    push(&b, b"shared").await;
    push(&b, b"{}").await;
    let before = objects(&*world.backend).await;
    let (collected, _) = collect(&world.store, PLAIN).await;
    assert_eq!((collected.repositories, collected.links), (2, 0));
    assert_eq!(objects(&*world.backend).await, before);
}

async fn a_deleted_image_goes_though_its_signature_stays(world: World) {
    let a = world.repository("a");
    let signed = push_image(&a, b"{}", &[b"layer"], "v1").await;
    let signature = about(&image(b"{}", &[b"layer"]), b"{\"of\":1}");
    push(&a, b"{\"of\":1}").await;
    push_manifest(&a, &signature, &[]).await;
    a.manifests().delete(&signed).await.unwrap();
    let (_, steps) = collect(&world.store, PLAIN).await;
    let layer = Digest::sha256(b"layer");
    assert_eq!(taken(&steps), set(&[signed, layer, Digest::sha256(b"{}")]));
    a.manifests().get(&sha256(&signature).into()).await.unwrap();
}

async fn an_index_keeps_what_it_lists_though_that_was_deleted_by_name(world: World) {
    let a = world.repository("a");
    let child = push_image(&a, b"{}", &[b"layer"], "child").await;
    let middle = index(&[&image(b"{}", &[b"layer"])]);
    push_manifest(&a, &middle, &[]).await;
    push_manifest(&a, &index(&[&middle]), &["outer"]).await;
    for digest in [child, sha256(&middle)] {
        a.manifests().delete(&digest).await.unwrap();
    }
    let before = objects(&*world.backend).await;
    collect(&world.store, UNTAGGED).await;
    assert_eq!(objects(&*world.backend).await, before);
}

/// Leaves the place of a manifest's link, as Distribution does when one is deleted, and not the link.
async fn leave_the_place_alone(world: &World, digest: &Digest) {
    let link = links("a").revision_link(digest);
    let beside: Key = format!("{}/link.1234.tmp", link.parent().unwrap()).parse().unwrap();
    put(world, &beside, "torn").await;
    world.backend.delete(&[link]).await.unwrap();
}

async fn an_index_keeps_what_it_lists_though_only_the_place_of_its_link_is_left(world: World) {
    let a = world.repository("a");
    let child = push_image(&a, b"{}", &[b"layer"], "child").await;
    let middle = index(&[&image(b"{}", &[b"layer"])]);
    push_manifest(&a, &middle, &[]).await;
    push_manifest(&a, &index(&[&middle]), &["outer"]).await;
    a.tags().delete(&"child".parse().unwrap()).await.unwrap();
    for digest in [child, sha256(&middle)] {
        leave_the_place_alone(&world, &digest).await;
    }
    let before = objects(&*world.backend).await;
    for options in [PLAIN, UNTAGGED] {
        let (collected, _) = collect(&world.store, options).await;
        assert_eq!((collected.manifests, collected.damaged), (1, 0));
        assert_eq!(objects(&*world.backend).await, before);
    }
}

async fn what_a_tagged_index_lists_keeps_what_it_lists_though_only_the_place_of_its_link_is_left(
    world: World,
) {
    let a = world.repository("a");
    let leaf = push_image(&a, b"{}", &[b"layer"], "leaf").await;
    let middle = index(&[&image(b"{}", &[b"layer"])]);
    push_manifest(&a, &middle, &[]).await;
    push_manifest(&a, &index(&[&middle]), &["outer"]).await;
    a.tags().delete(&"leaf".parse().unwrap()).await.unwrap();
    leave_the_place_alone(&world, &sha256(&middle)).await;
    let before = objects(&*world.backend).await;
    let (_, steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!(untagged(&steps), set(&[]));
    assert_eq!(objects(&*world.backend).await, before);
    a.manifests().get(&leaf.into()).await.unwrap();
}

async fn a_tag_that_cannot_be_read_keeps_all_manifests_and_is_told_of(world: World) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"one"], "v1").await;
    push_image(&a, b"{}", &[b"two"], "v2").await;
    let tag = links("a").tag_current_link(&"v1".parse().unwrap());
    put(&world, &tag, "").await;
    let dry = CollectOptions { dry_run: true, ..UNTAGGED };
    for options in [dry, UNTAGGED] {
        let (collected, steps) = collect(&world.store, options).await;
        assert_eq!((collected.damaged, collected.removed_manifests), (1, 0));
        let told = steps
            .iter()
            .filter(|step| matches!(step, Step::Damaged { what, .. } if what.key == tag))
            .count();
        assert_eq!(told, 1, "{steps:?}");
    }
    assert_eq!(collect(&world.store, PLAIN).await.0.damaged, 0);
}

async fn a_layer_of_any_type_is_no_manifest(world: World) {
    let a = world.repository("a");
    for content in [&b"{}"[..], b"layer", b"loose"] {
        push(&a, content).await;
    }
    let mut document = image_document(b"{}", &[b"layer"]);
    document["layers"][0]["mediaType"] = json!("application/vnd.x.index.v1.tar+gzip");
    push_manifest(&a, &manifest(&document), &["v1"]).await;
    let (collected, steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!((taken(&steps), collected.damaged), (set(&[Digest::sha256(b"loose")]), 0));
}

async fn an_index_keeps_what_it_lists_of_types_that_nobody_knows(world: World) {
    let a = world.repository("a");
    let part = push(&a, b"part").await;
    let artifact = json!({"mediaType": "application/vnd.x+json", "parts": [part.to_string()]});
    let artifact = artifact.to_string();
    let digest = push(&a, artifact.as_bytes()).await;
    world.backend.delete(&[links("a").layer_link(&digest)]).await.unwrap();
    let mut document = serde_json::from_slice::<serde_json::Value>(index(&[]).bytes()).unwrap();
    document["manifests"] =
        json!([{"mediaType": "application/vnd.x+json", "digest": digest.to_string(), "size": 1}]);
    let document = document.to_string();
    let outer = Digest::sha256(document.as_bytes());
    store(&world, &outer, document.as_bytes(), &links("a").revision_link(&outer)).await;
    let (_, steps) = collect(&world.store, PLAIN).await;
    assert_eq!(taken(&steps), set(&[]));
}

async fn a_broken_link_by_a_sha512_keeps_all_of_its_repository(world: World) {
    let a = world.repository("a");
    push(&a, b"{}").await;
    let long = Digest::of(Algorithm::Sha512, b"layer");
    // As Distribution keeps what was pushed by its sha512.
    push(&a, b"layer").await;
    let link = links("a").layer_link(&long);
    let mut document = image_document(b"{}", &[b"layer"]);
    document["layers"][0]["digest"] = json!(long.to_string());
    put(&world, &link, Digest::sha256(b"layer").to_string()).await;
    push_manifest(&a, &manifest(&document), &["v1"]).await;
    for broken in ["", "sha256:12"] {
        put(&world, &link, broken).await;
        let (collected, steps) = collect(&world.store, PLAIN).await;
        assert_eq!(taken(&steps), set(&[]), "{broken:?}");
        assert!(collected.damaged > 0, "{broken:?}");
        assert!(
            steps.iter().any(|step| matches!(step, Step::Damaged { what, .. } if what.key == link)),
            "{steps:?}"
        );
    }
}

async fn a_damaged_manifest_of_schema_1_keeps_its_signatures(world: World) {
    let a = world.repository("a");
    let signature = push(&a, b"signature").await;
    world.backend.delete(&[links("a").layer_link(&signature)]).await.unwrap();
    let digest = Digest::sha256(b"what was signed");
    store(&world, &digest, b"", &links("a").revision_link(&digest)).await;
    let beside = links("a").signatures(&digest, Algorithm::Sha256);
    let beside: Key = format!("{beside}/{}/link", signature.hex()).parse().unwrap();
    put(&world, &beside, signature.to_string()).await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!((taken(&steps), collected.damaged), (set(&[]), 1));
}

async fn without_repositories_nothing_goes_unless_that_is_meant(world: World) {
    let loose = push(&world.repository("a"), b"loose").await;
    world.backend.delete_tree(&layout::repositories()).await.unwrap();
    let before = objects(&*world.backend).await;
    for dry_run in [true, false] {
        let options = CollectOptions { dry_run, ..PLAIN };
        let failed = world.store.collect(options, &mut |_| {}).await;
        assert!(
            matches!(&failed, Err(Error::Storage(error)) if error.kind() == ErrorKind::Foreign),
            "{failed:?}"
        );
        assert_eq!(objects(&*world.backend).await, before);
    }
    assert_eq!(taken(&collect(&world.store, PLAIN).await.1), set(&[loose]));
    // With no blobs either there is nothing to ask about.
    world.store.collect(PLAIN, &mut |_| {}).await.unwrap();
}

async fn a_copy_under_a_name_of_ours_keeps_everything(world: World) {
    push(&world.repository("a"), b"loose").await;
    for path in ["_a/_manifests", "team/_a/_layers", "a/_copies/deep/_manifests", "_manifests"] {
        let strange: Key =
            format!("{}/{path}/tags/x/current/link", layout::repositories()).parse().unwrap();
        put(&world, &strange, Digest::sha256(b"x").to_string()).await;
        let failed = world.store.collect(PLAIN, &mut |_| {}).await;
        assert!(
            matches!(&failed, Err(Error::Storage(error)) if error.kind() == ErrorKind::Foreign),
            "{path}: {failed:?}"
        );
        world.backend.delete(&[strange]).await.unwrap();
    }
    // What another program keeps beside repositories is no copy of one.
    let other: Key = format!("{}/a/_other/file", layout::repositories()).parse().unwrap();
    put(&world, &other, "content").await;
    assert_eq!(collect(&world.store, PLAIN).await.0.removed_blobs, 1);
}

async fn without_tags_go_only_those_that_nothing_keeps(world: World) {
    let a = world.repository("a");
    for content in [&b"{}"[..], b"1", b"2", b"3", b"4", b"5", b"6"] {
        push(&a, content).await;
    }
    let put = async |manifest: Manifest, tags: &[&str]| {
        push_manifest(&a, &manifest, tags).await;
        manifest
    };
    // Kept: an index of an index of an image, what is about that image, and what is about this.
    let child = put(image(b"{}", &[b"1"]), &[]).await;
    let inner = put(index(&[&child]), &[]).await;
    put(index(&[&inner]), &["multi"]).await;
    let signature = put(about(&child, b"2"), &[]).await;
    put(about(&signature, b"3"), &[]).await;
    // Kept: the subject of what a fallback tag lists.
    let old = put(image(b"{}", &[b"4"]), &[]).await;
    let listed = put(about(&old, b"3"), &[]).await;
    put(index(&[&listed]), &[&format!("sha256-{}", sha256(&old).hex())]).await;
    // Taken: an image that a tag once pointed at, an index, and what is about them.
    let moved = put(image(b"{}", &[b"5"]), &["moved"]).await;
    put(image(b"{}", &[]), &["moved"]).await;
    let about_moved = put(about(&moved, b"6"), &[]).await;
    let of_moved = put(index(&[&moved, &about_moved]), &[]).await;
    let gone = set(&[sha256(&moved), sha256(&about_moved), sha256(&of_moved)]);

    let (collected, steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!(untagged(&steps), gone);
    assert_eq!((collected.removed_manifests, collected.manifests, collected.damaged), (3, 9, 0));
    let blobs = set(&[Digest::sha256(b"5"), Digest::sha256(b"6")]);
    assert_eq!(taken(&steps), &gone | &blobs);
    let left = objects(&*world.backend).await;
    for digest in &gone {
        let named: Vec<_> = left.iter().filter(|key| key.contains(&digest.hex())).collect();
        assert_eq!(named, [""; 0], "links, records and history go with a manifest");
    }
    let about_child = a.referrers().list(&sha256(&child), None, None, 9).await.unwrap();
    assert_eq!(about_child.items.len(), 1);
    assert_eq!(a.tags().list(None, 9).await.unwrap().items.len(), 3);
}

async fn of_an_unknown_type_every_digest_keeps_what_it_names(world: World) {
    let a = world.repository("a");
    let (one, two) = (push(&a, b"one").await, push(&a, b"two").await);
    let image = push_image(&a, b"{}", &[], "v1").await;
    a.tags().delete(&"v1".parse().unwrap()).await.unwrap();
    let artifact = json!({
        "mediaType": "application/vnd.example.new+json", "parts": [{"digest": one.to_string()}],
        "also": two.to_string(), "image": {"digest": image.to_string()},
    });
    let artifact = artifact.to_string();
    let digest = Digest::sha256(artifact.as_bytes());
    store(&world, &digest, artifact.as_bytes(), &links("a").revision_link(&digest)).await;
    put(&world, &links("a").tag_current_link(&"new".parse().unwrap()), digest.to_string()).await;
    let (collected, steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!((taken(&steps), collected.manifests, collected.damaged), (set(&[]), 2, 0));
}

async fn schema_1_keeps_its_layers_and_signatures(world: World) {
    let a = world.repository("a");
    let (layer, signature) = (push(&a, b"layer").await, push(&a, b"signature").await);
    push(&a, b"loose").await;
    let old = json!({"schemaVersion": 1, "name": "a", "fsLayers": [{"blobSum": layer.to_string()}],
                     "signatures": [{"signature": "AAAA"}]});
    // Its digest is of what was signed.
    let digest = Digest::sha256(b"what was signed");
    let link = links("a").revision_link(&digest);
    store(&world, &digest, old.to_string().as_bytes(), &link).await;
    let beside = links("a").signatures(&digest, Algorithm::Sha256);
    let beside: Key = format!("{beside}/{}/link", signature.hex()).parse().unwrap();
    put(&world, &beside, signature.to_string()).await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!((taken(&steps), collected.damaged), (set(&[Digest::sha256(b"loose")]), 0));
}

async fn a_manifest_that_distribution_linked_as_a_blob_keeps_what_it_refers_to(world: World) {
    let a = world.repository("a");
    push(&a, b"{}").await;
    push(&a, b"layer").await;
    push(&a, b"loose").await;
    let old = image(b"{}", &[b"layer"]);
    let digest = sha256(&old);
    store(&world, &digest, old.bytes(), &links("a").layer_link(&digest)).await;
    let (collected, steps) = collect(&world.store, UNTAGGED).await;
    assert_eq!((taken(&steps), collected.manifests), (set(&[Digest::sha256(b"loose")]), 0));
}

async fn a_blob_under_two_digests_stays_under_both_and_goes_under_both(world: World) {
    let a = world.repository("a");
    push(&a, b"{}").await;
    // As Distribution keeps what was pushed by its sha512.
    let long = Digest::of(Algorithm::Sha512, b"layer");
    let stored = push(&a, b"layer").await;
    put(&world, &links("a").layer_link(&long), stored.to_string()).await;
    let mut document = image_document(b"{}", &[b"layer"]);
    document["layers"][0]["digest"] = json!(long.to_string());
    let image = manifest(&document);
    push_manifest(&a, &image, &["v1"]).await;
    let before = objects(&*world.backend).await;
    let (_, steps) = collect(&world.store, PLAIN).await;
    assert_eq!(taken(&steps), set(&[]));
    assert_eq!(objects(&*world.backend).await, before);
    assert_eq!(pull(&a, &long).await.unwrap(), b"layer");

    a.manifests().delete(&sha256(&image)).await.unwrap();
    let (collected, _) = collect(&world.store, PLAIN).await;
    assert_eq!((collected.removed_blobs, collected.links), (3, 3));
    assert_eq!(objects(&*world.backend).await, BTreeSet::new());
}

async fn what_cannot_be_told_keeps_all_of_its_repository_and_of_no_other(world: World) {
    let hurt = image(b"{}", &[b"lost"]);
    let digest = sha256(&hurt);
    let (blob, link) = (layout::blob(&digest), links("a").revision_link(&digest));
    let tag = links("a").tag_current_link(&"v1".parse().unwrap());
    let mentioned = push(&world.repository("c"), b"mentioned").await;
    let torn = format!("{{\"layers\": [{{\"digest\": \"{mentioned}\"");
    let other = image(b"{}", &[]);
    for (key, damage, keeps_mentioned) in [
        (&blob, Some(""), false),
        (&blob, Some("no JSON"), false),
        (&blob, Some("[]"), false),
        (&blob, Some(std::str::from_utf8(other.bytes()).unwrap()), false),
        (&blob, Some(torn.as_str()), true),
        (&blob, None, false),
        (&link, Some(""), false),
        (&link, Some("sha256:12"), false),
    ] {
        let (a, b, c) = (world.repository("a"), world.repository("b"), world.repository("c"));
        let loose = push(&b, b"loose").await;
        push(&c, b"mentioned").await;
        push(&a, b"lost").await;
        push_image(&a, b"{}", &[b"lost"], "v1").await;
        push_manifest(&a, &about(&hurt, b"{}"), &[]).await;
        match damage {
            Some(content) => put(&world, key, content.to_owned()).await,
            None => world.backend.delete(std::slice::from_ref(key)).await.unwrap(),
        }
        a.tags().delete(&"v1".parse().unwrap()).await.unwrap();
        assert!(world.backend.head(&tag).await.unwrap().is_none());
        let (collected, steps) = collect(&world.store, UNTAGGED).await;
        let expected = if keeps_mentioned { set(&[loose]) } else { set(&[loose, mentioned]) };
        assert_eq!(taken(&steps), expected, "{key}: {damage:?}");
        assert_eq!((collected.damaged, collected.removed_manifests), (1, 0), "{key}: {damage:?}");
        let told = steps.iter().any(|step| {
            matches!(step, Step::Damaged { name, what } if name.as_str() == "a" && what.key == *key)
        });
        assert!(told, "{key}: {damage:?}: {steps:?}");
        assert_eq!(pull(&a, &Digest::sha256(b"lost")).await.unwrap(), b"lost");
        // Pushed again it is whole.
        push_image(&a, b"{}", &[b"lost"], "v1").await;
        assert_eq!(collect(&world.store, PLAIN).await.0.damaged, 0);
        a.manifests().get(&digest.into()).await.unwrap();
    }
}

async fn a_manifest_of_an_unknown_algorithm_keeps_all_of_its_repository(world: World) {
    let loose = push(&world.repository("a"), b"loose").await;
    let link: Key =
        format!("{}/sha384/{}/link", links("a").all_revisions(), "ab".repeat(48)).parse().unwrap();
    put(&world, &link, format!("sha384:{}", "ab".repeat(48))).await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!((taken(&steps), collected.damaged), (set(&[]), 1));
    // As a blob it is kept by what its link holds.
    world.backend.delete(&[link]).await.unwrap();
    let link: Key =
        format!("{}/sha384/{}/link", links("a").layers(), "ab".repeat(48)).parse().unwrap();
    put(&world, &link, loose.to_string()).await;
    let (collected, steps) = collect(&world.store, PLAIN).await;
    assert_eq!((taken(&steps), collected.damaged), (set(&[]), 0));
}

async fn young_blobs_stay_with_their_links_if_that_is_asked_for(world: World) {
    let loose = push(&world.repository("a"), b"loose").await;
    let an_hour = Duration::from_hours(1);
    let options = CollectOptions { older_than: an_hour, ..PLAIN };
    let (collected, _) = collect(&world.store, options).await;
    assert_eq!((collected.young, collected.removed_blobs, collected.links), (1, 0, 0));
    assert_eq!(pull(&world.repository("a"), &loose).await.unwrap(), b"loose");
    world.clock.advance(2 * an_hour);
    let (collected, _) = collect(&world.store, options).await;
    assert_eq!((collected.young, collected.removed_blobs, collected.links), (0, 1, 1));
}

async fn an_upload_goes_on_after_a_collection(world: World) {
    let a = world.repository("a");
    let upload = a.uploads().start(Algorithm::Sha256).await.unwrap();
    let first = body(&[b"hello, "]);
    let upload = a.uploads().append(upload.id, ResumeAt::default(), first).await.unwrap();
    let before = objects(&*world.backend).await;
    collect(&world.store, UNTAGGED).await;
    assert_eq!(objects(&*world.backend).await, before);
    let at = ResumeAt { tip: Some(upload.tip), offset: None };
    let digest = Digest::sha256(b"hello, world");
    a.uploads().commit(upload.id, at, &digest, body(&[b"world"])).await.unwrap();
    assert_eq!(pull(&a, &digest).await.unwrap(), b"hello, world");
}

async fn a_link_whose_blob_has_gone_goes_too(world: World) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"lost"], "v1").await;
    let (lost, loose) = (Digest::sha256(b"lost"), push(&a, b"loose").await);
    world.backend.delete(&[layout::blob(&lost), layout::blob(&loose)]).await.unwrap();
    let (collected, _) = collect(&world.store, PLAIN).await;
    assert_eq!((collected.links, collected.removed_blobs), (1, 0));
    let left = objects(&*world.backend).await;
    assert!(!left.iter().any(|key| key.contains(&loose.hex())));
    // A push of it makes the image whole.
    assert!(left.iter().any(|key| key.contains(&lost.hex())));
}

async fn what_lies_in_the_place_of_a_blob_goes_with_it(world: World) {
    let loose = push(&world.repository("a"), b"loose").await;
    let litter: Key = format!("{}/data.1234.tmp", layout::blob_place(&loose)).parse().unwrap();
    put(&world, &litter, "torn").await;
    collect(&world.store, PLAIN).await;
    collect(&world.store, PLAIN).await;
    assert_eq!(objects(&*world.backend).await, BTreeSet::new());
}

async fn what_is_somebodys_in_the_place_of_a_blob_stays(world: World) {
    let loose = push(&world.repository("a"), b"loose").await;
    let beside: Vec<Key> = ["data.bad", "data.1234.quarantined"]
        .iter()
        .map(|name| format!("{}/{name}", layout::blob_place(&loose)).parse().unwrap())
        .collect();
    for key in &beside {
        put(&world, key, "kept").await;
    }
    let litter: Key = format!("{}/data.1234.tmp", layout::blob_place(&loose)).parse().unwrap();
    put(&world, &litter, "torn").await;
    collect(&world.store, PLAIN).await;
    let young = CollectOptions { older_than: Duration::from_hours(1), ..PLAIN };
    collect(&world.store, young).await;
    assert!(world.backend.head(&litter).await.unwrap().is_some(), "it is young");
    let dry = CollectOptions { dry_run: true, ..PLAIN };
    for options in [dry, PLAIN] {
        let (_, steps) = collect(&world.store, options).await;
        let told =
            steps.iter().any(|step| matches!(step, Step::Litter { key, .. } if *key == litter));
        assert!(told, "{steps:?}");
    }
    assert!(world.backend.head(&litter).await.unwrap().is_none());
    for key in &beside {
        assert!(world.backend.head(key).await.unwrap().is_some(), "{key}");
    }
}

async fn what_has_manifests_and_no_name_of_a_repository_keeps_everything(world: World) {
    push(&world.repository("a"), b"loose").await;
    let strange: Key =
        format!("{}/Copy-of-A/_manifests/tags/x/current/link", layout::repositories())
            .parse()
            .unwrap();
    put(&world, &strange, Digest::sha256(b"x").to_string()).await;
    let before = objects(&*world.backend).await;
    let failed = world.store.collect(PLAIN, &mut |_| {}).await;
    let Err(Error::Storage(error)) = failed else { panic!("{failed:?}") };
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(error.to_string().contains("Copy-of-A"), "{error}");
    assert_eq!(objects(&*world.backend).await, before);
}

async fn what_was_taken_is_not_there_to_anybody_and_can_be_pushed_again(world: World) {
    let a = world.repository("a");
    let digest = push_image(&a, b"{}", &[b"layer"], "v1").await;
    let (layer, other) = (Digest::sha256(b"layer"), world.another_process());
    a.manifests().delete(&digest).await.unwrap();
    // What this store and another know of it must not outlive it.
    assert_eq!(a.blobs().size(&layer).await.unwrap(), 5);
    let there = registry_tests::world::repository(&other, "a");
    assert_eq!(there.blobs().size(&layer).await.unwrap(), 5);
    collect(&world.store, PLAIN).await;
    for repository in [&a, &there] {
        let found = repository.blobs().size(&layer).await;
        assert!(matches!(found, Err(Error::BlobUnknown { .. })), "{found:?}");
        assert!(repository.mount(&layer, &"a".parse().unwrap()).await.unwrap().is_none());
        let image = image(b"{}", &[b"layer"]);
        let put = repository.manifests().put(&image, &digest, &[]).await;
        assert!(matches!(put, Err(Error::ManifestBlobUnknown { .. })), "{put:?}");
    }
    push_image(&there, b"{}", &[b"layer"], "v1").await;
    assert_eq!(pull(&a, &layer).await.unwrap(), b"layer");
    assert_eq!(collect(&world.store, PLAIN).await.0.removed_blobs, 0);
}

async fn a_blob_that_cannot_be_read_is_not_taken_for_one_that_refers_to_nothing(world: World) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"layer"], "v1").await;
    push(&a, b"loose").await;
    let backend = FaultyBackend::new(world.backend.clone());
    let store = world.over(backend.clone());
    let at_once = CollectOptions { most_marks: 1000, ..PLAIN };
    // The link, and then the manifest.
    backend.arm(Fault {
        method: Some(Method::Read),
        call: 2,
        kind: ErrorKind::Io,
        moment: Moment::Before,
    });
    let (collected, steps) = collect(&store, at_once).await;
    assert_eq!((collected.damaged, taken(&steps)), (1, set(&[])));
    backend.arm(Fault {
        method: Some(Method::Read),
        call: 2,
        kind: ErrorKind::Unavailable,
        moment: Moment::Before,
    });
    assert!(store.collect(PLAIN, &mut |_| {}).await.is_err());
    assert_eq!(taken(&collect(&store, PLAIN).await.1), set(&[Digest::sha256(b"loose")]));
}

/// What making sure of all that is there can fail with; not found is a place that goes meanwhile.
const KINDS: [ErrorKind; 9] = [
    ErrorKind::NotFound,
    ErrorKind::RangeNotSatisfiable,
    ErrorKind::Busy,
    ErrorKind::Full,
    ErrorKind::Denied,
    ErrorKind::Foreign,
    ErrorKind::Unavailable,
    ErrorKind::Io,
    ErrorKind::Unsupported,
];

async fn what_cannot_be_made_sure_of_ends_the_run_before_anything_goes_and_is_asked_once(
    world: World,
) {
    let a = world.repository("a");
    push_image(&a, b"{}", &[b"layer"], "v1").await;
    push(&a, b"untagged").await;
    push_manifest(&a, &image(b"{}", &[b"untagged"]), &[]).await;
    for content in [b"one", b"two"] {
        push(&a, content).await;
    }
    let before = objects(&*world.backend).await;
    for (kind, options) in KINDS.into_iter().flat_map(|kind| [(kind, PLAIN), (kind, UNTAGGED)]) {
        let faulty = FaultyBackend::new(world.backend.clone());
        let counted = CountedBackend::new(std::sync::Arc::new(faulty.clone()));
        let store = world.over(counted.clone());
        faulty.arm(Fault {
            method: Some(Method::SettleAll),
            call: 1,
            kind,
            moment: Moment::Before,
        });
        let mut left = 0;
        let mut tell = |step| left += usize::from(matches!(step, Step::Left { .. }));
        let failed = store.collect(options, &mut tell).await;
        let Err(Error::Storage(error)) = failed else { panic!("{kind:?}: {failed:?}") };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("SettleAll"), "{error}");
        let counts = counted.counts();
        let asked = [Method::SettleAll, Method::Delete].map(|method| counts.of(method));
        assert_eq!((asked, left), ([1, 0], 0), "{kind:?}");
        assert_eq!(objects(&*world.backend).await, before, "{kind:?}");
    }
    // The next run asks anew.
    assert_eq!(collect(&world.store, PLAIN).await.0.removed_blobs, 2);
}

#[tokio::test]
async fn where_all_that_is_seen_is_durable_nothing_has_to_be_made_sure_of() {
    let world = World::s3();
    push(&world.repository("a"), b"loose").await;
    let counted = CountedBackend::new(world.backend.clone());
    assert_eq!(collect(&world.over(counted.clone()), PLAIN).await.0.removed_blobs, 1);
    assert_eq!(counted.counts().of(Method::SettleAll), 0);
}

#[tokio::test(start_paused = true)]
async fn who_writes_keeps_collections_away_and_they_keep_who_writes_out() {
    let world = World::memory();
    let other = world.another_process();
    let held = [world.store.hold_off_collection().await, other.hold_off_collection().await];
    let refused = |result: Result<Collected, Error>| matches!(result, Err(Error::Storage(error)) if error.kind() == ErrorKind::Busy);
    assert!(refused(other.collect(PLAIN, &mut |_| {}).await));
    drop(held);
    other.collect(PLAIN, &mut |_| {}).await.unwrap();

    // One that is dropped lets go when what it had begun is done.
    push(&world.repository("a"), b"loose").await;
    let mut tell = |_| {};
    let collecting = other.collect(PLAIN, &mut tell);
    assert!(registry_tests::polls::drop_after_polls(1, collecting).await.is_none());
    other.finish_detached().await;
    world.store.hold_off_collection().await.unwrap();
}

#[tokio::test]
async fn on_a_bucket_it_has_to_be_said_that_nobody_writes() {
    let world = World::s3();
    push(&world.repository("a"), b"loose").await;
    let options = CollectOptions { nobody_writes: false, ..PLAIN };
    let failed = world.store.collect(options, &mut |_| {}).await;
    assert!(
        matches!(&failed, Err(Error::Storage(error)) if error.kind() == ErrorKind::Unsupported),
        "{failed:?}"
    );
    let dry = CollectOptions { dry_run: true, ..options };
    assert_eq!(world.store.collect(dry, &mut |_| {}).await.unwrap().removed_blobs, 1);
}
