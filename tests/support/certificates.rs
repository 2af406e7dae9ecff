//! [`Authority`]: certificates, made when a test wants them.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::string::BmpString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM; the key is PKCS#8.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Wanted {
    name: String,
    hosts: Vec<String>,
    more: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    until: i32,
    in_bmp: bool,
}

impl Wanted {
    /// Of a server at 127.0.0.1 and `localhost`.
    pub fn server() -> Self {
        Self {
            name: "registry".to_owned(),
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            more: Vec::new(),
            usage: ExtendedKeyUsagePurpose::ServerAuth,
            until: 2999,
            in_bmp: false,
        }
    }

    /// Of a client of this name.
    pub fn client(name: &str) -> Self {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        Self { name: name.to_owned(), hosts: Vec::new(), usage, ..Self::server() }
    }

    /// The same, that ran out long ago.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.until = 2001;
        self
    }

    /// The same, whose name stands in letters of two bytes, as some old authorities write it.
    #[must_use]
    pub fn in_bmp(mut self) -> Self {
        self.in_bmp = true;
        self
    }

    /// The same, with names of each kind beside the common one.
    #[must_use]
    pub fn also_called(mut self, host: &str, mail: &str, uri: &str) -> Self {
        let text = |text: &str| text.try_into().expect("it is ASCII");
        self.hosts.push(host.to_owned());
        self.more.extend([SanType::Rfc822Name(text(mail)), SanType::URI(text(uri))]);
        self
    }
}

impl Authority {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("there is no name to be wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = called(name);
        let key = KeyPair::generate().expect("there is randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("it is an authority"))
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate, and its key.
    pub fn issue(&self, wanted: &Wanted) -> Identity {
        let mut params =
            CertificateParams::new(wanted.hosts.clone()).expect("hosts are names or addresses");
        params.subject_alt_names.extend(wanted.more.clone());
        params.distinguished_name = called(&wanted.name);
        if wanted.in_bmp {
            let name = BmpString::try_from(wanted.name.as_str()).expect("it is of the first plane");
            params.distinguished_name.push(DnType::CommonName, DnValue::BmpString(name));
        }
        params.extended_key_usages = vec![wanted.usage.clone()];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(wanted.until, 1, 1);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.0).expect("an authority signs");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    /// Writes both into a directory, as `<name>.crt` and `<name>.key`, and returns their paths.
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = directory.join(format!("{name}.crt"));
        let key = directory.join(format!("{name}.key"));
        fs::write(&certificate, &self.certificate).expect("the directory is writable");
        fs::write(&key, &self.key).expect("the directory is writable");
        (certificate, key)
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
