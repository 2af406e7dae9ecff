//! What can be done with tags.

use futures::{FutureExt as _, TryStreamExt as _};
use registry_store::error::{Error, Result};
use registry_store::precondition::Precondition;
use registry_store::reference::Tag;

use super::{Operation, Prepared, a, digest, first, kept, or_gone, signature, tag};
use crate::documents::push_manifest;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "a tag is followed",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move { Ok(a(&store).tags().resolve(&tag("latest")).await?.to_string()) }.boxed()
        },
    ),
    Operation::new(
        "tags are listed",
        |_| async { Prepared::default() }.boxed(),
        |store, _| async move { Ok(shown(&a(&store).tags().list(None, 10).await?.items)) }.boxed(),
    ),
    Operation::new(
        "all tags are listed",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let parts: Vec<Vec<Tag>> = a(&store).tags().all(None, 1).try_collect().await?;
                Ok(shown(&parts.concat()))
            }
            .boxed()
        },
    ),
    Operation::new(
        "the history of a tag is read",
        |world| {
            async {
                push_manifest(&a(&world.store), &signature(), &["latest"]).await;
                Prepared::default()
            }
            .boxed()
        },
        |store, _| {
            async move {
                let history = a(&store).tags().history(&tag("latest"), None, 10).await?;
                Ok(format!("{:?}", history.items))
            }
            .boxed()
        },
    ),
    Operation::new(
        "a tag is deleted",
        |world| {
            async {
                push_manifest(&a(&world.store), &signature(), &["latest"]).await;
                Prepared::default()
            }
            .boxed()
        },
        |store, _| async move { gone(a(&store).tags().delete(&tag("latest")).await) }.boxed(),
    )
    .and_again(|store, _| {
        async move { or_gone(a(&store).tags().delete(&tag("latest")).await) }.boxed()
    }),
    Operation::new(
        "a tag is deleted from where it is believed to be",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let asks = Precondition::unchanged(&digest(&first()));
                gone(a(&store).tags().delete_if(&tag("latest"), &asks).await)
            }
            .boxed()
        },
    )
    .and_again(|store, _| {
        async move {
            let asks = Precondition::unchanged(&digest(&first()));
            or_gone(a(&store).tags().delete_if(&tag("latest"), &asks).await)
        }
        .boxed()
    }),
    Operation::new(
        "a tag is not deleted from where it is not",
        |_| async { Prepared::default() }.boxed(),
        |store, _| {
            async move {
                let asks = Precondition::unchanged(&digest(&kept()));
                match a(&store).tags().delete_if(&tag("latest"), &asks).await {
                    Err(Error::PreconditionFailed { .. }) => Ok("refused".to_owned()),
                    other => gone(other),
                }
            }
            .boxed()
        },
    ),
];

fn gone(result: Result<()>) -> Result<String> {
    result.map(|()| "gone".to_owned())
}

fn shown(tags: &[Tag]) -> String {
    tags.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ")
}
