//! What the server can do, found out by trying: some take a condition in silence and overwrite all the same.
//!
//! Each trial makes a real conflict, below a name that nobody else has, and takes away what it made. A server whose
//! listings are not in order, or do not show at once what was written and deleted, is refused: nothing here could
//! rely on them.

use bytes::Bytes;

use super::Abilities;
use super::fault::{Cause, Failure};
use super::names::Names;
use super::requests::{Condition, Outcome, Requests, Source};
use crate::backend::{Error, ErrorKind, Result};

/// Names whose order shows whether it is that of bytes.
const ORDERED: [&str; 5] = ["1-a/x", "1.b/x", "1/x", "10/x", "a/x"];

/// An ETag that no object here has.
const ELSEWHERE: &str = "\"00000000000000000000000000000000\"";

/// See the [module](self). `place` is where to try, with a slash at its end.
pub(super) async fn probe(requests: &Requests, place: &str) -> Result<Abilities> {
    let tried = async {
        let abilities = abilities(requests, place).await?;
        let listing = listing(requests, place).await?;
        Ok::<_, Failure>((abilities, listing))
    };
    let tried = tried.await;
    let cleaned = clean(requests, place).await;
    let (abilities, listing) = tried.map_err(Failure::into_error)?;
    cleaned.map_err(Failure::into_error)?;
    match listing {
        None => Ok(abilities),
        Some(fault) => Err(Error::new(ErrorKind::Unsupported, "open").because(format!(
            "expected a store whose listings are in the order of bytes and show every write, found one that {fault}"
        ))),
    }
}

async fn abilities(requests: &Requests, place: &str) -> Outcome<Abilities> {
    let (there, other) = (format!("{place}there"), format!("{place}other"));
    let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"new"));
    let always = Condition::Always;
    let etag = requests.put(&there, &old, &always).await?;
    requests.put(&other, &new, &always).await?;

    let put_if_absent = honours(requests.put(&there, &new, &Condition::Absent).await)?;
    let elsewhere = Condition::Matches(ELSEWHERE.to_owned());
    let put_if_match = honours(requests.put(&there, &new, &elsewhere).await)?;
    // It must also take what is right.
    let matches = Condition::Matches(etag);
    let put_if_match = put_if_match && requests.put(&there, &old, &matches).await.is_ok();

    let complete_if_absent = completes_if_absent(requests, &there, &new).await?;

    let found = requests.head(&other).await?;
    let source = Source { name: other, etag: found.map(|found| found.etag).unwrap_or_default() };
    let copied = requests.copy(&source, 3, &there, &Condition::Absent).await;
    let copy_if_absent = honours(copied.map(|()| String::new()))?;

    let wrong = requests.delete_telling(&there, Some(ELSEWHERE.to_owned())).await;
    let delete_if_match = honours(wrong.map(|_| String::new()))?;
    let found = requests.head(&there).await?.map(|found| found.etag);
    // It must also take what is right.
    let delete_if_match =
        delete_if_match && found.is_some() && requests.delete_telling(&there, found).await.is_ok();
    Ok(Abilities {
        put_if_absent,
        put_if_match,
        complete_if_absent,
        copy_if_absent,
        delete_if_match,
    })
}

/// Is the condition of a completion heeded, where there is an object? Whatever becomes of the upload, it is aborted.
async fn completes_if_absent(requests: &Requests, name: &str, bytes: &Bytes) -> Outcome<bool> {
    let upload = requests.create_upload(name).await?;
    let tried = async {
        let part = requests.upload_part(name, &upload, 1, bytes).await?;
        let completed = requests.complete(name, &upload, &[part], &Condition::Absent).await;
        match completed {
            // By a try before this one.
            Err(failure) if failure.is_uncertain() && failure.is(Cause::NoSuchUpload) => Ok(false),
            completed => honours(completed),
        }
    };
    let tried = tried.await;
    requests.abort(name, &upload).await?;
    tried
}

/// Was a condition heeded that did not hold?
fn honours(outcome: Outcome<String>) -> Outcome<bool> {
    match outcome {
        Ok(_) => Ok(false),
        Err(failure) if failure.is(Cause::Condition) => Ok(true),
        // It says that it does not know conditions.
        Err(failure) if failure.is(Cause::Unsupported) || failure.is(Cause::Other) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// What is wrong with how it lists, if anything is.
async fn listing(requests: &Requests, place: &str) -> Outcome<Option<&'static str>> {
    let place = format!("{place}list/");
    let names = ORDERED.map(|name| format!("{place}{name}"));
    // In another order than they are to be listed in, and looked for after each.
    let mut written: Vec<&String> = Vec::new();
    for name in [&names[3], &names[0], &names[4], &names[2], &names[1]] {
        requests.put(name, &Bytes::new(), &Condition::Always).await?;
        written.push(name);
        let found = listed(requests, &place, None).await?;
        if written.iter().any(|name| !found.contains(name)) {
            return Ok(Some("does not list at once what was written"));
        }
    }
    if listed(requests, &place, None).await? != names {
        return Ok(Some("lists in another order"));
    }
    if listed(requests, &place, Some(&names[2])).await? != names[3..] {
        return Ok(Some("does not begin behind a name as it is asked to"));
    }
    requests.delete(&names[3]).await?;
    if listed(requests, &place, None).await?.contains(&names[3]) {
        return Ok(Some("lists what was deleted"));
    }
    Ok(None)
}

async fn listed(requests: &Requests, place: &str, after: Option<&str>) -> Outcome<Vec<String>> {
    let page = requests.list(place, after, None, ORDERED.len() * 2).await?;
    Ok(page.objects.into_iter().map(|(name, _)| name).collect())
}

/// Takes away what was made: by name, because a listing may not show it.
async fn clean(requests: &Requests, place: &str) -> Outcome<()> {
    let made = ["there".to_owned(), "other".to_owned()].into_iter();
    let made = made.chain(ORDERED.map(|name| format!("list/{name}")));
    let made: Vec<String> = made.map(|name| format!("{place}{name}")).collect();
    requests.delete_all(&made).await
}

/// Where to try: a place of the backend's own that nobody else has.
pub(super) fn place(names: &Names, random: &str) -> String {
    format!("{}probe/{random}/", names.prefix_of(&crate::layout::private()))
}
