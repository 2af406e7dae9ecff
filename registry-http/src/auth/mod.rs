//! [`Authorizer`]: who may do what, asked of the embedder.
//!
//! The service asks when a request begins: when its head has been read and understood, before a byte of its body
//! is taken and before the storage is touched. It never asks again in the middle: a layer may take hours, and the
//! token that opened the door may expire meanwhile.
//!
//! ```
//! use async_trait::async_trait;
//! use http::header::AUTHORIZATION;
//! use http::request::Parts;
//! use http::HeaderValue;
//! use registry_http::auth::{Access, Action, Actor, Authorizer, Denial};
//!
//! /// Everybody may pull; who knows the password may do everything.
//! struct OnePassword;
//!
//! #[async_trait]
//! impl Authorizer for OnePassword {
//!     async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
//!         let given = head.headers.get(AUTHORIZATION);
//!         if given.is_some_and(|given| given == "Basic cm9vdDpzZWNyZXQ=") {
//!             return Ok(Actor::named("root"));
//!         }
//!         let reads = |access: &Access| matches!(access, Access::Repository { action: Action::Pull, .. });
//!         if given.is_none() && !needed.is_empty() && needed.iter().all(reads) {
//!             return Ok(Actor::anonymous());
//!         }
//!         let challenge = HeaderValue::from_static("Basic realm=\"registry\"");
//!         Err(Denial::Unauthorized { challenges: vec![challenge] })
//!     }
//! }
//! ```
//!
//! With the feature `auth` this crate has those of Distribution: `htpasswd::Htpasswd` with `basic::BasicAuthorizer`,
//! `token::TokenAuthorizer`, and `silly::SillyAuthorizer` for tests; and those of its own: `policy::PolicyAuthorizer`, by
//! rules of who may do what in which repositories, and `issuer::TokenService`, which makes tokens. Who somebody is (`identity::Identifier`,
//! `token::TokenVerifier`) is told apart from what he may do, so that an authorizer of another kind builds on the same.
//!
//! # What each request needs
//!
//! | request | needs |
//! |---|---|
//! | `GET /`, OPTIONS of any path | is not asked about: both say nothing of what is stored, load balancers and browsers send no credentials with them |
//! | `GET /v2/` | nothing in particular: the list is empty, and any client that is known passes |
//! | the catalog | [`Access::Catalog`]; of it the client is shown what the [`Actor`] sees |
//! | GET and HEAD of a blob or a manifest, tags, referrers | pull |
//! | POST, PATCH, PUT: uploads and manifests | pull and push, as with Distribution, whose clients ask for both at once |
//! | GET and HEAD of an upload session | pull and push: to look at a session is to take it up, which stops whoever still sends to it |
//! | DELETE of an upload session | push: it undoes what the same client began, and takes from nobody what was pushed; tokens for a push do not hold `delete` |
//! | DELETE of a blob, a manifest or a tag | delete |
//! | a mount | pull and push, and pull on the repository the blob comes from |
//!
//! A mount asks for all of that at once. If the verdict is no, it asks again for the target alone; if that passes,
//! the mount is declined with 202 and an upload session, as if the blob were not there: what the client may not
//! read does not keep it from pushing its own copy. Otherwise the first refusal is the answer, as its challenge
//! names everything; but if that was [`Denial::Denied`], and for the target alone other credentials would do, it is
//! the second, or the client would give up. A mount that names no source is always declined: nobody could say who may
//! read the blob.
//!
//! What is refused before anybody is asked is what the head alone shows to be wrong: an unknown path, a method
//! that is not allowed, a name, digest or parameter that is none. Such an answer depends on nothing that is
//! stored; every other does, and comes after.

#[cfg(feature = "auth")]
pub mod basic;
#[cfg(feature = "auth")]
pub mod credentials;
#[cfg(feature = "auth")]
pub mod htpasswd;
#[cfg(feature = "auth")]
pub mod identity;
#[cfg(feature = "auth")]
pub mod issuer;
mod place;
#[cfg(feature = "auth")]
pub mod policy;
#[cfg(feature = "auth")]
mod principal;
#[cfg(feature = "auth")]
mod reloaded;
#[cfg(feature = "auth")]
pub mod silly;
#[cfg(feature = "auth")]
mod together;
#[cfg(feature = "auth")]
pub mod token;
#[cfg(feature = "auth")]
mod turns;
#[cfg(feature = "auth")]
mod verified;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::request::Parts;
use registry_store::error::BodyError;
use registry_store::name::RepositoryName;

pub use self::place::{NoPlace, Place};
#[cfg(feature = "auth")]
pub use self::reloaded::FileError;

/// Says whether a request may go on, and whose it is.
///
/// * It is asked once for a request, for a mount at most twice.
/// * The request waits as long as it takes: who asks another service bounds that. If the client leaves, the
///   future is dropped.
/// * It sees the head as it came, with the extensions that layers around the service have put there.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// May whoever sent this request do all that it needs?
    ///
    /// `needed` holds each access once, those of one repository side by side. It is empty for `GET /v2/`, by which
    /// clients find out whether their credentials are good.
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial>;
}

/// Says nothing of what it knows: it may be a password.
impl fmt::Debug for dyn Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorizer(..)")
    }
}

/// Something that a request needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// To do something in a repository, which need not exist.
    Repository {
        /// The repository.
        name: RepositoryName,
        /// What is to be done.
        action: Action,
    },
    /// To see the catalog: the names of all repositories, or of those that the [`Actor`] sees.
    Catalog,
}

/// What is done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// To read blobs, manifests, tags and referrers.
    Pull,
    /// To add blobs and manifests, and to move tags.
    Push,
    /// To take blobs, manifests and tags away.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        })
    }
}

/// The accesses as the `scope` of a Bearer challenge has them:
/// `repository:a/b:pull,push repository:c:pull registry:catalog:*`. Empty if nothing is needed.
pub fn scope(needed: &[Access]) -> String {
    let mut scope = String::new();
    let mut before = None;
    for access in needed {
        let (separator, text) = match access {
            Access::Catalog => (" ", "registry:catalog:*".to_owned()),
            Access::Repository { name, action } if before == Some(name) => {
                (",", action.to_string())
            }
            Access::Repository { name, action } => (" ", format!("repository:{name}:{action}")),
        };
        before = match access {
            Access::Repository { name, .. } => Some(name),
            Access::Catalog => None,
        };
        if !scope.is_empty() {
            scope.push_str(separator);
        }
        scope.push_str(&text);
    }
    scope
}

/// Who sent a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    name: Option<String>,
    sees: Option<Arc<[Place]>>,
}

impl Actor {
    /// Somebody who need not say who he is.
    pub const fn anonymous() -> Self {
        Self { name: None, sees: None }
    }

    /// Somebody of this name, which [events](crate::events) carry on.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), sees: None }
    }

    /// The catalog lists for him the repositories in these places, and no others.
    #[must_use]
    pub fn sees_only(self, places: impl Into<Arc<[Place]>>) -> Self {
        Self { sees: Some(places.into()), ..self }
    }

    /// In which places the repositories are that the catalog lists for him; `None`: all of them.
    pub fn sees(&self) -> Option<&[Place]> {
        self.sees.as_deref()
    }

    /// His name, if he has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Why a request may not go on.
#[derive(Debug)]
pub enum Denial {
    /// The client has to say who it is, or the token it has does not do: 401 `UNAUTHORIZED`.
    Unauthorized {
        /// How it can do so: the values of `WWW-Authenticate`, sent as they are, each as a header of its own. At
        /// least one (RFC 9110 §11.6.1).
        challenges: Vec<HeaderValue>,
    },
    /// It is known who it is, and he may not: 403 `DENIED`.
    Denied,
    /// It asks too often: 429 `TOOMANYREQUESTS`.
    TooManyRequests {
        /// When it may ask again: `Retry-After`, in whole seconds, rounded up.
        retry_after: Duration,
    },
    /// It cannot be told now, through no fault of the client: 503 `UNAVAILABLE`.
    Unavailable {
        /// For the log; clients are not told.
        reason: BodyError,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized { .. } => "authentication required",
            Self::Denied => "requested access to the resource is denied",
            Self::TooManyRequests { .. } => "too many requests; try again later",
            Self::Unavailable { .. } => "it cannot be told now who may do this; try again",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(name: &str, action: Action) -> Access {
        Access::Repository { name: name.parse().unwrap(), action }
    }

    #[test]
    fn a_scope_names_each_repository_once_with_all_of_its_actions() {
        let needed = [
            access("a/b", Action::Pull),
            access("a/b", Action::Push),
            access("c", Action::Pull),
            Access::Catalog,
            access("c", Action::Delete),
        ];
        assert_eq!(
            scope(&needed),
            "repository:a/b:pull,push repository:c:pull registry:catalog:* repository:c:delete"
        );
        assert_eq!(scope(&[]), "");
    }
}
