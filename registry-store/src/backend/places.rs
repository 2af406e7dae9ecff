//! [`Backend::list_places`] by a walk over directories, for media where the names of one cost a pass.

#[cfg(feature = "s3")]
use std::cmp::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::backend::{Backend, Child, Key, Result};
use crate::page::Page;

/// Names taken from a directory at once.
const BATCH: usize = 1000;

/// The order of places: component by component, as if `/` were the least byte.
#[cfg(feature = "s3")]
pub(crate) fn order(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}

/// May a path of places have it?
pub(crate) fn is_component(name: &str) -> bool {
    !name.starts_with('_')
}

/// See [`Backend::list_places`]. Opens only the directories of places, never what is below a mark.
pub async fn by_walking(
    backend: &dyn Backend,
    prefix: &Key,
    marks: &[&str],
    after: Option<&str>,
    limit: usize,
) -> Result<Page<String>> {
    if limit == 0 {
        return Ok(Page::empty());
    }
    let after: Vec<&str> = after.map(|after| after.split('/').collect()).unwrap_or_default();
    // One more than asked for tells whether there are more.
    let mut walk = Walk { backend, marks, found: Vec::new(), wanted: limit.saturating_add(1) };
    walk.below(prefix, "", &after).await?;
    Ok(Page::cut(walk.found, limit))
}

struct Walk<'w> {
    backend: &'w dyn Backend,
    marks: &'w [&'w str],
    found: Vec<String>,
    wanted: usize,
}

impl Walk<'_> {
    /// Takes what is nested below `place`, whose path is `path`, behind the components of `after`.
    ///
    /// A place comes directly before those nested in it. So behind `a/b` come: what is nested in `a/b`, then the
    /// siblings of `b` that are greater, then those of `a`.
    fn below<'w>(
        &'w mut self,
        place: &'w Key,
        path: &'w str,
        after: &'w [&'w str],
    ) -> BoxFuture<'w, Result<()>> {
        async move {
            if let [first, rest @ ..] = after
                // What is no component has nothing nested in it, however many a client sends.
                && is_component(first)
                && let Ok(nested) = place.child(first)
            {
                self.below(&nested, &join(path, first), rest).await?;
            }
            let cursor = after.first().copied();
            let first = self.backend.list_children(place, cursor, BATCH).await?;
            self.among(place, path, first).await
        }
        .boxed()
    }

    /// Takes what is nested in a place: in the children that were read, and in those behind them.
    fn among<'w>(
        &'w mut self,
        place: &'w Key,
        path: &'w str,
        mut page: Page<Child>,
    ) -> BoxFuture<'w, Result<()>> {
        async move {
            while self.found.len() < self.wanted {
                for child in page.items.iter().filter(|child| child.is_prefix()) {
                    if is_component(child.name())
                        && self.found.len() < self.wanted
                        && let Ok(nested) = place.child(child.name())
                    {
                        self.at(&nested, &join(path, child.name())).await?;
                    }
                }
                let Some(last) = page.next_after() else { break };
                page = self.backend.list_children(place, Some(last.name()), BATCH).await?;
            }
            Ok(())
        }
        .boxed()
    }

    /// Takes a place if it is marked, and what is nested in it.
    async fn at(&mut self, place: &Key, path: &str) -> Result<()> {
        // One look tells what it is and what is nested in it, unless more than a page comes before its marks.
        let page = self.backend.list_children(place, None, BATCH).await?;
        if self.is_marked(&page) || page.more && self.is_marked_behind(place).await? {
            self.found.push(path.to_owned());
        }
        self.among(place, path, page).await
    }

    /// Directly behind `_` come the names that begin with it, before every letter. Few are there: ours, and what
    /// another program may keep beside them.
    async fn is_marked_behind(&self, place: &Key) -> Result<bool> {
        let page = self.backend.list_children(place, Some("_"), 64).await?;
        Ok(self.is_marked(&page))
    }

    fn is_marked(&self, page: &Page<Child>) -> bool {
        let mut children = page.items.iter();
        children.any(|child| child.is_prefix() && self.marks.contains(&child.name()))
    }
}

fn join(path: &str, component: &str) -> String {
    if path.is_empty() { component.to_owned() } else { format!("{path}/{component}") }
}
