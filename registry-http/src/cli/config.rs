//! `registry config`: what a configuration comes to, and what one may hold.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use registry_http::config;

use super::{Failure, say, settings, warn};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print every key that would be in force, with its value and where it comes from
    ///
    /// A line for each key, as `key: value  # where`: a line of the file, the name of a variable, or the default.
    /// Secrets are hidden. What has no effect is told of on standard error. Nothing is opened but the file: whether
    /// there are users, keys, a port and a storage is seen when the registry starts. The status is 1 if it would not
    /// start with this configuration.
    Check(Check),
    /// Print the JSON Schema of the configuration, for editors and for tests
    Schema,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Distribution's config.yml; without it the variables over the defaults of this program
    /// [default: REGISTRY_CONFIGURATION_PATH]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Does what the command says.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Check(check) => {
            let loaded = settings::load(check.file.as_deref())?;
            for warning in &loaded.warnings {
                warn(warning);
            }
            for line in loaded.in_force() {
                say(line);
            }
        }
        Command::Schema => say(format_args!("{:#}", config::schema())),
    }
    Ok(())
}
