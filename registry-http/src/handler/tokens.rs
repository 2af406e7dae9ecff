//! The token service: who asks for a token, and what he gets.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode};
use registry_store::error::Error;

use super::{Answer, base};
use crate::auth::issuer::{NoToken, TokenService};
use crate::auth::token::Realm;
use crate::body::{RequestBody, ResponseBody};
use crate::endpoint::Links;
use crate::error::Failure;
use crate::headers;
use crate::options::Options;
use crate::refusal::{Allow, Refusal};

/// The longest form that is read, in bytes.
const FORM_MAX: usize = 64 * 1024;

/// Says in a request where the service is, as its client sees it.
pub(super) fn announced(options: &Options, mut head: Parts) -> Parts {
    if let Some(service) = &options.tokens {
        let links = Links::absolute(options, &head);
        let realm = service.realm.clone().unwrap_or_else(|| links.tokens(service));
        head.extensions.insert(Realm(realm));
    }
    head
}

/// Answers a request at its path.
pub(super) async fn answer(service: &TokenService, head: &Parts, body: &mut RequestBody) -> Answer {
    let allow = Allow::new(&[Method::GET, Method::HEAD, Method::POST]);
    let failed = |why: NoToken| Failure::of_token_service(service.basic_realm(), why);
    let made = match head.method {
        Method::OPTIONS => return Ok(base::options(&allow)),
        Method::GET | Method::HEAD => service.by_query(head).await.map_err(failed)?,
        Method::POST => {
            let form = body.read(FORM_MAX).await.map_err(Error::Body)?;
            if form.len() > FORM_MAX {
                return Err(failed(NoToken::Request("a form of 64 KiB at most")));
            }
            service.by_form(&form).await.map_err(failed)?
        }
        _ => return Err(Refusal::Method { allow }.into()),
    };
    let mut response = ResponseBody::full(made.to_string()).respond(StatusCode::OK);
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, headers::JSON);
    // RFC 6749 §5.1.
    to.insert(CACHE_CONTROL, headers::NOT_KEPT);
    Ok(response)
}
