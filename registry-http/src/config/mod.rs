//! Distribution's `config.yml`, read as it is, with the variables `REGISTRY_…` laid over it.
//!
//! [`read`] gives a [`Configuration`], or the one [`Problem`] that keeps the program from starting. Three things can
//! become of a key, and the table in `keys.rs` says which: it is in force; it has no effect and takes nothing from
//! anybody, which is told of as a warning; or without it access would be wider, content less sure or the mode another,
//! and the registry does not start. A key that nobody knows is told of too.
//!
//! On the way, text becomes a tree of which each part knows its line (`yaml.rs`), variables are laid over the tree
//! (`environment.rs`), the tree is looked over (`check.rs`) and becomes types (`typed.rs`, by serde). What YAML leaves
//! to its readers is as in Go's yaml.v2, which Distribution uses: `yes` is a boolean, `017` is octal.
#![expect(clippy::disallowed_methods, reason = "reads the configuration before anything is served")]

mod access;
mod address;
mod auth;
mod changes;
mod check;
mod configuration;
mod debug;
mod doubtful;
mod environment;
mod go_duration;
mod health;
mod http;
mod in_force;
mod keys;
mod log;
mod mistyped;
mod nearest;
mod node;
mod notifications;
mod origin;
mod paths;
mod problem;
mod s3;
mod said;
mod scalar;
mod schema;
mod secret;
mod shapes;
#[cfg(test)]
mod tests;
mod tls;
mod typed;
mod yaml;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::config::node::Node;
use crate::config::yaml::Quote;

pub use crate::config::access::{AccessControl, OwnTokens};
pub use crate::config::address::Address;
pub use crate::config::auth::{Auth, Token};
pub use crate::config::configuration::{Configuration, Driver, Filesystem, Purging, Storage};
pub use crate::config::debug::{Debug, Registryctl};
pub use crate::config::health::{Health, HttpCheck, Rhythm};
pub use crate::config::http::{Http, UnixSocket};
pub use crate::config::in_force::InForce;
pub use crate::config::log::{Formatter, Log, LogLevel};
pub use crate::config::notifications::Notifications;
pub use crate::config::origin::Origin;
pub use crate::config::problem::Problem;
pub use crate::config::s3::{Credentials, S3};
pub use crate::config::schema::schema;
pub use crate::config::secret::Secret;

/// The variable that names the file where no argument does.
pub const PATH_VARIABLE: &str = environment::PATH;

/// What a file and its variables come to.
#[derive(Debug)]
pub struct Loaded {
    /// What is in force.
    pub configuration: Configuration,
    /// What has no effect, a line each, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The file with the variables laid over it.
    document: Node,
    /// There is a file, whose defaults are Distribution's.
    has_file: bool,
}

impl Loaded {
    /// Where the value of a key comes from, such as `storage.delete.enabled`; `None` if it is the default.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.document.find(key).map(|entry| &entry.origin)
    }

    /// The keys that say something else there than here, as the other calls them; not what they say, which may be secret.
    /// The order is that of the table of keys.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        changes::between(&self.document, &other.document)
    }

    /// Every key that counts, with its value and where that comes from; secrets are hidden. Flags are not in it.
    pub fn in_force(&self) -> Vec<InForce> {
        in_force::list(self)
    }
}

/// Reads `file` and lays those of `variables` over it whose names begin with `REGISTRY_`.
///
/// What the file does not say has Distribution's default. Without a file the variables are all there is, and what they
/// do not say has the defaults of this registry.
///
/// # Errors
///
/// If the file cannot be read or understood, a value is not what its key asks for, or a key is refused: one line that
/// says where it stands and what was expected.
pub fn read(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Problem> {
    let variables = utf8(variables)?;
    let Some(file) = file else { return load(None, variables) };
    let shown: Arc<str> = file.display().to_string().into();
    let text = fs::read(file).map_err(|error| {
        let what =
            format!("cannot read the configuration {shown}: {error}; expected a file in YAML");
        Problem::general(None, what)
    })?;
    let source = Origin::File { file: shown, line: 1 };
    let text = String::from_utf8(text).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let what = "expected text in UTF-8, found bytes that are none";
        Problem::general(Some(source.at_line(line)), what)
    })?;
    load(Some((&text, &source)), variables)
}

/// The text of a file, if there is one, with variables laid over it.
fn load(
    file: Option<(&str, &Origin)>,
    variables: Vec<(String, String)>,
) -> Result<Loaded, Problem> {
    let mut warnings = Vec::new();
    let mut document = match file {
        Some((text, source)) => yaml::parse(text, source, Quote::Yes)?,
        None => Node::null(Origin::Environment("the environment".into())),
    };
    environment::spell_out(&mut document);
    environment::lay_over(&mut document, variables, &mut warnings)?;
    check::check(&document, &mut warnings)?;
    paths::check(&document)?;
    let configuration =
        Configuration::of(&document, file.map(|(_, source)| source), &mut warnings)?;
    Ok(Loaded { configuration, warnings, document, has_file: file.is_some() })
}

/// The variables that count here. Others may hold any bytes.
fn utf8(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Problem> {
    let ours = variables.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with(environment::PREFIX).then_some((name, value))
    });
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) if name == PATH_VARIABLE => Ok((name, String::new())),
        Err(_) => {
            let origin = Origin::Environment(name.into());
            let what = "expected text in UTF-8, found bytes that are none";
            Err(Problem::general(Some(origin), what))
        }
    })
    .collect()
}
