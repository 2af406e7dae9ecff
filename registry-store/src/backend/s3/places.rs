//! How places are listed: those at any depth that have something below a mark, as repositories do.
//!
//! All names are gone through in the order in which S3 lists them, a thousand at a time, and what lies below the marks
//! of a place is skipped where it fills a page. So many small places cost one request, and a large one costs one.
//!
//! That order is not the one of places. Behind the last name that was listed there may be places that come before
//! others that were listed, in two ways, both of which the last name tells:
//!
//! * `a-b/…` is listed before `a/…`, as `-` and `.` are the bytes before the slash; but `a` and all that is nested in it
//!   come first;
//! * `a/0/…` is listed before the marks of `a`, as digits come before `_`; but `a` comes first.
//!
//! They are asked for where they belong among the places that are wanted.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Bucket;
use super::requests::{Outcome, PAGE};
use crate::backend::places::{is_component, order};
use crate::backend::{Key, Result};
use crate::page::Page;

/// Greater than every byte of a key.
const BEHIND_ALL: char = '~';

/// See [`Backend::list_places`](crate::backend::Backend::list_places).
pub(super) async fn list_places(
    bucket: &Bucket,
    prefix: &Key,
    marks: &[&str],
    after: Option<&str>,
    limit: usize,
) -> Result<Page<String>> {
    if limit == 0 {
        return Ok(Page::empty());
    }
    let root = bucket.names.prefix_of(prefix);
    // One more than a page has tells whether there are more.
    let wanted = limit.saturating_add(1);
    let search = Search { bucket, root: &root, marks, after, wanted };
    let found = search.below(String::new()).await.map_err(|failure| failure.at(prefix))?;
    Ok(Page::cut(found.into_iter().map(|place| place.0), limit))
}

/// A path, in the order of places.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place(String);

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Search<'s> {
    bucket: &'s Bucket,
    root: &'s str,
    marks: &'s [&'s str],
    after: Option<&'s str>,
    wanted: usize,
}

/// The first places in order, as many as are wanted.
type Found = BTreeSet<Place>;

/// What may be listed behind a name though it comes before others that were listed.
enum Open {
    /// This place, if it is marked.
    Marks(String),
    /// This place and all that is nested in it.
    Nested(String),
}

impl Search<'_> {
    /// Finds the first places below `top`, which is a path with a slash at its end, or empty for the root.
    fn below(&self, top: String) -> BoxFuture<'_, Outcome<Found>> {
        async move {
            let (place, mut found) = (format!("{}{top}", self.root), Found::new());
            let mut from = self.first_start(&top);
            loop {
                let page = self.bucket.requests.list(&place, from.as_deref(), None, PAGE).await?;
                for path in page.objects.iter().filter_map(|(name, _)| self.place_of(name)) {
                    self.take(path, &mut found);
                }
                let Some((last, _)) = page.objects.last().filter(|_| page.more) else {
                    return Ok(found);
                };
                let last = last.strip_prefix(self.root).unwrap_or(last);
                if found.len() >= self.wanted {
                    self.close(&top, last, &mut found).await?;
                    return Ok(found);
                }
                from = Some(format!("{}{}", self.root, self.next_start(last)));
            }
        }
        .boxed()
    }

    /// The path of the wanted place that an object is of, if it is below a mark.
    fn place_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (path, mark) = split(name.strip_prefix(self.root)?)?;
        (self.marks.contains(&mark) && self.is_behind(path)).then_some(path)
    }

    fn take(&self, path: &str, found: &mut Found) {
        let place = Place(path.to_owned());
        if found.len() < self.wanted || found.last().is_some_and(|last| place < *last) {
            found.insert(place);
        }
        if found.len() > self.wanted {
            found.pop_last();
        }
    }

    fn is_behind(&self, path: &str) -> bool {
        self.after.is_none_or(|after| order(path, after).is_gt())
    }

    /// Behind which name to begin: all that is behind `after` is listed behind the first component of it, such as
    /// `a-b` behind `a/x`. `None` to begin at the first.
    fn first_start(&self, top: &str) -> Option<String> {
        let first = self.after?.strip_prefix(top)?.split('/').next()?;
        Some(format!("{}{top}{first}", self.root))
    }

    /// Is anything of a place, or nested in it, behind `after`?
    fn reaches_behind(&self, path: &str) -> bool {
        let is_within =
            |after: &str| after.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.is_behind(path) || self.after.is_some_and(|after| after == path || is_within(after))
    }

    /// Behind which name to go on, skipping what is known or comes before `after`.
    fn next_start(&self, last: &str) -> String {
        if let Some(after) = self.after
            && last < after
        {
            // Within a component of `after` only what is behind the next of them is wanted.
            let mut ends = after.match_indices('/').map(|(end, _)| end).chain([after.len()]);
            let next = ends.find(|end| after[..*end] > *last).map(|end| &after[..end]);
            let parent = next.and_then(|next| next.rsplit_once('/')).map(|(parent, _)| parent);
            if let (Some(next), Some(parent)) = (next, parent)
                && last.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
            {
                return next.to_owned();
            }
        }
        match split(last) {
            Some((path, mark)) if self.marks.contains(&mark) => {
                // All marks of it come together.
                format!("{path}/_{BEHIND_ALL}")
            }
            _ => last.to_owned(),
        }
    }

    /// Asks for what is listed behind `last` and comes before places that were found.
    async fn close(&self, top: &str, last: &str, found: &mut Found) -> Outcome<()> {
        for open in open_behind(last) {
            let (Open::Marks(path) | Open::Nested(path)) = &open;
            let is_first = found.last().is_none_or(|last| order(path, &last.0).is_lt());
            if !is_first || !format!("{path}/").starts_with(top) {
                continue;
            }
            match &open {
                Open::Marks(path) => {
                    let is_known = !self.is_behind(path) || found.contains(&Place(path.clone()));
                    if !is_known && self.is_marked(path).await? {
                        self.take(path, found);
                    }
                }
                Open::Nested(path) if self.reaches_behind(path) => {
                    for place in self.below(format!("{path}/")).await? {
                        self.take(&place.0, found);
                    }
                }
                Open::Nested(_) => {}
            }
        }
        Ok(())
    }

    async fn is_marked(&self, path: &str) -> Outcome<bool> {
        let place = format!("{}{path}/_", self.root);
        let page = self.bucket.requests.list(&place, None, Some("/"), PAGE).await?;
        let marks = page.prefixes.iter().filter_map(|prefix| prefix.strip_suffix('/'));
        let mut marks = marks.filter_map(|prefix| prefix.rsplit('/').next());
        Ok(marks.any(|mark| self.marks.contains(&mark)))
    }
}

/// The path of the place that a name is of, and the component behind it, which begins with `_`.
fn split(name: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for component in name.split('/') {
        if !is_component(component) {
            return (start > 0).then(|| (&name[..start - 1], component));
        }
        start += component.len() + 1;
    }
    None
}

/// What is listed behind a name though it comes before it, the outermost first.
fn open_behind(last: &str) -> Vec<Open> {
    let mut open = Vec::new();
    let mut start = 0;
    let components: Vec<&str> = last.split('/').collect();
    for (at, component) in components.iter().enumerate().take_while(|(_, name)| is_component(name))
    {
        let ends = component.char_indices().filter(|(_, byte)| matches!(byte, '-' | '.'));
        for (end, _) in ends.filter(|(end, _)| *end > 0) {
            open.push(Open::Nested(last[..start + end].to_owned()));
        }
        let end = start + component.len();
        if components.get(at + 1).is_some_and(|next| *next < "_~") {
            open.push(Open::Marks(last[..end].to_owned()));
        }
        start = end + 1;
    }
    open
}
