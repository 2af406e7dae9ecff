//! [`Docker`]: the client, a daemon of its own, and what that runs containers with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{Said, run, run_well, start, without_environment};

const PACKAGE: &str = "docker.io";

/// The client that the package brings. Another one, earlier on the path, may be too new for the daemon.
const CLIENT: &str = "/usr/bin/docker";

/// Docker, with nothing kept from before. Its daemons end with this, also where a test fails.
#[derive(Debug)]
pub struct Docker {
    daemon: Server,
    containerd: Server,
    home: TempDir,
}

impl Docker {
    /// Starts the daemon, without a network, and waits until it answers. It has to be started as root.
    pub fn start() -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        let containerd = start_containerd(home.path());
        let daemon = start_daemon(home.path());
        Self { daemon, containerd, home }
    }

    /// A path in its home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
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
    /// They have to end by themselves: the daemon unmounts what it mounted, and asks containerd to end what runs.
    fn drop(&mut self) {
        self.daemon.end();
        self.containerd.end();
    }
}

/// The daemon would take that of the machine, if one runs, and starts one only if none does.
fn start_containerd(home: &Path) -> Server {
    let config = format!(
        "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = \"{}\"\n",
        at(home, "containerd"),
        at(home, "containerd-state"),
        at(home, "containerd.sock"),
    );
    fs::write(home.join("containerd.toml"), config).expect("the directory can be written");
    let mut command = Command::new("containerd");
    without_environment(&mut command)
        .env("HOME", home)
        .env("TMPDIR", home)
        .args(["--config", &at(home, "containerd.toml")]);
    let mut containerd = start(&mut command, "containerd");
    containerd.log_line("containerd successfully booted");
    containerd
}

fn start_daemon(home: &Path) -> Server {
    // Without it a key is made in /etc.
    let config = format!(r#"{{"deprecated-key-path": "{}"}}"#, at(home, "key.json"));
    fs::write(home.join("daemon.json"), config).expect("the directory can be written");
    let mut command = Command::new("dockerd");
    without_environment(&mut command)
        .env("HOME", home)
        .env("TMPDIR", home)
        .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
        .args(["--config-file", &at(home, "daemon.json"), "--pidfile", &at(home, "pid")])
        .args(["--data-root", &at(home, "data"), "--exec-root", &at(home, "exec")])
        .args(["--containerd", &at(home, "containerd.sock")])
        .args(["--host", &socket(home)]);
    let mut daemon = start(&mut command, PACKAGE);
    daemon.log_line("API listen on");
    daemon
}

fn at(home: &Path, name: &str) -> String {
    home.join(name).display().to_string()
}

fn socket(home: &Path) -> String {
    format!("unix://{}", at(home, "docker.sock"))
}
