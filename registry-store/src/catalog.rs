//! The catalog: every repository, in the order of [`RepositoryName`].
//!
//! A repository is a directory with `_layers` or `_manifests` directly below it; others may be nested in it.
//! The walk opens only the directories of names, never what is in a repository.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::backend::{Child, Key};
use crate::error::Result;
use crate::layout;
use crate::listing::{self, BATCH};
use crate::name::{RepositoryName, is_name_component};
use crate::page::Page;
use crate::shared::Shared;

/// The first `limit` repositories behind `after`, which need not be one.
pub(crate) async fn page(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    let after: Vec<&str> = after.map(|after| after.split('/').collect()).unwrap_or_default();
    // One more than asked for tells whether there are more.
    let mut walk = Walk { shared, found: Vec::new(), wanted: limit.saturating_add(1) };
    walk.below(&layout::repositories(), "", &after).await?;
    Ok(Page::cut(walk.found, limit))
}

struct Walk<'s> {
    shared: &'s Shared,
    found: Vec<RepositoryName>,
    wanted: usize,
}

impl Walk<'_> {
    /// Takes what is nested below `place`, whose name is `name`, behind the components of `after`.
    ///
    /// In the catalog's order a name comes directly before those nested in it. So behind `a/b` come: what is
    /// nested in `a/b`, then the siblings of `b` that are greater, then those of `a`.
    fn below<'w>(
        &'w mut self,
        place: &'w Key,
        name: &'w str,
        after: &'w [&'w str],
    ) -> BoxFuture<'w, Result<()>> {
        async move {
            if let [first, rest @ ..] = after
                // What is no name has nothing nested in it, however many components a client sends.
                && join(name, first).parse::<RepositoryName>().is_ok()
                && let Ok(nested) = place.child(first)
            {
                self.below(&nested, &join(name, first), rest).await?;
            }
            let cursor = after.first().map(|first| (*first).to_owned());
            let first = self.children(place, cursor.as_deref()).await?;
            self.among(place, name, first).await
        }
        .boxed()
    }

    /// Takes what is nested in a place: in the children that were read, and in those behind them.
    fn among<'w>(
        &'w mut self,
        place: &'w Key,
        name: &'w str,
        mut page: Page<Child>,
    ) -> BoxFuture<'w, Result<()>> {
        async move {
            while self.found.len() < self.wanted {
                for child in page.items.iter().filter(|child| child.is_prefix()) {
                    if is_name_component(child.name()) && self.found.len() < self.wanted {
                        let Ok(nested) = place.child(child.name()) else {
                            continue;
                        };
                        self.at(&nested, &join(name, child.name())).await?;
                    }
                }
                let Some(last) = page.next_after() else { break };
                page = self.children(place, Some(last.name())).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Takes the repository at `place`, if there is one, and what is nested in it.
    async fn at(&mut self, place: &Key, name: &str) -> Result<()> {
        // A path that is too long for a name is not ours.
        let Ok(repository) = name.parse() else {
            return Ok(());
        };
        // One look tells what it is and what is nested in it, unless more than a page comes before its marks.
        let page = self.children(place, None).await?;
        let is_repository = listing::has_marks(&page)
            || page.more && listing::is_repository(self.shared, place).await?;
        if is_repository {
            self.found.push(repository);
        }
        self.among(place, name, page).await
    }

    async fn children(&self, place: &Key, after: Option<&str>) -> Result<Page<Child>> {
        Ok(self.shared.backend.list_children(place, after, BATCH).await?)
    }
}

fn join(name: &str, component: &str) -> String {
    if name.is_empty() { component.to_owned() } else { format!("{name}/{component}") }
}
