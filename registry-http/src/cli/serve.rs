//! `registry serve`: a store on a directory, at a port.

use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use registry_http::serve::serve;
use registry_http::{Options, service};
use registry_store::backend::fs::FilesystemBackend;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Failure, data_directory, say, upload_secret};

/// How long work is waited for that goes on when the requests in flight have been answered.
const FINISH_TIME: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one, 0.0.0.0 listens on every interface
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5000", value_parser = address)]
    addr: SocketAddr,

    /// Directory that keeps the data; made if it is not there
    #[arg(long, value_name = "DIRECTORY", default_value = "registry-data")]
    root: PathBuf,

    /// Serve what is there, and refuse pushes and deletes
    #[arg(long)]
    read_only: bool,

    /// File with the http.secret of a Distribution that serves the same data: then either finishes what the other
    /// began to upload. Without the flag the environment variable REGISTRY_HTTP_SECRET holds it: every character of
    /// it, where Distribution reads the variable as YAML and leaves out quotes around it and comments
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Serves until a signal comes.
///
/// Order: what is asked for is looked at → the address is ours → the data directory, made if it was not there. So a
/// start that fails at its flags, its secret or its address leaves nothing behind.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let upload_secret = upload_secret::find(arguments.secret_file.as_deref())?;
    let options = Options { read_only: arguments.read_only, upload_secret, ..Options::default() };
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(serve_until_told(arguments, options));
    // Shut down, it would drop what still runs, and let go of locks between processes while a system call that was
    // made under one is still under way. The end of the process ends all of it together.
    mem::forget(runtime);
    outcome
}

async fn serve_until_told(arguments: &Arguments, options: Options) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let (listener, address) = bind(arguments.addr).await?;
    let root = if arguments.read_only {
        data_directory::readable(&arguments.root)?
    } else {
        data_directory::writable(&arguments.root)?
    };
    let backend = FilesystemBackend::open(&root).map_err(|error| {
        Failure::new(format!("cannot open the data in {}: {error}", root.display()))
    })?;
    let store = Store::new(Arc::new(backend), StoreOptions::default());
    if !arguments.read_only {
        let store = store.clone();
        tokio::spawn(async move { store.maintenance().await });
    }

    greet(address, &root, arguments.read_only);
    let (drain, draining) = oneshot::channel();
    let mut serving = pin!(serve(listener, service(store.clone(), options), async {
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
        outcome
    };
    tokio::select! {
        outcome = ending => ended(outcome),
        name = signals.next() => Err(Failure::new(format!(
            "a second signal ({name}) came before the requests in flight were finished: they were cut"
        ))),
    }
}

/// Waits for work that outlives its request, such as a commit whose client has left; not for ever.
async fn finish(work: impl Future<Output = ()>) {
    if timeout(FINISH_TIME, work).await.is_err() {
        warn!("work that was begun is not done after {FINISH_TIME:?}: it is cut, as by a crash");
    }
}

async fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listen = async {
        let listener = TcpListener::bind(wanted).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen.await.map_err(|error: std::io::Error| {
        Failure::new(format!(
            "cannot listen on {wanted}: {error}; expected a free port at an address of this machine \
             (see --addr)"
        ))
    })
}

/// Where it is, where the data is, and what to do first.
fn greet(address: SocketAddr, root: &Path, read_only: bool) {
    say(format_args!("registry listens on http://{address}"));
    say(format_args!("data directory:     {}", root.display()));
    say(format_args!("try:                {}", first_step(address, read_only)));
}

/// One line that works as it is.
fn first_step(address: SocketAddr, read_only: bool) -> String {
    // `localhost` stands for every interface: it is one of them, and docker speaks plain HTTP to it unasked.
    let here = address.ip().is_unspecified();
    let host = if here { format!("localhost:{}", address.port()) } else { address.to_string() };
    if read_only {
        format!("curl http://{host}/v2/_catalog")
    } else if here || address.ip().is_loopback() {
        format!(
            "docker pull hello-world && docker tag hello-world {host}/hello && docker push {host}/hello"
        )
    } else {
        format!("skopeo copy --dest-tls-verify=false docker://hello-world docker://{host}/hello")
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:5000, 0.0.0.0:5000 or [::1]:5000"
            .to_owned()
    })
}

/// The signals that ask the program to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
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
