//! [`SillyAuthorizer`]: whoever brings credentials of any kind may do everything, as Distribution's `silly` has it.

use async_trait::async_trait;
use http::HeaderValue;
use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::request::Parts;

use super::basic::quoted;
use super::{Access, Actor, Authorizer, Denial, scope};

/// Keeps nobody out. It is for tests of clients, to see how they answer a challenge.
#[derive(Debug)]
pub struct SillyAuthorizer {
    challenge: String,
}

impl SillyAuthorizer {
    /// Challenges with this realm and service.
    ///
    /// # Errors
    ///
    /// If one of them cannot stand in a header: it holds a control character.
    pub fn new(realm: &str, service: &str) -> Result<Self, InvalidHeaderValue> {
        let challenge = format!("Bearer realm={},service={}", quoted(realm), quoted(service));
        HeaderValue::try_from(&challenge)?;
        Ok(Self { challenge })
    }
}

#[async_trait]
impl Authorizer for SillyAuthorizer {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        if head.headers.get(AUTHORIZATION).is_some_and(|given| !given.is_empty()) {
            return Ok(Actor::named("silly"));
        }
        // Each access by itself, as Distribution does here and not with tokens.
        let each: Vec<String> = needed.chunks(1).map(scope).collect();
        let mut challenge = self.challenge.clone();
        if !each.is_empty() {
            challenge.push_str(&format!(",scope={}", quoted(&each.join(" "))));
        }
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => Err(Denial::Unauthorized { challenges: vec![challenge] }),
            Err(error) => Err(Denial::Unavailable { reason: error.into() }),
        }
    }
}
