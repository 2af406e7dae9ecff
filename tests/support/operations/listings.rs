//! What can be done with referrers, and with a store as a whole.

use std::time::Duration;

use futures::{FutureExt as _, TryStreamExt as _};
use registry_store::backend::ErrorKind;
use registry_store::digest::Algorithm;
use registry_store::error::Result;
use registry_store::layout::RepositoryLayout;
use registry_store::store::Store;

use super::{Operation, Prepared, a, digest, first, signature};
use crate::documents::{index, push_manifest};
use crate::world::World;

/// What is passed over where it is one object's.
const OF_ONE_OBJECT: &[ErrorKind] = &[ErrorKind::Io, ErrorKind::Foreign, ErrorKind::Denied];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "referrers are listed",
        |world| signed(world).boxed(),
        |store, _| referrers(store).boxed(),
    )
    .passing_over(&[ErrorKind::Foreign]),
    Operation::new(
        "referrers are listed that a client has listed",
        |world| {
            async {
                signed(world).await;
                unrecorded(world).await;
                let fallback = format!("sha256-{}", digest(&first()).hex());
                push_manifest(&a(&world.store), &index(&[&signature()]), &[&fallback]).await;
                Prepared::default()
            }
            .boxed()
        },
        |store, _| referrers(store).boxed(),
    )
    .passing_over(&[ErrorKind::Foreign]),
    Operation::new(
        "the records of referrers are made anew",
        |world| {
            async {
                signed(world).await;
                unrecorded(world).await
            }
            .boxed()
        },
        |store, _| {
            async move {
                a(&store).referrers().rebuild().await?;
                Ok("rebuilt".to_owned())
            }
            .boxed()
        },
    )
    .passing_over(OF_ONE_OBJECT),
    Operation::new(
        "a record of a referrer that is gone is removed",
        |world| {
            async {
                signed(world).await;
                let link = RepositoryLayout::new(a(&world.store).name())
                    .revision_link(&digest(&signature()));
                world.backend.delete(&[link]).await.expect("it can be taken away");
                Prepared::default()
            }
            .boxed()
        },
        |store, _| {
            async move {
                let names = store.rebuild_referrers().try_collect::<Vec<_>>().await?;
                let done: Result<Vec<_>> = names.into_iter().map(|(_, outcome)| outcome).collect();
                Ok(format!("{} repositories", done?.len()))
            }
            .boxed()
        },
    )
    .passing_over(OF_ONE_OBJECT),
    Operation::new(
        "it is asked whether a repository is there",
        |_| async { Prepared::default() }.boxed(),
        |store, _| async move { Ok(format!("{}", a(&store).exists().await?)) }.boxed(),
    ),
    Operation::new(
        "repositories are listed",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move { Ok(format!("{:?}", store.repositories(None, 10).await?.items)) }.boxed()
        },
    ),
    Operation::new(
        "uploads expire",
        |world| {
            async {
                for _ in 0..2 {
                    let begun = a(&world.store).uploads().start(Algorithm::Sha256).await;
                    begun.expect("a session can be begun");
                }
                Prepared::default()
            }
            .boxed()
        },
        |store, _| {
            async move {
                store.purge_uploads(Duration::from_secs(60)).await?;
                Ok("expired".to_owned())
            }
            .boxed()
        },
    )
    .passing_over(&[ErrorKind::Busy]),
];

async fn signed(world: &World) -> Prepared {
    push_manifest(&a(&world.store), &signature(), &[]).await;
    Prepared::default()
}

/// Takes away our record of the signature, as if a program had pushed it that makes none.
async fn unrecorded(world: &World) -> Prepared {
    let layout = RepositoryLayout::new(a(&world.store).name());
    let record = layout.referrer_link(&digest(&first()), &digest(&signature()));
    world.backend.delete(&[record]).await.expect("it can be taken away");
    Prepared::default()
}

async fn referrers(store: Store) -> Result<String> {
    let found = a(&store).referrers().list(&digest(&first()), None, None, 10).await?;
    Ok(format!("{:?}", found.items))
}
