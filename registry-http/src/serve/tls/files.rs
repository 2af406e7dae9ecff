//! [`Contents`]: what stands in the files of certificates and keys.
#![expect(
    clippy::disallowed_methods,
    reason = "reads certificates, before anything is served and when they change"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use registry_store::digest::Digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;
use thiserror::Error;

use super::TlsOptions;

/// Why there is no TLS with these files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no PEM, or is cut off.
    #[error("{}: expected PEM, found something else ({source:?})", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why. It holds nothing of the file.
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("{}: expected a certificate in PEM (BEGIN CERTIFICATE), found none", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A file holds no key.
    #[error(
        "{}: expected a key in PEM (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY), not encrypted, found none",
        file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// A certificate is of a version that nobody takes any more.
    #[error(
        "{}: expected a certificate of X.509 version 3, found version 1, which clients do not take; it is made so without \
         extensions, such as its hosts in subjectAltName",
        file.display()
    )]
    Old {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not go together, or are of a kind that is not known.
    #[error("{}: expected a certificate and its key, found others: {source}", file.display())]
    Identity {
        /// The file of the certificate.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// An authority's certificate is none.
    #[error("{}: expected the certificate of an authority, found another: {source}", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// There is no authority to verify clients by.
    #[error("expected the certificate of an authority to verify clients by: {0}")]
    NoAuthority(VerifierBuilderError),
    /// What was chosen does not go together.
    #[error("{0}")]
    Config(rustls::Error),
}

/// The contents of all files, read at one time. Keys are in it: it is not to be shown.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let authorities = options.clients.authorities().iter().map(|file| read(file));
        Ok(Self {
            certificate: read(&options.certificate)?,
            key: read(&options.key)?,
            authorities: authorities.collect::<Result<_, _>>()?,
        })
    }

    /// The same for the same contents.
    pub(super) fn stamp(&self) -> Digest {
        let parts = [&self.certificate, &self.key].into_iter().chain(&self.authorities);
        let digests: Vec<String> = parts.map(|part| Digest::sha256(part).to_string()).collect();
        Digest::sha256(digests.join(" ").as_bytes())
    }

    /// The certificate, with those that lead to its authority, and its key.
    pub(super) fn identity(
        &self,
        options: &TlsOptions,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = certificates(&options.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| match source {
            pem::Error::NoItemsFound => TlsError::NoKey { file: options.key.clone() },
            source => TlsError::Pem { file: options.key.clone(), source },
        })?;
        Ok((chain, key))
    }

    /// The authorities of clients.
    pub(super) fn authorities(&self, options: &TlsOptions) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        for (file, content) in options.clients.authorities().iter().zip(&self.authorities) {
            for certificate in certificates(file, content)? {
                store
                    .add(certificate)
                    .map_err(|source| TlsError::Authority { file: file.clone(), source })?;
            }
        }
        Ok(store)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

fn certificates(file: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(content)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { file: file.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    Ok(certificates)
}
