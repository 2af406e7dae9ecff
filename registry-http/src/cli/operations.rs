//! What operators see and order: the log of requests, metrics, health, and the servers that are theirs.
#![expect(
    clippy::disallowed_methods,
    reason = "reads a secret at start, and looks for the files of checks"
)]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use registry_http::access_log::{AccessLog, Form};
use registry_http::config::{self, Address, Configuration, Formatter, Log, Rhythm};
use registry_http::debug::{DebugService, Operated};
use registry_http::health::http::HttpProbe;
use registry_http::health::{Check, Gate, Health, Probe, StorageProbe, Suspicion, TcpProbe};
use registry_http::metrics::{self, Figures, Kind, Metrics};
use registry_http::notifications::Notifications;
use registry_http::observe::{Observe, Observer};
use registry_http::peer::Peer;
use registry_http::registryctl::Registryctl;
use registry_http::serve::{Limits, serve_with};
use registry_http::{Options, ReadOnlySwitch, RegistryService, service};
use registry_store::backend::s3::{RequestCounts, S3Backend};
use registry_store::backend::{Backend, BackendObserver, ObservedBackend};
use registry_store::store::Store;
use tokio::net::TcpListener;
use tower::Service;
use tracing::{error, info};

use super::lines::Lines;
use super::said::Said;
use super::traces::{self, Traces};
use super::{Failure, process, upload_secret};

/// The variable in which Harbor gives the secret.
const SECRET: &str = "JOBSERVICE_SECRET";

/// How many connections a server for operators has at most: descriptors are for clients.
const CONNECTIONS_BESIDE: usize = 64;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    log: Log,
    health: config::Health,
    /// Where the debug server is.
    debug: Option<Said<Address>>,
    /// Where metrics are on it.
    metrics: Option<String>,
    registryctl: Option<Said<Address>>,
    secret_file: Option<PathBuf>,
}

impl Wanted {
    /// What a configuration asks for; `by` says where the value of a key comes from.
    pub(super) fn of(configuration: &Configuration, by: impl Fn(&str) -> String) -> Self {
        let said = |address: &Option<Address>, key: &str| {
            address.clone().map(|value| Said { value, by: by(key) })
        };
        Self {
            log: configuration.log.clone(),
            health: configuration.health.clone(),
            debug: said(&configuration.debug.address, "http.debug.addr"),
            metrics: configuration.debug.metrics.clone(),
            registryctl: said(&configuration.registryctl.address, "registryctl.addr"),
            secret_file: configuration.registryctl.secret_file.clone(),
        }
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }
}

/// All of it, before the storage is open: the addresses are ours, and secrets are read.
pub(super) struct Operations {
    wanted: Wanted,
    debug: Option<TcpListener>,
    registryctl: Option<(TcpListener, Vec<u8>)>,
    /// Where the access log goes.
    lines: Option<Lines>,
    /// Where the log goes.
    log: Lines,
    metrics: Arc<Metrics>,
    health: Health,
    suspicion: Suspicion,
    read_only: ReadOnlySwitch,
}

/// One of the counts of requests.
type Count = fn(&RequestCounts) -> u64;

/// The service as it is served.
pub(super) type Served = Observe<Gate<RegistryService>>;

impl Operations {
    /// `driver` is what the storage is called in metrics, `log` where the log goes.
    pub(super) async fn prepare(
        wanted: Wanted,
        driver: &'static str,
        options: &Options,
        log: &Lines,
    ) -> Result<Self, Failure> {
        let debug = match &wanted.debug {
            Some(address) => Some(bind(address, "the debug server").await?),
            None => None,
        };
        let registryctl = match &wanted.registryctl {
            Some(address) => {
                let secret = secret(wanted.secret_file.as_ref())?;
                Some((bind(address, "registryctl").await?, secret))
            }
            None => None,
        };
        let access_log = wanted.log.access_log.then(|| Lines::to_stdout("access log"));
        let lines = access_log.transpose()?;
        Ok(Self {
            wanted,
            debug,
            registryctl,
            lines,
            log: log.clone(),
            metrics: Arc::new(Metrics::new(driver)),
            health: Health::default(),
            suspicion: Suspicion::default(),
            read_only: options.read_only_switch.clone(),
        })
    }

    /// The storage, whose calls are counted.
    pub(super) fn watch(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        let metrics = Arc::clone(&self.metrics) as Arc<dyn BackendObserver>;
        let observers = vec![metrics, Arc::new(self.suspicion.clone())];
        Arc::new(ObservedBackend::new(backend, observers))
    }

    /// Has metrics tell of what became of traces.
    pub(super) fn tell_of_traces(&self, traces: &Traces) {
        self.metrics.add_source(traces::figures(traces));
    }

    /// Has metrics tell of what is sent to a bucket's server: names of operations are those of the backend.
    pub(super) fn tell_of(&self, bucket: Option<S3Backend>) {
        let Some(bucket) = bucket else { return };
        self.metrics.add_source(Box::new(move |figures: &mut Figures| {
            let requests = bucket.requests();
            let of: [(&str, &str, Count); 4] = [
                ("registry_s3_requests_total", "Requests sent to S3, each try one.", |it| it.sent),
                ("registry_s3_retries_total", "Those sent again.", |it| it.retries),
                ("registry_s3_throttled_total", "Those that S3 asked to slow down for.", |it| {
                    it.throttled
                }),
                (
                    "registry_s3_failures_total",
                    "Requests given up, or of what is not there.",
                    |it| it.failed,
                ),
            ];
            for (name, help, count) in of {
                figures.metric(name, Kind::Counter, help);
                for (operation, counts) in &requests {
                    figures.sample(name, &[("operation", operation)], count(counts));
                }
            }
        }));
    }

    /// The registry's service with all that is around it. Begins what goes on beside it.
    pub(super) fn start(
        self,
        store: &Store,
        options: Options,
        notifications: Option<Arc<Notifications>>,
    ) -> Result<(Served, Ended), Failure> {
        let may_write = !options.read_only;
        if !may_write {
            self.read_only.set(true);
        }
        let prefix = options.path_prefix.clone();
        let (suspicion, read_only) = (self.suspicion.clone(), self.read_only.clone());
        let storage = StorageProbe::new(store.clone(), suspicion, read_only, may_write);
        // That writing is refused closes it to nobody who pulls.
        self.begin_checks(&storage.of_pulls())?;
        self.add_figures(store, notifications);
        let observers = self.observers();
        let ended = Ended(self.lines);
        if let Some(listener) = self.debug {
            say("the debug server listens", &listener);
            let metrics = self.metrics;
            let text = Arc::new(move || metrics.text());
            let operated = Operated {
                health: self.health.clone(),
                storage: Arc::new(storage),
                metrics: self.wanted.metrics.map(|path| (path, text as _)),
                read_only: self.read_only.clone(),
                is_always_read_only: options.read_only,
            };
            tokio::spawn(serve_beside(listener, DebugService::new(operated)));
        }
        if let Some((listener, secret)) = self.registryctl {
            say("registryctl listens", &listener);
            let service = Registryctl::new(store.clone(), &secret, self.read_only)
                .expect("that it is not empty was looked at when it was read");
            // Its requests are about nothing that metrics know. They have ids and lines as the others.
            let service = Observe::new(service, observers.clone(), store, "", peer);
            tokio::spawn(serve_beside(listener, service));
        }
        let service = Gate::new(service(store.clone(), options), self.health);
        Ok((Observe::new(service, observers, store, prefix, peer), ended))
    }

    fn observers(&self) -> Vec<Arc<dyn Observer>> {
        let mut observers: Vec<Arc<dyn Observer>> = vec![Arc::clone(&self.metrics) as _];
        if let Some(lines) = self.lines.clone() {
            let form = match self.wanted.log.formatter {
                Formatter::Text => Form::Combined,
                Formatter::Json | Formatter::Logstash => Form::Json(self.wanted.log.fields.clone()),
            };
            let sink = Arc::new(move |line: String| lines.put(format!("{line}\n").into_bytes()));
            observers.push(Arc::new(AccessLog::new(form, sink)));
        }
        observers
    }

    fn add_figures(&self, store: &Store, notifications: Option<Arc<Notifications>>) {
        self.metrics.add_source(metrics::of_build());
        self.metrics.add_source(metrics::of_damage(store.clone()));
        if let Some(notifications) = notifications {
            self.metrics.add_source(metrics::of_notifications(notifications));
        }
        self.metrics.add_source(process::figures(store.options().clock.now()));
        let switch = self.read_only.clone();
        let (lines, log) = (self.lines.clone(), self.log.clone());
        self.metrics.add_source(Box::new(move |figures: &mut Figures| {
            let help = "Nothing can be written: switched at the debug server.";
            let on = u8::from(switch.is_on());
            figures.single("registry_read_only", Kind::Gauge, help, on);
            if let Some(lines) = &lines {
                let name = "registry_access_log_dropped_total";
                let help = "Lines of the access log that standard output did not take.";
                figures.single(name, Kind::Counter, help, lines.lost());
            }
            let help = "Lines of the log that standard error did not take.";
            figures.single("registry_log_dropped_total", Kind::Counter, help, log.lost());
        }));
    }

    fn begin_checks(&self, storage: &StorageProbe) -> Result<(), Failure> {
        let config::Health { storage: wanted, files, http, tcp } = self.wanted.health.clone();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut begin = |name: String, rhythm: Rhythm, probe: Box<dyn Probe>| {
            let Rhythm { interval, timeout, threshold } = rhythm;
            // Failures are kept by name: two of one name would take back each other's.
            let count = known.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
            let name = if *count > 1 { format!("{name} #{count}") } else { name };
            let check = Check { name, interval, patience: timeout, threshold, probe };
            tokio::spawn(self.health.clone().watch(check));
        };
        if let Some(rhythm) = wanted {
            begin("storagedriver".to_owned(), rhythm, Box::new(storage.clone()));
        }
        for (path, rhythm) in files {
            begin(path.display().to_string(), rhythm, Box::new(NoFile(path)));
        }
        for (address, rhythm) in tcp {
            begin(address.clone(), rhythm, Box::new(TcpProbe::new(address)));
        }
        for check in http {
            // Without what may be a password.
            let host = check.uri.host().unwrap_or_default();
            let port = check.uri.port().map(|port| format!(":{port}")).unwrap_or_default();
            let name = format!("{}://{host}{port}", check.uri.scheme_str().unwrap_or_default());
            let probe = HttpProbe::new(check.uri, check.headers, check.status)
                .map_err(|error| Failure::new(format!("health.http: {error}")))?;
            begin(name, check.rhythm, Box::new(probe));
        }
        Ok(())
    }
}

/// What is left to do when the last answer has been sent.
pub(super) struct Ended(Option<Lines>);

impl Ended {
    pub(super) fn finish(&self) {
        if let Some(lines) = &self.0 {
            lines.finish();
        }
    }
}

/// Who is at the other end of a connection.
fn peer(extensions: &Extensions) -> Option<String> {
    extensions.get::<Peer>().map(ToString::to_string)
}

/// Fails while there is such a file, as in Distribution: an operator makes it, to take the registry out of service.
struct NoFile(PathBuf);

#[async_trait]
impl Probe for NoFile {
    async fn probe(&self) -> Result<(), String> {
        match fs::symlink_metadata(&self.0) {
            Ok(_) => Err("file exists".to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("cannot look for the file: {error}")),
        }
    }
}

fn secret(file: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    if let Some(file) = file {
        return upload_secret::read(file, "registryctl.secretfile");
    }
    let secret = env::var_os(SECRET).unwrap_or_default().into_encoded_bytes();
    if secret.is_empty() {
        return Err(Failure::new(format!(
            "registryctl: expected a secret in registryctl.secretfile or in the variable {SECRET}, found none"
        )));
    }
    Ok(secret)
}

async fn bind(wanted: &Said<Address>, what: &str) -> Result<TcpListener, Failure> {
    let listening = match (wanted.value.known(), wanted.value.name()) {
        (Some(addresses), _) => TcpListener::bind(addresses.as_slice()).await,
        (None, name) => TcpListener::bind(name.expect("it is known, or a name")).await,
    };
    listening.map_err(|error| {
        Failure::new(format!(
            "{what} cannot listen on {}: {error}; expected a free port at an address of this machine (see {})",
            wanted.value, wanted.by
        ))
    })
}

fn say(what: &str, listener: &TcpListener) {
    let address = listener.local_addr().ok().as_ref().map(SocketAddr::to_string);
    info!("{what} on http://{}", address.unwrap_or_default());
}

/// Serves until the program ends.
async fn serve_beside<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limits = Limits { connections: Some(CONNECTIONS_BESIDE), ..Limits::default() };
    if let Err(error) = serve_with(limits, listener, service, pending()).await {
        error!(%error, "a server for operators has ended");
    }
}
