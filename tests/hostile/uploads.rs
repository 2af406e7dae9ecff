//! Uploads begun and left, in great numbers: each costs its place in the storage until it expires, and nothing else.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use registry_http::Options;
use registry_http::serve::Limits;
use registry_store::options::StoreOptions;
use registry_tests::child::PATIENCE;
use registry_tests::plain_http::connect;
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::world::TestClock;
use tempfile::TempDir;

use crate::registry::{Registry, answer, begin, offset, serves_pushes};

/// 500 of them; as many as `HOSTILE_UPLOADS` says, where it does. What is remembered of their directories has a bound
/// of its own.
#[test]
fn uploads_begun_and_left_take_bounded_memory() {
    const AT_ONCE: usize = 100;
    // In KiB: measured is 0.7 for each, until 16,384 directories are remembered.
    const EACH: usize = 2;
    const ALL: usize = 16 << 10;
    let count = std::env::var("HOSTILE_UPLOADS").map_or(500, |count| count.parse().unwrap());
    let root = in_memory();
    let mut command = Command::new(program());
    command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root.path());
    let registry = RegistryProcess::greeted(command.env("MALLOC_ARENA_MAX", "1"));
    let mut stream = connect(registry.address());
    let post = "POST /v2/left/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let mut begin = |count: usize| {
        for _ in 0..count / AT_ONCE {
            stream.write_all(post.repeat(AT_ONCE).as_bytes()).unwrap();
            for _ in 0..AT_ONCE {
                assert_eq!(answer(&mut stream).status, 202);
            }
        }
    };
    begin(AT_ONCE);
    let before = registry.peak_memory();
    begin(count);
    let memory = registry.peak_memory() - before;
    // What a hundred answers at once take is not theirs.
    assert!(memory <= 512 + ALL.min(EACH * count) as u64, "{memory} KiB");
    serves_pushes(registry.address(), "beside them");
}

/// Where many small files are made and removed quickly.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

#[test]
fn uploads_left_in_the_middle_hold_no_descriptor_and_expire() {
    const COUNT: usize = 50;
    let clock = Arc::new(TestClock::default());
    let options = StoreOptions { clock: clock.clone(), ..StoreOptions::default() };
    let expiry = options.upload_expiry;
    let registry = Registry::with_store(Limits::default(), Options::default(), options);
    let before = registry.files();
    let left: Vec<_> = (0..COUNT)
        .map(|_| {
            let location = begin(registry.address, "left");
            let mut stream = registry.connect();
            write!(
                stream,
                "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
            )
            .unwrap();
            (location, stream)
        })
        .collect();
    registry.serves_others("while they stand still");
    let left: Vec<_> = left.into_iter().map(|(location, _)| location).collect();
    let deadline = Instant::now() + PATIENCE;
    while registry.open_files() > 0 {
        assert!(Instant::now() < deadline, "files stay open");
        thread::yield_now();
    }
    for location in &left {
        assert_eq!(offset(registry.address, location), 3);
    }
    assert_eq!(registry.open_files(), 0);

    clock.advance(expiry / 2);
    registry.block_on(registry.store.purge_uploads(expiry)).unwrap();
    assert_eq!(offset(registry.address, &left[0]), 3, "not before its time");
    clock.advance(expiry / 2 + Duration::from_secs(1));
    registry.block_on(registry.store.purge_uploads(expiry)).unwrap();
    let found = registry.files();
    let of_uploads = |file: &&std::path::PathBuf| file.to_string_lossy().contains("_uploads");
    assert_eq!(found.difference(&before).find(of_uploads), None);
    registry.serves_others("after they expired");
}
