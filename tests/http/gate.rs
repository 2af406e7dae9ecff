//! [`Gate`]: who may do what, where a test needs somebody who says so.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use registry_http::auth::{Access, Actor, Authorizer, Denial};

/// The value of `Authorization` that [`Gate::Password`] lets pass.
pub(crate) const PASSWORD: &str = "Basic b2s=";

/// One rule each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gate {
    /// Whoever knows the password may do everything, nobody else anything.
    Password,
    /// Nobody may do anything.
    Closed,
    /// Everybody may do everything outside of the repository `zoo`.
    NotTheZoo,
    /// Everybody asks too often, for half a minute.
    TooOften,
    /// Who would know cannot be asked.
    OutOfReach,
}

#[async_trait]
impl Authorizer for Gate {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        let is_zoo = |access: &Access| matches!(access, Access::Repository { name, .. } if name.as_str() == "zoo");
        match self {
            Self::Password if head.headers.get(AUTHORIZATION).is_some_and(|it| it == PASSWORD) => {
                Ok(Actor::named("somebody"))
            }
            Self::Password => {
                let challenge = HeaderValue::from_static("Basic realm=\"registry\"");
                Err(Denial::Unauthorized { challenges: vec![challenge] })
            }
            Self::NotTheZoo if !needed.iter().any(is_zoo) => Ok(Actor::anonymous()),
            Self::NotTheZoo | Self::Closed => Err(Denial::Denied),
            Self::TooOften => {
                Err(Denial::TooManyRequests { retry_after: Duration::from_millis(29_500) })
            }
            Self::OutOfReach => Err(Denial::Unavailable { reason: "ldap://secret is down".into() }),
        }
    }
}
