//! [`Distribution`]: the registry that ours takes the place of.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{start, without_environment};

/// Debian's `docker-registry`: Distribution 2.8. Killed when it is dropped.
#[derive(Debug)]
pub struct Distribution {
    address: SocketAddr,
    _server: Server,
    _config: TempDir,
}

impl Distribution {
    /// On a free port of this machine, with its data in `root`, deletes enabled, no cache.
    pub fn start(root: &Path) -> Self {
        let config = TempDir::new().expect("a temporary directory can be made");
        let file = config.path().join("config.yml");
        let yaml = format!(
            "version: 0.1\n\
             log:\n  level: info\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: 127.0.0.1:0\n  secret: shared\n",
            root.display()
        );
        fs::write(&file, yaml).expect("the directory can be written");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file);
        // Every variable that begins with REGISTRY_ would change its configuration.
        without_environment(&mut command);
        let mut server = start(&mut command, "docker-registry");
        let line = server.log_line("msg=\"listening on ");
        let address = line
            .split("msg=\"listening on ")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("expected an address in {line:?}"));
        Self { address, _server: server, _config: config }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
