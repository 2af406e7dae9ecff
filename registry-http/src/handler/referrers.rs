//! The manifests that refer to one as their subject (end-12a, end-12b).

use std::pin::pin;

use futures::TryStreamExt;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, StatusCode};
use registry_store::descriptor::Descriptor;
use registry_store::digest::Digest;
use registry_store::error::Result;
use registry_store::media_type::MediaType;
use registry_store::name::RepositoryName;
use registry_store::referrers::Referrers;

use super::{Answer, Call};
use crate::body::ResponseBody;
use crate::endpoint::ReferrersQuery;
use crate::headers;

/// An index of the manifests whose subject is the one asked for. Nobody refers to it: an empty index.
pub(super) async fn list(
    call: &Call<'_>,
    name: &RepositoryName,
    mut query: ReferrersQuery,
) -> Answer {
    let max = call.options.referrers_max;
    let limit = query.limit.map_or(max, |limit| limit.min(max));
    query.limit = Some(limit);
    let referrers = call.repository(name).referrers();
    let artifact_type = query.artifact_type.as_deref().map(str::parse).transpose();
    let page = match (query.subject.known(), artifact_type) {
        (Some(subject), Ok(artifact_type)) => {
            collect(call, &referrers, subject, &query, artifact_type.as_ref()).await?
        }
        // No referrers are recorded for such a subject, and no manifest can be of such a type.
        (None, _) | (_, Err(_)) => Collected::default(),
    };

    let mut response = ResponseBody::full(index(&page)).respond(StatusCode::OK);
    let to = response.headers_mut();
    let media_type = HeaderValue::from_static(MediaType::OCI_INDEX);
    to.insert(CONTENT_TYPE, media_type);
    if query.artifact_type.is_some() {
        let filters = HeaderValue::from_static("artifactType");
        to.insert(headers::OCI_FILTERS, filters);
    }
    if let Some(last) = page.last.filter(|_| page.more) {
        let next = call.links.next_referrers(name, &query, &last);
        to.insert(LINK, headers::value(next));
    }
    Ok(response)
}

/// A page of descriptors.
#[derive(Default)]
struct Collected {
    /// The inside of a JSON array.
    descriptors: String,
    count: usize,
    last: Option<Digest>,
    more: bool,
}

impl Collected {
    fn push(&mut self, descriptor: &Descriptor) {
        if self.count > 0 {
            self.descriptors.push(',');
        }
        let json = serde_json::to_string(descriptor).expect("a descriptor has only text keys");
        self.descriptors.push_str(&json);
        self.count += 1;
        self.last = descriptor.digest.known().copied().or(self.last);
    }
}

async fn collect(
    call: &Call<'_>,
    referrers: &Referrers,
    subject: &Digest,
    query: &ReferrersQuery,
    artifact_type: Option<&MediaType>,
) -> Result<Collected> {
    let limit = query.limit.unwrap_or_default();
    let mut page = Collected::default();
    if limit == 0 {
        return Ok(page);
    }
    let max_bytes = call.options.referrers_max_bytes;
    let mut found = pin!(referrers.all(subject, artifact_type, query.after.as_ref()));
    while let Some(descriptor) = found.try_next().await? {
        if page.count == limit || (page.count > 0 && page.descriptors.len() >= max_bytes) {
            page.more = true;
            break;
        }
        page.push(&descriptor);
    }
    Ok(page)
}

fn index(page: &Collected) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[{}]}}",
        MediaType::OCI_INDEX,
        page.descriptors
    )
}
