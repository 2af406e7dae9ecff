//! `registry garbage-collect`: what no manifest refers to goes.

use std::fmt::Display;
use std::mem;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use registry_store::backend::ErrorKind;
use registry_store::error::Error;
use registry_store::gc::{CollectOptions, Collected, Damaged, Step};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use serde_json::{Value, json};
use tokio::runtime;
use tokio::time::timeout;

use super::serve::Signals;
use super::settings::{self, Data};
use super::storage::{self, Opened, Purpose};
use super::{Failure, log_to_stderr, say};

/// How long deletes that are under way are waited for when it is stopped.
const FINISH_TIME: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct GarbageCollect {
    /// Distribution's config.yml; where the data is stands in it, or in variables as REGISTRY_STORAGE
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Directory that keeps a registry's data; it has to be there
    /// [default: registry-data, or what the configuration says, which may be a bucket]
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,

    /// Take nothing, and tell what would go; may run beside a registry that serves
    // As with Distribution's own, `=true` and `=false` may stand behind a flag.
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    /// Take manifests too that no tag keeps. Under Harbor never: there no manifest has a tag
    #[arg(short = 'm', long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    delete_untagged: bool,

    /// Tell only of damage, and of a failure
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    quiet: bool,

    /// Print each line as a JSON object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,

    /// Leave blobs that were written within so long before now, by this machine's clock
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32))]
    older_than: u32,

    /// Every registry on the bucket is stopped, or only reads: a bucket has no lock that could tell
    #[arg(long)]
    nobody_writes: bool,

    /// There is no repository any more, and that is meant: every blob goes
    #[arg(long)]
    no_repositories: bool,
}

/// Does what the command says.
pub(super) fn run(arguments: &GarbageCollect) -> Result<(), Failure> {
    log_to_stderr(None)?;
    let data = settings::data_of(arguments.file.as_deref(), arguments.root.as_deref())?;
    match &data {
        Data::Memory => {
            let what = "expected a directory or a bucket, found storage.inmemory: another process has no part in it";
            return Err(Failure::usage(what));
        }
        Data::Bucket(_) if !arguments.dry_run && !arguments.nobody_writes => {
            let what = "a bucket has no lock that would tell of registries that write to it: stop them, or start them \
                        with --read-only, and say --nobody-writes; or --dry-run";
            return Err(Failure::usage(what));
        }
        _ => {}
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(collect_until_told(data, arguments));
    // As in `serve`: the end of the process ends what still runs and lets go of its locks, together.
    mem::forget(runtime);
    outcome
}

async fn collect_until_told(data: Data, arguments: &GarbageCollect) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let stopped = |name| {
        Err(Failure::new(format!(
            "{name}: stopped before the end; what is left goes when it is run again"
        )))
    };
    let purpose = if arguments.dry_run { Purpose::Look } else { Purpose::Maintain };
    let Opened { backend, .. } = tokio::select! {
        opened = storage::open(data, purpose) => opened?,
        name = signals.next() => return stopped(name),
    };
    let store = Store::new(backend, StoreOptions::default());
    let outcome = tokio::select! {
        outcome = collect(&store, arguments) => outcome,
        name = signals.next() => stopped(name),
    };
    // Deletes that were sent are answered, unless that takes too long or a second signal comes.
    tokio::select! {
        _ = timeout(FINISH_TIME, store.finish_detached()) => {}
        _ = signals.next() => {}
    }
    outcome
}

async fn collect(store: &Store, arguments: &GarbageCollect) -> Result<(), Failure> {
    let options = CollectOptions {
        dry_run: arguments.dry_run,
        delete_untagged: arguments.delete_untagged,
        older_than: Duration::from_secs(arguments.older_than.into()),
        nobody_writes: arguments.nobody_writes,
        no_repositories: arguments.no_repositories,
        ..CollectOptions::default()
    };
    let mut tell = |step: Step| match (arguments.json, arguments.quiet) {
        (true, _) => say(as_json(&step)),
        (false, true) if !matches!(step, Step::Damaged { .. } | Step::Left { .. }) => {}
        (false, _) => say(as_line(&step)),
    };
    let collected = store.collect(options, &mut tell).await.map_err(|error| failure(&error))?;
    if arguments.json {
        say(total_as_json(&collected, arguments.dry_run));
    } else if !arguments.quiet {
        say(total(&collected, arguments.dry_run));
    }
    if collected.damaged > 0 {
        return Err(Failure::damage(format!(
            "damage was found (objects: {}): the output names what; everything that these repositories have was kept",
            collected.damaged
        )));
    }
    if collected.left > 0 {
        return Err(Failure::new(format!(
            "not everything could be taken (objects: {}): the output names what",
            collected.left
        )));
    }
    Ok(())
}

fn failure(error: &Error) -> Failure {
    let is_busy = matches!(error, Error::Storage(error) if error.kind() == ErrorKind::Busy);
    let hint = if is_busy { "; stop it, or start it with --read-only" } else { "" };
    Failure::new(format!("cannot collect garbage: {error}{hint}"))
}

/// A step in the words of Distribution's collector.
fn as_line(step: &Step) -> String {
    let of =
        |name: &dyn Display, what: &str, digest: &dyn Display| format!("{name}: {what} {digest}");
    match step {
        Step::Repository { name } => name.to_string(),
        Step::Manifest { name, digest } => of(name, "marking manifest", digest),
        Step::Damaged { name, what: Damaged { key, reason } } => {
            format!("{name}: damaged, all of it is kept: {key}: {reason}")
        }
        Step::Untagged { name, digest } => of(name, "manifest eligible for deletion:", digest),
        Step::Link { name, digest } => of(name, "layer link eligible for deletion:", digest),
        Step::Blob { digest, .. } => format!("blob eligible for deletion: {digest}"),
        Step::Litter { key, .. } => format!("left by a write, eligible for deletion: {key}"),
        Step::Left { what: Damaged { key, reason } } => {
            format!("cannot be taken, kept: {key}: {reason}")
        }
    }
}

fn as_json(step: &Step) -> Value {
    let of = |step: &str, name: &dyn Display, digest: &dyn Display| json!({"step": step, "repository": name.to_string(), "digest": digest.to_string()});
    match step {
        Step::Repository { name } => json!({"step": "repository", "repository": name.to_string()}),
        Step::Manifest { name, digest } => of("keep-manifest", name, digest),
        Step::Damaged { name, what: Damaged { key, reason } } => json!({
            "step": "damaged", "repository": name.to_string(), "key": key.as_str(), "reason": reason,
        }),
        Step::Untagged { name, digest } => of("delete-manifest", name, digest),
        Step::Link { name, digest } => of("delete-link", name, digest),
        Step::Litter { key, size } => {
            json!({"step": "delete-litter", "key": key.as_str(), "size": size})
        }
        Step::Left { what: Damaged { key, reason } } => {
            json!({"step": "left", "key": key.as_str(), "reason": reason})
        }
        Step::Blob { digest, size } => {
            json!({"step": "delete-blob", "digest": digest.to_string(), "size": size})
        }
    }
}

fn total(collected: &Collected, dry_run: bool) -> String {
    let Collected { repositories, manifests, marked, blobs, removed_manifests, .. } = collected;
    let Collected { links, removed_blobs, removed_bytes, young, damaged, .. } = collected;
    let what = if dry_run { "would delete" } else { "deleted" };
    format!(
        "total: repositories: {repositories}, manifests: {manifests}, marked: {marked}, blobs: {blobs}; {what}: \
         manifests: {removed_manifests}, links: {links}, blobs: {removed_blobs}, bytes: {removed_bytes}; left as \
         young: {young}; damaged: {damaged}"
    )
}

fn total_as_json(collected: &Collected, dry_run: bool) -> Value {
    json!({
        "step": "total",
        "dryRun": dry_run,
        "repositories": collected.repositories,
        "manifests": collected.manifests,
        "marked": collected.marked,
        "blobs": collected.blobs,
        "deletedManifests": collected.removed_manifests,
        "deletedLinks": collected.links,
        "deletedBlobs": collected.removed_blobs,
        "deletedBytes": collected.removed_bytes,
        "young": collected.young,
        "left": collected.left,
        "damaged": collected.damaged,
    })
}
