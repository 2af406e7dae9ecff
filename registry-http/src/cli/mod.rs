//! The command line: what the flags mean, and the only place that prints.

mod access;
mod authentication;
mod config;
mod configured;
mod data_directory;
mod describe;
mod flags;
mod garbage_collect;
mod lines;
mod listening;
mod logging;
mod notifications;
mod operations;
mod process;
mod rate;
mod referrers;
mod reload;
mod said;
mod scrub;
mod serve;
mod settings;
mod signing_key;
mod storage;
mod traces;
mod upload_secret;
mod usage;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use registry_http::config::{Log, LogLevel};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// A registry for container images and other OCI artifacts
///
/// `registry` alone serves on 127.0.0.1:5000 and keeps its data in ./registry-data, in the layout of CNCF
/// Distribution: a data directory of registry:2 or registry:3 opens here, and the other way round. With
/// `registry serve config.yml`, or `registry config.yml`, its configuration is read as it is.
#[derive(Debug, Parser)]
#[command(
    name = "registry",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    after_help = "Logs go to standard error; RUST_LOG chooses what is logged (error, warn, info, debug, trace).\n\
                  REGISTRY_CONFIGURATION_PATH names a configuration where no argument does; any REGISTRY_A_B_C=value sets \
                  its key a.b.c to that YAML, with and without a file. Flags win over variables, these over the file.\n\
                  SIGTERM or SIGINT finishes the requests in flight and ends; a second one ends at once. SIGHUP reads \
                  the configuration and certificates again: the level of the log, read-only and the rules of access are \
                  in force at once, the rest after a restart."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: flags::Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the registry's API (what `registry` does without a command)
    Serve(serve::Arguments),
    /// What is kept about manifests that refer to others, such as signatures
    // Without the setting, which clap makes by itself, a missing command is answered with the whole help.
    #[command(subcommand, arg_required_else_help = false)]
    Referrers(referrers::Command),
    /// Look whether what is stored is still what its digests say, and put aside what is not
    ///
    /// Reads every blob. One that is damaged is put into quarantine, below _rs/quarantine, and is not there any more to
    /// clients, so that they push it again. Damaged links are told of. It may run beside a registry that serves. Prints
    /// a line for each that is damaged or cannot be read, and the total. The status is 3 if damage was found, 1 if
    /// something could not be read.
    Scrub(scrub::Scrub),
    /// Take away the blobs that no manifest refers to, while no registry writes
    ///
    /// Takes Distribution's configuration and flags. It does not run beside a registry that writes to the same directory,
    /// and none starts beside it; one that was started with --read-only may go on. Distribution does not know of it: stop
    /// it. Where something is damaged, all that its repository has is kept. The status is 3 if damage was found.
    GarbageCollect(garbage_collect::GarbageCollect),
    /// What a configuration comes to, and what one may hold
    #[command(subcommand, arg_required_else_help = false)]
    Config(config::Command),
    /// Print what makes a shell complete this command line
    Completions(describe::Completions),
    /// Print the manual page of the program, or of a command
    Man(describe::Page),
}

/// Why the program cannot go on, in one line.
#[derive(Debug)]
struct Failure {
    /// Empty where it has been said already.
    message: String,
    status: u8,
}

impl Failure {
    /// Something is not as it has to be.
    fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 1 }
    }

    /// What is stored is not what it has to be.
    fn damage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 3 }
    }

    /// The command line is not one that is understood.
    fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 2 }
    }

    /// What is left of it once it has been said.
    fn said(&self) -> Self {
        Self { message: String::new(), status: self.status }
    }

    /// As it is shown.
    fn line(&self) -> String {
        format!("registry: {}\n", self.message.replace('\n', " "))
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let outcome = match CommandLine::try_parse_from(with_command(env::args_os().collect())) {
        Ok(line) => execute(line),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            // A reader that closes early, such as `head`, is no failure.
            let _ = error.print();
            Ok(())
        }
        Err(error) => Err(Failure::usage(usage::line(CommandLine::command(), &error))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                // With standard error closed there is nobody to tell; the status still does.
                let _ = io::stderr().write_all(failure.line().as_bytes());
            }
            ExitCode::from(failure.status)
        }
    }
}

fn execute(line: CommandLine) -> Result<(), Failure> {
    match line.command {
        Some(Command::Serve(arguments)) => serve::run(arguments.file.as_deref(), &arguments.flags),
        Some(Command::Referrers(command)) => referrers::run(&command),
        Some(Command::Scrub(arguments)) => scrub::run(&arguments),
        Some(Command::GarbageCollect(arguments)) => garbage_collect::run(&arguments),
        Some(Command::Config(command)) => config::run(&command),
        Some(Command::Completions(wanted)) => {
            describe::completions(CommandLine::command(), &wanted);
            Ok(())
        }
        Some(Command::Man(wanted)) => describe::page(CommandLine::command(), &wanted),
        None => serve::run(None, &line.serve),
    }
}

/// A configuration in place of the first argument is served: so do the images of Distribution, whose entry point puts
/// the command before it, and takes the program's name there too.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|first| first == "registry" || first == "/bin/registry") {
        arguments.remove(1);
    }
    let first = arguments.get(1).map(|first| first.to_string_lossy());
    let is_file = first.is_some_and(|first| {
        !first.starts_with('-') && (first.ends_with(".yml") || first.ends_with(".yaml"))
    });
    if is_file {
        arguments.insert(1, "serve".into());
    }
    arguments
}

/// Tells the person who started the program something.
fn say(line: impl fmt::Display) {
    // With standard output closed nobody wants to know.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Tells of what has no effect, where nothing is logged.
fn warn(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "registry: warning: {line}");
}

/// Logs as the environment says, or else at this level.
fn log_to_stderr(level: Option<LogLevel>) -> Result<(), Failure> {
    let writer = BoxMakeWriter::new(io::stderr);
    logging::to_stderr(&Log { level, ..Log::default() }, writer, None).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_configuration_as_the_first_argument_is_served() {
        for (arguments, command) in [
            (&["registry", "/etc/config.yml"][..], true),
            (&["registry", "c.yaml", "--read-only"], true),
            (&["registry", "serve", "c.yml"], false),
            (&["registry", "--root", "c.yml"], false),
            (&["registry", "--root=c.yml"], false),
            (&["registry", "c.toml"], false),
            (&["registry"], false),
        ] {
            let given: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let meant = with_command(given.clone());
            assert_eq!(meant != given, command, "{arguments:?}");
            assert!(!command || meant[1] == "serve" && meant[2..] == given[1..], "{meant:?}");
        }
        // As `docker run IMAGE registry …` has it.
        for name in ["registry", "/bin/registry"] {
            let meant = with_command(["registry", name, "c.yml"].map(OsString::from).into());
            assert_eq!(meant, ["registry", "serve", "c.yml"]);
        }
    }

    #[test]
    fn a_mistyped_flag_is_one_line_that_names_the_right_one() {
        let line = told(&["--rot", "x"]);
        assert!(!line.contains('\n'), "{line}");
        assert!(line.contains("'--rot'") && line.contains("'--root'"), "{line}");
    }

    #[test]
    fn a_command_that_is_missing_is_named() {
        let expected =
            "'registry referrers' needs a command: rebuild; see registry referrers --help";
        assert_eq!(told(&["referrers"]), expected);
    }

    #[test]
    fn whoever_takes_another_way_to_a_configuration_is_shown_this_one() {
        for arguments in [&["a.toml"][..], &["./config"], &["--config", "a.yml"], &["-c", "a.yml"]]
        {
            let line = told(arguments);
            assert!(line.contains("registry serve "), "{line}");
            assert!(!line.contains("-- -"), "{line}");
        }
        let line = told(&["serve", "--config", "a.yml"]);
        assert!(
            line.contains("registry serve FILE") && line.ends_with("registry serve --help"),
            "{line}"
        );
    }

    #[test]
    fn the_help_that_is_named_is_that_of_the_command() {
        for (arguments, end) in [
            (&["config", "check", "--x"][..], "; see registry config check --help"),
            (&["config", "chekc"], "; see registry config --help"),
            (&["scrub", "--x"], "; see registry scrub --help"),
            (&["--x"], "; see registry --help"),
            (
                &["completions"],
                "'registry completions' needs <SHELL>; see registry completions --help",
            ),
        ] {
            let line = told(arguments);
            assert!(line.ends_with(end), "{line}");
            assert!(!line.contains(":;"), "{line}");
        }
    }

    #[test]
    fn an_address_is_given_as_http_addr_has_it() {
        for address in
            [":5000", "localhost:5000", "127.0.0.1:0", "[::1]:5000", "registry.example.com:80"]
        {
            let line = CommandLine::try_parse_from(["registry", "--addr", address]).unwrap();
            assert_eq!(line.serve.addr.unwrap().to_string(), address);
        }
        for address in ["5000", "localhost", "[x]:1", ":65536"] {
            assert!(
                told(&["--addr", address]).contains("expected an address and a port"),
                "{address}"
            );
        }
    }

    #[test]
    fn flags_before_a_command_are_shown_behind_it() {
        let told_of_flags = |arguments: &[&str], expected: &str| {
            let line = told(arguments);
            assert!(line.contains("flags go behind the command"), "{line}");
            assert!(line.contains(expected), "expected {expected:?} in {line:?}");
        };
        told_of_flags(&["--root", "D", "serve"], ": registry serve --root <DIRECTORY>;");
        told_of_flags(
            &["--read-only", "--root", "D", "serve", "--addr", "127.0.0.1:0"],
            ": registry serve --read-only --root <DIRECTORY>;",
        );
        told_of_flags(
            &["--root", "D", "referrers", "rebuild"],
            ": registry referrers rebuild --root <DIRECTORY>;",
        );
        told_of_flags(&["--root", "D", "scrub"], ": registry scrub --root <DIRECTORY>;");
        // One that the command does not take is not recommended.
        told_of_flags(&["--read-only", "referrers", "rebuild"], ": registry referrers rebuild;");
    }

    /// What is said of arguments that are not understood.
    fn told(arguments: &[&str]) -> String {
        let error = CommandLine::try_parse_from([&["registry"], arguments].concat()).unwrap_err();
        usage::line(CommandLine::command(), &error)
    }
}
