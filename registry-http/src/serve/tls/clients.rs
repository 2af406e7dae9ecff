//! What is asked of clients, for rustls.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::files::Contents;
use super::{ClientAuth, TlsError, TlsOptions};

/// Who verifies what clients send; `None` if nothing is asked for.
pub(super) fn verifier(
    options: &TlsOptions,
    contents: &Contents,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let any = |mandatory| {
        let algorithms = provider.signature_verification_algorithms;
        Some(Arc::new(Any { mandatory, algorithms }) as Arc<dyn ClientCertVerifier>)
    };
    let is_optional = match options.clients {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request => return Ok(any(false)),
        ClientAuth::RequireAny => return Ok(any(true)),
        ClientAuth::VerifyIfGiven(_) => true,
        ClientAuth::Require(_) => false,
    };
    let authorities = Arc::new(contents.authorities(options)?);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider));
    let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map(Some).map_err(TlsError::NoAuthority)
}

/// Takes any certificate whose key the client has. It says nothing of who the client is, and nobody is told of it.
#[derive(Debug)]
struct Any {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Any {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
