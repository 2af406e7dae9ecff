//! Who may do what, and tokens of our own, as the configuration says.
#![expect(clippy::disallowed_methods, reason = "reads and makes a key before anything is served")]

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process;
use std::sync::Arc;

use registry_http::auth::Authorizer;
use registry_http::auth::credentials::Credentials;
use registry_http::auth::issuer::{Issuer, SigningKey, TokenService};
use registry_http::auth::policy::{CurrentPolicy, PolicyAuthorizer};
use registry_http::config::{AccessControl, Auth, OwnTokens};
use registry_store::options::StoreOptions;
use tracing::{info, warn};

use super::said::Said;
use super::{Failure, authentication};

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
    let pem = key_in(file).map_err(|error| {
        failure(format!(
            "{error}; expected a file that this user may read, or a directory to make it in"
        ))
    })?;
    let key = SigningKey::from_pem(&pem).map_err(failure)?;
    // One that does not do is told of in one line, and this is not it.
    if fs::metadata(file).is_ok_and(|it| it.mode() & 0o077 != 0) {
        warn!("{}: others can read the key that tokens are signed with", file.display());
    }
    let mut issuer = Issuer::new(key, &wanted.issuer, &wanted.service, options);
    issuer.lifetime = wanted.lifetime;
    issuer.refresh_lifetime = wanted.refresh_lifetime;
    let mut service = TokenService::new(issuer, credentials, policy);
    service.path.clone_from(&wanted.path);
    service.realm.clone_from(&wanted.realm);
    Ok(service)
}

/// What the file holds. One that is not there is made, with a new key, for this user alone.
fn key_in(file: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(file)?,
        read => return read,
    }
    fs::read(file)
}

/// Order: another file gets the key, whole and durable → it gets the name, if none has it yet. Of two processes that start
/// together one makes it, and a crash leaves no half of a key.
fn make(file: &Path) -> io::Result<()> {
    let pem = SigningKey::generate().map_err(io::Error::other)?;
    let mut other = file.as_os_str().to_owned();
    other.push(format!(".{}", process::id()));
    let other = Path::new(&other);
    let write = || {
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(other)?;
        made.write_all(pem.as_bytes())?;
        made.sync_all()?;
        match fs::hard_link(other, file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                info!("{}: made a key to sign tokens with; replicas need the same", file.display());
                Ok(())
            }
        }
    };
    let outcome = write();
    // What is left of it is of no use to anybody.
    let _ = fs::remove_file(other);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let made = key_in(&file).unwrap();
        assert!(SigningKey::from_pem(&made).is_ok());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(key_in(&file).unwrap(), made);
        make(&file).unwrap();
        assert_eq!(key_in(&file).unwrap(), made, "who comes second takes what is there");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
