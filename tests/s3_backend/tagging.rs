//! A manifest is deleted on one replica while it, or another, is pushed on another.

use futures::FutureExt as _;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::manifest::Manifest;
use registry_store::precondition::Precondition;
use registry_store::reference::Reference;
use registry_store::repository::Repository;
use registry_tests::backends::BUCKET;
use registry_tests::documents::{image, push_image};
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::{Honour, S3Options as ServerOptions};
use registry_tests::world::{push, repository};

use crate::fixture::{Bucket, Objects, kind, kinds, store};

/// Two processes, and what was in their bucket at first.
struct Replicas {
    bucket: Bucket,
    deletes: Repository,
    pushes: Repository,
    before: Objects,
}

async fn replicas(options: ServerOptions) -> Replicas {
    let bucket = Bucket::new(options);
    let deletes = repository(&store(&bucket.process()), "a");
    let pushes = repository(&store(&bucket.process()), "a");
    push(&pushes, b"other").await;
    push_image(&pushes, b"{}", &[], "v1").await;
    let before = bucket.objects();
    Replicas { bucket, deletes, pushes, before }
}

async fn put(repository: &Repository, manifest: &Manifest) -> Result<(), Error> {
    let digest = manifest.digest(Algorithm::Sha256);
    repository.manifests().put(manifest, &digest, &["v1".parse().unwrap()]).await
}

/// What was acknowledged of a push is there, unless a delete came after it, and nothing is half there.
async fn is_sound(replicas: &Replicas, pushed: &Manifest, is_pushed: bool, when: &str) {
    let digest = pushed.digest(Algorithm::Sha256);
    let deleted = image(b"{}", &[]).digest(Algorithm::Sha256);
    let tag = replicas.pushes.tags().resolve(&"v1".parse().unwrap()).await.ok();
    let is_there = replicas.pushes.manifests().get(&digest.into()).await.is_ok();
    if let Some(tag) = tag {
        let is_whole = replicas.pushes.manifests().get(&tag.into()).await.is_ok();
        assert!(is_whole || !is_pushed, "{when}: the tag points at nothing");
    }
    if is_pushed && digest == deleted {
        // Pushed and then deleted it is gone, with its tag.
        assert_eq!(is_there, tag == Some(digest), "{when}: half of a push");
    }
    if is_pushed && digest != deleted {
        assert!(is_there && tag == Some(digest), "{when}: {tag:?}, not as it was pushed");
    }
}

/// One is stopped before its nth request, for every n; the other runs; the one goes on.
async fn at_every_request(options: ServerOptions, pushed: &Manifest, stops_the_push: bool) {
    let replicas = replicas(options).await;
    let (bucket, digest) = (&replicas.bucket, image(b"{}", &[]).digest(Algorithm::Sha256));
    for nth in 1.. {
        bucket.restore(&replicas.before);
        let gate = Gate::shut();
        let met =
            bucket.s3().faults().when(move |asked| asked.nth == nth, Fault::Delay(gate.clone()));
        let delete = || async { replicas.deletes.manifests().delete(&digest).await }.boxed();
        let push = || put(&replicas.pushes, pushed).boxed();
        let (mut first, mut second) =
            if stops_the_push { (push(), delete()) } else { (delete(), push()) };
        let mut first_outcome = None;
        tokio::select! {
            outcome = &mut first => first_outcome = Some(outcome),
            () = gate.arrived(1) => {}
        }
        if first_outcome.is_some() {
            assert_eq!(met.times(), 0);
            assert!(nth > 5, "{nth} requests");
            return;
        }
        // The second may wait for the first, as a push does for a delete that it sees.
        let second_outcome = tokio::select! {
            outcome = &mut second => Some(outcome),
            () = waits(bucket) => None,
        };
        gate.open();
        let first_outcome = first.await;
        let second_outcome = match second_outcome {
            Some(outcome) => outcome,
            None => second.await,
        };
        let (pushed_outcome, deleted) = if stops_the_push {
            (first_outcome, second_outcome)
        } else {
            (second_outcome, first_outcome)
        };
        let when = format!("before request {nth}, push {pushed_outcome:?}, delete {deleted:?}");
        let is_told = matches!(&pushed_outcome, Ok(()) | Err(Error::ManifestBlobUnknown { .. }));
        assert!(is_told, "{when}");
        assert!(matches!(&deleted, Ok(()) | Err(Error::ManifestUnknown { .. })), "{when}");
        is_sound(&replicas, pushed, pushed_outcome.is_ok(), &when).await;
    }
}

/// Comes when whoever asks asks the same again and again.
async fn waits(bucket: &Bucket) {
    loop {
        let requests = bucket.s3().requests();
        let looks: Vec<_> = requests.iter().rev().take(7).map(|asked| &asked.line).collect();
        let mut kinds = looks.clone();
        kinds.sort();
        kinds.dedup();
        if looks.len() == 7
            && kinds.len() <= 2
            && requests.last().unwrap().operation == Operation::ListObjectsV2
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

macro_rules! races {
    ($($name:ident: $pushed:expr, $stops:expr, $conditions:expr;)*) => { $(
        #[tokio::test]
        async fn $name() {
            at_every_request(kind($conditions), &$pushed, $stops).await;
        }
    )* };
}

races! {
    a_delete_is_stopped_while_the_same_is_pushed: image(b"{}", &[]), false, Honour::Honoured;
    a_delete_is_stopped_while_another_is_pushed: image(b"{}", &[b"other"]), false, Honour::Honoured;
    a_push_of_the_same_is_stopped_while_it_is_deleted: image(b"{}", &[]), true, Honour::Honoured;
    a_push_of_another_is_stopped_during_a_delete: image(b"{}", &[b"other"]), true, Honour::Honoured;
    a_delete_without_conditions_is_stopped_while_the_same_is_pushed: image(b"{}", &[]), false, Honour::Ignored;
    a_delete_without_conditions_is_stopped_while_another_is_pushed: image(b"{}", &[b"other"]), false, Honour::Ignored;
    a_push_of_the_same_is_stopped_while_it_is_deleted_without_conditions: image(b"{}", &[]), true, Honour::Ignored;
    a_push_of_another_is_stopped_during_a_delete_without_conditions: image(b"{}", &[b"other"]), true, Honour::Ignored;
}

#[tokio::test]
async fn who_points_a_tag_that_was_absent_is_told_so_though_the_answer_was_lost() {
    for options in kinds() {
        for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
            let bucket = Bucket::new(options.clone());
            let a = repository(&store(&bucket.process()), "a");
            push(&a, b"{}").await;
            let manifest = image(b"{}", &[]);
            let digest = manifest.digest(Algorithm::Sha256);
            let met = bucket.s3().faults().when(
                |asked| {
                    let is_tag = asked.key.ends_with("v1/current/link");
                    is_tag && asked.operation == Operation::PutObject && asked.nth_of_key == 1
                },
                fault,
            );
            let (tag, of) = ("v1".parse().unwrap(), Reference::Tag("v1".parse().unwrap()));
            let (manifests, absent) = (a.manifests(), Precondition::absent());
            manifests.put_if(&manifest, &digest, &[tag], &of, &absent).await.unwrap();
            assert_eq!(met.times(), 1);
        }
    }
}

#[tokio::test]
async fn who_moves_a_tag_that_is_deleted_meanwhile_is_told_so() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let a = repository(&store(&bucket.process()), "a");
        push(&a, b"other").await;
        let first = push_image(&a, b"{}", &[], "v1").await;
        let link = "docker/registry/v2/repositories/a/_manifests/tags/v1/current/link";
        let gate = Gate::shut();
        bucket.s3().faults().when(
            move |asked| asked.key == link && asked.operation == Operation::PutObject,
            Fault::Delay(gate.clone()),
        );
        let (moved, tag) = (image(b"{}", &[b"other"]), "v1".parse().unwrap());
        let (digest, of) = (Digest::sha256(moved.bytes()), Reference::Tag("v1".parse().unwrap()));
        let (unchanged, tags) = (Precondition::unchanged(&first), [tag]);
        let manifests = a.manifests();
        let put = manifests.put_if(&moved, &digest, &tags, &of, &unchanged);
        let (put, ()) = tokio::join!(put, async {
            gate.arrived(1).await;
            bucket.s3().remove(BUCKET, link);
            gate.open();
        });
        let is_told = matches!(put, Err(Error::PreconditionFailed { found: None, .. }));
        // Where the server does not look, the delete came first and is undone: it came from no replica of ours.
        assert!(is_told || put.is_ok() && !bucket.process().abilities().put_if_match, "{put:?}");
    }
}

#[tokio::test]
async fn a_delete_that_is_cut_off_does_not_hold_up_pushes() {
    for options in kinds() {
        let replicas = replicas(options).await;
        let (bucket, manifest) = (&replicas.bucket, image(b"{}", &[]));
        let digest = manifest.digest(Algorithm::Sha256);
        for nth in 1.. {
            bucket.restore(&replicas.before);
            let fault = Fault::Refuse(Failure::AccessDenied);
            let met = bucket.s3().faults().when(move |asked| asked.nth == nth, fault);
            let deleted = replicas.deletes.manifests().delete(&digest).await;
            bucket.s3().faults().clear();
            if met.times() == 0 {
                deleted.unwrap();
                break;
            }
            let refused = bucket.s3().requests()[nth - 1].line.clone();
            let is_note = refused.contains("deleting") || refused.contains("?delete");
            if is_note && !refused.starts_with("PUT") {
                // A note that cannot be taken away stays until it is stale.
                continue;
            }
            put(&replicas.pushes, &manifest).await.unwrap();
            is_sound(&replicas, &manifest, true, &refused).await;
        }
    }
}

/// A push is stopped before its nth request, a delete then before its mth, for every m; the push ends, and then the
/// delete.
async fn while_a_push_stands(options: ServerOptions, nth: usize) {
    let replicas = replicas(options).await;
    let (bucket, manifest) = (&replicas.bucket, image(b"{}", &[]));
    let digest = manifest.digest(Algorithm::Sha256);
    for mth in nth + 1.. {
        bucket.restore(&replicas.before);
        let (one, two) = (Gate::shut(), Gate::shut());
        let faults = bucket.s3().faults();
        faults.when(move |asked| asked.nth == nth, Fault::Delay(one.clone()));
        faults.when(move |asked| asked.nth == mth, Fault::Delay(two.clone()));
        let mut push = put(&replicas.pushes, &manifest).boxed();
        tokio::select! {
            outcome = &mut push => panic!("{outcome:?} before request {nth}"),
            () = one.arrived(1) => {}
        }
        let mut delete = async { replicas.deletes.manifests().delete(&digest).await }.boxed();
        let deleted = tokio::select! {
            outcome = &mut delete => Some(outcome),
            () = two.arrived(1) => None,
        };
        one.open();
        // The push may wait for the delete, whose note it sees.
        let pushed = tokio::select! {
            outcome = &mut push => Some(outcome),
            () = waits(bucket) => None,
        };
        two.open();
        let is_last = deleted.is_some();
        let deleted = match deleted {
            Some(outcome) => outcome,
            None => delete.await,
        };
        let pushed = match pushed {
            Some(outcome) => outcome,
            None => push.await,
        };
        let when = format!("before {nth} and {mth}, push {pushed:?}, delete {deleted:?}");
        assert!(matches!(&pushed, Ok(()) | Err(Error::ManifestBlobUnknown { .. })), "{when}");
        assert!(matches!(&deleted, Ok(()) | Err(Error::ManifestUnknown { .. })), "{when}");
        is_sound(&replicas, &manifest, pushed.is_ok(), &when).await;
        if is_last {
            return;
        }
    }
}

/// The entry of the tag's history was there: the push keeps it, and the delete takes it away.
#[tokio::test]
async fn a_tag_that_is_pushed_between_the_passes_of_a_delete_is_found_by_the_second() {
    for options in kinds() {
        // The history is written, the tag is not.
        while_a_push_stands(options, 9).await;
    }
}

/// A DELETE may come to pass when its sender is long dead: so the note must be there before, in the first pass too.
#[tokio::test]
async fn a_push_waits_for_a_delete_of_its_tag_that_is_in_its_first_pass() {
    for options in kinds() {
        let replicas = replicas(options).await;
        let (bucket, manifest) = (&replicas.bucket, image(b"{}", &[]));
        let digest = manifest.digest(Algorithm::Sha256);
        let gate = Gate::shut();
        bucket.s3().faults().when(
            |asked| {
                let is_tag = asked.key.ends_with("v1/current/link");
                is_tag && asked.operation == Operation::DeleteObject && asked.nth_of_key == 1
            },
            Fault::Delay(gate.clone()),
        );
        let mut delete = async { replicas.deletes.manifests().delete(&digest).await }.boxed();
        tokio::select! {
            outcome = &mut delete => panic!("{outcome:?} without deleting the tag"),
            () = gate.arrived(1) => {}
        }
        let mut push = put(&replicas.pushes, &manifest).boxed();
        tokio::select! {
            outcome = &mut push => panic!("{outcome:?} while its tag may yet go"),
            () = waits(bucket) => {}
        }
        gate.open();
        let (pushed, deleted) = tokio::join!(push, delete);
        deleted.unwrap();
        is_sound(&replicas, &manifest, pushed.is_ok(), "in the first pass").await;
    }
}

/// A delete of the same manifest is stopped before each of its requests, while a tag that never was is pushed as far as
/// its entry of history; then the delete ends, and then the push.
#[tokio::test]
async fn a_delete_leaves_the_entry_of_history_of_a_tag_that_is_pushed_behind_it() {
    for options in kinds() {
        let replicas = replicas(options).await;
        let (bucket, manifest) = (&replicas.bucket, image(b"{}", &[]));
        let digest = manifest.digest(Algorithm::Sha256);
        let mut pushed_times = 0;
        for nth in 1.. {
            bucket.restore(&replicas.before);
            let (one, two) = (Gate::shut(), Gate::shut());
            let faults = bucket.s3().faults();
            faults.when(move |asked| asked.nth == nth, Fault::Delay(one.clone()));
            faults.when(
                |asked| {
                    let is_tag = asked.key.ends_with("v2/current/link");
                    is_tag && asked.operation == Operation::PutObject && asked.nth_of_key == 1
                },
                Fault::Delay(two.clone()),
            );
            let mut delete = async { replicas.deletes.manifests().delete(&digest).await }.boxed();
            let has_ended = tokio::select! {
                outcome = &mut delete => { outcome.unwrap(); true }
                () = one.arrived(1) => false,
            };
            if has_ended {
                break;
            }
            let tags = ["v2".parse().unwrap()];
            let manifests = replicas.pushes.manifests();
            let mut push = manifests.put(&manifest, &digest, &tags).boxed();
            tokio::select! {
                outcome = &mut push => panic!("{outcome:?} without its tag, before {nth}"),
                () = two.arrived(1) => {}
            }
            one.open();
            delete.await.unwrap();
            two.open();
            if push.await.is_ok() {
                pushed_times += 1;
                let names = bucket.names();
                let has_entry = names.iter().any(|name| name.contains("tags/v2/index/"));
                assert!(has_entry, "before {nth}: {names:?}");
            }
        }
        assert!(pushed_times > 1, "{pushed_times}");
    }
}
