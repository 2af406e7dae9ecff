//! Preconditions: a write that is done only if the tag or manifest is as its caller believes.

use futures::future::join_all;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_store::precondition::{Content, Precondition};
use registry_store::reference::{Reference, Tag};
use registry_store::repository::Repository;
use registry_tests::backends::{GatedBackend, Method, Moment};
use registry_tests::documents::{image, image_document, manifest, push_manifest};
use registry_tests::world::{World, push, repository, store_on};

on_every_backend!(
    a_tag_is_written_if_it_is_absent_and_never_overwritten,
    a_tag_is_moved_only_from_where_it_is_believed_to_be,
    a_tag_whose_manifest_is_gone_is_absent_to_a_put,
    a_put_by_digest_asks_for_the_manifest_and_not_for_its_tags,
    a_put_that_was_refused_leaves_nothing,
    a_put_that_lacks_its_blobs_fails_for_that,
    of_many_puts_of_an_absent_tag_exactly_one_is_done,
    of_many_puts_of_an_unchanged_tag_exactly_one_is_done,
    of_puts_and_deletes_of_an_unchanged_tag_exactly_one_is_done,
    no_plain_put_comes_between_the_look_and_the_write,
    no_plain_put_comes_between_the_look_and_the_delete,
    a_tag_is_deleted_only_where_it_is_believed_to_be,
    an_empty_precondition_asks_for_nothing,
);

/// As many writers as race.
const MANY: usize = 24;
/// How often a task is let run that must not come to its end; in memory it would, in fewer.
const YIELDS: usize = 1000;

fn v1() -> Tag {
    "v1".parse().unwrap()
}

/// The `n`th of manifests that need the blob `{}`.
fn numbered(n: usize) -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["annotations"] = serde_json::json!({ "n": n.to_string() });
    manifest(&document)
}

fn digest_of(manifest: &Manifest) -> Digest {
    manifest.digest(Algorithm::Sha256)
}

/// Puts a manifest at `v1` under a precondition of that tag.
async fn put_v1(repository: &Repository, manifest: &Manifest, asks: &Precondition) -> Result<()> {
    let (digest, tags) = (digest_of(manifest), [v1()]);
    repository.manifests().put_if(manifest, &digest, &tags, &v1().into(), asks).await
}

/// A repository with the first manifest at `v1`.
async fn with_v1(world: &World) -> (Repository, Digest) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let digest = push_manifest(&repository, &numbered(0), &["v1"]).await;
    (repository, digest)
}

async fn current(repository: &Repository) -> Digest {
    repository.tags().resolve(&v1()).await.unwrap()
}

/// Was the write refused because of this?
#[track_caller]
fn is_refused(outcome: Result<()>, of: impl Into<Reference>, expected: Option<Digest>) {
    let Err(Error::PreconditionFailed { name, reference, found }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((name.as_str(), reference, found), ("a", of.into(), expected));
}

async fn a_tag_is_written_if_it_is_absent_and_never_overwritten(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    put_v1(&repository, &numbered(0), &Precondition::absent()).await.unwrap();
    let first = digest_of(&numbered(0));
    for again in [0, 1] {
        let outcome = put_v1(&repository, &numbered(again), &Precondition::absent()).await;
        is_refused(outcome, v1(), Some(first));
    }
    assert_eq!(current(&repository).await, first);
    repository.tags().delete(&v1()).await.unwrap();
    put_v1(&repository, &numbered(1), &Precondition::absent()).await.unwrap();
}

async fn a_tag_is_moved_only_from_where_it_is_believed_to_be(world: World) {
    let (repository, first) = with_v1(&world).await;
    let second = digest_of(&numbered(1));
    let outcome = put_v1(&repository, &numbered(1), &Precondition::unchanged(&second)).await;
    is_refused(outcome, v1(), Some(first));
    let is_not = Some(Content::OneOf(vec![second, first]));
    let outcome = put_v1(&repository, &numbered(1), &Precondition { is: None, is_not }).await;
    is_refused(outcome, v1(), Some(first));
    assert_eq!(current(&repository).await, first);

    put_v1(&repository, &numbered(1), &Precondition::unchanged(&first)).await.unwrap();
    assert_eq!(current(&repository).await, second);
    let history = repository.tags().history(&v1(), None, 9).await.unwrap().items;
    assert_eq!(history.len(), 2);

    repository.tags().delete(&v1()).await.unwrap();
    let there = Precondition { is: Some(Content::Any), is_not: None };
    is_refused(put_v1(&repository, &numbered(0), &there).await, v1(), None);
}

async fn a_tag_whose_manifest_is_gone_is_absent_to_a_put(world: World) {
    let (repository, first) = with_v1(&world).await;
    world.backend.delete(&[layout::blob(&first)]).await.unwrap();
    let outcome = put_v1(&repository, &numbered(0), &Precondition::unchanged(&first)).await;
    is_refused(outcome, v1(), None);
    // So whoever found nothing, and pushes again what belongs there, heals it.
    put_v1(&repository, &numbered(0), &Precondition::absent()).await.unwrap();
    repository.manifests().get(&v1().into()).await.unwrap();
}

async fn a_put_by_digest_asks_for_the_manifest_and_not_for_its_tags(world: World) {
    let (repository, first) = with_v1(&world).await;
    let (manifests, tags) = (repository.manifests(), [v1()]);
    let (second, other) = (numbered(1), digest_of(&numbered(1)));
    let there = Precondition { is: Some(Content::Any), is_not: None };
    let of = Reference::Digest(other);
    is_refused(manifests.put_if(&second, &other, &tags, &of, &there).await, other, None);
    assert_eq!(current(&repository).await, first);
    manifests.put_if(&second, &other, &tags, &of, &Precondition::absent()).await.unwrap();
    assert_eq!(current(&repository).await, other);
    let outcome = manifests.put_if(&second, &other, &tags, &of, &Precondition::absent()).await;
    is_refused(outcome, other, Some(other));
}

async fn a_put_that_was_refused_leaves_nothing(world: World) {
    let (repository, _) = with_v1(&world).await;
    let second = digest_of(&numbered(1));
    put_v1(&repository, &numbered(1), &Precondition::absent()).await.unwrap_err();
    let keys = RepositoryLayout::new(repository.name());
    for key in
        [layout::blob(&second), keys.revision_link(&second), keys.tag_index_link(&v1(), &second)]
    {
        assert_eq!(world.backend.head(&key).await.unwrap(), None, "{key}");
    }
}

async fn a_put_that_lacks_its_blobs_fails_for_that(world: World) {
    let (repository, _) = with_v1(&world).await;
    let lacking = image(b"{}", &[b"missing"]);
    let outcome = put_v1(&repository, &lacking, &Precondition::absent()).await;
    assert!(matches!(outcome, Err(Error::ManifestBlobUnknown { .. })), "{outcome:?}");
}

/// Has `MANY` put each its own manifest at `v1` at once, half of them by another process, and expects that
/// exactly one of them does, and that its manifest is then there.
async fn race(world: &World, first: usize, asks: &Precondition) {
    let mine = world.repository("a");
    let theirs = repository(&world.another_process(), "a");
    let each: Vec<_> = (first..first + MANY).map(numbered).collect();
    let puts = each.iter().enumerate().map(async |(n, manifest)| {
        put_v1(if n % 2 == 0 { &mine } else { &theirs }, manifest, asks).await
    });
    let outcomes = join_all(puts).await;
    let won: Vec<_> = each.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    let winner = digest_of(won[0].0);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        is_refused(outcome, v1(), Some(winner));
    }
    assert_eq!(current(&mine).await, winner);
}

async fn of_many_puts_of_an_absent_tag_exactly_one_is_done(world: World) {
    push(&world.repository("a"), b"{}").await;
    race(&world, 0, &Precondition::absent()).await;
}

async fn of_many_puts_of_an_unchanged_tag_exactly_one_is_done(world: World) {
    let (_, first) = with_v1(&world).await;
    race(&world, 1, &Precondition::unchanged(&first)).await;
}

async fn of_puts_and_deletes_of_an_unchanged_tag_exactly_one_is_done(world: World) {
    let (repository, first) = with_v1(&world).await;
    let asks = Precondition::unchanged(&first);
    for round in 1..=10 {
        let (tags, next, tag) = (repository.tags(), numbered(round), v1());
        let (put, deleted) =
            futures::join!(put_v1(&repository, &next, &asks), tags.delete_if(&tag, &asks));
        assert!(put.is_ok() != deleted.is_ok(), "{put:?}, {deleted:?}");
        assert_eq!(tags.resolve(&v1()).await.is_ok(), put.is_ok());
        push_manifest(&repository, &numbered(0), &["v1"]).await;
    }
}

/// Stops `write` when it has looked where `v1` points, and begins a plain put of `v1` meanwhile, which must wait.
/// Returns the repository when both are done.
async fn with_a_plain_put_in_between<F: Future<Output = Result<()>>>(
    world: &World,
    write: impl FnOnce(Repository) -> F,
) -> Repository {
    let (plain, _) = with_v1(world).await;
    let gates = GatedBackend::new(world.backend.clone());
    let stopped = repository(&store_on(gates.clone()), "a");
    let keys = RepositoryLayout::new(stopped.name());
    let gate = gates.shut(Moment::After, Method::Read, &keys.tag_current_link(&v1()));
    let between = plain.clone();
    let mut put = None;
    gate.meanwhile(write(stopped), async {
        let task = tokio::spawn(async move {
            push_manifest(&between, &numbered(2), &["v1"]).await;
        });
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        assert!(!task.is_finished(), "a plain put came in between");
        put = Some(task);
    })
    .await
    .unwrap();
    put.expect("it was begun").await.unwrap();
    plain
}

async fn no_plain_put_comes_between_the_look_and_the_write(world: World) {
    let asks = Precondition::unchanged(&digest_of(&numbered(0)));
    let write = async move |stopped: Repository| put_v1(&stopped, &numbered(1), &asks).await;
    let repository = with_a_plain_put_in_between(&world, write).await;
    // The plain put waited, and so came last.
    assert_eq!(current(&repository).await, digest_of(&numbered(2)));
}

async fn no_plain_put_comes_between_the_look_and_the_delete(world: World) {
    let asks = Precondition::unchanged(&digest_of(&numbered(0)));
    let write = async move |stopped: Repository| stopped.tags().delete_if(&v1(), &asks).await;
    let repository = with_a_plain_put_in_between(&world, write).await;
    assert_eq!(current(&repository).await, digest_of(&numbered(2)));
}

async fn a_tag_is_deleted_only_where_it_is_believed_to_be(world: World) {
    let (repository, first) = with_v1(&world).await;
    let tags = repository.tags();
    let other = Precondition::unchanged(&digest_of(&numbered(1)));
    is_refused(tags.delete_if(&v1(), &other).await, v1(), Some(first));
    is_refused(tags.delete_if(&v1(), &Precondition::absent()).await, v1(), Some(first));
    assert_eq!(current(&repository).await, first);
    let unchanged = Precondition::unchanged(&first);
    tags.delete_if(&v1(), &unchanged).await.unwrap();
    for asks in [unchanged, other, Precondition::absent()] {
        let outcome = tags.delete_if(&v1(), &asks).await;
        assert!(matches!(outcome, Err(Error::ManifestUnknown { .. })), "{outcome:?}");
    }
}

async fn an_empty_precondition_asks_for_nothing(world: World) {
    let (repository, _) = with_v1(&world).await;
    put_v1(&repository, &numbered(1), &Precondition::default()).await.unwrap();
    assert_eq!(current(&repository).await, digest_of(&numbered(1)));
    repository.tags().delete_if(&v1(), &Precondition::default()).await.unwrap();
}
