//! [`Garage`]: a distributed S3 that checks signatures and checksums, and ignores conditions on writes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{start_installed, without_environment};
use crate::peers::shared::Shared;

const INSTALL: &str = "cargo install garage --version 2.5.0 --locked";

const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BUCKET: &str = "bucket";
const REGION: &str = "garage";

/// Garage, one node of it. Killed when it is dropped, and its data goes with it.
///
/// Seen of 2.5.0: a write with `If-Match` or `If-None-Match` overwrites what it should not, parts may be of any size,
/// and `StartAfter` with a common prefix returns that prefix again.
#[derive(Debug)]
pub struct Garage {
    address: SocketAddr,
    // Of a lock only the owner has need: it lets tests share this.
    _server: Mutex<Server>,
    _home: TempDir,
}

impl Garage {
    /// On a free port of this machine, with one bucket and one key, which may make more buckets.
    pub fn start() -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        let address = free_address();
        configure(home.path(), address);
        let mut command = Command::new("garage");
        without_environment(&mut command)
            .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY)
            .env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)
            .env("GARAGE_DEFAULT_BUCKET", BUCKET)
            .arg("-c")
            .arg(home.path().join("garage.toml"))
            .args(["server", "--single-node", "--default-bucket"]);
        let mut server = start_installed(&mut command, INSTALL);
        server.log_line("S3 API server listening on ");
        // It says so just before it does.
        server.listens(address);
        Self { address, _server: Mutex::new(server), _home: home }
    }

    /// One for all tests that run at the same time; it ends with the last of them. In its bucket each has a prefix of
    /// its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<Garage> = Shared::new();
        SHARED.get(Self::start)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of that; buckets are in the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bucket that is there from the beginning.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The only key it knows.
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// The secret of that.
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// The only region that it accepts in a signature.
    pub fn region(&self) -> &'static str {
        REGION
    }
}

/// Where no one listens. Garage does not say which port the system chose, so it is chosen before; and at an address
/// where only Garage listens, so that no other server gets it in between.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.2:0").expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

/// The other nodes, which would ask for the second address, do not exist.
fn configure(home: &Path, address: SocketAddr) {
    let path = |name: &str| home.join(name).display().to_string();
    let toml = format!(
        "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"lmdb\"\ncompression_level = \"none\"\n\
         replication_factor = 1\nrpc_bind_addr = \"127.0.0.1:0\"\nrpc_public_addr = \"127.0.0.1:1\"\n\
         rpc_secret = \"{SECRET_KEY}\"\n\
         [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"{address}\"\n",
        path("metadata"),
        path("data"),
    );
    // It takes no secret from a file that others may read.
    let mut file = OpenOptions::new();
    file.write(true).create_new(true).mode(0o600);
    file.open(home.join("garage.toml"))
        .and_then(|mut file| file.write_all(toml.as_bytes()))
        .expect("the directory can be written");
}
