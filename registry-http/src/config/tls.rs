//! Distribution's `http.tls`, all keys of 2.x and 3.x but Let's Encrypt's.

use std::path::PathBuf;

use serde::Deserialize;

use super::node::Node;
use super::problem::Problem;
use crate::serve::tls::{CipherSuite, ClientAuth, NoSuite, TlsOptions, TlsVersion};

/// The file as it stands.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    clientcas: Option<Vec<PathBuf>>,
    clientauth: Option<String>,
    minimumtls: Option<String>,
    ciphersuites: Option<Vec<String>>,
}

/// The document, for where something stands.
struct At<'n>(&'n Node);

impl At<'_> {
    fn problem(&self, name: &str, what: impl Into<String>) -> Problem {
        let key = format!("http.tls.{name}");
        let entry = self.0.find(&key).or_else(|| self.0.find("http.tls"));
        let origin = &entry.expect("it was read from there").node.origin;
        Problem::new(origin, key, what)
    }
}

impl Section {
    /// The settings, if there is a certificate. Without one, whatever would keep anybody out is refused.
    pub(super) fn resolve(
        self,
        document: &Node,
        http2: bool,
        warnings: &mut Vec<Problem>,
    ) -> Result<Option<TlsOptions>, Problem> {
        let at = At(document);
        let said = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let authorities = self.clientcas.unwrap_or_default();
        let clientauth = self.clientauth.filter(|word| !word.is_empty());
        let minimum = self.minimumtls.filter(|word| !word.is_empty());
        let suites = self.ciphersuites.filter(|names| !names.is_empty());
        let (certificate, key) = match (said(self.certificate), said(self.key)) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                return Err(at.problem("certificate", "expected http.tls.key with it, found none"));
            }
            (None, Some(_)) => {
                return Err(at.problem("key", "expected http.tls.certificate with it, found none"));
            }
            (None, None) => {
                let what = "refused, because there is no TLS without http.tls.certificate: anybody could connect";
                if !authorities.is_empty() {
                    return Err(at.problem("clientcas", what));
                }
                if clientauth.is_some() {
                    return Err(at.problem("clientauth", what));
                }
                let what = "passed over: there is no TLS without http.tls.certificate";
                let without =
                    [("minimumtls", minimum.is_some()), ("ciphersuites", suites.is_some())];
                let without = without.into_iter().filter(|(_, is_said)| *is_said);
                warnings.extend(without.map(|(name, _)| at.problem(name, what)));
                return Ok(None);
            }
        };
        let minimum = self::minimum(&at, minimum.as_deref())?;
        Ok(Some(TlsOptions {
            certificate,
            key,
            minimum,
            cipher_suites: cipher_suites(&at, suites, minimum, warnings)?,
            clients: clients(&at, clientauth.as_deref(), authorities, warnings)?,
            http2,
        }))
    }
}

fn minimum(at: &At<'_>, word: Option<&str>) -> Result<TlsVersion, Problem> {
    match word {
        None | Some("tls1.2") => Ok(TlsVersion::Tls12),
        Some("tls1.3") => Ok(TlsVersion::Tls13),
        Some(old @ ("tls1.0" | "tls1.1")) => {
            let what = format!(
                "refused, because {old} is not spoken any more (RFC 8996): expected tls1.2 or tls1.3"
            );
            Err(at.problem("minimumtls", what))
        }
        Some(other) => {
            let what = format!("expected tls1.2 or tls1.3, found `{other:.80}`");
            Err(at.problem("minimumtls", what))
        }
    }
}

fn clients(
    at: &At<'_>,
    word: Option<&str>,
    authorities: Vec<PathBuf>,
    warnings: &mut Vec<Problem>,
) -> Result<ClientAuth, Problem> {
    let none = authorities.is_empty();
    let auth = match word {
        None if none => ClientAuth::None,
        Some("request-client-cert") => ClientAuth::Request,
        Some("require-any-client-cert") => ClientAuth::RequireAny,
        Some("verify-client-cert-if-given") => ClientAuth::VerifyIfGiven(authorities),
        None | Some("require-and-verify-client-cert") => ClientAuth::Require(authorities),
        Some(other) => {
            let what = format!(
                "expected request-client-cert, require-any-client-cert, verify-client-cert-if-given or \
                 require-and-verify-client-cert, found `{other:.80}`"
            );
            return Err(at.problem("clientauth", what));
        }
    };
    if none && matches!(auth, ClientAuth::VerifyIfGiven(_) | ClientAuth::Require(_)) {
        let what = "expected the authorities to verify by in http.tls.clientcas, found none";
        return Err(at.problem("clientauth", what));
    }
    if !none && matches!(auth, ClientAuth::Request | ClientAuth::RequireAny) {
        let what = "passed over: with this clientauth nobody's certificate is verified, and anybody can make one; expected \
                    require-and-verify-client-cert or verify-client-cert-if-given";
        warnings.push(at.problem("clientcas", what));
    }
    Ok(auth)
}

/// Those of the list that are spoken; the others are told of.
fn cipher_suites(
    at: &At<'_>,
    names: Option<Vec<String>>,
    minimum: TlsVersion,
    warnings: &mut Vec<Problem>,
) -> Result<Option<Vec<CipherSuite>>, Problem> {
    let Some(names) = names else { return Ok(None) };
    if minimum == TlsVersion::Tls13 {
        let what = "passed over: TLS 1.3 chooses by itself";
        warnings.push(at.problem("ciphersuites", what));
        return Ok(None);
    }
    let mut suites = Vec::new();
    for name in names {
        match name.parse() {
            Ok(suite) => suites.push(suite),
            Err(NoSuite::Weak) => {
                let what = format!("`{name}` is passed over: {}", NoSuite::Weak);
                warnings.push(at.problem("ciphersuites", what));
            }
            Err(NoSuite::Unknown) => {
                let what = format!("expected the name of a cipher suite, found `{name:.80}`");
                return Err(at.problem("ciphersuites", what));
            }
        }
    }
    if suites.is_empty() {
        let what = "expected at least one cipher suite with forward secrecy and authenticated encryption, such as \
                    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, found none";
        return Err(at.problem("ciphersuites", what));
    }
    Ok(Some(suites))
}
