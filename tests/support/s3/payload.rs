//! [`Payload`]: the body of a request, verified against all that the request says of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::checksum::{Algorithm, Hasher};
use super::chunked::{Decoder, incomplete};
use super::content::Content;
use super::error::S3Error;
use super::request::Request;
use super::signature::Identity;

/// Pieces from this size on are kept as they came, without a copy.
const LARGE: usize = 64 << 10;

/// The body of a request.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    /// The checksum it came with, in base64.
    pub(super) checksum: Option<(Algorithm, String)>,
    /// Whether anything vouches for it: a checksum or an MD5.
    pub(super) is_vouched_for: bool,
}

/// Takes a body as it comes. What is wrong is said at the end, after all was taken, as an answer in the middle of a
/// body would be lost on most clients.
pub(super) struct Receiver {
    decoder: Option<Decoder>,
    problem: Option<S3Error>,
    content: Content,
    md5: Md5,
    sha256: Option<(Sha256, String)>,
    hasher: Option<(Algorithm, Hasher)>,
    expected: Expected,
}

/// What the head says of the body.
#[derive(Debug, Default)]
struct Expected {
    length: Option<u64>,
    md5: Option<String>,
    checksum: Option<String>,
    trailer: Option<String>,
}

impl Receiver {
    /// For the body of a request. `identity` made it, if signatures are asked for.
    pub(super) fn new(
        request: &Request,
        identity: Option<Identity>,
        largest: u64,
    ) -> Result<Self, S3Error> {
        let signing = request.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
        let (is_chunked, is_signed) = match signing {
            "UNSIGNED-PAYLOAD" => (is_aws_chunked(request), false),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => (true, false),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                (true, true)
            }
            hash if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                (is_aws_chunked(request), false)
            }
            other => {
                let message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING-… value or a sha256";
                return Err(S3Error::invalid_argument("x-amz-content-sha256", other, message));
            }
        };
        let length = length(request, is_chunked)?;
        if length.is_some_and(|length| length > largest) {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(
                S3Error::new(400, "EntityTooLarge", message).with("MaxSizeAllowed", largest)
            );
        }
        let (algorithm, checksum, trailer) = checksum(request)?;
        let signer = identity.filter(|_| is_signed);
        let decoder = is_chunked.then(|| Decoder::new(signer, signing.ends_with("-TRAILER")));
        let sha256 = (signing.len() == 64).then(|| (Sha256::new(), signing.to_ascii_lowercase()));
        let md5 = request.header("content-md5").map(str::to_owned);
        if md5.as_ref().is_some_and(|md5| STANDARD.decode(md5).map_or(0, |bytes| bytes.len()) != 16)
        {
            return Err(S3Error::new(
                400,
                "InvalidDigest",
                "The Content-MD5 you specified was invalid",
            ));
        }
        Ok(Self {
            decoder,
            problem: None,
            content: Content::default(),
            md5: Md5::new(),
            sha256,
            hasher: algorithm.map(|algorithm| (algorithm, Hasher::new(algorithm))),
            expected: Expected { length, md5, checksum, trailer },
        })
    }

    /// The next bytes as they came over the wire.
    pub(super) fn take(&mut self, bytes: Bytes) {
        if self.problem.is_some() {
            return;
        }
        if let Some((hash, _)) = &mut self.sha256 {
            hash.update(&bytes);
        }
        let decoded = match &mut self.decoder {
            Some(decoder) => decoder.feed(&bytes),
            None => Ok(vec![bytes]),
        };
        match decoded {
            Ok(pieces) => pieces.into_iter().for_each(|piece| self.keep(piece)),
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// After all came.
    pub(super) fn finish(self) -> Result<Payload, S3Error> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let trailers = match self.decoder {
            Some(decoder) => decoder.finish()?.into_iter().collect(),
            None => BTreeMap::new(),
        };
        if self.expected.length.is_some_and(|length| length != self.content.len()) {
            return Err(incomplete());
        }
        if let Some((hash, expected)) = self.sha256
            && hex::encode(hash.finalize()) != expected
        {
            let message =
                "The provided 'x-amz-content-sha256' header does not match what was computed.";
            return Err(S3Error::new(400, "XAmzContentSHA256Mismatch", message));
        }
        let md5: [u8; 16] = self.md5.finalize().into();
        if self.expected.md5.as_ref().is_some_and(|expected| *expected != STANDARD.encode(md5)) {
            return Err(bad_digest("Content-MD5"));
        }
        let mut expected = self.expected.checksum;
        if let Some(name) = &self.expected.trailer {
            let Some(value) = trailers.get(name) else {
                let message = "The request contained trailing data that was not well-formed or did not conform to our \
                               published schema.";
                return Err(S3Error::new(400, "MalformedTrailerError", message));
            };
            expected = Some(value.clone());
        }
        let is_vouched_for = self.expected.md5.is_some() || expected.is_some();
        let mut checksum = None;
        if let (Some((algorithm, hasher)), Some(expected)) = (self.hasher, expected) {
            let computed = STANDARD.encode(hasher.finish());
            if computed != checked(algorithm, &expected)? {
                return Err(bad_digest(algorithm.name()));
            }
            checksum = Some((algorithm, computed));
        }
        Ok(Payload { content: self.content, md5, checksum, is_vouched_for })
    }

    fn keep(&mut self, bytes: Bytes) {
        self.md5.update(&bytes);
        if let Some((_, hasher)) = &mut self.hasher {
            hasher.update(&bytes);
        }
        // A small piece may hold on to a large buffer.
        let bytes = if bytes.len() < LARGE { Bytes::copy_from_slice(&bytes) } else { bytes };
        if !bytes.is_empty() {
            self.content.push(bytes);
        }
    }
}

/// How long the body will be, without what an encoding adds.
fn length(request: &Request, is_chunked: bool) -> Result<Option<u64>, S3Error> {
    let missing = || {
        S3Error::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )
    };
    if is_chunked {
        let length =
            request.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
        return length.map(Some).ok_or_else(missing);
    }
    if request.head.headers.contains_key("transfer-encoding") {
        return Err(S3Error::header_not_implemented("Transfer-Encoding"));
    }
    Ok(request.header("content-length").and_then(|length| length.parse().ok()))
}

fn is_aws_chunked(request: &Request) -> bool {
    let encodings = request.header("content-encoding").unwrap_or_default();
    encodings.split(',').any(|encoding| encoding.trim() == "aws-chunked")
}

type Declared = (Option<Algorithm>, Option<String>, Option<String>);

/// The one checksum that a request may bring: its algorithm, its value, or the trailer that it will be in.
fn checksum(request: &Request) -> Result<Declared, S3Error> {
    let is_of_body = |name: &&str| {
        name.starts_with("x-amz-checksum-")
            && !["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"]
                .contains(name)
    };
    let headers = request.head.headers.keys().map(http::HeaderName::as_str).filter(is_of_body);
    let trailer = request.header("x-amz-trailer").map(str::to_ascii_lowercase);
    let named: Vec<&str> = headers.chain(trailer.as_deref()).collect();
    let name = match named.as_slice() {
        [] => return Ok((None, None, None)),
        [name] => *name,
        _ => {
            return Err(S3Error::invalid_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    };
    let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.header() == name);
    let Some(algorithm) = algorithm else {
        return Err(S3Error::header_not_implemented(name));
    };
    let value = match request.header(name) {
        Some(value) => Some(checked(algorithm, value)?),
        None => None,
    };
    // On a completion the header is of the whole object, not of the document that asks for it.
    if request.operation == super::operation::Operation::CompleteMultipartUpload {
        return Ok((None, None, None));
    }
    Ok((Some(algorithm), value, trailer))
}

fn checked(algorithm: Algorithm, value: &str) -> Result<String, S3Error> {
    let is_one = STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == algorithm.length());
    let message = || format!("Value for {} header is invalid.", algorithm.header());
    if is_one { Ok(value.to_owned()) } else { Err(S3Error::invalid_request(message())) }
}

fn bad_digest(of: &str) -> S3Error {
    let message = format!("The {of} you specified did not match the calculated checksum.");
    S3Error::new(400, "BadDigest", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::request::tests::request;

    const LARGEST: u64 = 100;

    fn receive(headers: &[(&str, &str)], body: &[u8]) -> Result<Payload, &'static str> {
        let request = request("PUT", "/b/k", headers);
        let mut receiver = Receiver::new(&request, None, LARGEST).map_err(|error| error.code)?;
        body.chunks(3).for_each(|piece| receiver.take(Bytes::copy_from_slice(piece)));
        receiver.finish().map_err(|error| error.code)
    }

    #[test]
    fn a_body_is_held_against_everything_the_head_says_of_it() {
        let zeros = "0".repeat(64);
        for (name, good, wrong, refused) in [
            ("content-md5", "kAFQmDzST7DWlj99KOF/cg==", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
            ("x-amz-checksum-crc32", "NSRBwg==", "AAAAAA==", "BadDigest"),
            ("x-amz-checksum-crc32", "NSRBwg==", "AAAA", "InvalidRequest"),
            (
                "x-amz-checksum-sha256",
                "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                "BadDigest",
            ),
            (
                "x-amz-content-sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                &zeros,
                "XAmzContentSHA256Mismatch",
            ),
            ("content-length", "3", "4", "IncompleteBody"),
            ("content-md5", "kAFQmDzST7DWlj99KOF/cg==", "what", "InvalidDigest"),
        ] {
            assert_eq!(
                receive(&[(name, good)], b"abc").unwrap().content.to_bytes(),
                "abc",
                "{name}"
            );
            assert_eq!(receive(&[(name, wrong)], b"abc").unwrap_err(), refused, "{name}");
        }
    }

    #[test]
    fn a_checksum_may_come_behind_the_body() {
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "3"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let good =
            receive(&headers, b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n").unwrap();
        assert_eq!(good.content.to_bytes(), "abc");
        assert_eq!(good.checksum, Some((Algorithm::Crc32, "NSRBwg==".to_owned())));
        let wrong = receive(&headers, b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        assert_eq!(wrong.unwrap_err(), "BadDigest");
        assert_eq!(
            receive(&headers, b"3\r\nabc\r\n0\r\n\r\n").unwrap_err(),
            "MalformedTrailerError"
        );
        assert_eq!(
            receive(&headers, b"2\r\nab\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
                .unwrap_err(),
            "IncompleteBody"
        );
        assert_eq!(receive(&headers[..1], b"0\r\n\r\n").unwrap_err(), "MissingContentLength");
    }

    #[test]
    fn what_is_too_large_or_not_understood_is_refused_before_it_comes() {
        for (headers, code) in [
            (&[("content-length", "101")][..], "EntityTooLarge"),
            (&[("transfer-encoding", "chunked")], "NotImplemented"),
            (&[("x-amz-checksum-sha1", "AAAA")], "NotImplemented"),
            (&[("x-amz-content-sha256", "what")], "InvalidArgument"),
            (
                &[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")],
                "InvalidRequest",
            ),
        ] {
            assert_eq!(receive(headers, b"").unwrap_err(), code, "{headers:?}");
        }
    }
}
