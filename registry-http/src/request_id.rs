//! [`RequestId`]: what a request is called, in whatever tells of it.

use http::{HeaderMap, HeaderName};
use registry_store::options::Random;

/// The header in which a proxy names a request, and in which an answer names it again.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest that is taken over.
const LONGEST: usize = 128;

/// The id of a request, in the request's extensions: whoever gives it one puts it there, and notifications carry it on.
/// [`Observe`](crate::observe::Observe) does.
///
/// ```
/// use registry_http::request_id::RequestId;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(RequestId("5a0b".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The one that the request names itself, if it is a plain word of at most 128 letters, digits, `-`, `_`, `.` and `:`;
    /// else a new one, in the form of a UUID (version 4).
    pub fn of(headers: &HeaderMap, random: &dyn Random) -> Self {
        let named = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match named.filter(|text| is_plain(text)) {
            Some(text) => Self(text.to_owned()),
            None => Self(uuid(random.bytes())),
        }
    }
}

fn is_plain(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fine)
}

/// RFC 9562 §5.4.
fn uuid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf000 << 64) | 0x4000 << 64;
    let number = number & !(0xc000 << 48) | 0x8000 << 48;
    let hex = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl Random for Fixed {
        fn bytes(&self) -> [u8; 16] {
            [0xff; 16]
        }
    }

    #[test]
    fn a_plain_id_is_taken_over_and_any_other_replaced() {
        let made = "ffffffff-ffff-4fff-bfff-ffffffffffff";
        let long = "a".repeat(129);
        for (named, expected) in [
            (None, made),
            (Some("0af7651916cd43dd"), "0af7651916cd43dd"),
            (Some("a-b_c.d:e"), "a-b_c.d:e"),
            (Some(""), made),
            (Some("a b"), made),
            (Some("a\"b"), made),
            (Some(long.as_str()), made),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(named) = named {
                headers.insert(HEADER, named.parse().unwrap());
            }
            assert_eq!(RequestId::of(&headers, &Fixed).0, expected, "{named:?}");
        }
    }
}
