//! [`open`]: the storage that is asked for, ready to be used.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::fs::FilesystemBackend;
use registry_store::backend::s3::{S3Backend, S3Options};
use registry_store::backend::{Backend, ErrorKind, MemoryBackend};
use tokio::time::timeout;
use tracing::warn;

use super::said::Said;
use super::settings::Data;
use super::{Failure, data_directory};

/// How long a server is waited for without a word.
const SILENCE: Duration = Duration::from_secs(3);

/// What is to be done with the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// All of it; a directory is made if it is not there.
    Serve,
    /// Reading.
    ReadOnly,
    /// To look through what is there already.
    Look,
    /// To work on what is there already.
    Maintain,
}

impl Purpose {
    const fn only_reads(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Look)
    }
}

/// Storage, and how to call it.
pub(super) struct Opened {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) place: Place,
    /// Of a bucket, what is sent to its server.
    pub(super) bucket: Option<S3Backend>,
}

/// Where bytes are kept, as a person is told: a line with a heading of its own.
#[derive(Debug)]
pub(super) struct Place {
    heading: &'static str,
    name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<19} {}", self.heading, self.name)
    }
}

/// Opens it.
pub(super) async fn open(data: Data, purpose: Purpose) -> Result<Opened, Failure> {
    match data {
        Data::Memory => {
            let name = "none: it is kept in memory, and gone when this ends".to_owned();
            let place = Place { heading: "data directory:", name };
            Ok(Opened { backend: Arc::new(MemoryBackend::new()), place, bucket: None })
        }
        Data::Directory(root) => {
            let root = match purpose {
                Purpose::Serve => data_directory::writable(&root)?,
                Purpose::ReadOnly => data_directory::readable(&root)?,
                Purpose::Look => data_directory::existing(&root, false)?,
                Purpose::Maintain => data_directory::existing(&root, true)?,
            };
            directory(&root)
        }
        Data::Bucket(bucket) => open_bucket(bucket, purpose).await,
    }
}

fn directory(root: &Path) -> Result<Opened, Failure> {
    let name = root.display().to_string();
    let backend = FilesystemBackend::open(root)
        .map_err(|error| Failure::new(format!("cannot open the data in {name}: {error}")))?;
    let place = Place { heading: "data directory:", name };
    Ok(Opened { backend: Arc::new(backend), place, bucket: None })
}

async fn open_bucket(
    Said { value, by }: Said<Box<S3Options>>,
    purpose: Purpose,
) -> Result<Opened, Failure> {
    let options = S3Options { read_only: purpose.only_reads(), ..*value };
    let name = bucket(&options);
    let backend = tell_of_waiting(&name, S3Backend::open(options)).await.map_err(|error| {
        let expected = match error.kind() {
            // It says itself what it expects.
            ErrorKind::Unsupported => "",
            ErrorKind::Denied if purpose.only_reads() => {
                "; expected keys that may read and list it"
            }
            ErrorKind::Denied => "; expected keys that may read, write, list and delete in it",
            _ => "; expected a bucket that is there, at a server that answers",
        };
        Failure::new(format!("cannot open the bucket {name}: {error}{expected} (see {by})"))
    })?;
    let place = Place { heading: "data in the bucket:", name };
    let bucket = Some(backend.clone());
    Ok(Opened { backend: Arc::new(backend), place, bucket })
}

/// Servers that start together come up in any order, so one that does not answer is tried for a while.
async fn tell_of_waiting<T>(name: &str, opening: impl Future<Output = T>) -> T {
    let mut opening = pin!(opening);
    match timeout(SILENCE, &mut opening).await {
        Ok(opened) => opened,
        Err(_) => {
            warn!("waiting for the bucket {name}: its server does not answer yet");
            opening.await
        }
    }
}

/// Which bucket it is, and where.
fn bucket(options: &S3Options) -> String {
    let server = options.endpoint.as_deref().unwrap_or("AWS");
    let region = options.region.iter().map(|region| format!(", region {region}"));
    let root = Some(&options.root).filter(|root| !root.is_empty());
    let root = root.into_iter().map(|root| format!(", below {root}/"));
    let more: String = region.chain(root).collect();
    format!("{} at {server}{more}", options.bucket)
}
