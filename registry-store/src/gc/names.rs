//! [`expect_names`]: nothing may refer to anything where no walk over repositories comes by.

use std::vec;

use futures::StreamExt as _;

use crate::backend::{self, Child, ErrorKind, Key};
use crate::error::Result;
use crate::inventory::Blobs;
use crate::layout::{self, reserved};
use crate::listing::{BATCH, MANY};
use crate::name::RepositoryName;
use crate::shared::Shared;

/// What a repository has one of.
const MARKS: [&str; 2] = [reserved::LAYERS, reserved::MANIFESTS];

/// What a repository may have beside other repositories.
const KNOWN: [&str; 4] =
    [reserved::LAYERS, reserved::MANIFESTS, reserved::UPLOADS, reserved::REFERRERS];

/// What may hold a repository, and cannot be read as one, may refer to anything: a copy that somebody made by hand, a
/// link to a disk that is not there. Then nothing is taken. Returns how many repositories there are.
///
/// If there are none and there are blobs, that may be a disk that is not there too, so it has to be said (`none_is_meant`).
///
/// Errors: `Foreign`, naming what was found.
pub(crate) async fn expect_names(shared: &Shared, none_is_meant: bool) -> Result<u64> {
    for place in [layout::top(), layout::all_blobs()] {
        expect_nothing_left_out(shared, &place, &[]).await?;
    }
    expect_whole_places(shared).await?;
    let repositories = count(shared).await?;
    if repositories == 0 && !none_is_meant && has_blobs(shared).await? {
        let expected = "expected a repository beside the blobs, found none: is a disk not there? If none is meant to be \
                        there, it has to be said (--no-repositories)";
        return Err(foreign(&layout::repositories(), expected.to_owned()));
    }
    Ok(repositories)
}

/// What [listings leave out](crate::backend::Backend::left_out) at a place, as text for a person.
pub(crate) async fn left_out(
    shared: &Shared,
    place: &Key,
    marks: &[&str],
) -> Result<Option<String>> {
    let found = shared.backend.left_out(place, marks).await?;
    Ok(found
        .map(|name| format!("expected what can be read as a part of a registry, found {name:?}")))
}

async fn expect_nothing_left_out(shared: &Shared, place: &Key, marks: &[&str]) -> Result<()> {
    match left_out(shared, place, marks).await? {
        Some(found) => Err(foreign(place, found)),
        None => Ok(()),
    }
}

/// Counts the repositories; each has the name of one.
async fn count(shared: &Shared) -> Result<u64> {
    let mut after: Option<String> = None;
    let mut repositories = 0;
    loop {
        let place = layout::repositories();
        let page = shared.backend.list_places(&place, &MARKS, after.as_deref(), BATCH).await?;
        let strange = page.items.iter().find(|path| path.parse::<RepositoryName>().is_err());
        if let Some(strange) = strange {
            let found = format!(
                "expected names of repositories, found {strange:?} with manifests or blobs"
            );
            return Err(foreign(&place, found));
        }
        repositories += page.items.len() as u64;
        after = page.next_after().cloned();
        if after.is_none() {
            return Ok(repositories);
        }
    }
}

/// A place of repositories, and how far it has been gone through.
struct Level {
    place: Key,
    children: vec::IntoIter<Child>,
    /// Behind which name the next page begins; `None` if there is none.
    rest: Option<Option<String>>,
}

impl Level {
    fn new(place: Key) -> Self {
        Self { place, children: Vec::new().into_iter(), rest: Some(None) }
    }
}

/// Goes through every place that a repository may lie at, and expects that nothing there escapes a listing of them.
async fn expect_whole_places(shared: &Shared) -> Result<()> {
    let top = layout::repositories();
    expect_nothing_left_out(shared, &top, &MARKS).await?;
    let mut levels = vec![Level::new(top.clone())];
    while let Some(level) = levels.last_mut() {
        let Some(child) = level.children.next() else {
            let Some(after) = level.rest.take() else {
                levels.pop();
                continue;
            };
            let page = shared.backend.list_children(&level.place, after.as_deref(), MANY).await?;
            level.rest = page.next_after().map(|child| Some(child.name().to_owned()));
            level.children = page.items.into_iter();
            continue;
        };
        let is_at_top = level.place == top;
        if !child.is_prefix() || !is_at_top && KNOWN.contains(&child.name()) {
            continue;
        }
        let Some(nested) = layout::found_in(&level.place, child.name()) else {
            let found =
                format!("expected names of repositories, found a longer one: {:?}", child.name());
            return Err(foreign(&level.place, found));
        };
        if child.name().starts_with('_') {
            expect_no_repository(shared, &nested).await?;
        } else {
            expect_nothing_left_out(shared, &nested, &MARKS).await?;
            levels.push(Level::new(nested));
        }
    }
    Ok(())
}

/// No path of repositories leads to what is named so, as to what others keep there; but a copy may lie below it.
async fn expect_no_repository(shared: &Shared, place: &Key) -> Result<()> {
    expect_nothing_left_out(shared, place, &MARKS).await?;
    let is_mark = |name: &str| MARKS.contains(&name);
    let itself_is_one = is_mark(place.name());
    let mut below = shared.backend.list(place, None);
    while let Some(key) = below.next().await {
        let key = key?;
        let has_mark = key.below(place).is_some_and(|path| path.split('/').any(is_mark));
        if itself_is_one || has_mark {
            let found = format!(
                "expected names of repositories, found {:?} with manifests or blobs",
                key.as_str()
            );
            return Err(foreign(place, found));
        }
    }
    Ok(())
}

async fn has_blobs(shared: &Shared) -> Result<bool> {
    let mut all = Blobs::after(shared, None);
    while let Some(digests) = all.next().await {
        for digest in digests? {
            if shared.backend.head(&layout::blob(&digest)).await?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn foreign(place: &Key, found: String) -> crate::error::Error {
    backend::Error::new(ErrorKind::Foreign, "collect").at(place).because(found).into()
}
