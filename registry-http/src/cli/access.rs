//! Who may do what, and tokens of our own, as the configuration says.

use std::sync::Arc;

use registry_http::auth::Authorizer;
use registry_http::auth::credentials::Credentials;
use registry_http::auth::issuer::{Issuer, SigningKey, TokenService};
use registry_http::auth::policy::{CurrentPolicy, PolicyAuthorizer};
use registry_http::config::{AccessControl, Auth, OwnTokens};
use registry_store::options::StoreOptions;

use super::said::Said;
use super::{Failure, authentication, signing_key};

/// What stands before the registry.
pub(super) struct Guard {
    pub(super) authorizer: Arc<dyn Authorizer>,
    pub(super) tokens: Option<Arc<TokenService>>,
    /// The rules, which can be replaced.
    pub(super) policy: CurrentPolicy,
}

/// Reads the files of users and keys; what is wrong with them keeps the program from starting.
pub(super) fn guard(
    access: &Said<AccessControl>,
    auth: Option<&Said<Auth>>,
    options: &StoreOptions,
) -> Result<Guard, Failure> {
    let policy = CurrentPolicy::from(access.value.policy.clone());
    let mut credentials = Credentials::none();
    if access.value.certificates {
        credentials = credentials.with_certificates();
    }
    if let Some(Said { value: Auth::Htpasswd { path, .. }, by }) = auth {
        credentials = credentials.with_users(Arc::new(authentication::users(path, by, options)?));
    }
    let authorizer = PolicyAuthorizer::new(policy.clone(), credentials.clone());
    if let Some(wanted) = &access.value.tokens {
        let service = token_service(wanted, &access.by, credentials, policy.clone(), options)?;
        let authorizer = authorizer.with_own_tokens(service.verifier(), service.challenge());
        return Ok(Guard {
            authorizer: Arc::new(authorizer),
            tokens: Some(Arc::new(service)),
            policy,
        });
    }
    let authorizer = match auth {
        Some(Said { value: Auth::Htpasswd { realm, .. }, by }) => authorizer
            .with_basic(realm)
            .map_err(|error| Failure::new(format!("{by}: realm: {error}")))?,
        Some(Said { value: Auth::Token(token), by }) => {
            let (verifier, challenge) = authentication::of_token(token, by, options)?;
            authorizer.with_tokens(verifier, challenge)
        }
        Some(Said { value: Auth::Silly { .. }, .. }) | None => authorizer,
    };
    Ok(Guard { authorizer: Arc::new(authorizer), tokens: None, policy })
}

fn token_service(
    wanted: &OwnTokens,
    by: &str,
    credentials: Credentials,
    policy: CurrentPolicy,
    options: &StoreOptions,
) -> Result<TokenService, Failure> {
    let file = &wanted.key;
    let failure = |what: String| {
        Failure::new(format!(
            "the key that tokens are signed with, {}: {what} (see {by})",
            file.display()
        ))
    };
    let pem = signing_key::read_or_make(file, &*options.random).map_err(|error| {
        failure(format!(
            "{error}; expected a file that this user may read, or a directory to make it in"
        ))
    })?;
    let key = SigningKey::from_pem(&pem).map_err(failure)?;
    // One that does not do is told of in one line, and this is not it.
    signing_key::tell_if_others_can_read(file);
    let mut issuer = Issuer::new(key, &wanted.issuer, &wanted.service, options);
    issuer.lifetime = wanted.lifetime;
    issuer.refresh_lifetime = wanted.refresh_lifetime;
    let mut service = TokenService::new(issuer, credentials, policy);
    service.path.clone_from(&wanted.path);
    service.realm.clone_from(&wanted.realm);
    Ok(service)
}
