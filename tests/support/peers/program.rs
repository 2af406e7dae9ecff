//! How a program no one here wrote is run: with nothing of the user's surroundings, and found missing by name.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::child::Server;

/// What a program said when it ended.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: String,
}

/// Runs it to its end, whatever comes of it. A missing one fails with the package that brings it.
pub(super) fn run(command: &mut Command, package: &str) -> Said {
    let ran = command.stdin(Stdio::null()).output();
    let output =
        ran.unwrap_or_else(|error| panic!("{}", missing(command, &debian(package), &error)));
    Said {
        success: output.status.success(),
        output: output.stdout,
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, and it has to end well.
pub(super) fn run_well(command: &mut Command, package: &str) -> Said {
    let said = run(command, package);
    if !said.success {
        let mut line = command.get_program().to_string_lossy().into_owned();
        for argument in command.get_args() {
            write!(line, " {}", argument.to_string_lossy()).expect("a string takes all text");
        }
        let output = String::from_utf8_lossy(&said.output);
        panic!("expected success of {line}\n{output}{}", said.errors);
    }
    said
}

/// Starts one that runs until it is told to end. A missing one fails with the package that brings it.
pub(super) fn start(command: &mut Command, package: &str) -> Server {
    start_installed(command, &debian(package))
}

/// The same with one that Debian does not package. A missing one fails with the command that installs it.
pub(super) fn start_installed(command: &mut Command, install: &str) -> Server {
    Server::try_start(command)
        .unwrap_or_else(|error| panic!("{}", missing(command, install, &error)))
}

/// The same with one of Debian's that listens on its standard input.
pub(super) fn start_on(listener: TcpListener, command: &mut Command, package: &str) -> Server {
    Server::try_start_with(command, OwnedFd::from(listener).into())
        .unwrap_or_else(|error| panic!("{}", missing(command, &debian(package), &error)))
}

/// Takes all variables away but the one by which programs are found.
pub(super) fn without_environment(command: &mut Command) -> &mut Command {
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)))
}

fn debian(package: &str) -> String {
    format!("apt-get install {package}")
}

fn missing(command: &Command, install: &str, error: &io::Error) -> String {
    let name = command.get_program().to_string_lossy();
    format!("expected the program {name} ({install}) to start: {error}")
}
