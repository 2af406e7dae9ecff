//! [`Tls`]: certificate and key of the listener, and what is asked of clients; renewed when its files are.
//!
//! TLS 1.2 and 1.3 are spoken by rustls; its cryptography is ring's.

mod certificate;
mod clients;
mod files;
mod handshake;
mod suites;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use registry_store::digest::Digest;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::serve::tls::certificate::Standing;
use crate::serve::tls::files::Contents;

pub use crate::serve::tls::files::TlsError;
pub use crate::serve::tls::suites::{CipherSuite, NoSuite};

pub(super) use crate::serve::tls::handshake::{Secured, handshake};

/// Where certificate and key are, and what is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// A file with the certificate of this server, and those that lead from it to its authority, in PEM.
    pub certificate: PathBuf,
    /// A file with its key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
    /// The least that is spoken.
    pub minimum: TlsVersion,
    /// What TLS 1.2 is spoken with; none of it, and TLS 1.2 is not spoken. TLS 1.3 chooses by itself. `None`: all that
    /// there is, each of them with forward secrecy and authenticated encryption.
    pub cipher_suites: Option<Vec<CipherSuite>>,
    /// What is asked of clients.
    pub clients: ClientAuth,
    /// HTTP/2 is offered, by ALPN.
    pub http2: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What is asked of clients, in the terms of Go's `tls.ClientAuthType`.
///
/// A file of authorities holds one certificate or more, in PEM. Only where certificates are verified is a
/// [`ClientCertificate`](crate::peer::ClientCertificate) told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, which need not be sent and is not verified: as good as none.
    Request,
    /// A certificate, which is not verified: whoever can make one can connect.
    RequireAny,
    /// A certificate, which need not be sent; one that is has to lead to one of these authorities.
    VerifyIfGiven(Vec<PathBuf>),
    /// A certificate that leads to one of these authorities.
    Require(Vec<PathBuf>),
}

impl ClientAuth {
    fn authorities(&self) -> &[PathBuf] {
        match self {
            Self::None | Self::Request | Self::RequireAny => &[],
            Self::VerifyIfGiven(files) | Self::Require(files) => files,
        }
    }

    const fn verifies(&self) -> bool {
        matches!(self, Self::VerifyIfGiven(_) | Self::Require(_))
    }
}

/// TLS at a listener. A cheap clone is the same one.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    options: TlsOptions,
    in_force: RwLock<Arc<InForce>>,
    /// Held from when files are read until what they say is in force: else what was read first might come last.
    reloading: Mutex<()>,
}

/// What new connections get. Those that are there keep what they began with.
struct InForce {
    config: Arc<ServerConfig>,
    /// Of the contents of all files.
    stamp: Digest,
}

impl Tls {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or they do not fit together.
    pub fn load(options: TlsOptions) -> Result<Self, TlsError> {
        let contents = Contents::read(&options)?;
        let in_force = RwLock::new(Arc::new(in_force(&options, &contents)?));
        Ok(Self { shared: Arc::new(Shared { options, in_force, reloading: Mutex::new(()) }) })
    }

    /// Reads the files again, for connections that come from now on. `false` if they are as they were. Blocks.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); then what was in force stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let options = &self.shared.options;
        let _alone = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = Contents::read(options)?;
        if contents.stamp() == self.current().stamp {
            return Ok(false);
        }
        let new = Arc::new(in_force(options, &contents)?);
        *self.shared.in_force.write().unwrap_or_else(PoisonError::into_inner) = new;
        info!("TLS: new certificates are in force");
        Ok(true)
    }

    /// [Reloads](Self::reload) whenever the files have changed, which is looked for every so often: their contents
    /// count, however they came there. New ones that do not do are told of once, and the old ones stay. Never ends.
    pub async fn watch(self, every: Duration) {
        let mut told = None;
        loop {
            sleep(every).await;
            let tls = self.clone();
            let error = match spawn_blocking(move || tls.reload()).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = &error
                && told.as_ref() != Some(error)
            {
                warn!(
                    "TLS: the certificates in force stay, because the new ones do not do: {error}"
                );
            }
            told = error;
        }
    }

    fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.shared.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.shared.options).finish()
    }
}

/// Refuses a certificate that no client takes, and tells of one that none takes now.
fn look_at(certificate: &CertificateDer<'_>, options: &TlsOptions) -> Result<(), TlsError> {
    let file = &options.certificate;
    match certificate::standing(certificate) {
        Standing::Good => {}
        Standing::Old => return Err(TlsError::Old { file: file.clone() }),
        Standing::Over(time) => {
            warn!("TLS: {}: it ran out at {time}: clients do not trust it", file.display());
        }
        Standing::ToCome(time) => {
            warn!("TLS: {}: it begins at {time} only: clients do not trust it", file.display());
        }
    }
    Ok(())
}

fn in_force(options: &TlsOptions, contents: &Contents) -> Result<InForce, TlsError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: suites::in_force(options.cipher_suites.as_deref()),
        ..ring::default_provider()
    });
    let speaks_12 = options.minimum == TlsVersion::Tls12
        && provider.cipher_suites.iter().any(|suite| suite.version() == &TLS12);
    let versions = if speaks_12 { &[&TLS13, &TLS12][..] } else { &[&TLS13] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Config)?;
    let builder = match clients::verifier(options, contents, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = contents.identity(options)?;
    look_at(&chain[0], options)?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Identity { file: options.certificate.clone(), source })?;
    let protocols: &[&[u8]] = if options.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(InForce { config: Arc::new(config), stamp: contents.stamp() })
}
