//! [`TokenVerifier`]: from a token to what it says, if it is to be believed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use registry_store::options::Clock;
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::error::TokenError;
use super::jwk::Jwk;
use super::key::VerifyingKey;
use super::trusted::TrustedKeys;
use super::usage::Use;
use crate::auth::reloaded::{FileError, Reloaded};

/// Where trusted keys come from; files are read again when they change.
#[derive(Debug)]
pub enum KeySource {
    /// A file of certificates in PEM.
    RootCertBundle(PathBuf),
    /// A file with a JSON Web Key Set.
    Jwks(PathBuf),
    /// These, for as long as the process runs.
    Keys(TrustedKeys),
}

/// Verifies tokens (RFC 7519) of one issuer for one service.
pub struct TokenVerifier {
    issuer: String,
    service: String,
    algorithms: Vec<Algorithm>,
    clock: Arc<dyn Clock>,
    sources: Vec<Source>,
    of: Use,
}

enum Source {
    File(Reloaded<TrustedKeys>),
    Keys(Arc<TrustedKeys>),
}

/// The header of a token (RFC 7515 §4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    x5c: Option<Vec<String>>,
    jwk: Option<Jwk>,
    /// Of which type it is; passed over if it is no text.
    #[serde(default)]
    typ: Value,
    /// What has to be understood and is not.
    crit: Option<Value>,
}

impl TokenVerifier {
    /// Takes tokens from `issuer` for `service`, signed by one of `algorithms` with a key of `sources`.
    ///
    /// # Errors
    ///
    /// If a file of keys cannot be read.
    pub fn new(
        issuer: impl Into<String>,
        service: impl Into<String>,
        algorithms: impl Into<Vec<Algorithm>>,
        sources: impl IntoIterator<Item = KeySource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FileError> {
        let open = |source| {
            Ok(match source {
                KeySource::Keys(keys) => Source::Keys(Arc::new(keys)),
                KeySource::RootCertBundle(path) => {
                    let parse = TrustedKeys::of_certificates;
                    Source::File(Reloaded::open("the file of certificates", path, parse)?)
                }
                KeySource::Jwks(path) => {
                    Source::File(Reloaded::open("the file of keys", path, TrustedKeys::of_jwks)?)
                }
            })
        };
        Ok(Self {
            issuer: issuer.into(),
            service: service.into(),
            algorithms: algorithms.into(),
            clock,
            sources: sources.into_iter().map(open).collect::<Result<_, _>>()?,
            of: Use::Access,
        })
    }

    /// The same with keys that do not change, which cannot fail.
    pub fn of_keys(
        issuer: impl Into<String>,
        service: impl Into<String>,
        algorithms: impl Into<Vec<Algorithm>>,
        keys: TrustedKeys,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            service: service.into(),
            algorithms: algorithms.into(),
            clock,
            sources: vec![Source::Keys(Arc::new(keys))],
            of: Use::Access,
        }
    }

    /// The same for tokens that serve to something else.
    #[must_use]
    pub(in crate::auth) fn for_use(self, of: Use) -> Self {
        Self { of, ..self }
    }

    /// What a token says, once it is known who says it, to whom, and that it holds now.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let mut trusted = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            trusted.push(match source {
                Source::Keys(keys) => Arc::clone(keys),
                Source::File(file) => file.current().await,
            });
        }
        self.verify_by(token, &trusted)
    }

    /// Order: the algorithm is one that is let → the key is one that is trusted → the signature is right → it
    /// serves to what it is used for, its claims are for us and now. Nothing of the claims is looked at before.
    fn verify_by(&self, token: &str, trusted: &[Arc<TrustedKeys>]) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(malformed)?;
        let (claims, signature) = (decoded(claims)?, decoded(signature)?);
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let algorithm = header.alg.parse().ok();
        let algorithm = algorithm.filter(|it| self.algorithms.contains(it));
        let algorithm = algorithm.ok_or(TokenError::Algorithm)?;
        let key = self.key(&header, trusted).ok_or(TokenError::Key)?;
        if !key.verifies(algorithm, signed.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        if Use::of(header.typ.as_str()) != self.of {
            return Err(TokenError::Use);
        }
        let claims: Claims = serde_json::from_slice(&claims).map_err(malformed)?;
        claims.check(&self.issuer, &self.service, self.clock.now())?;
        Ok(claims)
    }

    /// In Distribution's order: a chain of certificates, else a key that stands there itself, else one that is named.
    /// The first of them that is there decides; a bad one is not made good by the next.
    fn key(&self, header: &Header, trusted: &[Arc<TrustedKeys>]) -> Option<VerifyingKey> {
        let of_jwk = header.jwk.as_ref().and_then(|jwk| jwk.x5c.as_ref());
        let there = |chain: &&Vec<String>| !chain.is_empty();
        let own = header.x5c.as_ref().filter(there);
        let chain = own.or(of_jwk.filter(there));
        if let Some(chain) = chain {
            let now = self.clock.now();
            return trusted.iter().find_map(|keys| keys.by_chain(chain, now));
        }
        let named = |keys: &Arc<TrustedKeys>| match (&header.jwk, &header.kid) {
            (Some(jwk), _) => keys.by_jwk(jwk).cloned(),
            (None, Some(id)) => keys.by_id(id).cloned(),
            (None, None) => None,
        };
        trusted.iter().find_map(named)
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

fn malformed(_: serde_json::Error) -> TokenError {
    TokenError::Malformed
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("issuer", &self.issuer)
            .field("service", &self.service)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
