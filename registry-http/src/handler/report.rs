//! [`Report`]: tells the event sink what a request has done.

use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName};
use registry_store::name::RepositoryName;
use registry_store::options::Clock;

use super::Call;
use crate::auth::Actor;
use crate::events::{Action, Event, EventSink, RequestInfo, Target};
use crate::links::Links;

/// Tells of what is done in one repository by one request. `None` in it if nobody listens: then it costs nothing.
pub(super) struct Report(Option<Told>);

struct Told {
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    links: Links,
    repository: RepositoryName,
    actor: Actor,
    request: RequestInfo,
}

impl Report {
    /// Of what `call` does in `repository`.
    pub(super) fn of(call: &Call<'_>, repository: &RepositoryName) -> Self {
        let told = |sink: &Arc<dyn EventSink>| Told {
            sink: sink.clone(),
            clock: call.store.options().clock.clone(),
            links: Links::absolute(call.options, call.head),
            repository: repository.clone(),
            actor: call.actor.clone(),
            request: RequestInfo {
                method: call.head.method.clone(),
                host: call
                    .head
                    .uri
                    .authority()
                    .map(Authority::to_string)
                    .or_else(|| text(&call.head.headers, HOST)),
                user_agent: text(&call.head.headers, USER_AGENT),
                extensions: call.head.extensions.clone(),
            },
        };
        Self(call.options.events.as_ref().map(told))
    }

    /// Something was done. To be called when it is durable and can be read.
    pub(super) fn tell(&self, action: Action, target: Target) {
        let Some(told) = &self.0 else { return };
        let url = match &target {
            Target::Blob { digest, .. } => Some(told.links.blob(&told.repository, digest)),
            Target::Manifest { digest, .. } => Some(told.links.manifest(&told.repository, digest)),
            Target::Tag(_) => None,
        };
        told.sink.tell(Event {
            time: told.clock.now(),
            action,
            repository: told.repository.clone(),
            target,
            url,
            actor: told.actor.clone(),
            request: told.request.clone(),
        });
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
