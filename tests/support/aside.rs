//! A runtime beside those of tests, for what outlives one of them, or stands still in none.

use std::sync::LazyLock;
use std::thread;

use tokio::runtime::{Builder, Runtime};

static ASIDE: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("threads can be started")
});

/// Runs a future there and waits for it, from anywhere, within another runtime too.
pub fn wait_for<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let waiting = thread::spawn(|| ASIDE.block_on(future));
    waiting.join().expect("what is waited for does not panic")
}
