//! [`Identifier`]: who sent a request, told apart from what he may do.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::request::Parts;
use registry_store::error::BodyError;

use super::Actor;

/// Says who sent a request. What he may do is for an [`Authorizer`](super::Authorizer) to say, which asks this.
#[async_trait]
pub trait Identifier: Send + Sync + 'static {
    /// Who it is, by the head of his request.
    ///
    /// # Errors
    ///
    /// If that cannot be told now, through no fault of the client; the reason is for the log.
    async fn identify(&self, head: &Parts) -> Result<Identity, BodyError>;
}

/// What a request says of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It brings no credentials.
    Anonymous,
    /// It brings good ones.
    Known(Actor),
    /// It brings some that are not good, or of another kind. They do not count as none: who mistypes a password is
    /// told so, and not served as somebody else.
    Refused,
}

/// Whether a request brings credentials of any kind.
pub fn has_credentials(head: &Parts) -> bool {
    head.headers.contains_key(AUTHORIZATION)
}
