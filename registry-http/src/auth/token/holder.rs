//! [`Holder`]: who has a token of ours, as it stands there: all that a policy goes by.

use serde::{Deserialize, Serialize};

use crate::auth::principal::Principal;
use crate::peer::ClientCertificate;

/// Who has a token. An anonymous one names nobody, and one of another service has a subject and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::auth) enum Holder {
    User(String),
    Certificate(Names),
}

/// What a certificate says of whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Names {
    #[serde(rename = "CN", default, skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    #[serde(rename = "DNS", default, skip_serializing_if = "Vec::is_empty")]
    dns_names: Vec<String>,
    #[serde(rename = "EMAIL", default, skip_serializing_if = "Vec::is_empty")]
    emails: Vec<String>,
    #[serde(rename = "URI", default, skip_serializing_if = "Vec::is_empty")]
    uris: Vec<String>,
    #[serde(default)]
    serial: String,
    #[serde(rename = "SHA256")]
    fingerprint: String,
}

impl Holder {
    /// As a token of ours names him.
    pub(in crate::auth) fn of(who: &Principal) -> Option<Self> {
        match who {
            Principal::Anonymous | Principal::Subject(_) => None,
            Principal::User(name) => Some(Self::User(name.clone())),
            Principal::Certificate(it) => {
                let ClientCertificate { common_name, dns_names, emails, uris, serial, fingerprint } =
                    ClientCertificate::clone(it);
                let names = Names { common_name, dns_names, emails, uris, serial, fingerprint };
                Some(Self::Certificate(names))
            }
        }
    }
}

impl From<Holder> for Principal {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::User(name) => Self::User(name),
            Holder::Certificate(it) => {
                let Names { common_name, dns_names, emails, uris, serial, fingerprint } = it;
                let certificate =
                    ClientCertificate { common_name, dns_names, emails, uris, serial, fingerprint };
                Self::Certificate(Box::new(certificate))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn who_is_written_into_a_token_is_read_out_of_it() {
        let certificate = ClientCertificate {
            common_name: Some("ann".to_owned()),
            dns_names: vec!["h".to_owned()],
            emails: vec!["e".to_owned()],
            uris: vec!["u".to_owned()],
            serial: "01".to_owned(),
            fingerprint: "ab".to_owned(),
        };
        for (who, written) in [
            (Principal::User("ann".to_owned()), json!({"user": "ann"})),
            (
                Principal::Certificate(Box::new(certificate)),
                json!({"certificate": {
                    "CN": "ann", "DNS": ["h"], "EMAIL": ["e"], "URI": ["u"], "serial": "01", "SHA256": "ab",
                }}),
            ),
            (
                Principal::Certificate(Box::default()),
                json!({"certificate": {"serial": "", "SHA256": ""}}),
            ),
        ] {
            let holder = serde_json::to_value(Holder::of(&who)).unwrap();
            assert_eq!(holder, written);
            let read: Holder = serde_json::from_value(holder).unwrap();
            assert_eq!(Principal::from(read), who);
        }
        for nobody in [Principal::Anonymous, Principal::Subject("ann".to_owned())] {
            assert_eq!(Holder::of(&nobody), None);
        }
        for bad in [json!({}), json!("user"), json!({"other": "x"}), Value::Null] {
            assert!(serde_json::from_value::<Holder>(bad).is_err());
        }
    }
}
