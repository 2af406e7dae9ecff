//! The catalog: every repository there is, in pages (as Distribution; not of the OCI specification).

use http::StatusCode;
use http::header::{CONTENT_TYPE, LINK};
use registry_store::name::RepositoryName;
use serde_json::json;

use super::{Answer, Call};
use crate::body::ResponseBody;
use crate::endpoint::PageQuery;
use crate::headers;

/// A page of the catalog, and a `Link` to the next one.
pub(super) async fn list(call: &Call<'_>, page: PageQuery) -> Answer {
    let limit = page.limit.unwrap_or(call.options.catalog_default);
    let limit = limit.min(call.options.catalog_max);
    let found = call.store.repositories(page.after.as_deref(), limit).await?;
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
