//! [`Upload`]: an upload session as a client sees it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use registry_store::digest::Digest;
use registry_tests::plain_http::Answer;

use crate::exchange::{Body, ask, expect};

/// Where everything is uploaded to.
pub(crate) const REPOSITORY: &str = "library/shared";
pub(crate) const OCTETS: &str = "application/octet-stream";

/// An upload as a client sees it, which takes the address it was given last to whichever registry it likes.
pub(crate) struct Upload {
    pub(crate) location: String,
    pub(crate) sent: Vec<u8>,
}

impl Upload {
    pub(crate) fn begin(at: SocketAddr) -> Self {
        Self::begin_with(at, "")
    }

    pub(crate) fn begin_with(at: SocketAddr, query: &str) -> Self {
        let url = format!("/v2/{REPOSITORY}/blobs/uploads/{query}");
        let answer = expect(202, ask(at, "POST", &url, "", Body::NOTHING));
        let location = answer.header("location").unwrap().to_owned();
        Self { location, sent: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn append(&mut self, at: SocketAddr, part: Body<'_>) {
        let answer = expect(202, ask(at, "PATCH", &self.location, OCTETS, part));
        self.sent.extend_from_slice(part.content());
        self.go_on_from(&answer);
    }

    /// Asks how far it has come.
    #[track_caller]
    pub(crate) fn look(&mut self, at: SocketAddr) {
        let answer = expect(204, ask(at, "GET", &self.location, "", Body::NOTHING));
        self.go_on_from(&answer);
    }

    #[track_caller]
    pub(crate) fn finish(mut self, at: SocketAddr, last: Body<'_>) -> (Digest, Vec<u8>) {
        self.sent.extend_from_slice(last.content());
        let digest = Digest::sha256(&self.sent);
        let url = format!("{}&digest={digest}", self.location);
        let answer = expect(201, ask(at, "PUT", &url, OCTETS, last));
        assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
        (digest, self.sent)
    }

    #[track_caller]
    pub(crate) fn go_on_from(&mut self, answer: &Answer) {
        let last = self.sent.len().saturating_sub(1);
        assert_eq!(answer.header("range"), Some(format!("0-{last}").as_str()));
        self.location = answer.header("location").unwrap().to_owned();
    }
}

/// Each serves exactly this.
#[track_caller]
pub(crate) fn serve(
    addresses: impl IntoIterator<Item = SocketAddr>,
    digest: &Digest,
    content: &[u8],
) {
    assert_eq!(*digest, Digest::sha256(content));
    for address in addresses {
        let url = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let answer = expect(200, ask(address, "GET", &url, "", Body::NOTHING));
        assert!(answer.body == content, "{} bytes", answer.body.len());
    }
}

/// Where the sessions are kept.
pub(crate) fn uploads(root: &Path) -> PathBuf {
    root.join("docker/registry/v2/repositories").join(REPOSITORY).join("_uploads")
}

/// Bytes without a pattern, other ones for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// The codes of a refusal's errors.
pub(crate) fn codes(answer: &Answer) -> Vec<String> {
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let errors = told["errors"].as_array().unwrap().iter();
    errors.map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}
