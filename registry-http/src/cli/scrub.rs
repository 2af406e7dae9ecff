//! `registry scrub`: is what is stored still what its digests say?

use std::fmt;
use std::mem;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::pin;

use clap::Args;
use futures::TryStreamExt;
use registry_store::digest::Digest;
use registry_store::error::Result as StoreResult;
use registry_store::name::RepositoryName;
use registry_store::options::StoreOptions;
use registry_store::scrub::{Finding, LinkReport, ScrubOptions, ScrubbedBlob};
use registry_store::store::Store;
use tokio::runtime;
use tracing::info;

use super::rate::bytes_per_second;
use super::serve::Signals;
use super::settings::{self, Data};
use super::storage::{self, Opened, Purpose};
use super::{Failure, log_to_stderr, say};

/// After how many blobs the log says how far it has come.
const TOLD_EVERY: u64 = 1000;

#[derive(Args, Debug)]
pub(super) struct Scrub {
    /// Directory that keeps a registry's data; it has to be there
    /// [default: registry-data, or what the configuration says, which may be a bucket]
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,

    /// Distribution's config.yml; where the data is stands in it, or in variables as REGISTRY_STORAGE
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read no more than so many bytes in a second, such as 50MB [default: as fast as it goes]
    #[arg(long, value_name = "BYTES", value_parser = bytes_per_second)]
    rate: Option<NonZeroU64>,

    /// Begin behind this blob: where a scrub that was stopped had come to
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    after: Option<Digest>,
}

/// Does what the command says.
pub(super) fn run(arguments: &Scrub) -> Result<(), Failure> {
    log_to_stderr(None)?;
    let data = settings::data_of(arguments.config.as_deref(), arguments.root.as_deref())?;
    if matches!(data, Data::Memory) {
        let what = "expected a directory or a bucket, found storage.inmemory: another process has no part in it";
        return Err(Failure::usage(what));
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let options = ScrubOptions { after: arguments.after, bytes_per_second: arguments.rate };
    let outcome = runtime.block_on(scrub_until_told(data, options));
    // As in `serve`: the end of the process ends what still runs and lets go of its locks, together.
    mem::forget(runtime);
    outcome
}

async fn scrub_until_told(data: Data, options: ScrubOptions) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut total = Total { last: options.after, ..Total::default() };
    let stopped = {
        let mut scrubbing = pin!(scrub(data, options, &mut total));
        tokio::select! {
            outcome = &mut scrubbing => {
                outcome?;
                None
            }
            name = signals.next() => Some(name),
        }
    };
    say(&total);
    match stopped {
        Some(name) => Err(total.stopped_by(name)),
        None => total.outcome(),
    }
}

/// All blobs, and then all links.
async fn scrub(data: Data, options: ScrubOptions, total: &mut Total) -> Result<(), Failure> {
    let Opened { backend, .. } = storage::open(data, Purpose::Maintain).await?;
    let store = Store::new(backend, StoreOptions::default());
    let mut blobs = store.scrub(options);
    loop {
        match blobs.try_next().await {
            Ok(Some(blob)) => total.add_blob(&blob),
            Ok(None) => break,
            Err(error) => {
                say(format_args!("failed: {error}"));
                total.failed += 1;
            }
        }
    }
    let mut links = store.scrub_links();
    loop {
        match links.try_next().await {
            Ok(Some((name, outcome))) => total.add_links(&name, outcome),
            Ok(None) => return Ok(()),
            Err(error) => {
                say(format_args!("cannot read the names of all repositories: {error}"));
                total.failed += 1;
                return Ok(());
            }
        }
    }
}

/// All that was looked at.
#[derive(Default)]
struct Total {
    blobs: u64,
    bytes: u64,
    /// The last blob that is done.
    last: Option<Digest>,
    aside: u64,
    left: u64,
    changed: u64,
    unreadable: u64,
    links: LinkReport,
    /// Places that could not be listed.
    failed: u64,
}

impl Total {
    /// Counts a blob, and tells of it unless it is as it should be.
    fn add_blob(&mut self, ScrubbedBlob { digest, size, finding }: &ScrubbedBlob) {
        self.blobs += 1;
        self.bytes += size;
        self.last = Some(*digest);
        let (count, what) = match finding {
            Finding::Good => {
                if self.blobs.is_multiple_of(TOLD_EVERY) {
                    info!("{} blobs done, {} bytes, up to {digest}", self.blobs, self.bytes);
                }
                return;
            }
            Finding::PutAside => {
                (&mut self.aside, format!("damaged ({size} bytes): put into quarantine"))
            }
            Finding::Changed => (&mut self.changed, "was pushed or deleted meanwhile".to_owned()),
            Finding::Left(error) => (
                &mut self.left,
                format!("damaged ({size} bytes): cannot be put into quarantine: {error}"),
            ),
            Finding::Unreadable(error) => {
                (&mut self.unreadable, format!("cannot be read: {error}"))
            }
        };
        *count += 1;
        say(format_args!("{digest}: {what}"));
    }

    fn add_links(&mut self, name: &RepositoryName, outcome: StoreResult<LinkReport>) {
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                say(format_args!("{name}: failed: {error}"));
                self.failed += 1;
                return;
            }
        };
        for key in &report.first_damaged {
            say(format_args!("{name}: damaged link: {key}"));
        }
        for key in &report.first_unreadable {
            say(format_args!("{name}: link that cannot be read: {key}"));
        }
        self.links.links += report.links;
        self.links.damaged += report.damaged;
        self.links.unreadable += report.unreadable;
    }

    fn damaged(&self) -> u64 {
        self.aside + self.left
    }

    fn outcome(&self) -> Result<(), Failure> {
        let (blobs, links) = (self.damaged(), self.links.damaged);
        if blobs + links > 0 {
            return Err(Failure::damage(format!(
                "damage was found (blobs: {blobs}, links: {links}): the output names what; a push of it heals it"
            )));
        }
        let (blobs, links, places) = (self.unreadable, self.links.unreadable, self.failed);
        if blobs + links + places > 0 {
            return Err(Failure::new(format!(
                "not all could be read (blobs: {blobs}, links: {links}, places: {places}): the output names what"
            )));
        }
        Ok(())
    }

    /// A signal came. What was found so far counts.
    fn stopped_by(&self, name: &str) -> Failure {
        let so_far = self.outcome().err();
        let status = so_far.map_or(1, |failure| failure.status);
        let go_on = self.last.map(|last| format!("; go on with --after {last}"));
        let message = format!("{name}: stopped before the end{}", go_on.unwrap_or_default());
        Failure { message, status }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blobs, bytes, aside, left, changed, unreadable, links, .. } = self;
        write!(
            f,
            "total: blobs: {blobs}, bytes: {bytes}, put into quarantine: {aside}, damaged and left: {left}, changed \
             meanwhile: {changed}, unreadable: {unreadable}; links: {}, damaged: {}, unreadable: {}",
            links.links, links.damaged, links.unreadable
        )
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|error: registry_store::digest::DigestError| error.to_string())
}
