//! [`UploadSecret`]: what the addresses of upload sessions are signed with.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Distribution's `http.secret`: what the addresses of upload sessions are signed with. Its `Debug` hides it.
///
/// Every program that serves the same data is given the same one, and each then takes the addresses that another
/// has handed out.
#[derive(Clone)]
pub struct UploadSecret(Arc<[u8]>);

impl UploadSecret {
    /// A secret of these bytes. `None` if there are none: an empty secret is none, as in Distribution.
    pub fn new(bytes: impl AsRef<[u8]>) -> Option<Self> {
        let bytes = bytes.as_ref();
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// The HMAC-SHA256 (RFC 2104) of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for UploadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn it_does_not_show_itself() {
        let secret = UploadSecret::new("do not tell").unwrap();
        let options = Options { upload_secret: Some(secret), ..Options::default() };
        let shown = format!("{options:?} {options:#?}");
        assert!(shown.contains("UploadSecret(..)"), "{shown}");
        for told in ["tell", &format!("{:?}", b"do not tell")[1..20]] {
            assert!(!shown.contains(told), "{told} in {shown}");
        }
    }

    #[test]
    fn nothing_is_no_secret() {
        assert!(UploadSecret::new("").is_none());
        assert!(UploadSecret::new("x").is_some());
    }

    #[test]
    fn it_signs_as_the_second_example_of_rfc_4231_does() {
        let signed = UploadSecret::new("Jefe").unwrap().sign(b"what do ya want for nothing?");
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
            0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
            0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(signed, expected);
    }
}
