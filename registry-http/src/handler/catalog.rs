//! The catalog: every repository there is, or that the client sees, in pages (as Distribution; not of the OCI
//! specification).

use http::StatusCode;
use http::header::{CONTENT_TYPE, LINK};
use registry_store::error::Result;
use registry_store::name::RepositoryName;
use registry_store::page::Page;
use registry_store::store::Store;
use serde_json::json;

use super::{Answer, Call};
use crate::auth::Place;
use crate::body::ResponseBody;
use crate::endpoint::PageQuery;
use crate::headers;

/// A page of the catalog, and a `Link` to the next one.
pub(super) async fn list(call: &Call<'_>, page: PageQuery) -> Answer {
    let limit = page.limit.unwrap_or(call.options.catalog_default);
    let limit = limit.min(call.options.catalog_max);
    let after = page.after.as_deref();
    let found = match call.actor.sees() {
        Some(places) => seen(call.store, places, after, limit).await?,
        None => call.store.repositories(after, limit).await?,
    };
    let names: Vec<&str> = found.items.iter().map(RepositoryName::as_str).collect();
    let body = json!({ "repositories": names }).to_string();
    let mut response = ResponseBody::full(body).respond(StatusCode::OK);
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, headers::JSON);
    if let Some(last) = found.next_after() {
        to.insert(LINK, headers::value(call.links.next_catalog(limit, last)));
    }
    Ok(response)
}

/// The same page of a catalog that has only what is in these places. Each is listed from its own beginning, or from `after`
/// if that is within it, so nothing else is looked at; no more of them are than the page takes.
async fn seen(
    store: &Store,
    places: &[Place],
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    let Some(parts) = parts(places) else { return store.repositories(after, limit).await };
    // One more than asked for tells whether there are more.
    let wanted = limit.saturating_add(1);
    let mut found = Vec::new();
    for part in parts {
        if found.len() >= wanted {
            break;
        }
        match part {
            Part { name, is_below: true } => {
                let missing = wanted - found.len();
                found.extend(store.repositories_below(name, after, missing).await?.items);
            }
            Part { name, is_below: false } => {
                if is_behind(name, after) && store.repository(name).exists().await? {
                    found.push(name.clone());
                }
            }
        }
    }
    Ok(Page::cut(found, limit))
}

/// A repository, or all below a prefix. The order is that of the catalog: what is below a name comes directly behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part<'p> {
    name: &'p RepositoryName,
    is_below: bool,
}

/// The places in the order of the catalog, without those that lie within others, so that one ends before the next begins.
/// `None` if they are everywhere.
fn parts(places: &[Place]) -> Option<Vec<Part<'_>>> {
    let part = |place| match place {
        &Place::Everywhere => None,
        Place::Below(name) => Some((Part { name, is_below: true }, place)),
        Place::At(name) => Some((Part { name, is_below: false }, place)),
    };
    let mut all = places.iter().map(part).collect::<Option<Vec<_>>>()?;
    all.sort_by_key(|(part, _)| *part);
    let mut apart: Vec<(Part<'_>, &Place)> = Vec::new();
    for (part, place) in all {
        // What is within another place comes directly behind it, or behind others within it.
        let is_within = |(last, around): &(Part<'_>, &Place)| {
            *last == part || last.is_below && around.has(part.name)
        };
        if !apart.last().is_some_and(is_within) {
            apart.push((part, place));
        }
    }
    Some(apart.into_iter().map(|(part, _)| part).collect())
}

fn is_behind(name: &RepositoryName, after: Option<&str>) -> bool {
    after.is_none_or(|after| name.components().gt(after.split('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_listed_in_the_order_of_the_catalog_each_once() {
        for (places, expected) in [
            (&["b", "a/**", "a"][..], Some(&["a", "a/**", "b"][..])),
            (&["a-b/**", "a/**", "a/b", "a/b/**", "a/b/c", "a/**"], Some(&["a/**", "a-b/**"])),
            (&["a/b/**", "a/b", "a/c/**", "a/b"], Some(&["a/b", "a/b/**", "a/c/**"])),
            (&["a", "a"], Some(&["a"])),
            (&[], Some(&[])),
            (&["a", "**"], None),
        ] {
            let places: Vec<Place> = places.iter().map(|place| place.parse().unwrap()).collect();
            let shown = |part: &Part<'_>| {
                format!("{}{}", part.name, if part.is_below { "/**" } else { "" })
            };
            let found = parts(&places).map(|parts| parts.iter().map(shown).collect::<Vec<_>>());
            let expected = expected.map(|it| it.iter().map(ToString::to_string).collect());
            assert_eq!(found, expected, "{places:?}");
        }
    }
}
