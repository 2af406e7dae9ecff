//! What is in force: the flags, over the environment, over the file.

use std::env;
use std::path::{Path, PathBuf};

use registry_http::Options;
use registry_http::config::{
    self, AccessControl, Auth, Configuration, Driver, Loaded, PATH_VARIABLE, Problem,
};
use registry_http::serve::Limits;
use registry_http::serve::tls::TlsOptions;
use registry_store::backend::s3::S3Options;
use registry_store::options::StoreOptions;

use super::flags::Flags;
use super::listening::Place;
use super::notifications::{self, Wanted};
use super::said::Said;
use super::{Failure, operations, upload_secret};

const ROOT: &str = "storage.filesystem.rootdirectory";

/// All that `serve` needs to know.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) place: Place,
    pub(super) tls: Option<Said<TlsOptions>>,
    /// HTTP/2 is spoken without TLS.
    pub(super) h2c: bool,
    pub(super) data: Data,
    /// Who is let in. The files of users and keys are not read yet.
    pub(super) auth: Option<Said<Auth>>,
    /// Who may do what; without it whoever is let in may do everything.
    pub(super) access: Option<Said<AccessControl>>,
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) store: StoreOptions,
    /// Uploads that were never finished are removed.
    pub(super) purge: bool,
    /// What operators see.
    pub(super) operations: operations::Wanted,
    /// Webhooks, if there are any.
    pub(super) notifications: Option<Wanted>,
    /// What has no effect, to be told of.
    pub(super) warnings: Vec<Problem>,
}

/// Where bytes are kept.
#[derive(Debug)]
pub(super) enum Data {
    Directory(Said<PathBuf>),
    Bucket(Said<Box<S3Options>>),
    Memory,
}

impl Data {
    /// What Distribution calls the driver.
    pub(super) const fn driver(&self) -> &'static str {
        match self {
            Self::Directory(_) => "filesystem",
            Self::Bucket(_) => "s3aws",
            Self::Memory => "inmemory",
        }
    }
}

/// Puts the flags over the configuration. Without a file, and without a variable that names one, the variables are laid
/// over the defaults of this program.
pub(super) fn settle(file: Option<&Path>, flags: &Flags) -> Result<Settings, Failure> {
    let loaded = load(file)?;
    let configuration = &loaded.configuration;
    let mut options = configuration.options();
    options.read_only |= flags.read_only;
    if let Some(file) = &flags.secret_file {
        options.upload_secret = Some(upload_secret::in_file(file)?);
    }
    let mut limits = Limits { drain: configuration.http.drain, ..Limits::default() };
    flags.bound(&mut limits, &mut options);
    let data = data(&loaded, flags.root.as_deref())?;
    let root = match &data {
        Data::Directory(root) if !options.read_only => Some(root.value.as_path()),
        _ => None,
    };
    Ok(Settings {
        place: place(&loaded, flags),
        tls: tls(&loaded),
        h2c: configuration.http.h2c,
        auth: auth(&loaded),
        access: access(&loaded),
        notifications: notifications::wanted(&configuration.notifications, root),
        data,
        purge: configuration.storage.purging.enabled && !options.read_only,
        options,
        limits,
        store: store_options(configuration),
        operations: operations::Wanted::of(configuration, |key| by(&loaded, key)),
        warnings: loaded.warnings,
    })
}

fn place(loaded: &Loaded, flags: &Flags) -> Place {
    let http = &loaded.configuration.http;
    if let Some(address) = &flags.addr {
        return Place::Port(Said { value: address.clone(), by: "--addr".to_owned() });
    }
    if let Some(socket) = &http.socket {
        return Place::Socket(Said { value: socket.clone(), by: by(loaded, "http.addr") });
    }
    Place::Port(match &http.address {
        Some(address) => Said { value: address.clone(), by: by(loaded, "http.addr") },
        None => Said { value: Flags::ADDRESS.into(), by: "--addr".to_owned() },
    })
}

fn tls(loaded: &Loaded) -> Option<Said<TlsOptions>> {
    let value = loaded.configuration.http.tls.clone()?;
    Some(Said { value, by: by(loaded, "http.tls.certificate") })
}

/// Where a configuration says that bytes are kept, for who looks after them and does not serve. The file may be named by
/// a variable.
pub(super) fn data_of(file: Option<&Path>, root: Option<&Path>) -> Result<Data, Failure> {
    data(&load(file)?, root)
}

/// The configuration: of this file, of the one that a variable names, or of the variables alone.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, Failure> {
    let named = env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    config::read(file.or(named.as_deref()), env::vars_os()).map_err(Failure::new)
}

fn data(loaded: &Loaded, root: Option<&Path>) -> Result<Data, Failure> {
    let by_flag =
        |root: &Path| Data::Directory(Said { value: root.to_owned(), by: "--root".to_owned() });
    let no_directory = |key: &str| {
        let found = by(loaded, key);
        Failure::usage(format!(
            "--root: expected storage.filesystem for a directory, found {found}"
        ))
    };
    let s3_key = ["storage.s3aws", "storage.s3"]
        .into_iter()
        .find(|key| loaded.origin(key).is_some())
        .unwrap_or("storage.s3");
    match (&loaded.configuration.storage.driver, root) {
        (Some(Driver::S3(_)), Some(_)) => Err(no_directory(s3_key)),
        (Some(Driver::S3(s3)), None) => {
            let by = by(loaded, &format!("{s3_key}.bucket"));
            Ok(Data::Bucket(Said { value: Box::new(s3.options()), by }))
        }
        (Some(Driver::Memory), Some(_)) => Err(no_directory("storage.inmemory")),
        (Some(Driver::Memory), None) => Ok(Data::Memory),
        (_, Some(root)) => Ok(by_flag(root)),
        (None, None) => Ok(by_flag(Path::new(Flags::ROOT))),
        (Some(Driver::Filesystem(filesystem)), None) => match &filesystem.root {
            Some(root) => Ok(Data::Directory(Said { value: root.clone(), by: by(loaded, ROOT) })),
            None => Ok(by_flag(Path::new(Flags::ROOT))),
        },
    }
}

fn auth(loaded: &Loaded) -> Option<Said<Auth>> {
    let auth = loaded.configuration.auth.clone()?;
    let key = match &auth {
        Auth::Htpasswd { .. } => "auth.htpasswd",
        Auth::Token(_) => "auth.token",
        Auth::Silly { .. } => "auth.silly",
    };
    Some(Said { by: by(loaded, key), value: auth })
}

fn access(loaded: &Loaded) -> Option<Said<AccessControl>> {
    let value = loaded.configuration.access.clone()?;
    Some(Said { value, by: by(loaded, "access") })
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
