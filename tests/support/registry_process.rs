//! [`RegistryProcess`]: the program `registry`, as a user starts it.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::child::Server;

/// A running `registry`. Killed when it is dropped.
#[derive(Debug)]
pub struct RegistryProcess {
    server: Server,
    address: SocketAddr,
    greeting: String,
}

impl RegistryProcess {
    /// On a free port of this machine, with its data in `root`.
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, &[])
    }

    /// The same, with more flags.
    pub fn start_with(root: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root).args(flags);
        Self::greeted(without_variables(&mut command))
    }

    /// With this configuration of Distribution, and no variables but these.
    pub fn configured(file: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.arg("serve").arg(file).env_clear().envs(variables.iter().copied());
        Self::greeted(&mut command)
    }

    /// A `registry` that `command` starts, however it does; it has to print where it listens.
    pub fn greeted(command: &mut Command) -> Self {
        command.env_remove("RUST_LOG");
        Self::when_it_greets(Server::start(command))
    }

    /// The same, with a standard error of the test's.
    pub fn logging(command: &mut Command, log: Stdio) -> Self {
        command.env_remove("RUST_LOG").stdin(Stdio::null());
        let server = Server::try_start_logging(command, log).expect("the program was built");
        Self::when_it_greets(server)
    }

    fn when_it_greets(mut server: Server) -> Self {
        let listens = server.output_line("listens on");
        let address = listens
            .rsplit("://")
            .next()
            .and_then(|address| address.trim().parse().ok())
            .unwrap_or_else(|| panic!("expected an address at the end of {listens:?}"));
        let data = server.output_line("data ");
        let first_step = server.output_line("try");
        Self { server, address, greeting: [listens, data, first_step].join("\n") }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it printed when it started.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The most memory it ever held, in KiB (Linux).
    pub fn peak_memory(&self) -> u64 {
        self.server.peak_memory()
    }

    /// Waits for a line of its log that contains `text`.
    pub fn log_line(&mut self, text: &str) -> String {
        self.server.log_line(text)
    }

    /// Waits for a line of its standard output that contains `text`.
    pub fn output_line(&mut self, text: &str) -> String {
        self.server.output_line(text)
    }

    /// Waits until it has ended, however it does. Returns all that it printed, and its log.
    pub fn ended_with_output(self) -> (String, String) {
        self.server.all_to_the_end()
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.server.signal(signal);
    }

    /// Waits until it has ended, however it does. Returns its log.
    pub fn ended(self) -> String {
        self.server.log_to_the_end()
    }

    /// Waits until it has ended by itself.
    pub fn wait(self) -> ExitStatus {
        self.server.wait()
    }
}

/// Takes away what the user's environment says to a registry.
pub fn without_variables(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REGISTRY_") || text.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG")
}

/// The path of the program, built when it is first asked for: for this machine, or the target that `PROGRAM_TARGET` names.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let features = if cfg!(feature = "otel") { Features::OfImages } else { Features::Default };
        build(env::var("PROGRAM_TARGET").ok().as_deref(), features)
    })
}

/// The path of the one that images have: it needs no library of the system it runs on.
pub fn static_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    PROGRAM.get_or_init(|| build(Some(&target), Features::OfImages))
}

/// What the program is built with.
#[derive(Clone, Copy)]
enum Features {
    Default,
    /// As `packaging/Dockerfile` has it.
    OfImages,
}

fn build(target: Option<&str>, features: Features) -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--package", "registry-http", "--bin", "registry"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if matches!(features, Features::OfImages) {
        command.args(["--features", "otel"]);
    }
    if let Some(target) = target {
        // Nobody reads a backtrace of it, and it takes less time and room.
        command.args(["--target", target]).env("CARGO_PROFILE_DEV_DEBUG", "none");
    }
    let built = command.output().expect("cargo runs this test, so it can be started");
    let hint = target.map(|it| format!(" (rustup target add {it}; apt-get install musl-tools)"));
    let hint = hint.unwrap_or_default();
    assert!(built.status.success(), "expected the program registry to build{hint}");
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "registry")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable it has built")
}
