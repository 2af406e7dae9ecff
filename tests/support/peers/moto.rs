//! [`Moto`]: an S3 in memory that has the conditions and the paging of AWS's, and checks no signature.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::child::Server;
use crate::peers::program::{start_installed, without_environment};
use crate::peers::shared::Shared;
use crate::plain_http::request;

const INSTALL: &str = "pip3 install 'moto[server]'";

/// `moto_server`. Killed when it is dropped.
///
/// Seen of 5.2: wrong keys, bad signatures and expired presigned URLs are accepted, and so are wrong checksums, but
/// who does not sign at all may not read; `CopyObject` ignores `If-None-Match`.
#[derive(Debug)]
pub struct Moto {
    address: SocketAddr,
    // Of a lock only the owner has need: it lets tests share this.
    _server: Mutex<Server>,
}

impl Moto {
    /// On a free port of this machine, without a bucket.
    pub fn start() -> Self {
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let mut server = start_installed(without_environment(&mut command), INSTALL);
        let line = server.log_line("Running on http://");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|address| address.trim().parse().ok())
            .unwrap_or_else(|| panic!("expected an address at the end of {line:?}"));
        server.listens(address);
        Self { address, _server: Mutex::new(server) }
    }

    /// One for all tests that run at the same time; it ends with the last of them. Each makes buckets of its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<Moto> = Shared::new();
        SHARED.get(Self::start)
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, name: &str) {
        let answer = request(self.address, "PUT", &format!("/{name}"));
        let body = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "expected a bucket {name:?}: {body}");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of that; buckets are in the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One of the keys that it accepts, which are all.
    pub fn access_key(&self) -> &'static str {
        "access"
    }

    /// The secret of that, or any other.
    pub fn secret_key(&self) -> &'static str {
        "secret"
    }

    /// Where buckets are made.
    pub fn region(&self) -> &'static str {
        "us-east-1"
    }
}
