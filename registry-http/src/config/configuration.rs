//! [`Configuration`]: what is in force.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::access::{self, AccessControl};
use super::auth::{self, Auth};
use super::debug::{Debug, Registryctl, RegistryctlSection};
use super::go_duration::GoDuration;
use super::health::{self, Health};
use super::http::{self, Http};
use super::log::{self, Log, LogLevel};
use super::node::Node;
use super::notifications::{self, Notifications};
use super::origin::Origin;
use super::problem::Problem;
use super::s3::{self, S3};
use super::said::there;
use super::typed::typed;
use crate::options::{Options, Redirect};
use crate::upload_secret::UploadSecret;

/// Everything that a configuration can say and that is implemented, each with its default if it does not.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// `log`.
    pub log: Log,
    /// `storage`.
    pub storage: Storage,
    /// `auth`. `None`: everybody may do everything.
    pub auth: Option<Auth>,
    /// `access`, which is ours. `None`: whoever is known may do everything.
    pub access: Option<AccessControl>,
    /// `http`.
    pub http: Http,
    /// `http.debug`.
    pub debug: Debug,
    /// `health`.
    pub health: Health,
    /// `registryctl`.
    pub registryctl: Registryctl,
    /// `notifications`.
    pub notifications: Notifications,
    /// `catalog.maxentries`: the most repositories on a page.
    pub catalog_max: usize,
    /// `tags.maxtags`: the most tags on a page.
    pub tags_max: usize,
}

/// `storage`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Where bytes are kept. `None`: not said, which only variables without a file can do.
    pub driver: Option<Driver>,
    /// `delete.enabled`. Default: false with a file, as in Distribution; true without.
    pub delete: bool,
    /// `redirect`: clients are sent to where the bytes are. Default: on, as in Distribution, if the driver can: S3 can,
    /// the others cannot.
    pub redirect: Option<Redirect>,
    /// `maintenance.readonly.enabled`.
    pub read_only: bool,
    /// `maintenance.uploadpurging`.
    pub purging: Purging,
}

/// What keeps the bytes.
#[derive(Clone, Debug)]
pub enum Driver {
    /// A directory.
    Filesystem(Filesystem),
    /// The process's memory: gone when it ends.
    Memory,
    /// A bucket.
    S3(Box<S3>),
}

/// `storage.filesystem`.
#[derive(Clone, Debug)]
pub struct Filesystem {
    /// `rootdirectory`. Default: `/var/lib/registry`, as in Distribution. `None`: not said, without a file.
    pub root: Option<PathBuf>,
}

/// `storage.maintenance.uploadpurging`: what becomes of uploads that were never finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purging {
    /// They are removed at all. A `dryrun` removes nothing.
    pub enabled: bool,
    /// When they are older than this.
    pub age: Duration,
    /// Looked for every so often.
    pub interval: Duration,
}

impl Configuration {
    /// How the service behaves.
    pub fn options(&self) -> Options {
        let defaults = Options::default();
        let secret = self.http.secret.as_ref();
        Options {
            delete: self.storage.delete,
            read_only: self.storage.read_only,
            redirect: self.storage.redirect,
            catalog_default: defaults.catalog_default.min(self.catalog_max),
            catalog_max: self.catalog_max,
            tags_max: self.tags_max,
            locations: self.http.locations.clone(),
            path_prefix: self.http.prefix.clone(),
            headers: self.http.headers.clone(),
            upload_secret: secret.and_then(|secret| UploadSecret::new(secret.reveal())),
            ..defaults
        }
    }

    /// Makes it of a document; `file` is where that stands, if it is not made of variables alone.
    pub(super) fn of(
        document: &Node,
        file: Option<&Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Self, Problem> {
        let mut sections: Document = typed(document)?;
        version(sections.version.as_deref(), document, file)?;
        let auth = sections.auth.resolve(document)?;
        let access = sections.access.resolve(document, auth.as_ref(), warnings)?;
        Ok(Self {
            log: sections.log.resolve(sections.loglevel, document, file, warnings),
            storage: sections.storage.resolve(document, file, warnings)?,
            auth,
            access,
            debug: std::mem::take(&mut sections.http.debug).resolve(document)?,
            health: sections.health.resolve(document, warnings)?,
            registryctl: sections.registryctl.resolve(document)?,
            http: sections.http.resolve(document, file, warnings)?,
            notifications: sections.notifications.resolve(document, warnings)?,
            catalog_max: limit(sections.catalog.maxentries),
            tags_max: limit(sections.tags.maxtags),
        })
    }
}

/// The file as it stands. A field has the name of its key; what is `None` was not said.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    version: Option<String>,
    log: log::Section,
    loglevel: Option<LogLevel>,
    storage: StorageSection,
    auth: auth::Section,
    access: access::Section,
    http: http::Section,
    health: health::Section,
    registryctl: RegistryctlSection,
    notifications: notifications::Section,
    catalog: CatalogSection,
    tags: TagsSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageSection {
    #[serde(deserialize_with = "there")]
    filesystem: Option<FilesystemSection>,
    #[serde(deserialize_with = "there")]
    inmemory: Option<MemorySection>,
    #[serde(deserialize_with = "there")]
    s3: Option<s3::Section>,
    #[serde(deserialize_with = "there")]
    s3aws: Option<s3::Section>,
    delete: DeleteSection,
    redirect: RedirectSection,
    maintenance: MaintenanceSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FilesystemSection {
    rootdirectory: Option<PathBuf>,
    maxthreads: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemorySection {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeleteSection {
    enabled: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RedirectSection {
    disable: Option<bool>,
    minimumsize: Option<i64>,
    expiry: Option<GoDuration>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MaintenanceSection {
    uploadpurging: PurgingSection,
    readonly: ReadOnlySection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PurgingSection {
    enabled: Option<bool>,
    age: Option<GoDuration>,
    interval: Option<GoDuration>,
    dryrun: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadOnlySection {
    enabled: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CatalogSection {
    maxentries: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TagsSection {
    maxtags: Option<i64>,
}

fn version(version: Option<&str>, document: &Node, file: Option<&Origin>) -> Result<(), Problem> {
    const EXPECTED: &str = "expected `version: 0.1`, which every configuration begins with";
    match (version, document.entry("version"), file) {
        (Some("0.1"), ..) | (None, _, None) => Ok(()),
        (Some(other), Some(entry), _) => {
            let what = format!("{EXPECTED}, found `{other:.80}`");
            Err(Problem::new(&entry.node.origin, "version", what))
        }
        (_, _, Some(file)) => Err(Problem::new(file, "version", format!("{EXPECTED}, found none"))),
        (Some(_), None, None) => unreachable!("a value has an entry"),
    }
}

/// A limit of Distribution's: without one, or with none that makes sense, 1000.
fn limit(number: Option<i64>) -> usize {
    number.and_then(|number| usize::try_from(number).ok()).filter(|it| *it > 0).unwrap_or(1000)
}

impl StorageSection {
    fn resolve(
        self,
        document: &Node,
        file: Option<&Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Storage, Problem> {
        let storage = Storage {
            delete: self.delete.enabled.unwrap_or(file.is_none()),
            redirect: self.redirect.resolve(document)?,
            read_only: self.maintenance.readonly.enabled.unwrap_or(false),
            purging: self.maintenance.uploadpurging.resolve(document, warnings)?,
            driver: None,
        };
        one_driver(document, file)?;
        let node = |key| &document.find(key).expect("the driver was read from there").node;
        let driver = if let Some(section) = self.filesystem {
            Some(Driver::Filesystem(section.resolve(document, file, warnings)?))
        } else if self.inmemory.is_some() {
            Some(Driver::Memory)
        } else if let Some(section) = self.s3 {
            let section = section.resolve("storage.s3", node("storage.s3"), warnings)?;
            Some(Driver::S3(Box::new(section)))
        } else if let Some(section) = self.s3aws {
            let section = section.resolve("storage.s3aws", node("storage.s3aws"), warnings)?;
            Some(Driver::S3(Box::new(section)))
        } else {
            None
        };
        // Where there is nothing to send clients to, none is looked for.
        let redirect = storage.redirect.filter(|_| matches!(driver, Some(Driver::S3(_))));
        Ok(Storage { driver, redirect, ..storage })
    }
}

/// Refuses more than one driver, and none where there is a file.
fn one_driver(document: &Node, file: Option<&Origin>) -> Result<(), Problem> {
    const DRIVERS: [&str; 4] = ["filesystem", "inmemory", "s3", "s3aws"];
    const EXPECTED: &str = "expected exactly one storage driver, filesystem, inmemory or s3";
    let storage = document.entry("storage");
    let entries = storage.map_or(&[][..], |storage| storage.node.entries());
    let mut chosen = entries.iter().filter(|entry| DRIVERS.contains(&entry.key.as_str()));
    match (chosen.next(), chosen.next(), file) {
        (Some(one), Some(other), _) => {
            let what = format!(
                "{EXPECTED}, found both `{}` ({}) and `{}`",
                one.key, one.origin, other.key
            );
            Err(Problem::new(&other.origin, "storage", what))
        }
        (None, _, Some(file)) => {
            let origin = storage.map_or(file, |storage| &storage.origin);
            Err(Problem::new(origin, "storage", format!("{EXPECTED}, found none")))
        }
        _ => Ok(()),
    }
}

impl FilesystemSection {
    fn resolve(
        self,
        document: &Node,
        file: Option<&Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Filesystem, Problem> {
        const KEY: &str = "storage.filesystem.rootdirectory";
        const THREADS: &str = "storage.filesystem.maxthreads";
        /// Distribution's own.
        const DEFAULT: i64 = 100;
        if let Some(root) = &self.rootdirectory
            && root.as_os_str().is_empty()
        {
            let entry = document.find(KEY).expect("it was read from there");
            let what = "expected the path of a directory, found an empty one";
            return Err(Problem::new(&entry.node.origin, KEY, what));
        }
        if self.maxthreads.is_some_and(|threads| threads != DEFAULT) {
            let entry = document.find(THREADS).expect("it was read from there");
            let what = "passed over: system calls run on as many threads as they need, 512 at most";
            warnings.push(Problem::new(&entry.origin, THREADS, what));
        }
        let default = file.map(|_| PathBuf::from("/var/lib/registry"));
        Ok(Filesystem { root: self.rootdirectory.or(default) })
    }
}

impl RedirectSection {
    fn resolve(self, document: &Node) -> Result<Option<Redirect>, Problem> {
        let problem = |name: &str, what: &str| {
            let key = format!("storage.redirect.{name}");
            let entry = document.find(&key).expect("it was read from there");
            Problem::new(&entry.node.origin, key, what)
        };
        let defaults = Redirect::default();
        let minimum_size = match self.minimumsize.map(u64::try_from) {
            None => defaults.minimum_size,
            Some(Ok(size)) => size,
            Some(Err(_)) => {
                let what = "expected a number of bytes, found one below 0";
                return Err(problem("minimumsize", what));
            }
        };
        let expires_in = self.expiry.map_or(defaults.expires_in, |expiry| expiry.0);
        if !(Duration::from_secs(1)..=Redirect::LONGEST).contains(&expires_in) {
            let what = "expected a duration from 1s to 168h, for which S3 signs, found another";
            return Err(problem("expiry", what));
        }
        let redirect = Redirect { minimum_size, expires_in };
        Ok(Some(redirect).filter(|_| self.disable != Some(true)))
    }
}

impl PurgingSection {
    fn resolve(self, document: &Node, warnings: &mut Vec<Problem>) -> Result<Purging, Problem> {
        const SECTION: &str = "storage.maintenance.uploadpurging";
        let positive = |name: &str, span: Option<GoDuration>, default: Duration| {
            let span = span.map_or(default, |span| span.0);
            if span > Duration::ZERO {
                return Ok(span);
            }
            let key = format!("{SECTION}.{name}");
            let entry = document.find(&key).expect("the default is not zero");
            Err(Problem::new(&entry.node.origin, key, "expected more than no time at all, found 0"))
        };
        let mut enabled = self.enabled.unwrap_or(true);
        if enabled && self.dryrun == Some(true) {
            let key = format!("{SECTION}.dryrun");
            let entry = document.find(&key).expect("it was read from there");
            let what = "nothing is removed, and what would be is not told of yet";
            warnings.push(Problem::new(&entry.origin, key, what));
            enabled = false;
        }
        Ok(Purging {
            enabled,
            age: positive("age", self.age, Duration::from_hours(7 * 24))?,
            interval: positive("interval", self.interval, Duration::from_hours(24))?,
        })
    }
}
