//! Programs no one here wrote: skopeo and Distribution, as Debian packages them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child::Server;

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
        let (mut command, config) = Self::command(root, &["serve"]);
        let mut server = Server::start(&mut command);
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

    /// Runs its collector on the data in `root`, whatever comes of it.
    pub fn collect_garbage(root: &Path, flags: &[&str]) -> Said {
        let (mut command, _config) = Self::command(root, &[&["garbage-collect"], flags].concat());
        said(&mut command)
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
        let mut command = Command::new("docker-registry");
        command.args(arguments).arg(&file);
        // Every variable that begins with REGISTRY_ would change its configuration.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        (command, config)
    }
}

/// skopeo, with directories of its own for whatever it keeps.
#[derive(Debug)]
pub struct Skopeo {
    home: TempDir,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: String,
}

impl Skopeo {
    /// With nothing kept from before.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self { home: TempDir::new().expect("a temporary directory can be made") }
    }

    /// A new path for its results.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs it, whatever comes of it.
    pub fn try_run(&self, arguments: &[&str]) -> Said {
        let home = self.home.path();
        said(
            Command::new("skopeo")
                .arg("--insecure-policy")
                .args(arguments)
                .env("HOME", home)
                .env("TMPDIR", home)
                .env("XDG_RUNTIME_DIR", home)
                .env("XDG_CONFIG_HOME", home)
                .env("XDG_DATA_HOME", home),
        )
    }

    /// Runs it, expects success, and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let said = self.try_run(arguments);
        assert!(
            said.success,
            "expected success of skopeo {}\n{}",
            arguments.join(" "),
            said.errors
        );
        said.output
    }
}

/// Runs a program to its end.
fn said(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        let name = command.get_program().to_string_lossy().into_owned();
        panic!("expected the program {name} (apt-get install {name}) to start: {error}")
    });
    Said {
        success: output.status.success(),
        output: output.stdout,
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
