//! Orders of effects: what each operation does to its backend, step by step.
//!
//! On memory only: what is above a backend asks the same of every one. Each list is that of ARCHITECTURE.md,
//! "Order of effects". Looks are left out but where the order of one matters.

use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::{BackendExt as _, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::precondition::Precondition;
use registry_store::reference::Tag;
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::RecordedBackend;
use registry_tests::documents::{
    descriptor_of, image, image_document, manifest, push_image, push_manifest,
};
use registry_tests::world::{World, body, push, repository};

/// A store whose calls are recorded.
struct Recorded {
    world: World,
    backend: RecordedBackend,
    store: Store,
    a: Repository,
}

fn recorded() -> Recorded {
    let world = World::memory();
    let backend = RecordedBackend::new(world.backend.clone());
    let options = StoreOptions { clock: world.clock.clone(), ..StoreOptions::default() };
    let store = Store::new(Arc::new(backend.clone()), options);
    let a = repository(&store, "a");
    Recorded { world, backend, store, a }
}

impl Recorded {
    /// Shows a digest in keys by a name.
    fn name(&self, name: &str, digest: &Digest) {
        let (algorithm, hex) = (digest.algorithm(), digest.hex());
        self.backend.name(format!("{algorithm}/{hex}"), name);
        self.backend.name(format!("blobs/{algorithm}/{}", &hex[..2]), format!("shard of {name}"));
        let blob = format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2]);
        self.backend.name(blob, format!("blob {name}"));
    }

    /// Begins a session that is shown as `session` and holds this.
    async fn session(&self, content: &str) -> UploadId {
        let id = self.a.uploads().start(Algorithm::Sha256).await.unwrap().id;
        self.a.uploads().append(id, ResumeAt::default(), body(&[content])).await.unwrap();
        self.backend.name(format!("a/_uploads/{id}"), "session");
        self.backend.forget();
        id
    }

    /// Pushes all that `manifest` needs but its subject, and names it.
    async fn prepare(&self, manifest: &Manifest) -> Digest {
        self.name("CONFIG", &push(&self.a, b"{}").await);
        let digest = manifest.digest(Algorithm::Sha256);
        self.name("MANIFEST", &digest);
        self.backend.forget();
        digest
    }

    #[track_caller]
    fn expect(&self, effects: &[&str]) {
        assert_eq!(self.backend.effects(), effects, "all calls: {:#?}", self.backend.calls());
    }

    /// Where in the order of all calls this one stands.
    #[track_caller]
    fn position(&self, call: &str) -> usize {
        let calls = self.backend.calls();
        let found = calls.iter().position(|found| found == call);
        found.unwrap_or_else(|| panic!("{call} is not among {calls:#?}"))
    }
}

#[tokio::test]
async fn a_blob_is_named_before_it_is_linked_and_the_staging_goes_last() {
    let recorded = recorded();
    recorded.name("HELLO", &Digest::sha256(b"hello"));
    push(&recorded.a, b"hello").await;
    recorded.expect(&[
        "stage blob HELLO",
        "append to blob HELLO",
        "lock shard of HELLO, shared",
        "promote to blob HELLO",
        "unlock shard of HELLO",
        "create a/_layers/HELLO/link",
        "discard blob HELLO",
    ]);
}

#[tokio::test]
async fn a_session_is_marked_when_it_can_be_gone_on_with() {
    let recorded = recorded();
    let id = recorded.a.uploads().start(Algorithm::Sha256).await.unwrap().id;
    recorded.backend.name(format!("a/_uploads/{id}"), "session");
    recorded.expect(&["begin session", "persist session", "create session/startedat"]);
}

#[tokio::test]
async fn what_a_session_was_given_is_persisted_before_the_answer() {
    let recorded = recorded();
    let id = recorded.session("hel").await;
    let uploads = recorded.a.uploads();
    uploads.append(id, ResumeAt::default(), body(&["lo"])).await.unwrap();
    recorded.expect(&["resume session", "append to session", "persist session"]);
}

#[tokio::test]
async fn a_session_is_looked_for_before_and_after_it_is_locked() {
    let recorded = recorded();
    let id = recorded.session("hello").await;
    recorded.a.uploads().status(id).await.unwrap();
    let calls = recorded.backend.calls();
    assert_eq!(calls, ["read session/startedat", "resume session", "read session/startedat"]);
}

#[tokio::test]
async fn a_session_goes_when_its_blob_is_linked() {
    let recorded = recorded();
    recorded.name("HELLO", &Digest::sha256(b"hello"));
    let id = recorded.session("hel").await;
    let digest = Digest::sha256(b"hello");
    let uploads = recorded.a.uploads();
    uploads.commit(id, ResumeAt::default(), &digest, body(&["lo"])).await.unwrap();
    recorded.expect(&[
        "resume session",
        "append to session",
        "lock shard of HELLO, shared",
        "promote to blob HELLO",
        "unlock shard of HELLO",
        "create a/_layers/HELLO/link",
        "discard session",
    ]);
}

#[tokio::test]
async fn a_commit_of_another_digest_takes_back_what_it_added() {
    let recorded = recorded();
    let id = recorded.session("hel").await;
    let wrong = Digest::sha256(b"wrong");
    let uploads = recorded.a.uploads();
    uploads.commit(id, ResumeAt::default(), &wrong, body(&["lo"])).await.unwrap_err();
    recorded.expect(&["resume session", "append to session", "rewind session", "persist session"]);
}

#[tokio::test]
async fn a_cancelled_session_is_discarded_under_its_lock() {
    let recorded = recorded();
    let id = recorded.session("hello").await;
    recorded.a.uploads().cancel(id).await.unwrap();
    recorded.expect(&["resume session", "discard session"]);
}

#[tokio::test]
async fn an_expired_session_is_discarded_under_its_lock() {
    let recorded = recorded();
    recorded.session("hello").await;
    recorded.world.clock.advance(Duration::from_hours(2));
    recorded.store.purge_uploads(Duration::from_hours(1)).await.unwrap();
    recorded.expect(&["resume session", "discard session", "expire what was staged"]);
}

/// Of what is there already, another may just have put the good one in the place of a damaged one.
#[tokio::test]
async fn a_link_that_is_there_is_settled_after_it_was_found_good() {
    let recorded = recorded();
    let digest = push(&recorded.a, b"hello").await;
    recorded.name("HELLO", &digest);
    recorded.backend.forget();
    push(&recorded.a, b"hello").await;
    let found = recorded.position("read a/_layers/HELLO/link");
    assert!(found < recorded.position("settle a/_layers/HELLO/link"));
}

#[tokio::test]
async fn a_mounted_blob_is_settled_before_and_after_it_is_linked() {
    let recorded = recorded();
    let digest = push(&recorded.a, b"hello").await;
    recorded.name("HELLO", &digest);
    recorded.backend.forget();
    let b = repository(&recorded.store, "b");
    assert_eq!(b.mount(&digest, recorded.a.name()).await.unwrap(), Some(5));
    recorded.expect(&["settle blob HELLO", "create b/_layers/HELLO/link", "settle blob HELLO"]);
}

#[tokio::test]
async fn a_deleted_blob_loses_its_link_and_nothing_else() {
    let recorded = recorded();
    let digest = push(&recorded.a, b"hello").await;
    recorded.name("HELLO", &digest);
    recorded.backend.forget();
    recorded.a.blobs().delete(&digest).await.unwrap();
    recorded.expect(&["delete a/_layers/HELLO/link"]);
}

#[tokio::test]
async fn a_manifest_is_linked_when_it_is_stored_and_then_all_it_needs_is_settled() {
    let recorded = recorded();
    let manifest = image(b"{}", &[]);
    let digest = recorded.prepare(&manifest).await;
    recorded.a.manifests().put(&manifest, &digest, &[]).await.unwrap();
    recorded.expect(&[
        "lock a, shared",
        "create blob MANIFEST",
        "create a/_manifests/revisions/MANIFEST/link",
        SETTLED,
        "unlock a",
    ]);
    let looked = recorded.position("look blob CONFIG");
    assert!(looked < recorded.position("create blob MANIFEST"));
}

/// All that a manifest needs, and itself.
const SETTLED: &str = "settle a/_layers/CONFIG/link + blob CONFIG \
    + a/_manifests/revisions/MANIFEST/link + blob MANIFEST";

#[tokio::test]
async fn each_tag_comes_after_all_else_its_history_first_and_all_is_settled_again() {
    let recorded = recorded();
    let subject = image(b"not pushed", &[]);
    recorded.name("SUBJECT", &subject.digest(Algorithm::Sha256));
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    let manifest = manifest(&document);
    let digest = recorded.prepare(&manifest).await;
    let tags = ["v1".parse().unwrap(), "v2".parse().unwrap()];
    recorded.a.manifests().put(&manifest, &digest, &tags).await.unwrap();
    recorded.expect(&[
        "lock a, shared",
        "create blob MANIFEST",
        "create a/_manifests/revisions/MANIFEST/link",
        SETTLED,
        "create a/_referrers/SUBJECT/MANIFEST/link",
        "create a/_manifests/tags/v1/index/MANIFEST/link",
        "point a/_manifests/tags/v1/current/link",
        "create a/_manifests/tags/v2/index/MANIFEST/link",
        "point a/_manifests/tags/v2/current/link",
        SETTLED,
        "unlock a",
    ]);
}

#[tokio::test]
async fn a_manifest_that_is_refused_has_written_nothing() {
    let recorded = recorded();
    let manifest = image(b"{}", &[b"missing"]);
    let digest = recorded.prepare(&manifest).await;
    recorded.a.manifests().put(&manifest, &digest, &[]).await.unwrap_err();
    recorded.expect(&[]);
}

#[tokio::test]
async fn a_precondition_is_looked_at_under_the_lock_alone_before_anything_is_written() {
    let recorded = recorded();
    let manifest = image(b"{}", &[]);
    let digest = recorded.prepare(&manifest).await;
    let (manifests, tags): (_, [Tag; 1]) = (recorded.a.manifests(), ["v1".parse().unwrap()]);
    let (of, absent) = (tags[0].clone().into(), Precondition::absent());
    manifests.put_if(&manifest, &digest, &tags, &of, &absent).await.unwrap();
    recorded.expect(&[
        "lock a, exclusive",
        "create blob MANIFEST",
        "create a/_manifests/revisions/MANIFEST/link",
        SETTLED,
        "create a/_manifests/tags/v1/index/MANIFEST/link",
        "point a/_manifests/tags/v1/current/link, if",
        SETTLED,
        "unlock a",
    ]);
    let looked = recorded.position("read a/_manifests/tags/v1/current/link");
    assert!(recorded.position("lock a, exclusive") < looked);
    assert!(looked < recorded.position("create blob MANIFEST"));

    recorded.backend.forget();
    manifests.put_if(&manifest, &digest, &tags, &of, &absent).await.unwrap_err();
    recorded.expect(&["lock a, exclusive", "unlock a"]);
}

#[tokio::test]
async fn a_moved_tag_gets_its_history_before_it_points_elsewhere() {
    let recorded = recorded();
    push_image(&recorded.a, b"{}", &[], "v1").await;
    push(&recorded.a, b"new").await;
    let manifest = image(b"{}", &[b"new"]);
    recorded.prepare(&manifest).await;
    push_manifest(&recorded.a, &manifest, &["v1"]).await;
    let below_tags = |line: &String| line.contains("a/_manifests/tags/");
    let effects: Vec<String> = recorded.backend.effects().into_iter().filter(below_tags).collect();
    assert_eq!(
        effects,
        [
            "create a/_manifests/tags/v1/index/MANIFEST/link",
            "point a/_manifests/tags/v1/current/link",
        ]
    );
}

#[tokio::test]
async fn a_deleted_manifest_goes_after_its_tags_and_before_its_record() {
    let recorded = recorded();
    let subject = image(b"not pushed", &[]);
    recorded.name("SUBJECT", &subject.digest(Algorithm::Sha256));
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    let manifest = manifest(&document);
    let digest = recorded.prepare(&manifest).await;
    push_manifest(&recorded.a, &manifest, &["v1", "v2"]).await;
    recorded.backend.forget();
    recorded.a.manifests().delete(&digest).await.unwrap();
    recorded.expect(&[
        "lock a, to delete",
        "delete a/_manifests/tags/v1/current/link, if",
        "delete a/_manifests/tags/v1/index/MANIFEST/link",
        "delete a/_manifests/tags/v2/current/link, if",
        "delete a/_manifests/tags/v2/index/MANIFEST/link",
        "delete a/_manifests/revisions/MANIFEST/link",
        "delete a/_referrers/SUBJECT/MANIFEST/link",
        "unlock a",
    ]);
    // The second pass over the tags is the last thing done under the lock.
    let calls = recorded.backend.calls();
    let second_pass = calls.iter().rposition(|call| call == "list a/_manifests/tags");
    assert!(second_pass.unwrap() > recorded.position("delete a/_referrers/SUBJECT/MANIFEST/link"));
}

#[tokio::test]
async fn a_manifest_is_recorded_while_no_delete_can_come_and_a_stale_record_goes_while_no_put_can()
{
    let recorded = recorded();
    let subject = image(b"not pushed", &[]);
    recorded.name("SUBJECT", &subject.digest(Algorithm::Sha256));
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    let manifest = manifest(&document);
    let digest = recorded.prepare(&manifest).await;
    push_manifest(&recorded.a, &manifest, &[]).await;
    let keys = RepositoryLayout::new(recorded.a.name());
    let record = keys.referrer_link(&subject.digest(Algorithm::Sha256), &digest);
    recorded.world.backend.delete(&[record]).await.unwrap();

    recorded.backend.forget();
    recorded.a.referrers().rebuild().await.unwrap();
    recorded.expect(&["lock a, shared", "create a/_referrers/SUBJECT/MANIFEST/link", "unlock a"]);

    recorded.world.backend.delete(&[keys.revision_link(&digest)]).await.unwrap();
    recorded.backend.forget();
    recorded.a.referrers().rebuild().await.unwrap();
    recorded.expect(&[
        "lock a, to delete",
        "delete a/_referrers/SUBJECT/MANIFEST/link",
        "unlock a",
    ]);
}

#[tokio::test]
async fn a_deleted_tag_goes_before_the_history_that_was_listed_before_it() {
    let recorded = recorded();
    let digest = push_image(&recorded.a, b"{}", &[], "v1").await;
    recorded.name("MANIFEST", &digest);
    recorded.backend.forget();
    recorded.a.tags().delete(&"v1".parse().unwrap()).await.unwrap();
    recorded.expect(&[
        "lock a, to delete",
        "delete a/_manifests/tags/v1/current/link",
        "delete a/_manifests/tags/v1/index/MANIFEST/link",
        "unlock a",
    ]);
    let gone = recorded.position("delete a/_manifests/tags/v1/current/link");
    assert!(recorded.position("list a/_manifests/tags/v1/index/sha256") < gone);
    let listed_again = recorded.backend.calls();
    let listed_again = listed_again.iter().skip(gone).any(|call| call.starts_with("list "));
    assert!(!listed_again, "what a push wrote meanwhile is not listed, and so not deleted");
}

#[tokio::test]
async fn a_damaged_blob_is_put_aside_while_nobody_can_name_one_in_its_place() {
    let recorded = recorded();
    let layer = push(&recorded.a, b"hello").await;
    recorded.name("HELLO", &layer);
    let blob = layout::blob(&layer);
    recorded.world.backend.put(&blob, "hel".into(), PutMode::Overwrite).await.unwrap();
    let manifest = image(b"{}", &[b"hello"]);
    let digest = recorded.prepare(&manifest).await;
    let error = recorded.a.manifests().put(&manifest, &digest, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { .. }));
    recorded.expect(&[
        "lock shard of HELLO, exclusive",
        "quarantine blob HELLO",
        "unlock shard of HELLO",
    ]);
    // Under the lock it is looked at once more: it may have been healed since it was judged.
    let calls = recorded.backend.calls();
    let locked = recorded.position("lock shard of HELLO, exclusive");
    assert_eq!(calls[locked + 1..][..2], ["look blob HELLO", "quarantine blob HELLO"]);
}

#[tokio::test]
async fn a_damaged_manifest_is_replaced_alone_under_the_lock_of_its_shard_after_another_look() {
    let recorded = recorded();
    let manifest = image(b"{}", &[]);
    let digest = recorded.prepare(&manifest).await;
    let blob = layout::blob(&digest);
    recorded.world.backend.put(&blob, "{".into(), PutMode::Overwrite).await.unwrap();
    recorded.a.manifests().put(&manifest, &digest, &[]).await.unwrap();
    recorded.expect(&[
        "lock a, shared",
        "create blob MANIFEST",
        "lock shard of MANIFEST, exclusive",
        "create blob MANIFEST",
        "replace blob MANIFEST",
        "unlock shard of MANIFEST",
        "create a/_manifests/revisions/MANIFEST/link",
        SETTLED,
        "unlock a",
    ]);
}
