//! [`TokenService`]: makes tokens for those who are known, of what the policy allows them.
//!
//! It speaks what clients of images do: Docker's token flow, by GET, and its OAuth 2 flow, by POST (`grant_type` of
//! `password` and `refresh_token`). The answer to a request for more than is allowed is a token for what is: it is for
//! the registry to refuse. A token names its holder (`sub`, and `holder`: all that the policy goes by), what he may do
//! (`access`), and a key by its RFC 7638 thumbprint (`kid`).
//!
//! Who asks for it (`offline_token=true`, `access_type=offline`) and gave a password gets a second token, which serves to
//! fetch others in place of the password. It says so (`typ` is `refresh+jwt`) and is of an audience of its own, so that no
//! registry takes it, and good until the user is gone, his password has changed, or it has expired.
//!
//! ```
//! use std::sync::Arc;
//!
//! use registry_http::Options;
//! use registry_http::auth::credentials::Credentials;
//! use registry_http::auth::issuer::{Issuer, SigningKey, TokenService};
//! use registry_http::auth::policy::{Policy, PolicyAuthorizer, Rule, Who};
//! use registry_store::options::StoreOptions;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let all_may_pull = Rule { who: vec![Who::Everybody], places: vec!["**".parse()?], may: "R".parse()? };
//! let policy = Arc::new(Policy::new([all_may_pull]));
//! let key = SigningKey::from_pem(SigningKey::generate()?.as_bytes())?;
//! let issuer = Issuer::new(key, "registry", "registry", &StoreOptions::default());
//! let service = Arc::new(TokenService::new(issuer, Credentials::none(), Arc::clone(&policy)));
//! let authorizer = PolicyAuthorizer::new(policy, Credentials::none())
//!     .with_own_tokens(service.verifier(), service.challenge());
//! let options = Options {
//!     authorizer: Some(Arc::new(authorizer)),
//!     tokens: Some(service),
//!     ..Options::default()
//! };
//! # Ok(())
//! # }
//! ```

mod key;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use registry_store::error::BodyError;
use registry_store::options::{Clock, Random, StoreOptions};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::request::Fields;
use super::credentials::{Credentials, Presented};
use super::policy::CurrentPolicy;
use super::principal::Principal;
use super::token::{Challenge, Holder, TokenVerifier, TrustedKeys, Use};

pub use self::key::{SigningError, SigningKey};

/// Signs tokens.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    name: String,
    service: String,
    /// How long a token is good for. Default: 5 minutes.
    pub lifetime: Duration,
    /// How long one is good for that others are fetched with. Default: 30 days.
    pub refresh_lifetime: Duration,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Makes tokens for those who are known. It is asked at a path of the registry: see
/// [`Options::tokens`](crate::Options::tokens).
#[derive(Debug)]
pub struct TokenService {
    issuer: Issuer,
    credentials: Credentials,
    policy: CurrentPolicy,
    refresh: TokenVerifier,
    /// The path that it is asked at, behind the [prefix](crate::Options::path_prefix). Default: `/token`.
    pub path: String,
    /// Its whole address, where what a request says of it is not what clients are to use. Default: none.
    pub realm: Option<String>,
}

/// What somebody may do with one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Granted {
    #[serde(rename = "type")]
    kind: Kind,
    name: String,
    actions: Vec<&'static str>,
}

/// Of which type a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Repository,
    Registry,
}

/// What is answered, and who gets it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) answer: Value,
    pub(crate) who: Principal,
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The name and password, or the token in place of them, are not good.
    Credentials,
    /// `grant_type` is none of ours.
    GrantType,
    /// The request is not one; what was expected.
    Request(&'static str),
    /// It cannot be told now; for the log.
    Unavailable(BodyError),
}

impl From<BodyError> for NoToken {
    fn from(reason: BodyError) -> Self {
        Self::Unavailable(reason)
    }
}

impl Issuer {
    /// Signs with `key`, as `name`, for the registry called `service`. Time and chance are those of the store.
    pub fn new(
        key: SigningKey,
        name: impl Into<String>,
        service: impl Into<String>,
        options: &StoreOptions,
    ) -> Self {
        Self {
            key,
            name: name.into(),
            service: service.into(),
            lifetime: Duration::from_secs(5 * 60),
            refresh_lifetime: Duration::from_hours(30 * 24),
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
        }
    }

    fn verifier(&self, of: Use) -> TokenVerifier {
        let keys = TrustedKeys::of_key(self.key.public().clone());
        let (algorithm, clock) = (self.key.algorithm(), Arc::clone(&self.clock));
        let audience = self.audience(of);
        TokenVerifier::of_keys(&self.name, audience, [algorithm], keys, clock).for_use(of)
    }

    /// Whom tokens are for: those that others are fetched with are not for the registry.
    fn audience(&self, of: Use) -> String {
        match of {
            Use::Access => self.service.clone(),
            Use::Refresh => format!("refresh {}", self.service),
        }
    }

    /// Signs what `more` says, and what every token does.
    fn token(
        &self,
        of: Use,
        who: &Principal,
        now: SystemTime,
        more: Value,
    ) -> Result<String, NoToken> {
        let lifetime = match of {
            Use::Access => self.lifetime,
            Use::Refresh => self.refresh_lifetime,
        };
        let seconds = since_1970(now);
        let mut claims = more;
        claims["iss"] = self.name.as_str().into();
        claims["sub"] = who.actor().name().unwrap_or_default().into();
        claims["aud"] = self.audience(of).into();
        claims["iat"] = seconds.into();
        claims["nbf"] = seconds.into();
        claims["exp"] = seconds.saturating_add(lifetime.as_secs()).into();
        let id =
            self.random.bytes().iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
        claims["jti"] = id.into();
        if let Some(holder) = Holder::of(who) {
            claims["holder"] = json!(holder);
        }
        self.key.sign(of, &claims).map_err(|error| NoToken::Unavailable(error.into()))
    }
}

impl TokenService {
    /// Makes the tokens of `issuer` for whom `credentials` know, of what `policy` allows them.
    pub fn new(issuer: Issuer, credentials: Credentials, policy: impl Into<CurrentPolicy>) -> Self {
        let refresh = issuer.verifier(Use::Refresh);
        let (path, realm) = ("/token".to_owned(), None);
        Self { issuer, credentials, policy: policy.into(), refresh, path, realm }
    }

    /// What a registry verifies its tokens with.
    pub fn verifier(&self) -> TokenVerifier {
        self.issuer.verifier(Use::Access)
    }

    /// What a registry sends clients to it with. Where it is stands in each request, as the extension
    /// [`Realm`](super::token::Realm), which a [`RegistryService`](crate::RegistryService) with these
    /// [`Options::tokens`](crate::Options::tokens) puts there.
    pub fn challenge(&self) -> Challenge {
        Challenge {
            realm: self.realm.clone().unwrap_or_else(|| self.path.clone()),
            service: self.issuer.service.clone(),
            auto_redirect: None,
        }
    }

    /// What who has to say a name and a password is shown.
    pub(crate) fn basic_realm(&self) -> &str {
        &self.issuer.service
    }

    /// Docker's token flow: the credentials are the request's, what is asked for stands in its query.
    pub(crate) async fn by_query(&self, head: &Parts) -> Result<Made, NoToken> {
        let fields = Fields::parse(head.uri.query().unwrap_or_default());
        self.is_for_us(&fields)?;
        let Presented::By(who) = self.credentials.of(head).await? else {
            return Err(NoToken::Credentials);
        };
        let wants_refresh = fields.first("offline_token") == Some("true");
        self.made(&fields, who, wants_refresh).await
    }

    /// Docker's OAuth 2 flow (RFC 6749 §4.3 and §6): all of it stands in the form.
    pub(crate) async fn by_form(&self, head: &Parts, form: &[u8]) -> Result<Made, NoToken> {
        let form = std::str::from_utf8(form);
        let fields = Fields::parse(form.map_err(|_| NoToken::Request("a form in UTF-8"))?);
        self.is_for_us(&fields)?;
        let field = |name, what| fields.first(name).ok_or(NoToken::Request(what));
        let (presented, wants_refresh) = match field("grant_type", "the field grant_type")? {
            "password" => {
                let name = field("username", "the field username")?;
                let password = fields.first("password").unwrap_or_default();
                let presented = self.credentials.by_password(head, name, password).await?;
                (presented, fields.first("access_type") == Some("offline"))
            }
            "refresh_token" => {
                let token = field("refresh_token", "the field refresh_token")?;
                (self.by_refresh_token(token).await?, false)
            }
            _ => return Err(NoToken::GrantType),
        };
        let Presented::By(who) = presented else { return Err(NoToken::Credentials) };
        self.made(&fields, who, wants_refresh).await
    }

    fn is_for_us(&self, fields: &Fields) -> Result<(), NoToken> {
        match fields.first("service") {
            Some(other) if other != self.issuer.service => {
                Err(NoToken::Request("the service that the registry's challenge names"))
            }
            _ => Ok(()),
        }
    }

    async fn by_refresh_token(&self, token: &str) -> Result<Presented, NoToken> {
        let Ok(claims) = self.refresh.verify(token).await else { return Ok(Presented::Refused) };
        let Some(Principal::User(name)) = claims.holder() else { return Ok(Presented::Refused) };
        let mark = self.credentials.mark(&name).await?;
        let is_same = mark.is_some() && mark.as_deref() == claims.mark();
        let who = Presented::By(Principal::User(name));
        Ok(if is_same { who } else { Presented::Refused })
    }

    async fn made(
        &self,
        fields: &Fields,
        who: Principal,
        wants_refresh: bool,
    ) -> Result<Made, NoToken> {
        let now = self.issuer.clock.now();
        let granted = fields.granted(&self.policy.get(), &who);
        let scope = scope_of(&granted);
        let access = json!({ "access": granted });
        let token = self.issuer.token(Use::Access, &who, now, access)?;
        let issued_at =
            OffsetDateTime::from_unix_timestamp(since_1970(now).try_into().unwrap_or(0))
                .ok()
                .and_then(|time| time.format(&Rfc3339).ok());
        let mut answer = json!({
            "token": token,
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.issuer.lifetime.as_secs(),
            "issued_at": issued_at,
            "scope": scope,
        });
        if let Principal::User(name) = &who
            && wants_refresh
            && let Some(mark) = self.credentials.mark(name).await?
        {
            let mark = json!({ "mark": mark });
            let token = self.issuer.token(Use::Refresh, &who, now, mark)?;
            answer["refresh_token"] = token.into();
        }
        Ok(Made { answer, who })
    }
}

fn since_1970(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// As a scope is written.
fn scope_of(granted: &[Granted]) -> String {
    let each = granted.iter().map(|it| {
        let kind = match it.kind {
            Kind::Repository => "repository",
            Kind::Registry => "registry",
        };
        format!("{kind}:{}:{}", it.name, it.actions.join(","))
    });
    each.collect::<Vec<_>>().join(" ")
}
