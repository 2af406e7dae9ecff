//! [`Credentials`]: who somebody is, by his password or his certificate.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;
use registry_store::error::BodyError;

use super::basic::basic_credentials;
use super::identity::has_credentials;
use super::principal::Principal;
use crate::peer::ClientCertificate;

/// Knows users by their passwords.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Is there such a user, and is this his password? Who is unknown has to cost as much as who is known. `head` is that of
    /// the request, by which one who asks again and again can be told from others.
    ///
    /// # Errors
    ///
    /// If that cannot be told now; the reason is for the log.
    async fn is_right(&self, head: &Parts, name: &str, password: &str) -> Result<bool, BodyError>;

    /// What stands for the password that a user has now: another one when it is changed, and nothing that it could be
    /// guessed by. `None` if there is no such user.
    ///
    /// # Errors
    ///
    /// As above.
    async fn mark(&self, name: &str) -> Result<Option<String>, BodyError>;
}

/// By what somebody can be known. Cheap to clone.
#[derive(Clone, Default)]
pub struct Credentials {
    users: Option<Arc<dyn Users>>,
    certificates: bool,
}

/// What a request says of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    /// Who it is; anonymous if the request says nothing.
    By(Principal),
    /// What it says is not good, or not of a kind that counts.
    Refused,
}

impl Credentials {
    /// Nobody can be known.
    pub fn none() -> Self {
        Self::default()
    }

    /// Users can, by a password in the header `Authorization: Basic`.
    #[must_use]
    pub fn with_users(self, users: Arc<dyn Users>) -> Self {
        Self { users: Some(users), ..self }
    }

    /// Whoever has a verified [`ClientCertificate`] can. It counts where a request has no other credentials.
    #[must_use]
    pub fn with_certificates(self) -> Self {
        Self { certificates: true, ..self }
    }

    /// Who it is, by the head of his request.
    ///
    /// skopeo and podman send `Basic` with an empty name and an empty password where they are asked for one and nobody
    /// has logged in. That says as little as no header at all, and to refuse it would keep them from what everybody may
    /// pull. One of the two alone is somebody who tries to log in.
    pub(super) async fn of(&self, head: &Parts) -> Result<Presented, BodyError> {
        if !has_credentials(head) {
            return Ok(Presented::By(self.without_credentials(head)));
        }
        match basic_credentials(head) {
            Some(it) if it.name.is_empty() && it.password.is_empty() => {
                Ok(Presented::By(self.without_credentials(head)))
            }
            Some(it) => self.by_password(head, &it.name, &it.password).await,
            None => Ok(Presented::Refused),
        }
    }

    fn without_credentials(&self, head: &Parts) -> Principal {
        let certificate = head.extensions.get::<ClientCertificate>();
        let certificate = certificate.filter(|_| self.certificates).cloned().map(Box::new);
        certificate.map_or(Principal::Anonymous, Principal::Certificate)
    }

    /// Who it is, by a name and a password.
    pub(super) async fn by_password(
        &self,
        head: &Parts,
        name: &str,
        password: &str,
    ) -> Result<Presented, BodyError> {
        Ok(match &self.users {
            Some(users) if users.is_right(head, name, password).await? => {
                Presented::By(Principal::User(name.to_owned()))
            }
            Some(_) | None => Presented::Refused,
        })
    }

    /// What stands for the password of a user; see [`Users::mark`].
    pub(super) async fn mark(&self, name: &str) -> Result<Option<String>, BodyError> {
        match &self.users {
            Some(users) => users.mark(name).await,
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("users", &self.users.is_some())
            .field("certificates", &self.certificates)
            .finish()
    }
}
