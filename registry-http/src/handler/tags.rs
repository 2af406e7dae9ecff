//! The tags of a repository, in pages or all at once (end-8a, end-8b).

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_TYPE, LINK};
use http::{Response, StatusCode};
use registry_store::name::RepositoryName;
use registry_store::reference::Tag;
use registry_store::tags::Tags;
use serde_json::json;

use super::{Answer, Call};
use crate::body::ResponseBody;
use crate::endpoint::PageQuery;
use crate::headers;

/// The tags of a repository: a page if the client gives a number, else all of them.
///
/// The beginning is read before the answer begins, so that an unknown repository is 404. Whatever the number of
/// tags, two pages of them are held, and so many names as [`Tags::all`] says.
pub(super) async fn list(call: &Call<'_>, name: &RepositoryName, query: PageQuery) -> Answer {
    let tags = call.repository(name).tags();
    let page_size = call.options.tags_max;
    let Some(limit) = query.limit else {
        return all(&tags, name, query.after.as_deref(), page_size).await;
    };
    let limit = limit.min(page_size);
    let page = tags.list(query.after.as_deref(), limit).await?;
    let mut response = whole(name, &page.items);
    if let Some(last) = page.next_after() {
        let next = call.links.next_tags(name, limit, last);
        response.headers_mut().insert(LINK, headers::value(next));
    }
    Ok(response)
}

/// All tags, in one answer. More than a page of them are sent in parts, as they are read.
async fn all(tags: &Tags, name: &RepositoryName, after: Option<&str>, part: usize) -> Answer {
    let mut parts = Box::pin(tags.all(after, part));
    let first = parts.try_next().await?.unwrap_or_default();
    let Some(second) = parts.try_next().await? else {
        return Ok(whole(name, &first));
    };
    let opening = format!("{{\"name\":\"{name}\",\"tags\":[{},{}", listed(&first), listed(&second));
    let rest = parts.map_ok(|part| Bytes::from(format!(",{}", listed(&part))));
    let closing = stream::once(async { Ok(Bytes::from("]}")) });
    let body = stream::once(async { Ok(opening.into()) }).chain(rest).chain(closing);
    Ok(as_json(ResponseBody::unsized_stream(body)))
}

/// An answer whose length is known.
fn whole(name: &RepositoryName, tags: &[Tag]) -> Response<ResponseBody> {
    let texts: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let body = json!({ "name": name.as_str(), "tags": texts }).to_string();
    as_json(ResponseBody::full(body))
}

/// Tags as the inside of a JSON array. Nothing in a tag or a name needs to be escaped.
fn listed(tags: &[Tag]) -> String {
    let quoted: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    quoted.join(",")
}

fn as_json(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = body.respond(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, headers::JSON);
    response
}
