//! What is signed: a request in one form that both sides come to.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::s3::request::host;

/// The SHA-256 of nothing.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A request in its one form.
///
/// `signed` are names of headers in lower case, `payload` is the hash of the body or what stands for it.
pub(super) fn request(
    head: &Parts,
    query: &[(String, String)],
    signed: &[String],
    payload: &str,
) -> String {
    let path: Vec<u8> = percent_decode_str(head.uri.path()).collect();
    let path = percent_encoding::percent_encode(&path, PATH);
    let mut query: Vec<(String, String)> =
        query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    query.sort();
    let query: Vec<String> =
        query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: String =
        signed.iter().map(|name| format!("{name}:{}\n", values(head, name))).collect();
    let (method, query, signed) = (&head.method, query.join("&"), signed.join(";"));
    format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}")
}

/// All values of a header, trimmed, with one blank where several are.
fn values(head: &Parts, name: &str) -> String {
    if name == "host" {
        return host(head).to_owned();
    }
    let values = head.headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

/// A name or value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// What is signed of a request.
pub(super) fn to_sign(timestamp: &str, scope: &str, request: &str) -> String {
    format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}", sha256(request.as_bytes()))
}

/// What is signed of a chunk, by the hash of its bytes.
pub(super) fn chunk_to_sign(timestamp: &str, scope: &str, previous: &str, hash: &str) -> String {
    format!("AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{EMPTY}\n{hash}")
}

/// What is signed of the trailers, by the hash of their lines.
pub(super) fn trailer_to_sign(timestamp: &str, scope: &str, previous: &str, hash: &str) -> String {
    format!("AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n{previous}\n{hash}")
}

/// `<date>/<region>/s3/aws4_request`
pub(super) fn scope(timestamp: &str, region: &str) -> String {
    let date = timestamp.get(..8).unwrap_or(timestamp);
    format!("{date}/{region}/s3/aws4_request")
}

/// The key that a scope's signatures are made with.
pub(super) fn key(secret: &str, scope: &str) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    scope.split('/').fold(first, |key, part| hmac(&key, part))
}

/// A signature, in hex.
pub(super) fn sign(key: &[u8], text: &str) -> String {
    hex::encode(hmac(key, text))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::request::query;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const TIME: &str = "20130524T000000Z";

    fn signature(method: &str, target: &str, headers: &[(&str, &str)], payload: &str) -> String {
        let mut builder = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let head = builder.body(()).unwrap().into_parts().0;
        let signed: Vec<String> = headers.iter().map(|(name, _)| (*name).to_owned()).collect();
        let scope = scope(TIME, "us-east-1");
        let query = query(head.uri.query().unwrap_or_default());
        let request = request(&head, &query, &signed, payload);
        sign(&key(SECRET, &scope), &to_sign(TIME, &scope, &request))
    }

    #[test]
    fn the_published_example_of_a_get_is_signed_as_published() {
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", TIME),
        ];
        assert_eq!(
            signature("GET", "/test.txt", &headers, EMPTY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn the_published_example_of_a_put_is_signed_as_published() {
        let payload = sha256(b"Welcome to Amazon S3.");
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", payload.as_str()),
            ("x-amz-date", TIME),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signature("PUT", "/test$file.text", &headers, &payload),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }

    #[test]
    fn the_published_example_of_a_listing_is_signed_as_published() {
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", TIME),
        ];
        assert_eq!(
            signature("GET", "/?max-keys=2&prefix=J", &headers, EMPTY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn the_published_example_of_a_presigned_address_is_signed_as_published() {
        let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524\
                      %2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&\
                      X-Amz-SignedHeaders=host";
        let headers = [("host", "examplebucket.s3.amazonaws.com")];
        assert_eq!(
            signature("GET", target, &headers, "UNSIGNED-PAYLOAD"),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn the_published_example_of_chunks_is_signed_as_published() {
        let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", payload),
            ("x-amz-date", TIME),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let mut last = signature("PUT", "/examplebucket/chunkObject.txt", &headers, payload);
        assert_eq!(last, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
        let scope = scope(TIME, "us-east-1");
        for (length, expected) in [
            (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ] {
            let text = chunk_to_sign(TIME, &scope, &last, &sha256(&vec![b'a'; length]));
            last = sign(&key(SECRET, &scope), &text);
            assert_eq!(last, expected);
        }
    }
}
