//! [`CipherSuite`]: a cipher suite of TLS, by the name that Go has for it.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::version::TLS13;
use thiserror::Error;

/// A cipher suite that is spoken here, by its name at IANA, which is Go's: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CipherSuite(rustls::CipherSuite);

/// Why a name is not that of a [`CipherSuite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoSuite {
    /// Go has it, and it is not spoken here: it has no forward secrecy, or encryption that is not authenticated.
    #[error("it is too weak: there is no forward secrecy, or no authenticated encryption")]
    Weak,
    /// There is none of this name.
    #[error("there is no such cipher suite")]
    Unknown,
}

/// Of those that Distribution takes, the ones that are not spoken here.
const WEAK: &[&str] = &[
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

impl CipherSuite {
    /// Every name that is known: of those that are spoken, and of those that are too weak.
    pub fn names() -> Vec<String> {
        let spoken = ALL_CIPHER_SUITES.iter().map(|suite| Self(suite.suite()).to_string());
        spoken.chain(WEAK.iter().map(|name| (*name).to_owned())).collect()
    }
}

impl FromStr for CipherSuite {
    type Err = NoSuite;

    fn from_str(name: &str) -> Result<Self, NoSuite> {
        let mut suites = ALL_CIPHER_SUITES.iter().map(|suite| Self(suite.suite()));
        let missing = if WEAK.contains(&name) { NoSuite::Weak } else { NoSuite::Unknown };
        suites.find(|suite| suite.to_string() == name).ok_or(missing)
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // rustls calls those of TLS 1.3 by another name than IANA does.
        let name = format!("{:?}", self.0);
        f.write_str(&name.replace("TLS13_", "TLS_"))
    }
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Those of TLS 1.3, and of TLS 1.2 those that were chosen.
pub(super) fn in_force(chosen: Option<&[CipherSuite]>) -> Vec<SupportedCipherSuite> {
    let is_chosen = |suite: &SupportedCipherSuite| {
        suite.version() == &TLS13
            || chosen.is_none_or(|chosen| chosen.contains(&CipherSuite(suite.suite())))
    };
    ALL_CIPHER_SUITES.iter().copied().filter(is_chosen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_the_name_that_go_has_for_it() {
        for name in [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ] {
            assert_eq!(name.parse::<CipherSuite>().unwrap().to_string(), name);
        }
        assert_eq!("TLS_RSA_WITH_AES_128_CBC_SHA".parse::<CipherSuite>(), Err(NoSuite::Weak));
        assert_eq!("TLS_X".parse::<CipherSuite>(), Err(NoSuite::Unknown));
        assert!(WEAK.iter().all(|name| name.parse::<CipherSuite>() == Err(NoSuite::Weak)));
    }

    #[test]
    fn those_of_tls_1_3_are_always_there() {
        let chosen = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".parse().unwrap()];
        assert_eq!(in_force(Some(&chosen)).len(), 4);
        assert_eq!(in_force(Some(&[])).len(), 3);
        assert_eq!(in_force(None).len(), ALL_CIPHER_SUITES.len());
    }
}
