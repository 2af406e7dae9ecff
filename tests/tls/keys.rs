//! Keys in each of their forms.

use std::fs;
use std::path::Path;

use registry_http::serve::tls::TlsOptions;

use crate::served::{Files, Served};
use registry_tests::tls_client::{ONLY_12, ONLY_13, TlsClient};

#[tokio::test]
async fn a_key_of_rsa_in_pkcs_1_is_read() {
    let files = Files::new();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls/rsa");
    let (certificate, key) = (place.join("certificate.pem"), place.join("key.pem"));
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let trusts = fs::read_to_string(&certificate).unwrap();
    let served = Served::with(TlsOptions { certificate, key, ..files.options() }).await;
    for versions in [ONLY_12, ONLY_13] {
        TlsClient::new(&trusts).speaks(versions).ask(served.address).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_of_an_elliptic_curve_in_sec_1_is_read() {
    let files = Files::new();
    let key = files.options().key;
    fs::write(&key, sec1(&fs::read_to_string(&key).unwrap())).unwrap();
    let served = Served::with(files.options()).await;
    files.client().ask(served.address).await.unwrap();
}

/// The ECPrivateKey of RFC 5915 that stands in a PKCS#8 of P-256: behind version and algorithm, in a string of octets.
fn sec1(pkcs8: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let inside: String = pkcs8.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(inside).unwrap();
    // SEQUENCE { INTEGER 0, SEQUENCE { two OIDs }, OCTET STRING }: 3 + 3 + 21 + 2 bytes are before what it holds.
    let octets = &der[3 + 3 + 21..];
    assert_eq!(octets[0], 4, "a string of octets");
    let key = STANDARD.encode(&octets[2..2 + usize::from(octets[1])]);
    format!("-----BEGIN EC PRIVATE KEY-----\n{key}\n-----END EC PRIVATE KEY-----\n")
}
