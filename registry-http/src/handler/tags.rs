//! The tags of a repository, in pages or all at once (end-8a, end-8b).

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::header::{CONTENT_TYPE, LINK};
use http::{Response, StatusCode};
use registry_store::error::Error;
use registry_store::name::RepositoryName;
use registry_store::page::Page;
use registry_store::reference::Tag;
use registry_store::tags::Tags;
use serde_json::json;

use super::{Answer, Call};
use crate::body::ResponseBody;
use crate::endpoint::PageQuery;
use crate::headers;

/// The tags of a repository: a page if the client gives a number, else all of them.
///
/// The first page is read before the answer begins, so that an unknown repository is 404. Whatever the number
/// of tags, one page of them is held.
pub(super) async fn list(call: &Call<'_>, name: &RepositoryName, query: PageQuery) -> Answer {
    let tags = call.repository(name).tags();
    let page_size = call.options.tags_max;
    let limit = query.limit.map_or(page_size, |limit| limit.min(page_size));
    let page = tags.list(query.after.as_deref(), limit).await?;
    if query.limit.is_none() && page.more {
        let all = all(tags, name, page, page_size);
        return Ok(as_json(ResponseBody::unsized_stream(all)));
    }

    let texts: Vec<&str> = page.items.iter().map(Tag::as_str).collect();
    let body = json!({ "name": name.as_str(), "tags": texts }).to_string();
    let mut response = as_json(ResponseBody::full(body));
    if let Some(last) = page.next_after() {
        let next = call.links.next_tags(name, limit, last);
        response.headers_mut().insert(LINK, headers::value(next));
    }
    Ok(response)
}

/// The same JSON in parts, one for each page, read when the one before is sent.
fn all(
    tags: Tags,
    name: &RepositoryName,
    first: Page<Tag>,
    page_size: usize,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    let opening = format!("{{\"name\":\"{name}\",\"tags\":[{}", listed(&first));
    let closing = || stream::once(async { Ok("]}".into()) });
    let rest = stream::try_unfold((tags, first), move |(tags, before)| async move {
        let Some(last) = before.next_after() else {
            return Ok(None);
        };
        let page = tags.list(Some(last.as_str()), page_size).await?;
        let separator = if page.items.is_empty() { "" } else { "," };
        let part = format!("{separator}{}", listed(&page));
        Ok(Some((Bytes::from(part), (tags, page))))
    });
    stream::once(async { Ok(opening.into()) }).chain(rest).chain(closing())
}

/// Tags as the inside of a JSON array. Nothing in a tag or a name needs to be escaped.
fn listed(page: &Page<Tag>) -> String {
    let quoted: Vec<String> = page.items.iter().map(|tag| format!("\"{tag}\"")).collect();
    quoted.join(",")
}

fn as_json(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = body.respond(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, headers::JSON);
    response
}
