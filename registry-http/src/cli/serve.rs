//! `registry serve`: a store at a port.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::mem;
use std::panic;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use registry_http::Options;
use registry_http::events::EventSink;
use registry_http::serve::Server;
use registry_http::serve::tls::{Tls, TlsOptions};
use registry_store::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::configured::{Configured, Live};
use super::flags::Flags;
use super::lines::Lines;
use super::listening::{self, At, Inherited, Listening};
use super::logging::Level;
use super::operations::Operations;
use super::reload::{self, Reload};
use super::said::Said;
use super::settings::{self, Settings};
use super::storage::{self, Opened, Place, Purpose};
use super::traces::Traces;
use super::{Failure, access, authentication, logging, notifications, say};

/// How long work is waited for that goes on when the requests in flight have been answered.
const FINISH_TIME: Duration = Duration::from_secs(10);

/// How long endpoints are still told what is in their queues, if they take it, and a collector is sent traces.
const TELL_TIME: Duration = Duration::from_secs(5);
/// How often it is looked whether the files of certificates have changed.
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(5);

/// What can be said of serving.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Distribution's config.yml, read as it is; what it does not say has Distribution's defaults
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: Flags,
}

/// Serves until a signal comes. From where it logs on, a thread of its own writes to standard error, the failure too.
///
/// Order: sockets that were handed over are taken, while there is one thread → what is asked for is looked at, and users,
/// keys and certificates are read → the address is ours → the storage is opened, a directory made if it was not there. So
/// a start that fails at its settings, its secret or its address leaves nothing behind.
pub(super) fn run(file: Option<&Path>, flags: &Flags) -> Result<(), Failure> {
    let inherited = Inherited::take();
    raise_limit_of_files();
    let settings = settings::settle(file, flags)?;
    let log = Lines::to_stderr("log")?;
    let lines = log.clone();
    let writer = BoxMakeWriter::new(move || lines.clone());
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let traces = Traces::by_environment(runtime.handle().clone());
    let collected = traces.as_ref().ok().and_then(Option::as_ref);
    let level = logging::to_stderr(settings.operations.log(), writer, collected)?;
    tell_of_panics(log.clone());
    let traces = traces.unwrap_or_else(|error| {
        warn!("there are no traces: {error}");
        None
    });
    let outcome = serve(settings, level, traces, inherited, &log, runtime);
    if let Err(failure) = &outcome {
        log.put(failure.line().into_bytes());
    }
    log.finish();
    outcome.map_err(|failure| failure.said())
}

/// Has panics told of with what is logged, as standard error may take nothing.
fn tell_of_panics(log: Lines) {
    panic::set_hook(Box::new(move |panic| {
        let trace = Backtrace::capture();
        let trace = if trace.status() == BacktraceStatus::Captured {
            format!("{trace}\n")
        } else {
            String::new()
        };
        log.put(format!("registry: {panic}\n{trace}").into_bytes());
        // The program ends with it.
        if thread::current().name() == Some("main") {
            log.finish();
        }
    }));
}

fn serve(
    mut settings: Settings,
    level: Level,
    traces: Option<Traces>,
    inherited: Inherited,
    log: &Lines,
    runtime: Runtime,
) -> Result<(), Failure> {
    for warning in &settings.loaded.warnings {
        warn!("{warning}");
    }
    let mut policy = None;
    if let Some(wanted) = &settings.access {
        let guard = access::guard(wanted, settings.auth.as_ref(), &settings.store)?;
        settings.options.authorizer = Some(guard.authorizer);
        settings.options.tokens = guard.tokens;
        policy = Some(guard.policy);
    } else if let Some(auth) = &settings.auth {
        let authorizer = authentication::authorizer(auth, &settings.store)?;
        settings.options.authorizer = Some(authorizer);
    }
    let switch = settings.options.read_only_switch.clone();
    let read_only = Some(switch).filter(|_| !settings.options.read_only);
    let live = Live { level, read_only, policy };
    let outcome = runtime.block_on(serve_until_told(settings, live, traces, inherited, log));
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

async fn serve_until_told(
    mut settings: Settings,
    live: Live,
    traces: Option<Traces>,
    inherited: Inherited,
    log: &Lines,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let hangup = reload::hangup()?;
    let mut reloads: Vec<Arc<dyn Reload>> = Vec::new();
    if let Some(file) = settings.file {
        reloads.push(Arc::new(Configured::new(file, settings.loaded, live)));
    }
    let tls = settings.tls.as_ref().map(load_tls).transpose()?;
    if let Some(tls) = &tls {
        reloads.push(Arc::new(Certificates(tls.clone())));
        tokio::spawn(tls.clone().watch(LOOK_AT_CERTIFICATES));
    }
    tokio::spawn(reload::at_each(hangup, reloads));
    let Listening { sockets, at, file: _file } =
        listening::listen(&settings.place, inherited).await?;
    let driver = settings.data.driver();
    let operations =
        Operations::prepare(settings.operations, driver, &settings.options, log).await?;
    let purpose = if settings.options.read_only { Purpose::ReadOnly } else { Purpose::Serve };
    let opening = storage::open(settings.data, purpose);
    let Opened { backend, place, bucket } = tokio::select! {
        opened = opening => opened?,
        // A server of S3 may be waited for.
        name = signals.next() => {
            info!("{name}: ending before the storage was open");
            return Ok(());
        }
    };
    operations.tell_of(bucket);
    if let Some(traces) = &traces {
        operations.tell_of_traces(traces);
    }
    let store = Store::new(operations.watch(backend), settings.store);
    if !settings.options.read_only {
        keep_collectors_away(&store).await?;
    }
    if settings.purge {
        let store = store.clone();
        tokio::spawn(async move { store.maintenance().await });
    }
    let notifications = match settings.notifications {
        Some(wanted) => Some(Arc::new(notifications::start(wanted, &store, &at).await?)),
        None => None,
    };
    let told = notifications.clone();
    settings.options.events = told.map(|told| told as Arc<dyn EventSink>);

    greet(&at, tls.is_some(), &place, &settings.options);
    let (drain, draining) = oneshot::channel();
    let (service, operations_ended) =
        operations.start(&store, settings.options, notifications.clone())?;
    let server = Server { limits: settings.limits, h2c: settings.h2c, tls };
    let mut serving = pin!(server.serve(sockets, service, async {
        // The sender is never dropped unused before `serving` is.
        let _ = draining.await;
    }));
    tokio::select! {
        outcome = &mut serving => {
            return outcome.map_err(|error| Failure::new(format!("cannot accept connections: {error}")));
        }
        name = signals.next() => info!("{name}: ending; a second signal ends at once"),
    }
    let _ = drain.send(());
    let ending = async {
        let outcome = serving.await;
        finish(store.finish_detached()).await;
        if let Some(notifications) = &notifications {
            notifications.finish(TELL_TIME).await;
        }
        operations_ended.finish();
        if let Some(traces) = traces {
            // It fails only if the runtime ends, and the program with it.
            let _ = spawn_blocking(move || traces.finish(TELL_TIME)).await;
        }
        outcome
    };
    tokio::select! {
        outcome = ending => outcome.map_err(|error| Failure::new(format!("http.draintimeout: {error}"))),
        name = signals.next() => Err(Failure::new(format!(
            "a second signal ({name}) came before the requests in flight were finished: they were cut"
        ))),
    }
}

/// Says, until the process ends, that it writes. Letting go of it earlier would let a collector in while something that
/// was begun is still under way.
async fn keep_collectors_away(store: &Store) -> Result<(), Failure> {
    let held = store.hold_off_collection().await.map_err(|error| {
        Failure::new(format!("cannot keep collectors of garbage away: {error}"))
    })?;
    mem::forget(held);
    Ok(())
}

fn load_tls(wanted: &Said<TlsOptions>) -> Result<Tls, Failure> {
    let tls = Tls::load(wanted.value.clone());
    tls.map_err(|error| Failure::new(format!("no TLS: {error} (see {})", wanted.by)))
}

/// Those of TLS.
struct Certificates(Tls);

impl Reload for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn reload(&self) -> Result<String, String> {
        let has_changed = self.0.reload().map_err(|error| error.to_string())?;
        Ok(if has_changed { "read again, and in force" } else { "as before" }.to_owned())
    }
}

/// Waits for work that outlives its request, such as a commit whose client has left; not for ever.
async fn finish(work: impl Future<Output = ()>) {
    if timeout(FINISH_TIME, work).await.is_err() {
        warn!("work that was begun is not done after {FINISH_TIME:?}: it is cut, as by a crash");
    }
}

/// Where it is, where the data is, and what to do first.
fn greet(at: &At, tls: bool, place: &Place, options: &Options) {
    let scheme = if tls { "https" } else { "http" };
    match at {
        At::Port(address) => say(format_args!("registry listens on {scheme}://{address}")),
        At::Socket(path) => {
            say(format_args!("registry listens on {scheme}+unix:{}", path.display()));
        }
    }
    say(place);
    say(format_args!("try:                {}", first_step(at, tls, options)));
}

/// One line that works as it is; with TLS, where the certificate is known.
fn first_step(at: &At, tls: bool, options: &Options) -> String {
    let scheme = if tls { "https" } else { "http" };
    let catalog = format!("{}/v2/_catalog", options.path_prefix);
    let address = match at {
        At::Port(address) => address,
        At::Socket(path) => {
            let path = path.display();
            return format!("curl --unix-socket {path} {scheme}://localhost{catalog}");
        }
    };
    // `localhost` stands for every interface: it is one of them, and docker speaks plain HTTP to it unasked.
    let here = address.ip().is_unspecified();
    let host = if here { format!("localhost:{}", address.port()) } else { address.to_string() };
    // Clients of images know of no prefix.
    if options.read_only || !options.path_prefix.is_empty() {
        format!("curl {scheme}://{host}{catalog}")
    } else if tls {
        format!("skopeo copy docker://hello-world docker://{host}/hello")
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
