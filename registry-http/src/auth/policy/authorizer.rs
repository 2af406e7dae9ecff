//! [`PolicyAuthorizer`]: a request may do what the policy allows whoever sent it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use http::request::Parts;
use tracing::debug;

use super::{CurrentPolicy, Policy};
use crate::auth::basic::{challenge, credentials};
use crate::auth::credentials::{Credentials, Presented};
use crate::auth::principal::Principal;
use crate::auth::token::{BEARER, Challenge, Claims, TokenVerifier, Wrong};
use crate::auth::{Access, Actor, Authorizer, Denial};

/// Lets do what a [`Policy`] allows.
///
/// | who asks | and may not | is told |
/// |---|---|---|
/// | nobody knows who | | 401, and how to say who he is |
/// | somebody whose credentials are not good | whatever it is | the same: they do not count as none |
/// | somebody who is known | | 403 `DENIED`, whether the repository exists or not |
/// | somebody whose token does not hold what the policy would allow him | | 401 `insufficient_scope`: he fetches another |
///
/// A token lets do nothing that the policy does not allow whoever it names now, whichever service has made it. `GET /v2/` is
/// refused to who is not known, even where he may pull: that is how clients find out that they can log in.
#[derive(Clone)]
pub struct PolicyAuthorizer {
    policy: CurrentPolicy,
    credentials: Credentials,
    basic: Option<HeaderValue>,
    tokens: Option<Arc<Tokens>>,
}

struct Tokens {
    verifier: TokenVerifier,
    challenge: Challenge,
    /// They are our own: their subjects are those of the policy's users.
    are_ours: bool,
}

impl PolicyAuthorizer {
    /// Allows what `policy` does to whom `credentials` know.
    pub fn new(policy: impl Into<CurrentPolicy>, credentials: Credentials) -> Self {
        Self { policy: policy.into(), credentials, basic: None, tokens: None }
    }

    /// Asks for a password where it asks for no token. People are shown the `realm`.
    ///
    /// # Errors
    ///
    /// If the realm cannot stand in a header: it holds a control character.
    pub fn with_basic(self, realm: &str) -> Result<Self, InvalidHeaderValue> {
        Ok(Self { basic: Some(challenge(realm)?), ..self })
    }

    /// Takes tokens of another service too, and sends there who brings none. `subject:` of the policy is who a token is
    /// of.
    #[must_use]
    pub fn with_tokens(self, verifier: TokenVerifier, challenge: Challenge) -> Self {
        let tokens = Tokens { verifier, challenge, are_ours: false };
        Self { tokens: Some(Arc::new(tokens)), ..self }
    }

    /// The same with tokens of our own: those of a [`TokenService`](crate::auth::issuer::TokenService).
    #[must_use]
    pub fn with_own_tokens(self, verifier: TokenVerifier, challenge: Challenge) -> Self {
        let tokens = Tokens { verifier, challenge, are_ours: true };
        Self { tokens: Some(Arc::new(tokens)), ..self }
    }

    /// Who is to say who he is, and how he can. Where there is no way to, it is denied.
    fn unauthorized(&self, head: &Parts, needed: &[Access], wrong: Wrong) -> Denial {
        match (&self.tokens, &self.basic) {
            (Some(tokens), _) => match tokens.challenge.value(head, needed, wrong) {
                Ok(challenge) => Denial::Unauthorized { challenges: vec![challenge] },
                Err(error) => Denial::Unavailable { reason: error.into() },
            },
            (None, Some(basic)) => Denial::Unauthorized { challenges: vec![basic.clone()] },
            (None, None) => Denial::Denied,
        }
    }

    async fn by_token(
        &self,
        policy: &Policy,
        tokens: &Tokens,
        token: &str,
        head: &Parts,
        needed: &[Access],
    ) -> Result<Actor, Denial> {
        let claims = tokens.verifier.verify(token).await.map_err(|error| {
            debug!("a token is not believed: {error}");
            self.unauthorized(head, needed, Wrong::Invalid)
        })?;
        let Some(holder) = tokens.holder(&claims) else {
            debug!("a token is not believed: it does not say whose it is");
            return Err(self.unauthorized(head, needed, Wrong::Invalid));
        };
        let is_allowed = needed.iter().all(|access| policy.allows(&holder, access));
        if !is_allowed && holder != Principal::Anonymous {
            return Err(Denial::Denied);
        }
        if !is_allowed || !needed.iter().all(|access| claims.grants(access)) {
            return Err(self.unauthorized(head, needed, Wrong::Insufficient));
        }
        let actor = claims.subject().map_or_else(Actor::anonymous, Actor::named);
        Ok(actor.sees_only(policy.listed_for(&holder)))
    }
}

impl Tokens {
    /// Of whom the policy is asked. `None` if the token is not such as ours are.
    fn holder(&self, claims: &Claims) -> Option<Principal> {
        if self.are_ours {
            return claims.holder();
        }
        let subject = claims.subject().map(str::to_owned);
        Some(subject.map_or(Principal::Anonymous, Principal::Subject))
    }
}

#[async_trait]
impl Authorizer for PolicyAuthorizer {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        let policy = self.policy.get();
        if let (Some(tokens), Some(token)) = (&self.tokens, credentials(head, BEARER)) {
            return self.by_token(&policy, tokens, token, head, needed).await;
        }
        let presented = self.credentials.of(head).await;
        let who = match presented.map_err(|reason| Denial::Unavailable { reason })? {
            Presented::By(who) => who,
            Presented::Refused => return Err(self.unauthorized(head, needed, Wrong::Missing)),
        };
        let is_known = who != Principal::Anonymous;
        let is_allowed = needed.iter().all(|access| policy.allows(&who, access));
        let can_log_in = self.tokens.is_some() || self.basic.is_some();
        match (is_known, is_allowed) {
            (false, true) if needed.is_empty() && can_log_in => {
                Err(self.unauthorized(head, needed, Wrong::Missing))
            }
            (_, true) => Ok(who.actor().sees_only(policy.listed_for(&who))),
            (true, false) => Err(Denial::Denied),
            (false, false) => Err(self.unauthorized(head, needed, Wrong::Missing)),
        }
    }
}

impl fmt::Debug for PolicyAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyAuthorizer")
            .field("policy", &self.policy)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
