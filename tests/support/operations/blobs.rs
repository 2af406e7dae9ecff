//! What can be done with blobs.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use registry_store::backend::{BackendExt as _, PutMode, ReadRange, SignedMethod};
use registry_store::digest::Digest;
use registry_store::error::{Error, Result};
use registry_store::layout;
use registry_store::store::Store;

use super::{KEPT, LAYER, LOOSE, Operation, Prepared, SHARED, a, or_gone};
use crate::world::{World, body, broken_body, push, repository};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "a blob is put",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, LAYER).boxed(),
    ),
    Operation::new(
        "a blob is put that another repository has",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, SHARED).boxed(),
    ),
    Operation::new(
        "a blob is put whose object is damaged",
        |world| damaged(world).boxed(),
        |store, _| put(store, LAYER).boxed(),
    ),
    Operation::new(
        "a blob is put under another digest",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let put = a(&store).blobs().put(&Digest::sha256(LAYER), body(&[LOOSE])).await;
                match put {
                    Err(Error::DigestMismatch { .. }) => Ok("refused".to_owned()),
                    other => other.map(|size| format!("taken, {size}")),
                }
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is put whose body breaks off",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let body = broken_body(&LAYER[1..]);
                match a(&store).blobs().put(&Digest::sha256(LAYER), body).await {
                    Err(Error::Body(_)) => Ok("broken off".to_owned()),
                    other => other.map(|size| format!("taken, {size}")),
                }
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is asked for",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let size = a(&store).blobs().size(&Digest::sha256(KEPT)).await?;
                Ok(format!("{size} bytes"))
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is found, and read",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let found = a(&store).blobs().find(&Digest::sha256(KEPT)).await?;
                let blob = found.open(ReadRange::Full).await?;
                read(blob.into_stream()).await
            }
            .boxed()
        },
    ),
    Operation::new(
        "a part of a blob is read",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let range = ReadRange::Bounded { start: 2, end: 10 };
                let blob = a(&store).blobs().get(&Digest::sha256(KEPT), range).await?;
                read(blob.into_stream()).await
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob's address is asked for",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let found = a(&store).blobs().find(&Digest::sha256(KEPT)).await?;
                found.address(SignedMethod::Get, Duration::from_secs(60)).await?;
                Ok("told".to_owned())
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is deleted",
        |world| {
            async {
                push(&a(&world.store), LOOSE).await;
                Prepared::default()
            }
            .boxed()
        },
        |store, _| {
            async move {
                a(&store).blobs().delete(&Digest::sha256(LOOSE)).await?;
                Ok("gone".to_owned())
            }
            .boxed()
        },
    )
    .and_again(|store, _| {
        async move { or_gone(a(&store).blobs().delete(&Digest::sha256(LOOSE)).await) }.boxed()
    }),
    Operation::new(
        "a blob is mounted",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let from = repository(&store, "b");
                let mounted = a(&store).mount(&Digest::sha256(SHARED), from.name()).await?;
                Ok(format!("{mounted:?}"))
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is mounted from where it is not",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let from = repository(&store, "b");
                let mounted = a(&store).mount(&Digest::sha256(KEPT), from.name()).await?;
                Ok(format!("{mounted:?}"))
            }
            .boxed()
        },
    ),
    Operation::new(
        "a blob is mounted from anywhere",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let mounted = a(&store).mount_from_anywhere(&Digest::sha256(SHARED)).await?;
                Ok(format!("{mounted:?}"))
            }
            .boxed()
        },
    ),
];

async fn put(store: Store, content: &[u8]) -> Result<String> {
    let size = a(&store).blobs().put(&Digest::sha256(content), body(&[content])).await?;
    Ok(format!("{size} bytes"))
}

/// Leaves the layer with fewer bytes than it was pushed with.
async fn damaged(world: &World) -> Prepared {
    let key = layout::blob(&push(&a(&world.store), LAYER).await);
    let torn = Bytes::from_static(b"torn");
    world.backend.put(&key, torn, PutMode::Overwrite).await.expect("it can be damaged");
    Prepared::default()
}

/// What is read, as text.
async fn read(
    parts: impl futures::Stream<Item = registry_store::backend::Result<Bytes>>,
) -> Result<String> {
    let parts: Vec<Bytes> = parts.try_collect().await?;
    Ok(String::from_utf8_lossy(&parts.concat()).into_owned())
}
