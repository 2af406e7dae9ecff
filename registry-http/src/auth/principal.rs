//! [`Principal`]: who somebody is found to be.

use super::Actor;
use crate::peer::ClientCertificate;

/// Who sent a request, and how that is known. Names of one kind are never taken for those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// It is not known.
    Anonymous,
    /// A user who gave his password.
    User(String),
    /// Whoever has the key of a certificate that was verified.
    Certificate(Box<ClientCertificate>),
    /// The subject of a token that another service has made.
    Subject(String),
}

impl Principal {
    /// As events and logs name him.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::anonymous(),
            Self::User(name) | Self::Subject(name) => Actor::named(name),
            Self::Certificate(it) => {
                let names = [&it.dns_names, &it.uris, &it.emails];
                let other = names.into_iter().flatten().next().unwrap_or(&it.fingerprint);
                Actor::named(it.common_name.as_ref().unwrap_or(other))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_goes_by_its_common_name_or_else_another() {
        let actor = |certificate| Principal::Certificate(Box::new(certificate)).actor();
        let mut certificate =
            ClientCertificate { fingerprint: "ab".to_owned(), ..ClientCertificate::default() };
        assert_eq!(actor(certificate.clone()).name(), Some("ab"));
        certificate.dns_names = vec!["h".to_owned()];
        assert_eq!(actor(certificate.clone()).name(), Some("h"));
        certificate.common_name = Some("builder".to_owned());
        assert_eq!(actor(certificate).name(), Some("builder"));
    }
}
