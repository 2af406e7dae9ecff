//! Every operation that writes, with the row of effects it has and the rivals it may meet.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use registry_store::digest::Algorithm;
use registry_store::error::{Error, Result};
use registry_store::precondition::Precondition;
use registry_store::reference::{Reference, Tag};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_status::UploadStatus;
use registry_store::uploads::ResumeAt;
use registry_tests::world::{body, no_body, push, repository};

use crate::contents::{Name, PART, blob, manifest};
use crate::model::Effect;
use crate::model::Effect::{
    Blob, Manifest, NoBlob, NoManifest, NoReferrer, NoSession, NoTag, NoTagOn, NoTagOnNothing,
    Referrer, Session, Tag as Points, TagFrom,
};

/// An operation that writes.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// What there is before; a session, if it is one on a session.
    pub(crate) prepare: fn(Store) -> BoxFuture<'static, Option<UploadStatus>>,
    pub(crate) run: fn(Store, Option<UploadStatus>) -> BoxFuture<'static, Result<()>>,
    pub(crate) effects: &'static [Effect],
    /// The blob that the session becomes.
    pub(crate) of_session: Option<Name>,
    /// Whether an error says, to who tries again what it has no answer to, that it was done.
    pub(crate) was_done: fn(&Error) -> bool,
    /// Whether it may be refused so when another comes between: the error is true of what is there then.
    pub(crate) may_be_refused: fn(&Error) -> bool,
    /// Whether it moves more bytes than a part has.
    pub(crate) is_large: bool,
    /// What another replica may do meanwhile.
    pub(crate) rivals: &'static [&'static Self],
}

/// Nothing is there before, nobody refuses, and nobody comes between.
const PLAIN: Operation = Operation {
    name: "",
    prepare: |_| async { None }.boxed(),
    run: |_, _| async { Ok(()) }.boxed(),
    effects: &[],
    of_session: None,
    was_done: |_| false,
    may_be_refused: |_| false,
    is_large: false,
    rivals: &[],
};

/// An operation by its name, with what differs from a plain one.
macro_rules! operation {
    ($item:ident = $name:literal { $($field:ident: $value:expr),* $(,)? }) => {
        #[allow(clippy::needless_update, reason = "some say all of it")]
        pub(crate) static $item: Operation = Operation { name: $name, $($field: $value,)* ..PLAIN };
    };
}

/// All of them.
pub(crate) static OPERATIONS: &[&Operation] = &[
    &PUSH,
    &PUSH_LARGE,
    &PUSH_AGAIN,
    &PUSH_WHAT_ANOTHER_HAS,
    &PUSH_IN_PARTS,
    &PUSH_LARGE_IN_PARTS,
    &MOUNT,
    &PUT_BY_DIGEST,
    &PUT_NEW_TAG,
    &MOVE_TAG,
    &MOVE_TAG_FROM_FIRST,
    &POINT_ABSENT_TAG,
    &PUT_SIGNATURE,
    &PUT_INDEX,
    &PUT_TAGGED_AGAIN,
    &DELETE_TAG,
    &DELETE_MANIFEST,
    &DELETE_SIGNATURE,
    &DELETE_BLOB,
    &START,
    &APPEND,
    &APPEND_LARGE,
    &COMMIT,
    &COMMIT_LARGE,
    &COMMIT_FROM_NOTHING,
    &CANCEL,
];

operation! { PUSH = "pushing a blob" {
    run: |store, _| put(store, "layer").boxed(),
    effects: &[Blob("a", "layer")],
    rivals: &[&PUSH, &DELETE_BLOB],
}}
operation! { PUSH_LARGE = "pushing a blob of several parts" {
    run: |store, _| put(store, "large").boxed(),
    effects: &[Blob("a", "large")],
    is_large: true,
    rivals: &[&PUSH_LARGE],
}}
operation! { PUSH_AGAIN = "pushing a blob that is there" {
    prepare: |store| has(store, "a", &["layer"]).boxed(),
    run: |store, _| put(store, "layer").boxed(),
    effects: &[Blob("a", "layer")],
    rivals: &[&PUSH, &DELETE_BLOB],
}}
operation! { PUSH_WHAT_ANOTHER_HAS = "pushing a blob that another repository has" {
    prepare: |store| has(store, "b", &["layer"]).boxed(),
    run: |store, _| put(store, "layer").boxed(),
    effects: &[Blob("a", "layer")],
    rivals: &[&MOUNT, &DELETE_BLOB],
}}
operation! { PUSH_IN_PARTS = "pushing a blob in requests" {
    run: |store, _| put_in_parts(store, "sent in parts", [7, 17]).boxed(),
    effects: &[Blob("a", "sent in parts")],
    rivals: &[&PUSH_IN_PARTS],
}}
operation! { PUSH_LARGE_IN_PARTS = "pushing a large blob in requests" {
    run: |store, _| put_in_parts(store, "large", [1000, PART + 1000]).boxed(),
    effects: &[Blob("a", "large")],
    is_large: true,
    rivals: &[],
}}
operation! { MOUNT = "mounting a blob" {
    prepare: |store| has(store, "b", &["layer"]).boxed(),
    run: |store, _| mount(store).boxed(),
    effects: &[Blob("a", "layer")],
    rivals: &[&PUSH, &DELETE_BLOB],
}}
operation! { PUT_BY_DIGEST = "pushing a manifest by its digest" {
    prepare: |store| has(store, "a", &["config"]).boxed(),
    run: |store, _| put_manifest(store, "first", None).boxed(),
    effects: &[Manifest("first")],
    may_be_refused: says_missing,
    rivals: &[&PUT_NEW_TAG, &DELETE_MANIFEST],
}}
operation! { PUT_NEW_TAG = "pushing a manifest under a new tag" {
    prepare: |store| has(store, "a", &["config"]).boxed(),
    run: |store, _| put_manifest(store, "first", Some("v1")).boxed(),
    effects: &[Manifest("first"), Points("v1", "first"), NoTagOnNothing("v1", "first")],
    may_be_refused: says_missing,
    rivals: &[&PUT_OTHER, &DELETE_V1, &DELETE_MANIFEST],
}}
operation! { PUT_TAGGED_AGAIN = "pushing a manifest under a tag that is there" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| put_manifest(store, "first", Some("v1")).boxed(),
    effects: &[Manifest("first"), Points("v1", "first"), NoTagOnNothing("v1", "first")],
    may_be_refused: says_missing,
    rivals: &[&PUT_OTHER, &DELETE_V1, &DELETE_MANIFEST],
}}
operation! { PUT_OTHER = "pushing another manifest under the tag" {
    run: |store, _| put_manifest(store, "second", Some("v1")).boxed(),
    effects: &[Manifest("second"), Points("v1", "second"), NoTagOnNothing("v1", "second")],
    may_be_refused: says_missing,
}}
operation! { DELETE_V1 = "deleting the tag" {
    run: |store, _| async move { a(&store).tags().delete(&tag("v1")).await }.boxed(),
    effects: &[NoTag("v1")],
    may_be_refused: says_gone,
}}
operation! { MOVE_TAG = "moving a tag" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| put_manifest(store, "second", Some("v1")).boxed(),
    effects: &[Manifest("second"), Points("v1", "second"), NoTagOnNothing("v1", "second")],
    may_be_refused: says_missing,
    rivals: &[&PUT_NEW_TAG, &DELETE_V1, &DELETE_MANIFEST],
}}
operation! { MOVE_TAG_FROM_FIRST = "moving a tag from where it is believed to be" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| {
        let from = Precondition::unchanged(&manifest("first").digest);
        put_if(store, "second", from).boxed()
    },
    effects: &[
        Manifest("second"),
        TagFrom("v1", Some("first"), "second"),
        NoTagOnNothing("v1", "second"),
    ],
    was_done: |error| found(error, "second"),
    may_be_refused: says_missing,
    rivals: &[&PUT_SIGNATURE_AS_V1, &DELETE_V1],
}}
operation! { PUT_SIGNATURE_AS_V1 = "moving the tag from there to a third manifest" {
    run: |store, _| {
        let from = Precondition::unchanged(&manifest("first").digest);
        put_if(store, "signature", from).boxed()
    },
    effects: &[
        Manifest("signature"),
        Referrer("first", "signature"),
        TagFrom("v1", Some("first"), "signature"),
        NoTagOnNothing("v1", "signature"),
    ],
    was_done: |error| found(error, "signature"),
    may_be_refused: says_missing,
}}
operation! { POINT_ABSENT_TAG = "pointing a tag if it is absent" {
    prepare: |store| has(store, "a", &["config", "base"]).boxed(),
    run: |store, _| put_if(store, "first", Precondition::absent()).boxed(),
    effects: &[Manifest("first"), TagFrom("v1", None, "first"), NoTagOnNothing("v1", "first")],
    was_done: |error| found(error, "first"),
    may_be_refused: says_missing,
    rivals: &[&POINT_ABSENT_TAG_ELSEWHERE],
}}
operation! { POINT_ABSENT_TAG_ELSEWHERE = "pointing it elsewhere if it is absent" {
    run: |store, _| put_if(store, "second", Precondition::absent()).boxed(),
    effects: &[Manifest("second"), TagFrom("v1", None, "second"), NoTagOnNothing("v1", "second")],
    was_done: |error| found(error, "second"),
    may_be_refused: says_missing,
}}
operation! { PUT_SIGNATURE = "pushing a manifest with a subject" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| put_manifest(store, "signature", Some("latest")).boxed(),
    effects: &[
        Manifest("signature"),
        Referrer("first", "signature"),
        Points("latest", "signature"),
        NoTagOnNothing("latest", "signature"),
    ],
    may_be_refused: says_missing,
    rivals: &[&DELETE_SIGNATURE],
}}
operation! { PUT_INDEX = "pushing an index" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| put_manifest(store, "index", Some("latest")).boxed(),
    effects: &[Manifest("index"), Points("latest", "index"), NoTagOnNothing("latest", "index")],
    may_be_refused: says_missing,
    rivals: &[&DELETE_MANIFEST],
}}
operation! { DELETE_TAG = "deleting a tag" {
    prepare: |store| image(store, "first", "v1").boxed(),
    run: |store, _| async move { a(&store).tags().delete(&tag("v1")).await }.boxed(),
    effects: &[NoTag("v1")],
    was_done: says_gone,
    may_be_refused: says_gone,
    rivals: &[&PUT_OTHER, &PUT_NEW_TAG, &DELETE_MANIFEST],
}}
operation! { DELETE_MANIFEST = "deleting a manifest with its tags" {
    prepare: |store| {
        async move {
            image(store.clone(), "first", "v1").await;
            put_manifest(store, "first", Some("v2")).await.unwrap();
            None
        }
        .boxed()
    },
    run: |store, _| delete_manifest(store, "first").boxed(),
    effects: &[
        NoTagOn("v1", "first"),
        NoTagOn("v2", "first"),
        NoManifest("first"),
        NoTagOnNothing("v1", "first"),
        NoTagOnNothing("v2", "first"),
    ],
    was_done: says_gone,
    may_be_refused: says_gone,
    rivals: &[&PUT_NEW_TAG, &PUT_OTHER, &PUT_BY_DIGEST],
}}
operation! { DELETE_SIGNATURE = "deleting a manifest with a subject" {
    prepare: |store| {
        async move {
            image(store.clone(), "first", "v1").await;
            put_manifest(store, "signature", Some("latest")).await.unwrap();
            None
        }
        .boxed()
    },
    run: |store, _| delete_manifest(store, "signature").boxed(),
    effects: &[
        NoTagOn("latest", "signature"),
        NoManifest("signature"),
        NoReferrer("first", "signature"),
        NoTagOnNothing("latest", "signature"),
    ],
    was_done: says_gone,
    may_be_refused: says_gone,
    rivals: &[&PUT_SIGNATURE],
}}
operation! { DELETE_BLOB = "deleting a blob" {
    prepare: |store| has(store, "a", &["layer"]).boxed(),
    run: |store, _| async move { a(&store).blobs().delete(&blob("layer").digest).await }.boxed(),
    effects: &[NoBlob("a", "layer")],
    was_done: |error| matches!(error, Error::BlobUnknown { .. }),
    may_be_refused: |error| matches!(error, Error::BlobUnknown { .. }),
    rivals: &[&PUSH],
}}
operation! { START = "beginning a session" {
    run: |store, _| start(store).boxed(),
}}
operation! { APPEND = "adding to a session" {
    prepare: |store| begun(store, "sent in parts", 7).boxed(),
    run: |store, session| append(store, session, "sent in parts", 17).boxed(),
    effects: &[Session(17)],
    of_session: Some("sent in parts"),
    may_be_refused: says_ended,
    rivals: &[&APPEND, &COMMIT, &CANCEL],
}}
operation! { APPEND_LARGE = "adding much to a session" {
    prepare: |store| begun(store, "large", 1000).boxed(),
    run: |store, session| append(store, session, "large", PART + 1000).boxed(),
    effects: &[Session(PART as u64 + 1000)],
    of_session: Some("large"),
    may_be_refused: says_ended,
    is_large: true,
    rivals: &[&APPEND_LARGE],
}}
operation! { COMMIT = "committing a session" {
    prepare: |store| begun(store, "sent in parts", 7).boxed(),
    run: |store, session| commit(store, session, "sent in parts").boxed(),
    effects: &[Blob("a", "sent in parts"), NoSession],
    of_session: Some("sent in parts"),
    was_done: says_ended,
    may_be_refused: says_ended,
    rivals: &[&APPEND, &COMMIT, &CANCEL],
}}
operation! { COMMIT_LARGE = "committing a large session" {
    prepare: |store| begun(store, "large", PART + 1000).boxed(),
    run: |store, session| commit(store, session, "large").boxed(),
    effects: &[Blob("a", "large"), NoSession],
    of_session: Some("large"),
    was_done: says_ended,
    may_be_refused: says_ended,
    is_large: true,
    rivals: &[&COMMIT_LARGE],
}}
operation! { COMMIT_FROM_NOTHING = "committing a session that is empty" {
    prepare: |store| begun(store, "sent in parts", 0).boxed(),
    run: |store, session| commit(store, session, "sent in parts").boxed(),
    effects: &[Blob("a", "sent in parts"), NoSession],
    of_session: Some("sent in parts"),
    was_done: says_ended,
    may_be_refused: says_ended,
    rivals: &[&COMMIT_FROM_NOTHING],
}}
operation! { CANCEL = "cancelling a session" {
    prepare: |store| begun(store, "sent in parts", 7).boxed(),
    run: |store, session| {
        async move { a(&store).uploads().cancel(session.unwrap().id).await }.boxed()
    },
    effects: &[NoSession],
    of_session: Some("sent in parts"),
    was_done: says_ended,
    may_be_refused: says_ended,
    rivals: &[&APPEND, &COMMIT],
}}

fn says_gone(error: &Error) -> bool {
    matches!(error, Error::ManifestUnknown { .. })
}

/// What a manifest refers to, or itself, went while it was pushed; or the tag is not as asked.
fn says_missing(error: &Error) -> bool {
    matches!(error, Error::ManifestBlobUnknown { .. } | Error::PreconditionFailed { .. })
}

fn says_ended(error: &Error) -> bool {
    matches!(error, Error::UploadUnknown { .. })
}

/// What was asked to be so is so.
fn found(error: &Error, name: Name) -> bool {
    let wanted = manifest(name).digest;
    matches!(error, Error::PreconditionFailed { found, .. } if *found == Some(wanted))
}

fn a(store: &Store) -> Repository {
    repository(store, "a")
}

fn tag(name: Name) -> Tag {
    name.parse().unwrap()
}

async fn has(store: Store, name: Name, blobs: &'static [Name]) -> Option<UploadStatus> {
    for name_of_blob in blobs {
        push(&repository(&store, name), &blob(name_of_blob).bytes).await;
    }
    None
}

/// An image under a tag, and what another needs.
async fn image(store: Store, name: Name, tag: Name) -> Option<UploadStatus> {
    has(store.clone(), "a", &["config", "base"]).await;
    put_manifest(store, name, Some(tag)).await.unwrap();
    None
}

async fn put(store: Store, name: Name) -> Result<()> {
    let blob = blob(name);
    a(&store).blobs().put(&blob.digest, body(&[&blob.bytes])).await.map(|_| ())
}

async fn mount(store: Store) -> Result<()> {
    let mounted = a(&store).mount(&blob("layer").digest, &"b".parse().unwrap()).await?;
    assert!(mounted.is_some(), "the source has it");
    Ok(())
}

async fn put_manifest(store: Store, name: Name, at: Option<Name>) -> Result<()> {
    let known = manifest(name);
    let tags: Vec<Tag> = at.into_iter().map(tag).collect();
    a(&store).manifests().put(&known.manifest, &known.digest, &tags).await
}

async fn put_if(store: Store, name: Name, asks: Precondition) -> Result<()> {
    let (known, tag) = (manifest(name), tag("v1"));
    let of = Reference::Tag(tag.clone());
    a(&store).manifests().put_if(&known.manifest, &known.digest, &[tag], &of, &asks).await
}

async fn delete_manifest(store: Store, name: Name) -> Result<()> {
    a(&store).manifests().delete(&manifest(name).digest).await
}

async fn start(store: Store) -> Result<()> {
    let uploads = a(&store).uploads();
    let begun = uploads.start(Algorithm::Sha256).await?;
    let found = uploads.status(begun.id).await?;
    assert_eq!(found.tip, begun.tip, "a session is as it was begun");
    Ok(())
}

fn at(status: &UploadStatus) -> ResumeAt {
    ResumeAt { tip: Some(status.tip.clone()), offset: None }
}

/// A session with so many bytes of a blob.
async fn begun(store: Store, name: Name, length: usize) -> Option<UploadStatus> {
    let uploads = a(&store).uploads();
    let begun = uploads.start(Algorithm::Sha256).await.unwrap();
    if length == 0 {
        return Some(begun);
    }
    let bytes = body(&[&blob(name).bytes[..length]]);
    Some(uploads.append(begun.id, at(&begun), bytes).await.unwrap())
}

fn from(status: &UploadStatus) -> usize {
    usize::try_from(status.tip.offset).unwrap()
}

/// Adds what is missing of the first `to` bytes.
async fn append(store: Store, session: Option<UploadStatus>, name: Name, to: usize) -> Result<()> {
    let session = session.unwrap();
    let bytes = body(&[&blob(name).bytes[from(&session)..to]]);
    let appended = a(&store).uploads().append(session.id, at(&session), bytes).await?;
    assert_eq!(appended.tip.offset, to as u64, "an answer says how long the session is");
    Ok(())
}

/// Adds what is missing, and ends the session.
pub(crate) async fn commit(store: Store, session: Option<UploadStatus>, name: Name) -> Result<()> {
    let (session, blob) = (session.unwrap(), blob(name));
    let rest = body(&[&blob.bytes[from(&session)..]]);
    a(&store).uploads().commit(session.id, at(&session), &blob.digest, rest).await.map(|_| ())
}

async fn put_in_parts(store: Store, name: Name, cuts: [usize; 2]) -> Result<()> {
    let (uploads, blob) = (a(&store).uploads(), blob(name));
    let mut reached = uploads.start(Algorithm::Sha256).await?;
    for to in cuts {
        let bytes = body(&[&blob.bytes[from(&reached)..to]]);
        reached = uploads.append(reached.id, at(&reached), bytes).await?;
    }
    if from(&reached) == blob.bytes.len() {
        uploads.commit(reached.id, at(&reached), &blob.digest, no_body()).await?;
        return Ok(());
    }
    commit(store, Some(reached), name).await
}
