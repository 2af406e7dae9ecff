//! [`Docker`]: the client, and a daemon of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{Said, run, run_well, start, without_environment};

const PACKAGE: &str = "docker.io";

/// The client that the package brings. Another one, earlier on the path, may be too new for the daemon.
const CLIENT: &str = "/usr/bin/docker";

/// Docker, with nothing kept from before. Its daemon ends with this, also where a test fails.
#[derive(Debug)]
pub struct Docker {
    daemon: Server,
    home: TempDir,
}

impl Docker {
    /// Starts the daemon, without a network, and waits until it answers. It has to be started as root.
    pub fn start() -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        let at = |name: &str| home.path().join(name).display().to_string();
        // Without it a key is made in /etc.
        let config = format!(r#"{{"deprecated-key-path": "{}"}}"#, at("key.json"));
        fs::write(home.path().join("daemon.json"), config).expect("the directory can be written");
        let mut command = Command::new("dockerd");
        without_environment(&mut command)
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                "--storage-driver=vfs",
            ])
            .args(["--config-file", &at("daemon.json"), "--pidfile", &at("pid")])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--host", &socket(home.path())]);
        let mut daemon = start(&mut command, PACKAGE);
        daemon.log_line("API listen on");
        Self { daemon, home }
    }

    /// Runs the client, whatever comes of it.
    pub fn try_run(&self, arguments: &[&str]) -> Said {
        run(&mut self.command(arguments), PACKAGE)
    }

    /// Runs the client, expects success, and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let said = run_well(&mut self.command(arguments), PACKAGE);
        String::from_utf8_lossy(&said.output).trim().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let home = self.home.path();
        let mut command = Command::new(CLIENT);
        without_environment(&mut command)
            .env("HOME", home)
            // The builder that the daemon has in itself; the other one is a program more.
            .env("DOCKER_BUILDKIT", "0")
            .args(["--host", &socket(home)])
            .args(arguments);
        command
    }
}

impl Drop for Docker {
    /// It has to end by itself: it unmounts what it mounted, and takes containerd with it.
    fn drop(&mut self) {
        self.daemon.end();
    }
}

fn socket(home: &Path) -> String {
    format!("unix://{}", home.join("docker.sock").display())
}
