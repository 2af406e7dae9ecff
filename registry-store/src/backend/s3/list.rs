//! How names are listed.
//!
//! S3 lists whole names in the order of their bytes, a thousand to a page. That is the order of keys, but not that of
//! the names directly below a place: there `1-a` and what is below it come before `1/`, as `-` and `.` are the bytes
//! before the slash, while `1` is to come before `1-a`. So behind a name that was listed one may follow that belongs
//! before it; but only one that the last listed name begins with, up to a `-` or `.`: those few are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use super::Bucket;
use super::requests::{ListedPage, Outcome, PAGE};
use crate::backend::key::check_segment;
use crate::backend::{Child, Key, Meta, Result};
use crate::page::Page;

/// Names that are asked for at once.
const PARALLEL: usize = 16;
/// Greater than every byte of a key.
const BEHIND_ALL: char = '~';

/// Every object below `prefix` behind `after`. See [`Backend::list`](crate::backend::Backend::list).
pub(super) fn list(
    bucket: Arc<Bucket>,
    prefix: &Key,
    after: Option<&Key>,
) -> BoxStream<'static, Result<Key>> {
    let (prefix, at) = (bucket.names.prefix_of(prefix), prefix.clone());
    let after = after.map(|after| bucket.names.of(after)).filter(|after| *after > prefix);
    let pages = stream::try_unfold(Some(after), move |after| {
        let (bucket, prefix, at) = (bucket.clone(), prefix.clone(), at.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = bucket.requests.list(&prefix, after.as_deref(), None, PAGE).await;
            let page = page.map_err(|failure| failure.at(&at))?;
            let last = page.objects.last().map(|(name, _)| name.clone());
            let next = last.filter(|_| page.more).map(Some);
            let keys: Vec<_> =
                page.objects.iter().filter_map(|(name, _)| bucket.names.key_of(name)).collect();
            Ok(Some((stream::iter(keys.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten().boxed()
}

/// A page of what lies below a place. See [`Backend::list_children`](crate::backend::Backend::list_children).
pub(super) async fn list_children(
    bucket: &Bucket,
    prefix: &Key,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Child>> {
    if limit == 0 {
        return Ok(Page::empty());
    }
    let place = bucket.names.prefix_of(prefix);
    let mut scan = Scan::new(after, limit);
    let mut from = after.map(|after| format!("{place}{after}"));
    loop {
        let page = bucket
            .requests
            .list(&place, from.as_deref(), Some("/"), scan.missing().saturating_add(8))
            .await
            .map_err(|failure| failure.at(prefix))?;
        let mut last = None;
        for (name, is_prefix) in entries(&page, &place) {
            last = Some((name.to_owned(), is_prefix));
            scan.found(name, is_prefix);
        }
        let Some((last, is_prefix)) = last.filter(|_| page.more) else { break };
        if scan.is_full() {
            let open = scan.relevant(open_before(&last));
            let look = |name: String| async {
                let below = format!("{place}{name}/");
                let page = bucket.requests.list(&below, None, None, 1).await?;
                Ok((!page.objects.is_empty()).then_some((name, true)))
            };
            for (name, is_prefix) in found(open, look).await.map_err(|f| f.at(prefix))? {
                scan.found(&name, is_prefix);
            }
            break;
        }
        let slash = if is_prefix { format!("/{BEHIND_ALL}") } else { String::new() };
        from = Some(format!("{place}{last}{slash}"));
    }
    let children = scan
        .names
        .into_iter()
        .map(|(name, is_prefix)| if is_prefix { Child::Prefix(name) } else { Child::Object(name) });
    Ok(Page::cut(children, limit))
}

/// A page of the names below a place that have an object `path`. See
/// [`Backend::list_children_with`](crate::backend::Backend::list_children_with).
///
/// All objects below the place are gone through; what lies beside `path` below one name is skipped where it fills a
/// page.
pub(super) async fn list_children_with(
    bucket: &Bucket,
    prefix: &Key,
    path: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<(String, Meta)>> {
    if limit == 0 {
        return Ok(Page::empty());
    }
    let place = bucket.names.prefix_of(prefix);
    let mut scan = Scan::new(after, limit);
    let mut from = after.map(|after| format!("{place}{after}"));
    loop {
        // A name has two objects or more.
        let wanted = scan.missing().saturating_mul(4).saturating_add(16);
        let page = bucket.requests.list(&place, from.as_deref(), None, wanted).await;
        let page = page.map_err(|failure| failure.at(prefix))?;
        for (object, meta) in &page.objects {
            if let Some((name, below)) = split(object, &place)
                && below == path
            {
                scan.found(name, *meta);
            }
        }
        let last = page.objects.last().filter(|_| page.more);
        let Some((last, _)) = last else { break };
        let Some((name, below)) = split(last, &place) else {
            // Not an object below a name.
            from = Some(last.clone());
            continue;
        };
        if scan.is_full() {
            let mut unknown = open_before(name);
            if below < path {
                unknown.push(name.to_owned());
            }
            let look = |name: String| async {
                let found = bucket.requests.head(&format!("{place}{name}/{path}")).await?;
                Ok(found.map(|found| (name, found.meta)))
            };
            let unknown = scan.relevant(unknown);
            for (name, meta) in found(unknown, look).await.map_err(|f| f.at(prefix))? {
                scan.found(&name, meta);
            }
            break;
        }
        from = Some(if below < path {
            // Just before it.
            format!("{place}{name}/{}", &path[..path.len() - 1]).max(last.clone())
        } else {
            // What is not ours may lie behind all that is.
            format!("{place}{name}/{BEHIND_ALL}").max(last.clone())
        });
    }
    Ok(Page::cut(scan.names, limit))
}

/// Names that were found, and what of each.
struct Scan<T> {
    after: Option<String>,
    /// One more than a page has tells whether there are more.
    wanted: usize,
    names: BTreeMap<String, T>,
}

impl<T> Scan<T> {
    fn new(after: Option<&str>, limit: usize) -> Self {
        let after = after.map(ToOwned::to_owned);
        Self { after, wanted: limit.saturating_add(1), names: BTreeMap::new() }
    }

    /// An object counts more than what lies below its name: it is listed first.
    fn found(&mut self, name: &str, what: T) {
        if self.is_wanted(name) {
            self.names.entry(name.to_owned()).or_insert(what);
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.after.as_deref().is_none_or(|after| name > after) && check_segment(name).is_ok()
    }

    fn is_full(&self) -> bool {
        self.names.len() >= self.wanted
    }

    /// How many names are still to be found.
    fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.names.len())
    }

    /// Those of the names that would be among the wanted, if they were there.
    fn relevant(&self, mut names: Vec<String>) -> Vec<String> {
        let last = self.names.keys().nth(self.wanted - 1);
        names.retain(|name| {
            self.is_wanted(name)
                && !self.names.contains_key(name)
                && last.is_none_or(|last| name < last)
        });
        names
    }
}

/// The names that are listed behind `name` and everything that begins with it, though they come before it: what it
/// begins with, up to a byte before the slash.
fn open_before(name: &str) -> Vec<String> {
    let ends = name.char_indices().filter(|(_, byte)| matches!(byte, '-' | '.'));
    ends.map(|(end, _)| name[..end].to_owned()).filter(|name| !name.is_empty()).collect()
}

async fn found<T, F>(names: Vec<String>, look: impl Fn(String) -> F) -> Outcome<Vec<(String, T)>>
where
    F: Future<Output = Outcome<Option<(String, T)>>>,
{
    let looks: Vec<F> = names.into_iter().map(look).collect();
    let found: Vec<_> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The names that a page has directly below a place, in the order in which they were listed, and whether it is what
/// lies below one.
fn entries<'p>(page: &'p ListedPage, place: &str) -> Vec<(&'p str, bool)> {
    let objects = page.objects.iter().map(|(name, _)| name.as_str());
    let prefixes = page.prefixes.iter().map(String::as_str);
    let mut listed: Vec<&str> =
        objects.chain(prefixes).filter_map(|name| name.strip_prefix(place)).collect();
    listed.sort_unstable();
    let entry = |name: &'p str| match name.strip_suffix('/') {
        Some(name) => (name, true),
        None => (name, false),
    };
    listed.into_iter().map(entry).collect()
}

/// The name directly below a place that an object lies below, and where below it.
fn split<'o>(object: &'o str, place: &str) -> Option<(&'o str, &'o str)> {
    object.strip_prefix(place)?.split_once('/')
}
