//! [`AccessControl`]: `access`, which is ours: who may do what, and tokens of our own.
//!
//! It stands at the top of the file, where Distribution passes over what it does not know: there everybody who is known
//! may do everything.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::auth::Auth;
use super::doubtful;
use super::go_duration::GoDuration;
use super::http;
use super::nearest::nearest;
use super::node::{Entry, Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use super::said::{said, there};
use crate::auth::policy::{Place, Policy, Rule, Who};
use crate::endpoint;

/// For how long a token may be good: until then it serves, whatever has become of its user.
const LIFETIME_MAX: Duration = Duration::from_hours(24);

/// `access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessControl {
    /// `anonymous` and `rules`.
    pub policy: Policy,
    /// `certificates`: who has a certificate that `http.tls.clientcas` vouch for is known by it. Default: false.
    pub certificates: bool,
    /// `tokens`: there is a token service. Default: none.
    pub tokens: Option<OwnTokens>,
}

/// `access.tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTokens {
    /// `key`: the file with the private key that they are signed with.
    pub key: PathBuf,
    /// `issuer`: whom they are from. Default: `registry`.
    pub issuer: String,
    /// `service`: whom they are for. Default: `registry`.
    pub service: String,
    /// `path` of the token service, behind `http.prefix`. Default: `/token`.
    pub path: String,
    /// `realm`: its whole address. Default: made of each request.
    pub realm: Option<String>,
    /// `lifetime` of a token. Default: 5 minutes.
    pub lifetime: Duration,
    /// `refreshlifetime` of a token that others are fetched with. Default: 30 days.
    pub refresh_lifetime: Duration,
}

/// What of the section serde reads; rules are read off the tree, so that a mistake is told with its line.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    certificates: Option<bool>,
    #[serde(deserialize_with = "there")]
    tokens: Option<TokensSection>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokensSection {
    key: Option<String>,
    issuer: Option<String>,
    service: Option<String>,
    path: Option<String>,
    realm: Option<String>,
    lifetime: Option<GoDuration>,
    refreshlifetime: Option<GoDuration>,
}

impl Section {
    /// What it asks for; none if there is no such section.
    pub(super) fn resolve(
        self,
        document: &Node,
        auth: Option<&Auth>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Option<AccessControl>, Problem> {
        let Some(entry) = document.entry("access") else { return Ok(None) };
        let problem = |key: &str, what: &str| {
            let found = document.find(key).unwrap_or(entry);
            Problem::new(&found.origin, key, what)
        };
        if let Some(Auth::Silly { .. }) = auth {
            let what = "expected another kind of `auth` with it, found silly: it knows nobody";
            return Err(problem("access", what));
        }
        let certificates = self.certificates.unwrap_or(false);
        let authorities = document.find("http.tls.clientcas");
        if certificates && authorities.is_none_or(|it| it.node.is_empty()) {
            let what =
                "expected http.tls.clientcas with it, found none: no certificate could be verified";
            return Err(problem("access.certificates", what));
        }
        let verifies_nobody = ["request-client-cert", "require-any-client-cert"];
        let asked = document.find("http.tls.clientauth").and_then(|it| it.node.scalar());
        if certificates && asked.is_some_and(|it| verifies_nobody.contains(&it.text.as_str())) {
            let what = "expected http.tls.clientauth to be verify-client-cert-if-given or \
                        require-and-verify-client-cert with it, found one by which no certificate is verified";
            return Err(problem("access.certificates", what));
        }
        let tokens = self.tokens.map(|tokens| tokens.resolve(&problem)).transpose()?;
        let is_in_htpasswd = matches!(auth, Some(Auth::Htpasswd { .. }));
        if tokens.is_some() && !is_in_htpasswd && !(certificates && auth.is_none()) {
            let what = "expected auth.htpasswd (or access.certificates without `auth`) with it: a token is for who is \
                        known, and from one service";
            return Err(problem("access.tokens", what));
        }
        let mut rules = anonymous(&entry.node)?;
        rules.extend(self::rules(&entry.node, auth, certificates)?);
        let policy = Policy::new(rules);
        doubtful::tell_of(&entry.node, &policy, auth, tokens.is_some(), warnings);
        Ok(Some(AccessControl { policy, certificates, tokens }))
    }
}

impl TokensSection {
    fn resolve(self, problem: &dyn Fn(&str, &str) -> Problem) -> Result<OwnTokens, Problem> {
        let text = |name: &str, text: Option<String>, default: &str| {
            let text = said(text).unwrap_or_else(|| default.to_owned());
            let is_fine = !text.contains(char::is_control);
            is_fine.then_some(text).ok_or_else(|| {
                let what = "expected text, found control characters in it";
                problem(&format!("access.tokens.{name}"), what)
            })
        };
        let lifetime = |name: &str, span: Option<GoDuration>, default: Duration, most: Duration| {
            let span = span.map_or(default, |span| span.0);
            if span > most {
                let what = format!("expected {} hours at most, found more", most.as_secs() / 3600);
                return Err(problem(&format!("access.tokens.{name}"), &what));
            }
            // Clients take a token for good for as long at least, whatever it says.
            (span >= Duration::from_secs(60)).then_some(span).ok_or_else(|| {
                problem(&format!("access.tokens.{name}"), "expected a minute at least, found less")
            })
        };
        let path = text("path", self.path, "/token")?;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if !(path.starts_with('/') && path.bytes().all(is_good) && endpoint::is_free(&path)) {
            let what = "expected a path such as /token that is none of the API's, found another";
            return Err(problem("access.tokens.path", what));
        }
        let realm = said(self.realm).map(|realm| text("realm", Some(realm), "")).transpose()?;
        if realm.as_deref().is_some_and(|realm| !http::is_url(realm)) {
            let what = "expected an address such as https://registry.example.com/token, found another form";
            return Err(problem("access.tokens.realm", what));
        }
        let no_key = || {
            problem(
                "access.tokens.key",
                "expected the path of a file for the private key, found none",
            )
        };
        Ok(OwnTokens {
            key: said(self.key).map(PathBuf::from).ok_or_else(no_key)?,
            issuer: text("issuer", self.issuer, "registry")?,
            service: text("service", self.service, "registry")?,
            realm,
            path,
            lifetime: lifetime(
                "lifetime",
                self.lifetime,
                Duration::from_secs(5 * 60),
                LIFETIME_MAX,
            )?,
            refresh_lifetime: lifetime(
                "refreshlifetime",
                self.refreshlifetime,
                Duration::from_hours(30 * 24),
                Duration::MAX,
            )?,
        })
    }
}

/// `anonymous`: letters for everywhere, or a list of `{where, may}`. They hold for everybody, known or not.
fn anonymous(access: &Node) -> Result<Vec<Rule>, Problem> {
    const KEY: &str = "access.anonymous";
    let Some(entry) = access.entry("anonymous").filter(|it| !it.node.is_null()) else {
        return Ok(Vec::new());
    };
    match &entry.node.value {
        Value::Scalar(_) => {
            let may = one(&entry.node, KEY)?;
            Ok(vec![Rule { who: vec![Who::Everybody], places: vec![Place::Everywhere], may }])
        }
        Value::Sequence(items) => {
            let rule = |(at, item): (usize, &Node)| {
                let fields = Fields::of(item, format!("{KEY}[{at}]"), &["where", "may"])?;
                let (places, may) = (fields.many("where")?, fields.one("may")?);
                Ok(Rule { who: vec![Who::Everybody], places, may })
            };
            items.iter().enumerate().map(rule).collect()
        }
        Value::Mapping(_) => {
            let what =
                "expected letters such as R, or a list of {where: …, may: …}, found a section";
            Err(Problem::new(&entry.node.origin, KEY, what))
        }
    }
}

/// `rules`: a list of `{who, where, may}`.
fn rules(access: &Node, auth: Option<&Auth>, certificates: bool) -> Result<Vec<Rule>, Problem> {
    const KEY: &str = "access.rules";
    let Some(entry) = access.entry("rules").filter(|it| !it.node.is_null()) else {
        return Ok(Vec::new());
    };
    let Value::Sequence(items) = &entry.node.value else {
        let what =
            format!("expected a list of {{who: …, where: …, may: …}}, found {}", entry.node.kind());
        return Err(Problem::new(&entry.node.origin, KEY, what));
    };
    let rule = |(at, item): (usize, &Node)| {
        let fields = Fields::of(item, format!("{KEY}[{at}]"), &["who", "where", "may"])?;
        let who: Vec<Who> = fields.many("who")?;
        if let Some(missing) = who.iter().find_map(|one| nobody_knows(one, auth, certificates)) {
            let what =
                format!("expected {missing} with such a rule, found none: it would mean nobody");
            return Err(Problem::new(fields.origin("who"), fields.key("who"), what));
        }
        Ok(Rule { who, places: fields.many("where")?, may: fields.one("may")? })
    };
    items.iter().enumerate().map(rule).collect()
}

/// What has to be there for somebody to be known, and is not.
fn nobody_knows(who: &Who, auth: Option<&Auth>, certificates: bool) -> Option<&'static str> {
    let (is_known, by) = match who {
        Who::Everybody => return None,
        Who::Known => (auth.is_some() || certificates, "`auth` or access.certificates"),
        Who::User(_) => (matches!(auth, Some(Auth::Htpasswd { .. })), "auth.htpasswd"),
        Who::Subject(_) => (matches!(auth, Some(Auth::Token(_))), "auth.token"),
        Who::Certificate(..) => (certificates, "access.certificates: true"),
    };
    (!is_known).then_some(by)
}

/// The fields of a rule.
struct Fields<'n> {
    node: &'n Node,
    key: String,
}

impl<'n> Fields<'n> {
    /// Of a section that has these and no others: one that is mistyped would leave out what it says.
    fn of(node: &'n Node, key: String, names: &[&'static str]) -> Result<Self, Problem> {
        if !matches!(node.value, Value::Mapping(_)) {
            let what = format!("expected {{{}}}, found {}", names.join(", "), node.kind());
            return Err(Problem::new(&node.origin, key, what));
        }
        match node.entries().iter().find(|it| !names.contains(&it.key.as_str())) {
            None => Ok(Self { node, key }),
            Some(Entry { key: other, origin, .. }) => {
                let meant = nearest(other, names.iter().copied());
                let meant = meant.map(|name| format!("; is `{name}` meant?")).unwrap_or_default();
                let what = format!("expected {}, found another key{meant}", names.join(", "));
                Err(Problem::new(origin, format!("{key}.{other}"), what))
            }
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    fn origin(&self, name: &str) -> &Origin {
        self.node.entry(name).map_or(&self.node.origin, |entry| &entry.node.origin)
    }

    fn one<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<T, Problem> {
        one(self.there(name)?, &self.key(name))
    }

    /// One, or a list of at least one.
    fn many<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let node = self.there(name)?;
        match &node.value {
            Value::Sequence(items) if !items.is_empty() => {
                items.iter().map(|item| one(item, &self.key(name))).collect()
            }
            _ => Ok(vec![one(node, &self.key(name))?]),
        }
    }

    fn there(&self, name: &str) -> Result<&'n Node, Problem> {
        let missing = || Problem::new(&self.node.origin, self.key(name), "expected it, found none");
        Ok(&self.node.entry(name).ok_or_else(missing)?.node)
    }
}

fn one<T: FromStr<Err: ToString>>(node: &Node, key: &str) -> Result<T, Problem> {
    let problem = |what: String| Problem::new(&node.origin, key, what);
    match node.scalar() {
        Some(scalar) => scalar.text.parse().map_err(|error: T::Err| problem(error.to_string())),
        None => Err(problem(format!("expected a single value, found {}", node.kind()))),
    }
}
