//! `registry serve`: a store at a port.

use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use registry_http::config::Address;
use registry_http::events::EventSink;
use registry_http::serve::serve_with;
use registry_http::{Options, service};
use registry_store::backend::ErrorKind;
use registry_store::error::Error;
use registry_store::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::flags::Flags;
use super::settings::{self, Said, Settings};
use super::storage::{self, Opened, Place, Purpose};
use super::{Failure, access, authentication, log_to_stderr, notifications, say};

/// How long work is waited for that goes on when the requests in flight have been answered.
const FINISH_TIME: Duration = Duration::from_secs(10);

/// How long endpoints are still told what is in their queues, if they take it.
const TELL_TIME: Duration = Duration::from_secs(5);

/// What can be said of serving.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Distribution's config.yml, read as it is; what it does not say has Distribution's defaults
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: Flags,
}

/// Serves until a signal comes.
///
/// Order: what is asked for is looked at, and users and keys are read → the address is ours → the storage is opened, a directory made if it was not
/// there. So a start that fails at its settings, its secret or its address leaves nothing behind.
pub(super) fn run(file: Option<&Path>, flags: &Flags) -> Result<(), Failure> {
    raise_limit_of_files();
    let mut settings = settings::settle(file, flags)?;
    log_to_stderr(settings.log_level)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    if let Some(wanted) = &settings.access {
        let guard = access::guard(wanted, settings.auth.as_ref(), &settings.store)?;
        settings.options.authorizer = Some(guard.authorizer);
        settings.options.tokens = guard.tokens;
    } else if let Some(auth) = &settings.auth {
        let authorizer = authentication::authorizer(auth, &settings.store)?;
        settings.options.authorizer = Some(authorizer);
    }
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(serve_until_told(settings));
    // Shut down, it would drop what still runs, and let go of locks between processes while a system call that was
    // made under one is still under way. The end of the process ends all of it together.
    mem::forget(runtime);
    outcome
}

/// Takes as many file descriptors as the system lets: the usual limit is one for programs of the past, that select by
/// small numbers. How many connections there may be depends on it.
fn raise_limit_of_files() {
    let limits = getrlimit(Resource::Nofile);
    // Without it there are fewer connections, and no harm is done.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits });
}

async fn serve_until_told(mut settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let (listener, address) = bind(&settings.address).await?;
    let purpose = if settings.options.read_only { Purpose::ReadOnly } else { Purpose::Serve };
    let opening = storage::open(settings.data, purpose);
    let Opened { backend, place } = tokio::select! {
        opened = opening => opened?,
        // A server of S3 may be waited for.
        name = signals.next() => {
            info!("{name}: ending before the storage was open");
            return Ok(());
        }
    };
    let store = Store::new(backend, settings.store);
    if !settings.options.read_only {
        keep_collectors_away(&store).await?;
    }
    if settings.purge {
        let store = store.clone();
        tokio::spawn(async move { store.maintenance().await });
    }
    let notifications = match settings.notifications {
        Some(wanted) => Some(Arc::new(notifications::start(wanted, &store, address).await?)),
        None => None,
    };
    let told = notifications.clone();
    settings.options.events = told.map(|told| told as Arc<dyn EventSink>);

    greet(address, &place, &settings.options);
    let (drain, draining) = oneshot::channel();
    let service = service(store.clone(), settings.options);
    let mut serving = pin!(serve_with(settings.limits, listener, service, async {
        // The sender is never dropped unused before `serving` is.
        let _ = draining.await;
    }));
    let ended = |outcome: std::io::Result<()>| {
        outcome.map_err(|error| Failure::new(format!("cannot accept connections: {error}")))
    };
    tokio::select! {
        outcome = &mut serving => return ended(outcome),
        name = signals.next() => info!("{name}: ending; a second signal ends at once"),
    }
    let _ = drain.send(());
    let ending = async {
        let outcome = serving.await;
        finish(store.finish_detached()).await;
        if let Some(notifications) = &notifications {
            notifications.finish(TELL_TIME).await;
        }
        outcome
    };
    tokio::select! {
        outcome = ending => ended(outcome),
        name = signals.next() => Err(Failure::new(format!(
            "a second signal ({name}) came before the requests in flight were finished: they were cut"
        ))),
    }
}

/// Says, until the process ends, that it writes. Letting go of it earlier would let a collector in while something that
/// was begun is still under way.
async fn keep_collectors_away(store: &Store) -> Result<(), Failure> {
    match store.hold_off_collection().await {
        Ok(held) => mem::forget(held),
        // To read and to delete is of more use than not to start.
        Err(Error::Storage(error)) if error.kind() == ErrorKind::Full => {
            warn!(%error, "nothing keeps a collector away: do not run one beside this registry");
        }
        Err(error) => {
            return Err(Failure::new(format!("cannot keep collectors of garbage away: {error}")));
        }
    }
    Ok(())
}

/// Waits for work that outlives its request, such as a commit whose client has left; not for ever.
async fn finish(work: impl Future<Output = ()>) {
    if timeout(FINISH_TIME, work).await.is_err() {
        warn!("work that was begun is not done after {FINISH_TIME:?}: it is cut, as by a crash");
    }
}

async fn bind(wanted: &Said<Address>) -> Result<(TcpListener, SocketAddr), Failure> {
    let listen = async {
        let listener = match (wanted.value.known(), wanted.value.name()) {
            (Some(addresses), _) => TcpListener::bind(addresses.as_slice()).await?,
            (None, name) => TcpListener::bind(name.expect("it is known, or a name")).await?,
        };
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen.await.map_err(|error: std::io::Error| {
        Failure::new(format!(
            "cannot listen on {}: {error}; expected a free port at an address of this machine (see {})",
            wanted.value, wanted.by
        ))
    })
}

/// Where it is, where the data is, and what to do first.
fn greet(address: SocketAddr, place: &Place, options: &Options) {
    say(format_args!("registry listens on http://{address}"));
    say(place);
    say(format_args!("try:                {}", first_step(address, options)));
}

/// One line that works as it is.
fn first_step(address: SocketAddr, options: &Options) -> String {
    // `localhost` stands for every interface: it is one of them, and docker speaks plain HTTP to it unasked.
    let here = address.ip().is_unspecified();
    let host = if here { format!("localhost:{}", address.port()) } else { address.to_string() };
    // Clients of images know of no prefix.
    if options.read_only || !options.path_prefix.is_empty() {
        format!("curl http://{host}{}/v2/_catalog", options.path_prefix)
    } else if here || address.ip().is_loopback() {
        format!(
            "docker pull hello-world && docker tag hello-world {host}/hello && docker push {host}/hello"
        )
    } else {
        format!("skopeo copy --dest-tls-verify=false docker://hello-world docker://{host}/hello")
    }
}

/// The signals that ask the program to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_goes_on_is_waited_for_but_not_for_ever() {
        let started = Instant::now();
        finish(sleep(Duration::from_secs(3))).await;
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        finish(future::pending()).await;
        assert_eq!(started.elapsed(), Duration::from_secs(3) + FINISH_TIME);
    }
}
