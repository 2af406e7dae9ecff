//! The token service: who asks for a token, and what he gets.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode};
use registry_store::error::Error;
use tracing::info;

use super::{Answer, base};
use crate::auth::Actor;
use crate::auth::issuer::{NoToken, TokenService};
use crate::auth::token::Realm;
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::headers;
use crate::links::Links;
use crate::options::Options;
use crate::peer::Peer;
use crate::refusal::{Allow, Refusal};

/// The longest form that is read, in bytes.
const FORM_MAX: usize = 64 * 1024;

/// How long it may take to come. It is read before anybody is known, so that it is not enough that it moves.
const FORM_TIME: Duration = Duration::from_secs(15);

/// Says in a request where the service is, as its client sees it.
pub(super) fn announced(options: &Options, mut head: Parts) -> Parts {
    if let Some(service) = &options.tokens {
        let realm = service.realm.clone();
        let realm = realm.unwrap_or_else(|| Links::tokens(options, &head, service));
        head.extensions.insert(Realm(realm));
    }
    head
}

/// Answers a request at its path. Who gets a token is `known` from then on; that somebody gets none is told to the log, without
/// his name, which may be a password.
pub(super) async fn answer(
    service: &TokenService,
    head: &Parts,
    body: &mut RequestBody,
    known: &mut Option<Actor>,
) -> Answer {
    let allow = Allow::new(&[Method::GET, Method::HEAD, Method::POST]);
    let failed = |why: NoToken| {
        if matches!(why, NoToken::Credentials) {
            let peer = head.extensions.get::<Peer>().map(ToString::to_string);
            info!(peer = peer.as_deref().unwrap_or("-"), "a login failed: no token is given");
        }
        Failure::of_token_service(service.basic_realm(), why)
    };
    let made = match head.method {
        Method::OPTIONS => return Ok(base::options(&allow)),
        Method::GET | Method::HEAD => service.by_query(head).await.map_err(failed)?,
        Method::POST => {
            let form = body.read_within(FORM_TIME, FORM_MAX).await.map_err(Error::Body)?;
            if form.len() > FORM_MAX {
                return Err(failed(NoToken::Request("a form of 64 KiB at most")));
            }
            service.by_form(head, &form).await.map_err(failed)?
        }
        _ => return Err(Refusal::Method { allow }.into()),
    };
    *known = Some(made.who.actor());
    let mut response = ResponseBody::full(made.answer.to_string()).respond(StatusCode::OK);
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, headers::JSON);
    // RFC 6749 §5.1.
    to.insert(CACHE_CONTROL, headers::NOT_KEPT);
    Ok(response)
}
