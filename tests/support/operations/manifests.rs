//! What can be done with manifests.

use bytes::Bytes;
use futures::FutureExt as _;
use registry_store::backend::{BackendExt as _, PutMode};
use registry_store::digest::Digest;
use registry_store::error::{Error, Result};
use registry_store::layout;
use registry_store::manifest::Manifest;
use registry_store::precondition::Precondition;
use registry_store::reference::Reference;
use registry_store::store::Store;

use super::{LOOSE, Operation, Prepared, SHARED, a, digest, first, kept, or_gone, signature, tag};
use crate::documents::{image, index, push_manifest};
use crate::world::{World, push};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "a manifest is read by its digest",
        |_| async { Prepared::default() }.boxed(),
        |store, _| get(store, digest(&first()).into()).boxed(),
    ),
    Operation::new(
        "a manifest is read by a tag",
        |_| async { Prepared::default() }.boxed(),
        |store, _| get(store, tag("stays").into()).boxed(),
    ),
    Operation::new(
        "a manifest is put by its digest",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, index(&[&first()]), &[]).boxed(),
    ),
    Operation::new(
        "a manifest with a subject is put under two tags",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, signature(), &["v1", "v2"]).boxed(),
    ),
    Operation::new(
        "a tag is moved",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, index(&[&first(), &kept()]), &["latest"]).boxed(),
    ),
    Operation::new(
        "a manifest is put where it is already",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put(store, first(), &["latest"]).boxed(),
    ),
    Operation::new(
        "a tag is moved from where it is believed to be",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            let asks = Precondition::unchanged(&digest(&first()));
            put_if(store, signature(), "latest", asks).boxed()
        },
    )
    .and_again(|store, _| {
        let asks = Precondition::unchanged(&digest(&first()));
        unless_done(put_if(store, signature(), "latest", asks), signature()).boxed()
    }),
    Operation::new(
        "a tag is made if it is absent",
        |_| async { Prepared::default() }.boxed(),
        |store, _| put_if(store, signature(), "v1", Precondition::absent()).boxed(),
    )
    .and_again(|store, _| {
        let put = put_if(store, signature(), "v1", Precondition::absent());
        unless_done(put, signature()).boxed()
    }),
    Operation::new(
        "a tag is not moved from where it is not",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                match put_if(store, signature(), "latest", Precondition::absent()).await {
                    Err(Error::PreconditionFailed { .. }) => Ok("refused".to_owned()),
                    other => other,
                }
            }
            .boxed()
        },
    ),
    Operation::new(
        "a manifest is refused whose blobs are not there",
        |_| async { Prepared::default() }.boxed(),
        |store, _| refused(store, image(b"{}", &[SHARED])).boxed(),
    ),
    Operation::new(
        "a manifest is refused one of whose blobs is damaged",
        |world| cut(world).boxed(),
        |store, _| refused(store, image(b"{}", &[LOOSE])).boxed(),
    ),
    Operation::new(
        "a manifest is deleted with its tags",
        |world| {
            async {
                push_manifest(&a(&world.store), &signature(), &["v1", "v2"]).await;
                push_manifest(&a(&world.store), &first(), &["v3"]).await;
                push_manifest(&a(&world.store), &signature(), &["v3"]).await;
                Prepared::default()
            }
            .boxed()
        },
        |store, _| {
            async move {
                a(&store).manifests().delete(&digest(&signature())).await?;
                Ok("gone".to_owned())
            }
            .boxed()
        },
    )
    .and_again(|store, _| {
        async move { or_gone(a(&store).manifests().delete(&digest(&signature())).await) }.boxed()
    }),
];

async fn get(store: Store, reference: Reference) -> Result<String> {
    let found = a(&store).manifests().get(&reference).await?;
    Ok(format!("{} of {}", found.digest, found.media_type.as_str()))
}

async fn put(store: Store, manifest: Manifest, tags: &[&str]) -> Result<String> {
    let tags: Vec<_> = tags.iter().map(|name| tag(name)).collect();
    a(&store).manifests().put(&manifest, &digest(&manifest), &tags).await?;
    Ok("put".to_owned())
}

async fn put_if(
    store: Store,
    manifest: Manifest,
    name: &str,
    asks: Precondition,
) -> Result<String> {
    let (tags, of) = ([tag(name)], tag(name).into());
    let manifests = a(&store).manifests();
    manifests.put_if(&manifest, &digest(&manifest), &tags, &of, &asks).await?;
    Ok("put".to_owned())
}

/// Whoever tries again may find that it was done.
async fn unless_done(put: impl Future<Output = Result<String>>, done: Manifest) -> Result<String> {
    match put.await {
        Err(Error::PreconditionFailed { found, .. }) if found == Some(digest(&done)) => {
            Ok("put".to_owned())
        }
        other => other,
    }
}

async fn refused(store: Store, manifest: Manifest) -> Result<String> {
    match put(store, manifest, &["refused"]).await {
        Err(Error::ManifestBlobUnknown { .. }) => Ok("refused".to_owned()),
        other => other,
    }
}

/// A blob that lost its end.
async fn cut(world: &World) -> Prepared {
    let pushed: Digest = push(&a(&world.store), LOOSE).await;
    let torn = Bytes::from_static(b"torn");
    let key = layout::blob(&pushed);
    world.backend.put(&key, torn, PutMode::Overwrite).await.expect("it can be damaged");
    Prepared::default()
}
