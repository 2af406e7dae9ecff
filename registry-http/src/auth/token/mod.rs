//! [`TokenAuthorizer`]: who brings a token of the issuer that says so may do it, as Distribution's `token` has it.
//!
//! A client that brings none is told where to get one, and for what: `401` with
//! `WWW-Authenticate: Bearer realm="…",service="…",scope="repository:a:pull,push"`. One whose token is not believed, or
//! does not do, gets the same with `error="invalid_token"` or `error="insufficient_scope"`, upon which clients of images
//! fetch another.
//!
//! Signatures are verified by `ring`, which TLS brings already, and for P-521, which it does not have, by `p521`; chains by
//! `rustls-webpki`. The JSON around them is read here: the crates for JSON Web Tokens each bring a library of cryptography
//! of their own, chosen for the whole process.

mod algorithm;
mod claims;
mod der;
mod error;
mod holder;
mod jwk;
mod key;
#[cfg(test)]
mod tests;
mod trusted;
mod usage;
mod verifier;

use std::str::FromStr as _;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use tracing::debug;

use super::basic::{credentials, quoted};
use super::{Access, Actor, Authorizer, Denial, scope};

pub use self::algorithm::Algorithm;
pub use self::claims::Claims;
pub use self::error::TokenError;
pub(super) use self::holder::Holder;
pub use self::key::VerifyingKey;
pub use self::trusted::TrustedKeys;
pub(super) use self::usage::Use;
pub use self::verifier::{KeySource, TokenVerifier};

/// The scheme of RFC 6750.
pub(super) const BEARER: &str = "Bearer";

/// The header of proxies that says how a client came to them.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Lets pass whose token says that it may.
#[derive(Debug)]
pub struct TokenAuthorizer {
    verifier: TokenVerifier,
    challenge: Challenge,
}

/// Where a client gets a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The URL of the token service.
    pub realm: String,
    /// What it is to be asked for a token for.
    pub service: String,
    /// With a path, the token service is said to be there on the host that the client has asked, by `https` or what
    /// `X-Forwarded-Proto` says, and the realm counts only if a request names no host. Default: none.
    pub auto_redirect: Option<String>,
}

/// What is wrong with the token that a client has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is none.
    Missing,
    Invalid,
    Insufficient,
}

/// Where the token service is for whoever sent a request: an extension that a service puts there which has one itself.
/// It counts before what a [`Challenge`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm(pub String);

impl TokenAuthorizer {
    /// Asks for tokens as `challenge` says, and believes those that `verifier` does.
    pub fn new(verifier: TokenVerifier, challenge: Challenge) -> Self {
        Self { verifier, challenge }
    }

    async fn actor(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Wrong> {
        let token = credentials(head, BEARER).ok_or(Wrong::Missing)?;
        let claims = self.verifier.verify(token).await.map_err(|error| {
            debug!("a token is not believed: {error}");
            Wrong::Invalid
        })?;
        if !needed.iter().all(|access| claims.grants(access)) {
            return Err(Wrong::Insufficient);
        }
        Ok(claims.subject().map_or_else(Actor::anonymous, Actor::named))
    }
}

#[async_trait]
impl Authorizer for TokenAuthorizer {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        let actor = self.actor(head, needed).await;
        actor.map_err(|wrong| match self.challenge.value(head, needed, wrong) {
            Ok(challenge) => Denial::Unauthorized { challenges: vec![challenge] },
            Err(error) => Denial::Unavailable { reason: error.into() },
        })
    }
}

impl Challenge {
    /// The value of `WWW-Authenticate`.
    pub(super) fn value(
        &self,
        head: &Parts,
        needed: &[Access],
        wrong: Wrong,
    ) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
        let announced = || head.extensions.get::<Realm>().map(|realm| realm.0.clone());
        let realm = self.redirected(head).or_else(announced);
        let realm = realm.unwrap_or_else(|| self.realm.clone());
        let (realm, service) = (quoted(&realm), quoted(&self.service));
        let mut value = format!("{BEARER} realm={realm},service={service}");
        if !needed.is_empty() {
            value.push_str(&format!(",scope={}", quoted(&scope(needed))));
        }
        match wrong {
            Wrong::Missing => {}
            Wrong::Invalid => value.push_str(",error=\"invalid_token\""),
            Wrong::Insufficient => value.push_str(",error=\"insufficient_scope\""),
        }
        HeaderValue::try_from(value)
    }

    fn redirected(&self, head: &Parts) -> Option<String> {
        let path = self.auto_redirect.as_deref()?;
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = head.uri.authority().map(Authority::as_str).or(host)?;
        let host = Authority::from_str(host).ok().filter(|host| !host.as_str().contains('@'))?;
        let scheme = head.headers.get(FORWARDED_PROTO).and_then(|scheme| scheme.to_str().ok());
        let scheme = if scheme.is_some_and(|it| it.trim() == "http") { "http" } else { "https" };
        Some(format!("{scheme}://{host}{path}"))
    }
}
