//! [`Distribution`]: the registry that ours takes the place of.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{Said, run, start, without_environment};

/// The package, and the program in it.
const PACKAGE: &str = "docker-registry";

/// Debian's `docker-registry`: Distribution 2.8. Killed when it is dropped.
#[derive(Debug)]
pub struct Distribution {
    address: SocketAddr,
    _server: Server,
    _config: Option<TempDir>,
}

impl Distribution {
    /// On a free port of this machine, with its data in `root`, deletes enabled, no cache.
    pub fn start(root: &Path) -> Self {
        let (command, config) = command(root, &["serve"]);
        Self { _config: Some(config), ..Self::started(command) }
    }

    /// With this configuration and these variables.
    pub fn configured(file: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PACKAGE);
        command.arg("serve").arg(file);
        without_environment(&mut command).envs(variables.iter().copied());
        Self::started(command)
    }

    fn started(mut command: Command) -> Self {
        let mut server = start(&mut command, PACKAGE);
        let line = server.log_line("msg=\"listening on ");
        let address = line
            .split("msg=\"listening on ")
            .nth(1)
            .and_then(|rest| rest.split(['"', ',']).next())
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("expected an address in {line:?}"));
        Self { address, _server: server, _config: None }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs its collector on the data in `root`, whatever comes of it.
    pub fn collect_garbage(root: &Path, flags: &[&str]) -> Said {
        let (mut command, _config) = command(root, &[&["garbage-collect"], flags].concat());
        run(&mut command, PACKAGE)
    }
}

/// The program, with these arguments and behind them the configuration for `root`, which goes with the directory.
fn command(root: &Path, arguments: &[&str]) -> (Command, TempDir) {
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
    let mut command = Command::new(PACKAGE);
    command.args(arguments).arg(&file);
    // Every variable that begins with REGISTRY_ would change its configuration.
    without_environment(&mut command);
    (command, config)
}
