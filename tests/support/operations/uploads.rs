//! What can be done with upload sessions.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;

use super::{LAYER, LOOSE, Operation, Prepared, a, or_gone};
use crate::world::{World, body, broken_body, no_body};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "an upload is begun",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let begun = a(&store).uploads().start(Algorithm::Sha256).await?;
                Ok(format!("at {}", begun.tip.offset))
            }
            .boxed()
        },
    ),
    Operation::new(
        "an upload is asked for",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                let status = a(&store).uploads().status(id(&session)).await?;
                Ok(format!("at {}", status.tip.offset))
            }
            .boxed()
        },
    ),
    Operation::new(
        "bytes are added to an upload",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                let rest = body(&[&LAYER[1_000..]]);
                let status = a(&store).uploads().append(id(&session), at(&session), rest).await?;
                Ok(format!("at {}", status.tip.offset))
            }
            .boxed()
        },
    )
    .and_again(|store, session| go_on(store, session).boxed()),
    Operation::new(
        "bytes are added to an upload until they break off",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                let rest = broken_body(&LAYER[1_000..]);
                match a(&store).uploads().append(id(&session), at(&session), rest).await {
                    Err(Error::Body(_)) => Ok("broken off".to_owned()),
                    other => other.map(|status| format!("taken, {status:?}")),
                }
            }
            .boxed()
        },
    )
    .and_again(|store, session| go_on(store, session).boxed()),
    Operation::new(
        "bytes are added to an upload where it is not",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                let elsewhere = ResumeAt { tip: None, offset: Some(999) };
                let rest = body(&[&LAYER[999..]]);
                match a(&store).uploads().append(id(&session), elsewhere, rest).await {
                    Err(Error::UploadOffset { .. }) => Ok("refused".to_owned()),
                    other => other.map(|status| format!("taken, {status:?}")),
                }
            }
            .boxed()
        },
    ),
    Operation::new(
        "an upload ends with its last bytes",
        |world| session(world, 1_000),
        |store, session| commit(store, session, Digest::sha256(LAYER)).boxed(),
    )
    .and_again(|store, session| commit_again(store, session, Digest::sha256(LAYER)).boxed()),
    Operation::new(
        "an upload ends with all its bytes",
        |world| session(world, 0),
        |store, session| commit(store, session, Digest::sha256(LAYER)).boxed(),
    )
    .and_again(|store, session| commit_again(store, session, Digest::sha256(LAYER)).boxed()),
    Operation::new(
        "an upload ends without more bytes",
        |world| session(world, LAYER.len()),
        |store, session| commit(store, session, Digest::sha256(LAYER)).boxed(),
    )
    .and_again(|store, session| commit_again(store, session, Digest::sha256(LAYER)).boxed()),
    Operation::new(
        "an upload ends with a digest of another algorithm",
        |world| session(world, 1_000),
        |store, session| commit(store, session, sha512()).boxed(),
    )
    .and_again(|store, session| commit_again(store, session, sha512()).boxed()),
    Operation::new(
        "an upload ends with the wrong digest",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                match commit(store, session, Digest::sha256(LOOSE)).await {
                    Err(Error::DigestMismatch { .. }) => Ok("refused".to_owned()),
                    other => other.map(|size| format!("taken, {size}")),
                }
            }
            .boxed()
        },
    )
    .and_again(|store, session| {
        async move {
            // A client that got no answer asks where the session is: what arrived of the body may be in it.
            let reached = a(&store).uploads().status(id(&session)).await?.tip.offset;
            let at = ResumeAt { tip: None, offset: Some(reached) };
            let wrong = Digest::sha256(LOOSE);
            match a(&store).uploads().commit(id(&session), at, &wrong, no_body()).await {
                Err(Error::DigestMismatch { .. }) => Ok("refused".to_owned()),
                other => other.map(|size| format!("taken, {size}")),
            }
        }
        .boxed()
    }),
    Operation::new(
        "an upload is cancelled",
        |world| session(world, 1_000),
        |store, session| {
            async move {
                a(&store).uploads().cancel(id(&session)).await?;
                Ok("gone".to_owned())
            }
            .boxed()
        },
    )
    .and_again(|store, session| {
        async move { or_gone(a(&store).uploads().cancel(id(&session)).await) }.boxed()
    }),
    Operation::new(
        "an upload is made from its begin to its end",
        |_| async { Prepared::default() }.boxed(),
        |store, _| whole(store).boxed(),
    ),
];

/// An upload session that has the first bytes of the layer.
fn session(world: &World, bytes: usize) -> BoxFuture<'_, Prepared> {
    async move {
        let uploads = a(&world.store).uploads();
        let begun = uploads.start(Algorithm::Sha256).await.expect("a session can be begun");
        if bytes == 0 {
            return Prepared { upload: Some(begun) };
        }
        let at = ResumeAt { tip: Some(begun.tip), offset: None };
        let reached = uploads.append(begun.id, at, body(&[&LAYER[..bytes]])).await;
        Prepared { upload: Some(reached.expect("bytes can be added")) }
    }
    .boxed()
}

/// Adds what is missing, and ends the upload: its bytes must be those of the layer.
pub(super) async fn end(store: &Store, session: &Prepared) -> Result<()> {
    let reached = a(store).uploads().status(id(session)).await?;
    let session = Prepared { upload: Some(reached) };
    commit(store.clone(), session, Digest::sha256(LAYER)).await.map(|_| ())
}

fn id(session: &Prepared) -> UploadId {
    session.upload.as_ref().expect("it was prepared").id
}

fn at(session: &Prepared) -> ResumeAt {
    ResumeAt { tip: session.upload.as_ref().map(|status| status.tip.clone()), offset: None }
}

fn sha512() -> Digest {
    Digest::of(Algorithm::Sha512, LAYER)
}

async fn commit(store: Store, session: Prepared, digest: Digest) -> Result<String> {
    let stored = session.upload.as_ref().map_or(0, |status| status.tip.offset);
    let rest = body(&[&LAYER[usize::try_from(stored).expect("a few bytes")..]]);
    let uploads = a(&store).uploads();
    let size = uploads.commit(id(&session), at(&session), &digest, rest).await?;
    Ok(format!("{size} bytes"))
}

/// Ends the upload, as a client does that does not know what became of its first request.
async fn commit_again(store: Store, session: Prepared, digest: Digest) -> Result<String> {
    let uploads = a(&store).uploads();
    let reached = match uploads.status(id(&session)).await {
        Ok(status) => status,
        Err(Error::UploadUnknown { .. }) => return push_after(store, session, digest).await,
        Err(error) => return Err(error),
    };
    commit(store, Prepared { upload: Some(reached) }, digest).await
}

/// The session is a blob by now, or gone: its owner asks to finish what is left of it, and else begins anew.
async fn push_after(store: Store, session: Prepared, digest: Digest) -> Result<String> {
    let uploads = a(&store).uploads();
    match uploads.commit(id(&session), ResumeAt::default(), &digest, no_body()).await {
        Ok(_) => {}
        Err(Error::UploadUnknown { .. }) => {
            a(&store).blobs().put(&digest, body(&[LAYER])).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(format!("{} bytes", LAYER.len()))
}

/// Adds what is missing.
async fn go_on(store: Store, session: Prepared) -> Result<String> {
    let uploads = a(&store).uploads();
    let reached = uploads.status(id(&session)).await?.tip;
    let missing = &LAYER[usize::try_from(reached.offset).expect("a few bytes")..];
    let at = ResumeAt { tip: Some(reached), offset: None };
    let status = uploads.append(id(&session), at, body(&[missing])).await?;
    Ok(format!("at {}", status.tip.offset))
}

async fn whole(store: Store) -> Result<String> {
    let uploads = a(&store).uploads();
    let begun = uploads.start(Algorithm::Sha256).await?;
    let mut at = ResumeAt { tip: Some(begun.tip), offset: None };
    for part in [&LAYER[..530_000], &LAYER[530_000..]] {
        let reached = uploads.append(begun.id, at, body(&[part])).await?;
        at = ResumeAt { tip: Some(reached.tip), offset: None };
    }
    let size = uploads.commit(begun.id, at, &Digest::sha256(LAYER), no_body()).await?;
    Ok(format!("{size} bytes"))
}
