//! How names are listed: in order, with bounded memory, from names alone.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use super::fault::{self, fault};
use super::system::{Entry, Kind, System};
use super::{Root, blocking};
use crate::backend::key::check_segment;
use crate::backend::{Child, Key, Result};
use crate::layout;
use crate::page::Page;

/// How many names of one directory are kept at a time. A directory of more is read once for each so many.
const CHUNK: usize = 16_384;
/// How many keys a thread for blocking work finds before it hands them on.
const BATCH: usize = 1024;

/// Lists keys. See [`Backend::list`](crate::backend::Backend::list).
pub(super) fn list<'a, S: System>(
    root: Arc<Root<S>>,
    prefix: &Key,
    after: Option<&Key>,
) -> BoxStream<'a, Result<Key>> {
    let walk = Walk::new(root, prefix, after, CHUNK);
    let batches = stream::try_unfold(walk, |mut walk| async move {
        let (keys, walk) = blocking("list", move || Ok((walk.next_keys(BATCH)?, walk))).await?;
        if keys.is_empty() {
            return Ok(None);
        }
        Ok(Some((stream::iter(keys.into_iter().map(Ok)), walk)))
    });
    batches.try_flatten().boxed()
}

/// Lists a page of what lies below a prefix. See
/// [`Backend::list_children`](crate::backend::Backend::list_children).
pub(super) fn list_children<S: System>(
    root: &Root<S>,
    prefix: &Key,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Child>> {
    if limit == 0 {
        return Ok(Page::empty());
    }
    let wanted = |name: Spelled<'_>| after.is_none_or(|after| name.order(after).is_gt());
    let directory = root.path_of(prefix);
    let found = smallest(root, &directory, limit.saturating_add(1), "", wanted)
        .map_err(|error| fault("list", prefix, error))?;
    if found.is_empty() {
        root.in_its_place("list")?;
    }
    let children = found.into_iter().map(|Found { spelled, is_prefix }| {
        if is_prefix { Child::Prefix(spelled) } else { Child::Object(spelled) }
    });
    Ok(Page::cut(children, limit))
}

/// A walk over the objects below a prefix, in the order of whole keys.
///
/// In every directory names are sorted as the keys below them are: that of a directory with a `/` at its end.
struct Walk<S: System> {
    root: Arc<Root<S>>,
    after: Option<Key>,
    chunk: usize,
    /// The directories from the prefix down to where the walk is.
    levels: Vec<Level>,
    /// What is never entered from above.
    hidden: Option<Key>,
}

/// A directory, and how far it has been walked.
struct Level {
    key: Key,
    /// Names to come, in order.
    names: std::vec::IntoIter<String>,
    /// Where the names begin that are to be read after those; `None` if there are none.
    rest: Option<Bound<String>>,
}

impl<S: System> Walk<S> {
    fn new(root: Arc<Root<S>>, prefix: &Key, after: Option<&Key>, chunk: usize) -> Self {
        let mut walk = Self {
            root,
            after: after.cloned(),
            chunk,
            levels: Vec::new(),
            hidden: layout::private().child("tmp").ok(),
        };
        walk.enter(prefix.clone());
        walk
    }

    fn enter(&mut self, key: Key) {
        let rest = start(&key, self.after.as_ref());
        self.levels.push(Level { key, names: Vec::new().into_iter(), rest });
    }

    /// The next keys, about as many as are wanted; none at the end.
    fn next_keys(&mut self, wanted: usize) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        while keys.len() < wanted {
            let Some(level) = self.levels.last_mut() else {
                break;
            };
            let Some(name) = level.names.next() else {
                if !self.read_on()? {
                    self.levels.pop();
                }
                continue;
            };
            // A key that would be too long is left out, and what is below it with it.
            match name.strip_suffix('/') {
                None => keys.extend(level.key.child(&name)),
                Some(directory) => {
                    if let Ok(key) = level.key.child(directory)
                        && Some(&key) != self.hidden.as_ref()
                    {
                        self.enter(key);
                    }
                }
            }
        }
        if keys.is_empty() {
            self.root.in_its_place("list")?;
        }
        Ok(keys)
    }

    /// Reads the next names of the lowest directory; `false` if there are none.
    fn read_on(&mut self) -> Result<bool> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        let Some(rest) = level.rest.take() else {
            return Ok(false);
        };
        let wanted = |name: Spelled<'_>| match &rest {
            Bound::Unbounded => true,
            Bound::Included(first) => name.order(first).is_ge(),
            Bound::Excluded(last) => name.order(last).is_gt(),
        };
        let directory = self.root.path_of(&level.key);
        let found = smallest(&self.root, &directory, self.chunk, "/", wanted)
            .map_err(|error| fault("list", &level.key, error))?;
        let names: Vec<String> = found.into_iter().map(|found| found.spelled).collect();
        if names.len() == self.chunk {
            level.rest = names.last().cloned().map(Bound::Excluded);
        }
        level.names = names.into_iter();
        Ok(level.names.len() > 0)
    }
}

/// Where the names in a directory begin below which there are keys greater than `after`; `None` if there are
/// no such names.
fn start(directory: &Key, after: Option<&Key>) -> Option<Bound<String>> {
    let Some(after) = after else {
        return Some(Bound::Unbounded);
    };
    if let Some(rest) = after.below(directory) {
        return Some(match rest.split_once('/') {
            Some((first, _)) => Bound::Included(format!("{first}/")),
            None => Bound::Excluded(rest.to_owned()),
        });
    }
    let first = format!("{directory}/");
    (*first > *after.as_str()).then_some(Bound::Unbounded)
}

/// A name as it is compared, without being written out.
#[derive(Clone, Copy)]
struct Spelled<'n> {
    name: &'n str,
    /// What is put behind it.
    end: &'static str,
}

impl Spelled<'_> {
    /// How its bytes, with those of its end, compare to a text.
    fn order(self, text: &str) -> Ordering {
        let (name, text) = (self.name.as_bytes(), text.as_bytes());
        let (head, tail) = text.split_at(name.len().min(text.len()));
        name.cmp(head).then_with(|| self.end.as_bytes().cmp(tail))
    }
}

/// A name that was found, spelled as it is compared.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    spelled: String,
    is_prefix: bool,
}

/// The smallest `limit` names in a directory that are wanted, in order; nothing if there is no directory.
///
/// The name of a directory is spelled with `end` behind it, which orders a file's name no later. What is not
/// wanted of a directory is not wanted of a file. Names that cannot be a key's, and what is neither file nor
/// directory, are left out. Only where a name does not tell what has it the file itself is looked at.
///
/// A page of a directory of very many names passes over nearly all of them: nothing is allocated for those.
fn smallest<S: System>(
    root: &Root<S>,
    directory: &Path,
    limit: usize,
    end: &'static str,
    wanted: impl Fn(Spelled<'_>) -> bool,
) -> io::Result<Vec<Found>> {
    let entries = match root.system.read_directory(directory) {
        Ok(entries) => entries,
        Err(error) if fault::is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: BinaryHeap<Found> = BinaryHeap::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.name.to_str() else {
            continue;
        };
        let too_great =
            |greatest: &Found| Spelled { name, end: "" }.order(&greatest.spelled).is_ge();
        if found.len() == limit && found.peek().is_some_and(too_great)
            || !wanted(Spelled { name, end })
            || check_segment(name).is_err()
        {
            continue;
        }
        let Some(is_prefix) = is_directory(root, directory, &entry)? else {
            continue;
        };
        let spelled = Spelled { name, end: if is_prefix { end } else { "" } };
        if wanted(spelled) {
            let spelled = format!("{name}{}", spelled.end);
            found.push(Found { spelled, is_prefix });
        }
        if found.len() > limit {
            found.pop();
        }
    }
    Ok(found.into_sorted_vec())
}

/// Is it a directory? `None` if it is no file either, or is gone.
fn is_directory<S: System>(
    root: &Root<S>,
    directory: &Path,
    entry: &Entry,
) -> io::Result<Option<bool>> {
    let kind = match entry.kind {
        Kind::Link | Kind::Unknown => match root.system.stat(&directory.join(&entry.name)) {
            Ok(stat) => stat.kind,
            Err(error)
                if fault::is_missing(&error) || fault::is(&error, &[rustix::io::Errno::LOOP]) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        },
        kind => kind,
    };
    Ok(match kind {
        Kind::File => Some(false),
        Kind::Directory => Some(true),
        _ => None,
    })
}

/// The keys below a prefix, with so many names of a directory kept at a time.
#[cfg(test)]
pub(super) fn keys_by_chunks<S: System>(
    root: &Arc<Root<S>>,
    prefix: &Key,
    after: Option<&Key>,
    chunk: usize,
) -> Vec<String> {
    let mut walk = Walk::new(Arc::clone(root), prefix, after, chunk);
    let keys = walk.next_keys(usize::MAX).expect("a listing without faults");
    keys.iter().map(Key::to_string).collect()
}
