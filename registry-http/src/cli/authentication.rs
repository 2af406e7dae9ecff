//! Who is let in, as the configuration says.

use std::path::Path;
use std::sync::Arc;

use http::header::InvalidHeaderValue;
use registry_http::auth::Authorizer;
use registry_http::auth::basic::BasicAuthorizer;
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::auth::silly::SillyAuthorizer;
use registry_http::auth::token::{Challenge, KeySource, TokenAuthorizer, TokenVerifier};
use registry_http::config::{Auth, Token};
use registry_store::options::StoreOptions;
use tracing::warn;

use super::Failure;
use super::said::Said;

/// Reads the files of users and keys; what is wrong with them keeps the program from starting.
pub(super) fn authorizer(
    auth: &Said<Auth>,
    options: &StoreOptions,
) -> Result<Arc<dyn Authorizer>, Failure> {
    let by = &auth.by;
    let no_header = |error: InvalidHeaderValue| Failure::new(format!("{by}: realm: {error}"));
    Ok(match &auth.value {
        Auth::Htpasswd { realm, path } => {
            let users = users(path, by, options)?;
            Arc::new(BasicAuthorizer::new(users, realm).map_err(no_header)?)
        }
        Auth::Token(token) => {
            let (verifier, challenge) = of_token(token, by, options)?;
            Arc::new(TokenAuthorizer::new(verifier, challenge))
        }
        Auth::Silly { realm, service } => {
            warn!("{by}: whoever sends any credentials may do everything");
            Arc::new(SillyAuthorizer::new(realm, service).map_err(no_header)?)
        }
    })
}

/// The users of a file.
pub(super) fn users(path: &Path, by: &str, options: &StoreOptions) -> Result<Htpasswd, Failure> {
    Htpasswd::open(path, &*options.random).map_err(|error| {
        Failure::new(format!("{by}: {error}; expected a file as htpasswd -B makes it"))
    })
}

/// What believes tokens of another service, and sends clients to it.
pub(super) fn of_token(
    token: &Token,
    by: &str,
    options: &StoreOptions,
) -> Result<(TokenVerifier, Challenge), Failure> {
    // Where both have a key of the same id, that of `jwks` counts, as in Distribution.
    let jwks = token.jwks.clone().map(KeySource::Jwks);
    let bundle = token.root_cert_bundle.clone().map(KeySource::RootCertBundle);
    let verifier = TokenVerifier::new(
        &token.issuer,
        &token.service,
        token.algorithms.clone(),
        jwks.into_iter().chain(bundle),
        Arc::clone(&options.clock),
    )
    .map_err(|error| Failure::new(format!("{by}: {error}")))?;
    let challenge = Challenge {
        realm: token.realm.clone(),
        service: token.service.clone(),
        auto_redirect: token.auto_redirect.clone(),
    };
    Ok((verifier, challenge))
}
