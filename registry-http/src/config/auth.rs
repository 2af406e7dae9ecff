//! [`Auth`]: Distribution's `auth`, all keys of 2.x and 3.x.

use std::path::PathBuf;

use serde::Deserialize;

use super::node::Node;
use super::problem::Problem;
use super::said::{said, there};
use crate::auth::token::Algorithm;

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `htpasswd`: who is in a file.
    Htpasswd {
        /// `realm`: shown to people who are asked for a password.
        realm: String,
        /// `path` of the file.
        path: PathBuf,
    },
    /// `token`: who brings a token.
    Token(Box<Token>),
    /// `silly`: who brings anything at all. For tests of clients.
    Silly {
        /// `realm`.
        realm: String,
        /// `service`.
        service: String,
    },
}

/// `auth.token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// `realm`: the URL of the token service.
    pub realm: String,
    /// `service`: whom tokens are for.
    pub service: String,
    /// `issuer`: whom they are from.
    pub issuer: String,
    /// `rootcertbundle`: a file of certificates.
    pub root_cert_bundle: Option<PathBuf>,
    /// `jwks`: a file of keys. Newer than 2.x.
    pub jwks: Option<PathBuf>,
    /// `signingalgorithms`. Default: those of public keys. Distribution's has HMAC among them. Newer than 2.x.
    pub algorithms: Vec<Algorithm>,
    /// `autoredirectpath`, if `autoredirect` is true. Default: `/auth/token`, as in Distribution.
    pub auto_redirect: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    #[serde(deserialize_with = "there")]
    htpasswd: Option<HtpasswdSection>,
    #[serde(deserialize_with = "there")]
    token: Option<TokenSection>,
    #[serde(deserialize_with = "there")]
    silly: Option<SillySection>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HtpasswdSection {
    realm: Option<String>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SillySection {
    realm: Option<String>,
    service: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenSection {
    realm: Option<String>,
    service: Option<String>,
    issuer: Option<String>,
    rootcertbundle: Option<String>,
    jwks: Option<String>,
    signingalgorithms: Option<Vec<Name>>,
    autoredirect: Option<bool>,
    autoredirectpath: Option<String>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(Algorithm);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl Section {
    /// What it asks for, if it is one kind and all that it needs is there.
    pub(super) fn resolve(self, document: &Node) -> Result<Option<Auth>, Problem> {
        one_kind(document)?;
        let at = |kind| At { document, kind };
        Ok(match self {
            Self { htpasswd: Some(section), .. } => {
                let at = at("htpasswd");
                let realm = at.text("realm", section.realm)?;
                let path = at.text("path", section.path)?.into();
                Some(Auth::Htpasswd { realm, path })
            }
            Self { token: Some(section), .. } => {
                Some(Auth::Token(Box::new(section.resolve(&at("token"))?)))
            }
            Self { silly: Some(section), .. } => {
                let at = at("silly");
                let realm = at.text("realm", section.realm)?;
                let service = at.text("service", section.service)?;
                Some(Auth::Silly { realm, service })
            }
            Self { .. } => None,
        })
    }
}

impl TokenSection {
    fn resolve(self, at: &At<'_>) -> Result<Token, Problem> {
        let path = |text| said(text).map(PathBuf::from);
        let token = Token {
            realm: at.text("realm", self.realm)?,
            service: at.text("service", self.service)?,
            issuer: at.text("issuer", self.issuer)?,
            root_cert_bundle: path(self.rootcertbundle),
            jwks: path(self.jwks),
            algorithms: match self.signingalgorithms.as_deref() {
                None | Some([]) => Algorithm::PUBLIC.to_vec(),
                Some(some) => some.iter().map(|name| name.0).collect(),
            },
            auto_redirect: at.redirect(self.autoredirect, self.autoredirectpath)?,
        };
        if token.root_cert_bundle.is_none() && token.jwks.is_none() {
            let what = "expected the path of a file of certificates, or one of keys as `jwks`, found neither";
            return Err(at.problem("rootcertbundle", what));
        }
        Ok(token)
    }
}

/// Refuses more than one kind. `none` is one.
fn one_kind(document: &Node) -> Result<(), Problem> {
    let entries = document.entry("auth").map_or(&[][..], |auth| auth.node.entries());
    match entries {
        [one, other, ..] => {
            let what = format!(
                "expected exactly one kind, htpasswd, token or silly, found both `{}` ({}) and `{}`",
                one.key, one.origin, other.key
            );
            Err(Problem::new(&other.origin, "auth", what))
        }
        _ => Ok(()),
    }
}

/// A kind of authentication, and where it stands.
struct At<'n> {
    document: &'n Node,
    kind: &'static str,
}

impl At<'_> {
    /// A text that has to be there, and goes into a header as it is.
    fn text(&self, name: &str, text: Option<String>) -> Result<String, Problem> {
        match said(text) {
            Some(text) if !text.contains(char::is_control) => Ok(text),
            Some(_) => Err(self.problem(name, "expected text, found control characters in it")),
            None => {
                Err(self
                    .problem(name, "expected text, without which nobody can be let in, found none"))
            }
        }
    }

    fn redirect(&self, on: Option<bool>, path: Option<String>) -> Result<Option<String>, Problem> {
        let path = said(path).unwrap_or_else(|| "/auth/token".to_owned());
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"\"\\#?".contains(&byte);
        if !path.starts_with('/') || !path.bytes().all(fine) {
            let what = format!("expected a path such as /auth/token, found `{path:.80}`");
            return Err(self.problem("autoredirectpath", what));
        }
        Ok(Some(path).filter(|_| on == Some(true)))
    }

    /// At the key, or at the section if it is not there.
    fn problem(&self, name: &str, what: impl Into<String>) -> Problem {
        let section = format!("auth.{}", self.kind);
        let key = format!("{section}.{name}");
        let entry = self.document.find(&key).map(|entry| &entry.node.origin);
        let section = || self.document.find(&section).map(|entry| &entry.origin);
        let origin = entry.or_else(section).expect("the section was read from there");
        Problem::new(origin, key, what)
    }
}
