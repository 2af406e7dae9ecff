//! [`TestRegistry`]: a registry in memory on a free port, for tests of clients.
//!
//! ```
//! use registry_http::testing::TestRegistry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let registry = TestRegistry::start().await;
//!
//! // What a client pushes to …
//! let url = registry.url();
//! assert!(url.starts_with("http://127.0.0.1:"));
//!
//! // … a test finds in the store, and the other way round.
//! let name = "library/hello".parse().unwrap();
//! assert!(!registry.store().repository(&name).exists().await.unwrap());
//! # }
//! ```
//!
//! A test without a runtime of its own gets one beside it:
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use std::net::TcpStream;
//!
//! use registry_http::Options;
//! use registry_http::testing::TestRegistry;
//!
//! let options = Options { read_only: true, ..Options::default() };
//! let registry = TestRegistry::builder().options(options).start_blocking();
//!
//! let mut connection = TcpStream::connect(registry.address()).unwrap();
//! let request = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
//! connection.write_all(request.as_bytes()).unwrap();
//! let mut answer = String::new();
//! connection.read_to_string(&mut answer).unwrap();
//! assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
//! ```

use std::fmt;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread;

use registry_store::backend::{Backend, MemoryBackend};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task;

use crate::options::Options;
use crate::serve::serve;
use crate::service;

/// A registry that listens on a free port of 127.0.0.1 until it is dropped; every connection ends then.
///
/// It fails by panicking, as a test does.
pub struct TestRegistry {
    address: SocketAddr,
    store: Store,
    _running: Running,
}

impl TestRegistry {
    /// An empty one, with the default options, in a task of the caller's runtime.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// An empty one, with the default options, in a thread of its own: for a test that has no runtime.
    pub fn start_blocking() -> Self {
        Self::builder().start_blocking()
    }

    /// One that is not as usual.
    pub fn builder() -> TestRegistryBuilder {
        TestRegistryBuilder::default()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, without a slash at its end: `http://127.0.0.1:41234`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is in it. To ask it anything takes a tokio runtime, which may be another one.
    pub const fn store(&self) -> &Store {
        &self.store
    }
}

impl fmt::Debug for TestRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestRegistry({})", self.url())
    }
}

/// How a [`TestRegistry`] is to be.
#[derive(Debug, Default)]
pub struct TestRegistryBuilder {
    options: Options,
    store_options: StoreOptions,
    backend: Option<Arc<dyn Backend>>,
}

impl TestRegistryBuilder {
    /// How the service behaves: an authorizer, an event sink, limits.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How the store behaves: a clock that the test moves, chance that repeats itself.
    #[must_use]
    pub fn store_options(mut self, options: StoreOptions) -> Self {
        self.store_options = options;
        self
    }

    /// Where bytes are kept, if not in memory: such as a backend that fails when it is told to.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Starts it in a task of the caller's runtime, which needs its network and its time enabled.
    ///
    /// # Panics
    ///
    /// If it cannot listen on 127.0.0.1.
    pub async fn start(self) -> TestRegistry {
        let (store, options, listener, address) = self.prepare();
        let serving = listen(store.clone(), options, listener);
        TestRegistry { address, store, _running: Running::Task(tokio::spawn(serving)) }
    }

    /// Starts it in a thread of its own.
    ///
    /// # Panics
    ///
    /// If it cannot listen on 127.0.0.1, or start a thread.
    pub fn start_blocking(self) -> TestRegistry {
        let (store, options, listener, address) = self.prepare();
        let serving = listen(store.clone(), options, listener);
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs a few file descriptors");
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        let running = Running::Thread { stop: Some(stop), thread: Some(thread) };
        TestRegistry { address, store, _running: running }
    }

    fn prepare(self) -> (Store, Options, StdListener, SocketAddr) {
        let clock = self.store_options.clock.clone();
        let backend = self.backend.unwrap_or_else(|| Arc::new(MemoryBackend::with_clock(clock)));
        let store = Store::new(backend, self.store_options);
        let listener =
            StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port");
        listener.set_nonblocking(true).expect("it is a socket");
        let address = listener.local_addr().expect("it is bound");
        (store, self.options, listener, address)
    }
}

async fn listen(store: Store, options: Options, listener: StdListener) {
    let listener = TcpListener::from_std(listener).expect("the runtime's network is enabled");
    let served = serve(listener, service(store, options), pending()).await;
    served.expect("a listener that was bound accepts");
}

/// Where it runs.
enum Running {
    Task(task::JoinHandle<()>),
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<thread::JoinHandle<()>> },
}

impl Drop for Running {
    fn drop(&mut self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Thread { stop, thread } => {
                drop(stop.take());
                // It has ended by panicking: the test has seen what came of that.
                let _ = thread.take().map(thread::JoinHandle::join);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_stops_listening_when_it_is_dropped() {
        let registry = TestRegistry::start_blocking();
        let address = registry.address();
        TcpStream::connect(address).unwrap();
        drop(registry);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
