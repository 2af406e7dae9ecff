//! `registry referrers`: what is recorded about manifests that have a subject.

use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use registry_store::error::Result as StoreResult;
use registry_store::name::RepositoryName;
use registry_store::options::StoreOptions;
use registry_store::referrers::RebuildReport;
use registry_store::store::Store;
use tokio::runtime;

use super::settings::{self, Data};
use super::storage::{self, Opened, Purpose};
use super::{Failure, log_to_stderr, say};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Record the manifests with a subject that another program wrote, such as CNCF Distribution
    ///
    /// Distribution keeps no list of them; what it wrote is listed once this has run. It changes nothing else,
    /// may run beside a registry that serves, and as often as one likes. Prints a line for each repository in
    /// which something was recorded, removed or could not be read, and the total. The status is 1 if something
    /// could not be read.
    Rebuild(Rebuild),
}

#[derive(Args, Debug)]
pub(super) struct Rebuild {
    /// Directory that keeps a registry's data; it has to be there
    /// [default: registry-data, or what the configuration says, which may be a bucket]
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,

    /// Distribution's config.yml; where the data is stands in it, or in variables as REGISTRY_STORAGE
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Only these repositories, not those nested in them [default: all]
    #[arg(value_name = "REPOSITORY", value_parser = name)]
    repositories: Vec<RepositoryName>,
}

/// Does what the command says.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let Command::Rebuild(arguments) = command;
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
    let outcome = runtime.block_on(rebuild(data, &each_once(&arguments.repositories)));
    // As in `serve`: the end of the process ends what still runs and lets go of its locks, together.
    mem::forget(runtime);
    outcome
}

/// In the order in which they were named first.
fn each_once(names: &[RepositoryName]) -> Vec<RepositoryName> {
    let mut named = BTreeSet::new();
    names.iter().filter(|name| named.insert(*name)).cloned().collect()
}

async fn rebuild(data: Data, names: &[RepositoryName]) -> Result<(), Failure> {
    let Opened { backend, .. } = storage::open(data, Purpose::Maintain).await?;
    let store = Store::new(backend, StoreOptions::default());
    let mut total = Total::default();
    let mut outcomes = outcomes(&store, names);
    while let Some((name, outcome)) = outcomes.try_next().await.map_err(|error| {
        Failure::new(format!("cannot read the names of all repositories: {error}"))
    })? {
        match &outcome {
            Ok(report) => tell(&name, report),
            Err(error) => say(format_args!("{name}: failed: {error}")),
        }
        total.add(outcome.ok());
    }
    say(&total);
    total.outcome()
}

/// What becomes of each repository, as it is done.
fn outcomes<'s>(
    store: &'s Store,
    names: &'s [RepositoryName],
) -> BoxStream<'s, StoreResult<(RepositoryName, StoreResult<RebuildReport>)>> {
    if names.is_empty() {
        return store.rebuild_referrers();
    }
    let rebuild = move |name: &'s RepositoryName| async move {
        Ok((name.clone(), store.repository(name).referrers().rebuild().await))
    };
    stream::iter(names).then(rebuild).boxed()
}

/// Says what became of a repository, unless all was as it should be.
fn tell(name: &RepositoryName, report: &RebuildReport) {
    if report.recorded + report.stale + report.unreadable > 0 {
        say(format_args!("{name}: {}", Counts(report)));
    }
    for digest in &report.first_unreadable {
        say(format_args!("{name}@{digest}: cannot be read"));
    }
}

/// A report in words.
struct Counts<'r>(&'r RebuildReport);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RebuildReport { manifests, recorded, kept, stale, unreadable, .. } = self.0;
        write!(
            f,
            "manifests read: {manifests}, referrers recorded: {recorded}, recorded already: {kept}, stale \
             records removed: {stale}, manifests that cannot be read: {unreadable}"
        )
    }
}

/// All repositories together.
#[derive(Default)]
struct Total {
    repositories: u64,
    failed: u64,
    report: RebuildReport,
}

impl Total {
    fn add(&mut self, report: Option<RebuildReport>) {
        self.repositories += 1;
        let Some(report) = report else {
            self.failed += 1;
            return;
        };
        self.report.manifests += report.manifests;
        self.report.recorded += report.recorded;
        self.report.kept += report.kept;
        self.report.stale += report.stale;
        self.report.unreadable += report.unreadable;
    }

    fn outcome(&self) -> Result<(), Failure> {
        match (self.report.unreadable, self.failed) {
            (0, 0) => Ok(()),
            (manifests, repositories) => Err(Failure::new(format!(
                "not all could be read (manifests: {manifests}, repositories: {repositories}): the output \
                 names what, the log says why"
            ))),
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "total: repositories: {}, {}", self.repositories, Counts(&self.report))
    }
}

fn name(text: &str) -> Result<RepositoryName, String> {
    text.parse().map_err(|error: registry_store::name::NameError| error.to_string())
}
