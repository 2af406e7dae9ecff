//! Basic authentication (RFC 7617): the credentials of a request, and who may do everything because he is known.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::request::Parts;

use super::identity::{Identifier, Identity};
use super::{Access, Actor, Authorizer, Denial};

/// A name and a password. Its `Debug` hides both: people type the one into the field of the other.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// The user's name; it holds no colon.
    pub name: String,
    /// The password.
    pub password: String,
}

/// The credentials of an `Authorization: Basic` header. `None` if there is none, more than one, one of another scheme, or
/// one that is not Base64 of `name:password` in UTF-8; whether there was any says
/// [`has_credentials`](super::identity::has_credentials).
pub fn basic_credentials(head: &Parts) -> Option<BasicCredentials> {
    let decoded = BASE64_STANDARD.decode(credentials(head, "Basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(BasicCredentials { name: name.to_owned(), password: password.to_owned() })
}

/// What stands behind a scheme in the one `Authorization` header of a request.
pub(super) fn credentials<'h>(head: &'h Parts, scheme: &str) -> Option<&'h str> {
    let mut given = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return None };
    let (found, credentials) = given.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// A text as a quoted-string of a header (RFC 9110 §5.6.4).
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What asks for a password, with a realm that people are shown.
pub(crate) fn challenge(realm: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!("Basic realm={}", quoted(realm)))
}

/// Whoever is known may do everything, nobody else anything, as Distribution's `htpasswd` has it.
pub struct BasicAuthorizer<I> {
    identifier: I,
    challenge: HeaderValue,
}

impl<I: Identifier> BasicAuthorizer<I> {
    /// Asks `identifier`, such as a [`Htpasswd`](super::htpasswd::Htpasswd), who it is. People are shown the `realm`.
    ///
    /// # Errors
    ///
    /// If the realm cannot stand in a header: it holds a control character.
    pub fn new(identifier: I, realm: &str) -> Result<Self, InvalidHeaderValue> {
        Ok(Self { identifier, challenge: challenge(realm)? })
    }
}

#[async_trait]
impl<I: Identifier> Authorizer for BasicAuthorizer<I> {
    async fn authorize(&self, head: &Parts, _: &[Access]) -> Result<Actor, Denial> {
        match self.identifier.identify(head).await {
            Ok(Identity::Known(actor)) => Ok(actor),
            Ok(Identity::Anonymous | Identity::Refused) => {
                Err(Denial::Unauthorized { challenges: vec![self.challenge.clone()] })
            }
            Err(reason) => Err(Denial::Unavailable { reason }),
        }
    }
}

impl<I> fmt::Debug for BasicAuthorizer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuthorizer")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn given(values: &[&str]) -> Option<(String, String)> {
        let mut request = Request::get("/");
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        basic_credentials(&head).map(|it| (it.name, it.password))
    }

    #[test]
    fn credentials_are_read_as_rfc_7617_has_them() {
        let known = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        // Its own examples.
        let aladdin = known("Aladdin", "open sesame");
        assert_eq!(given(&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]), aladdin);
        assert_eq!(given(&["basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== "]), aladdin);
        assert_eq!(given(&["Basic dGVzdDoxMjPCow=="]), known("test", "123£"));
        // A password may hold colons, and both may be empty.
        assert_eq!(given(&["Basic YTpiOmM="]), known("a", "b:c"));
        assert_eq!(given(&["Basic Og=="]), known("", ""));
        let bad = [
            &[][..],
            &["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            &["Basic"],
            &["Basic YQ=="],
            &["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"],
            &["Basic /////w=="],
            &["Basic !"],
            &["Basic Og==", "Basic Og=="],
        ];
        for bad in bad {
            assert_eq!(given(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_realm_is_quoted() {
        struct Nobody;
        #[async_trait]
        impl Identifier for Nobody {
            async fn identify(
                &self,
                _: &Parts,
            ) -> Result<Identity, registry_store::error::BodyError> {
                Ok(Identity::Anonymous)
            }
        }
        let authorizer = BasicAuthorizer::new(Nobody, r#"the "old" \ one"#).unwrap();
        assert_eq!(authorizer.challenge, r#"Basic realm="the \"old\" \\ one""#);
        assert!(BasicAuthorizer::new(Nobody, "a\nb").is_err());
    }

    #[test]
    fn credentials_do_not_show_themselves() {
        let credentials = BasicCredentials { name: "ann".into(), password: "secret".into() };
        assert_eq!(format!("{credentials:?}"), "BasicCredentials(..)");
    }
}
