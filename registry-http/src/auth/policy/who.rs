//! [`Who`]: whom a rule is about.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::auth::principal::Principal;

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, known or not. No text stands for it: the configuration has a line of its own.
    Everybody,
    /// `*`: everybody who is known.
    Known,
    /// `user:NAME`, or `user:*`: a user by his name, or any.
    User(Name),
    /// `certificate:FIELD=NAME`, or `certificate:*`: whoever has a certificate that says so, or any.
    Certificate(Field, Name),
    /// `subject:NAME`, or `subject:*`: the subject of a token of another service, or any.
    Subject(Name),
}

/// A name as a rule has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `*`: any.
    Any,
    /// This, to the letter.
    Is(String),
}

/// Where in a certificate a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `CN`: the common name of the subject.
    CommonName,
    /// `DNS`: one of the names of hosts.
    Dns,
    /// `EMAIL`: one of the addresses of mail.
    Email,
    /// `URI`: one of the URIs, such as a SPIFFE id.
    Uri,
    /// `SHA256`: the fingerprint, in 64 hexadecimal digits; capital ones, and colons between each two, are taken too.
    Fingerprint,
}

const FIELDS: [(Field, &str); 5] = [
    (Field::CommonName, "CN"),
    (Field::Dns, "DNS"),
    (Field::Email, "EMAIL"),
    (Field::Uri, "URI"),
    (Field::Fingerprint, "SHA256"),
];

/// A text says of nobody who.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected user:NAME, subject:NAME, certificate:CN=NAME (or DNS=, EMAIL=, URI=, SHA256= with 64 hexadecimal digits), one \
     of these kinds with * in place of what is behind the colon, or * for all who are known, found `{0:.80}`"
)]
pub struct Nobody(String);

impl Who {
    /// Whether somebody is meant.
    pub fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Everybody, _) => true,
            (_, Principal::Anonymous) => false,
            (Self::Known, _) => true,
            (Self::User(name), Principal::User(one))
            | (Self::Subject(name), Principal::Subject(one)) => name.is(one),
            (Self::Certificate(field, name), Principal::Certificate(one)) => match field {
                Field::CommonName => {
                    matches!(name, Name::Any) || one.common_name.iter().any(|it| name.is(it))
                }
                Field::Dns => one.dns_names.iter().any(|it| name.is(it)),
                Field::Email => one.emails.iter().any(|it| name.is(it)),
                Field::Uri => one.uris.iter().any(|it| name.is(it)),
                Field::Fingerprint => name.is(&one.fingerprint),
            },
            _ => false,
        }
    }
}

#[cfg(any(feature = "cli", test))]
impl Who {
    /// Whether whoever `other` is about may well be meant by this too. A certificate has several names.
    pub(crate) fn may_cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everybody, _) => true,
            (_, Self::Everybody) => false,
            (Self::Known, _) => true,
            (Self::User(name), Self::User(one)) | (Self::Subject(name), Self::Subject(one)) => {
                matches!(name, Name::Any) || name == one
            }
            (Self::Certificate(field, name), Self::Certificate(of, one)) => {
                let is_only_one = matches!(field, Field::CommonName | Field::Fingerprint);
                matches!(name, Name::Any)
                    || *one != Name::Any && (name == one || field != of || !is_only_one)
            }
            _ => false,
        }
    }
}

impl Name {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(one) => one == name,
        }
    }
}

impl FromStr for Who {
    type Err = Nobody;

    fn from_str(text: &str) -> Result<Self, Nobody> {
        parse(text).ok_or_else(|| Nobody(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Who> {
    if text == "*" {
        return Some(Who::Known);
    }
    let (kind, rest) = text.split_once(':')?;
    let name = match rest {
        "" => return None,
        "*" => Name::Any,
        name => Name::Is(name.to_owned()),
    };
    Some(match (kind, name) {
        ("user", name) => Who::User(name),
        ("subject", name) => Who::Subject(name),
        ("certificate", Name::Any) => Who::Certificate(Field::CommonName, Name::Any),
        ("certificate", Name::Is(name)) => {
            let (field, name) = name.split_once('=')?;
            let (field, _) = FIELDS.iter().find(|(_, word)| *word == field)?;
            let name = match field {
                _ if name.is_empty() || name == "*" => return None,
                Field::Fingerprint => fingerprint(name)?,
                Field::CommonName | Field::Dns | Field::Email | Field::Uri => name.to_owned(),
            };
            Who::Certificate(*field, Name::Is(name))
        }
        _ => return None,
    })
}

/// As certificates have it here, of what programs print: `AB:CD:…`, or digits alone.
fn fingerprint(text: &str) -> Option<String> {
    let bytes: Vec<&str> = text.split(':').collect();
    let has_colons_between_bytes = bytes.len() == 32 && bytes.iter().all(|it| it.len() == 2);
    let digits = text.replace(':', "").to_ascii_lowercase();
    let is_good = digits.len() == 64 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    (is_good && (has_colons_between_bytes || bytes.len() == 1)).then_some(digits)
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |field: &Field| {
            FIELDS.iter().find(|(known, _)| known == field).map_or("", |(_, word)| *word)
        };
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Known => f.write_str("*"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Subject(name) => write!(f, "subject:{name}"),
            Self::Certificate(_, Name::Any) => f.write_str("certificate:*"),
            Self::Certificate(field, name) => write!(f, "certificate:{}={name}", word(field)),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Is(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::ClientCertificate;

    fn builder() -> Principal {
        Principal::Certificate(Box::new(ClientCertificate {
            common_name: Some("builder".to_owned()),
            dns_names: vec!["b1.example.com".to_owned(), "b2.example.com".to_owned()],
            emails: vec!["b@example.com".to_owned()],
            uris: vec!["spiffe://cluster/sa/builder".to_owned()],
            serial: "01".to_owned(),
            fingerprint: "ab".repeat(32),
        }))
    }

    #[test]
    fn a_name_counts_for_its_own_kind_only() {
        let user = |name: &str| Principal::User(name.to_owned());
        let subject = |name: &str| Principal::Subject(name.to_owned());
        let nameless = Principal::Certificate(Box::default());
        let print = format!("certificate:SHA256={}", "ab".repeat(32));
        for (who, those, not) in [
            ("*", vec![user("ann"), subject("ann"), builder()], vec![Principal::Anonymous]),
            (
                "user:ann",
                vec![user("ann")],
                vec![user("Ann"), user("anna"), subject("ann"), builder()],
            ),
            ("user:*", vec![user("ann"), user("")], vec![subject("ann"), builder()]),
            ("subject:a:b=c", vec![subject("a:b=c")], vec![user("a:b=c"), subject("a")]),
            ("subject:*", vec![subject("x")], vec![user("x"), Principal::Anonymous]),
            ("certificate:*", vec![builder(), nameless.clone()], vec![user("builder")]),
            ("certificate:CN=builder", vec![builder()], vec![user("builder"), nameless.clone()]),
            ("certificate:CN=b2.example.com", vec![], vec![builder()]),
            ("certificate:DNS=b2.example.com", vec![builder()], vec![nameless.clone()]),
            ("certificate:EMAIL=b@example.com", vec![builder()], vec![nameless.clone()]),
            (
                "certificate:URI=spiffe://cluster/sa/builder",
                vec![builder()],
                vec![nameless.clone()],
            ),
            (&print, vec![builder()], vec![nameless]),
        ] {
            let parsed: Who = who.parse().unwrap();
            assert_eq!(parsed.to_string(), who);
            assert!(those.iter().all(|one| parsed.is(one)), "{who}");
            assert!(!not.iter().any(|one| parsed.is(one)), "{who}");
        }
        assert!(Who::Everybody.is(&Principal::Anonymous) && Who::Everybody.is(&builder()));
    }

    #[test]
    fn a_fingerprint_is_known_however_programs_print_it() {
        let colons = ["AB"; 32].join(":");
        for written in [&colons, &colons.to_lowercase(), &"AB".repeat(32), &"ab".repeat(32)] {
            let who: Who = format!("certificate:SHA256={written}").parse().unwrap();
            assert!(who.is(&builder()), "{written}");
        }
        for bad in [&colons[1..], &format!("{colons}:"), &"g".repeat(64), &"ABC:".repeat(16)] {
            assert!(format!("certificate:SHA256={bad}").parse::<Who>().is_err(), "{bad}");
        }
    }

    #[test]
    fn somebody_is_covered_by_a_rule_for_him_or_more() {
        let who = |text: &str| match text {
            "everybody" => Who::Everybody,
            text => text.parse().unwrap(),
        };
        for (one, other, expected) in [
            ("everybody", "user:ann", true),
            ("everybody", "*", true),
            ("*", "user:*", true),
            ("*", "everybody", false),
            ("user:*", "*", false),
            ("user:*", "user:ann", true),
            ("user:ann", "user:*", false),
            ("user:ann", "user:ann", true),
            ("user:ann", "user:bob", false),
            ("user:ann", "subject:ann", false),
            ("certificate:*", "certificate:DNS=h", true),
            ("certificate:CN=a", "certificate:*", false),
            ("certificate:CN=a", "certificate:CN=b", false),
            ("certificate:CN=a", "certificate:DNS=h", true),
            ("certificate:DNS=g", "certificate:DNS=h", true),
        ] {
            assert_eq!(who(one).may_cover(&who(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for bad in [
            "",
            "ann",
            "user:",
            "user",
            "users:ann",
            "User:ann",
            "cert:CN=x",
            "certificate:x",
            "certificate:CN=",
            "certificate:CN=*",
            "certificate:cn=x",
            "certificate:",
            "certificate:SHA256=abcd",
            "certificate:SHA256=AB:CD",
            "certificate:SHA256=SHA256:",
            "**",
            "anonymous",
        ] {
            let told = bad.parse::<Who>().unwrap_err().to_string();
            assert!(told.ends_with(&format!("found `{bad}`")), "{told}");
        }
    }
}
