//! What is in force: the flags, over the environment, over the file.

use std::env;
use std::path::{Path, PathBuf};

use registry_http::Options;
use registry_http::config::{
    self, Address, Configuration, Driver, Loaded, LogLevel, PATH_VARIABLE, Problem,
};
use registry_store::options::StoreOptions;

use super::flags::Flags;
use super::{Failure, upload_secret};

const ROOT: &str = "storage.filesystem.rootdirectory";

/// All that `serve` needs to know.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Said<Address>,
    pub(super) data: Data,
    pub(super) options: Options,
    pub(super) store: StoreOptions,
    /// Uploads that were never finished are removed.
    pub(super) purge: bool,
    pub(super) log_level: Option<LogLevel>,
    /// What has no effect, to be told of.
    pub(super) warnings: Vec<Problem>,
}

/// Where bytes are kept.
#[derive(Debug)]
pub(super) enum Data {
    Directory(Said<PathBuf>),
    Memory,
}

/// A value, and what to change if it is not good.
#[derive(Debug)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) by: String,
}

/// Puts the flags over the configuration. Without a file, and without a variable that names one, the variables are laid
/// over the defaults of this program.
pub(super) fn settle(file: Option<&Path>, flags: &Flags) -> Result<Settings, Failure> {
    let named = env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = file.or(named.as_deref());
    let loaded = config::read(file, env::vars_os()).map_err(Failure::new)?;
    let configuration = &loaded.configuration;
    let mut options = configuration.options();
    options.read_only |= flags.read_only;
    if let Some(file) = &flags.secret_file {
        options.upload_secret = Some(upload_secret::in_file(file)?);
    }
    Ok(Settings {
        address: address(&loaded, flags),
        data: data(&loaded, flags)?,
        purge: configuration.storage.purging.enabled && !options.read_only,
        options,
        store: store_options(configuration),
        log_level: configuration.log_level,
        warnings: loaded.warnings,
    })
}

fn address(loaded: &Loaded, flags: &Flags) -> Said<Address> {
    if let Some(address) = flags.addr {
        return Said { value: address.into(), by: "--addr".to_owned() };
    }
    match &loaded.configuration.http.address {
        Some(address) => Said { value: address.clone(), by: by(loaded, "http.addr") },
        None => Said { value: Flags::ADDRESS.into(), by: "--addr".to_owned() },
    }
}

fn data(loaded: &Loaded, flags: &Flags) -> Result<Data, Failure> {
    let by_flag =
        |root: &Path| Data::Directory(Said { value: root.to_owned(), by: "--root".to_owned() });
    match (&loaded.configuration.storage.driver, &flags.root) {
        (Some(Driver::S3(_)), _) => Err(no_s3(loaded)),
        (Some(Driver::Memory), Some(_)) => Err(Failure::usage(format!(
            "--root: expected storage.filesystem for a directory, found storage.inmemory ({})",
            by(loaded, "storage.inmemory")
        ))),
        (Some(Driver::Memory), None) => Ok(Data::Memory),
        (_, Some(root)) => Ok(by_flag(root)),
        (None, None) => Ok(by_flag(Path::new(Flags::ROOT))),
        (Some(Driver::Filesystem(filesystem)), None) => match &filesystem.root {
            Some(root) => Ok(Data::Directory(Said { value: root.clone(), by: by(loaded, ROOT) })),
            None => Ok(by_flag(Path::new(Flags::ROOT))),
        },
    }
}

fn no_s3(loaded: &Loaded) -> Failure {
    let origin = ["storage.s3", "storage.s3aws"].into_iter().find_map(|key| loaded.origin(key));
    let origin = origin.map(|origin| format!("{origin}: ")).unwrap_or_default();
    Failure::new(format!(
        "{origin}storage.s3: refused, because there is no S3 backend yet: expected storage.filesystem or \
         storage.inmemory"
    ))
}

fn store_options(configuration: &Configuration) -> StoreOptions {
    let purging = configuration.storage.purging;
    StoreOptions {
        upload_expiry: purging.age,
        maintenance_interval: purging.interval,
        ..StoreOptions::default()
    }
}

/// A key, and where its value comes from.
fn by(loaded: &Loaded, key: &str) -> String {
    loaded.origin(key).map_or_else(|| key.to_owned(), |origin| format!("{key}, {origin}"))
}
