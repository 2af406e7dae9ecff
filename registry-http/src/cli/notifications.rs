//! Webhooks: what is asked for becomes a sink of events.

use std::path::{Path, PathBuf};

use http::Extensions;
use registry_http::config;
use registry_http::notifications::{Notifications, Options, Queues};
use registry_http::peer::Peer;
use registry_store::layout;
use registry_store::store::Store;
use tracing::warn;

use super::Failure;
use super::listening::At;

const DIRECTORY: &str = "notifications.queue.directory";

/// Who is to be told.
#[derive(Debug)]
pub(super) struct Wanted {
    options: Options,
    /// The directory of queues was not said.
    is_default: bool,
}

/// `None` if nobody is to be told. Where no directory is said, queues are below `root`, the data's if it can be written, in
/// the place that is ours and that no walk of Distribution's comes to.
pub(super) fn wanted(configured: &config::Notifications, root: Option<&Path>) -> Option<Wanted> {
    if configured.endpoints.is_empty() {
        return None;
    }
    let is_default = configured.queues.directory.is_none();
    let directory = configured.queues.directory.clone().or_else(|| root.map(below));
    let options = Options {
        endpoints: configured.endpoints.clone(),
        include_references: configured.include_references,
        queues: Queues { directory, ..configured.queues },
        address_of,
        ..Options::default()
    };
    Some(Wanted { options, is_default })
}

fn below(root: &Path) -> PathBuf {
    root.join(layout::private().as_str()).join("notifications")
}

fn address_of(extensions: &Extensions) -> Option<String> {
    extensions.get::<Peer>().map(ToString::to_string)
}

/// Begins to tell what is in the queues.
///
/// A directory that was asked for has to be one; without the usual one, queues are in memory.
pub(super) async fn start(
    wanted: Wanted,
    store: &Store,
    at: &At,
) -> Result<Notifications, Failure> {
    let Wanted { mut options, is_default } = wanted;
    options.source = source(at);
    if options.queues.directory.is_none() {
        warn!(
            "{DIRECTORY}: not said: events that wait for an endpoint are in memory, and gone when this ends"
        );
    }
    match Notifications::start(options.clone(), store).await {
        Err(error) if is_default && options.queues.directory.is_some() => {
            warn!("{error}; events wait in memory, and are gone when this ends (see {DIRECTORY})");
            options.queues.directory = None;
            Notifications::start(options, store).await.map_err(Failure::new)
        }
        Err(error) => Err(Failure::new(format!("{error} (see {DIRECTORY})"))),
        Ok(notifications) => Ok(notifications),
    }
}

/// Where events say they come from: this machine's name and, if there is one, the port, as in Distribution.
fn source(at: &At) -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    match at {
        At::Port(address) if name.is_empty() => address.to_string(),
        At::Port(address) => format!("{name}:{}", address.port()),
        At::Socket(_) => name.into_owned(),
    }
}
