//! Upload sessions that go back and forth between the program and Debian's Distribution, on the same data.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use registry_store::digest::Digest;
use registry_tests::child::PATIENCE;
use registry_tests::peers::Distribution;
use registry_tests::plain_http::connect;
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::tree::Tree;
use tempfile::TempDir;

use crate::exchange::{Body, ask, expect};
use crate::upload::{OCTETS, Upload, codes, noise, serve, uploads};

/// The program and Distribution on one directory, with one secret.
struct Both {
    registry: RegistryProcess,
    distribution: Distribution,
    root: TempDir,
}

impl Both {
    fn start() -> Self {
        let root = TempDir::new().unwrap();
        let registry = registry_with_secret(root.path(), "shared");
        Self { registry, distribution: Distribution::start(root.path()), root }
    }

    fn ours(&self) -> SocketAddr {
        self.registry.address()
    }

    fn theirs(&self) -> SocketAddr {
        self.distribution.address()
    }

    /// Both serve exactly this, and nothing is left of an upload.
    #[track_caller]
    fn serve(&self, digest: &Digest, content: &[u8]) {
        serve([self.ours(), self.theirs()], digest, content);
        let left = Tree::read(&uploads(self.root.path()));
        assert!(left.files.is_empty(), "{:?}", left.files.keys());
    }
}

fn registry_with_secret(root: &Path, secret: &str) -> RegistryProcess {
    RegistryProcess::greeted(registry(root).env("REGISTRY_HTTP_SECRET", secret))
}

fn registry(root: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root);
    command
}

#[test]
fn an_upload_goes_back_and_forth_and_ends_at_either() {
    let both = Both::start();
    let sides = [both.ours(), both.theirs()];
    // Few of the offsets they add up to are those of a block of the hash.
    let lengths = [1, 63, 64, 100, 4096, 70_001, 0, 5, 1 << 20, 33];
    let mut seed = 0;
    for (first, last) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for turns in [1, 2, 3] {
            seed += 1;
            let content = noise(seed, lengths.iter().sum());
            let mut rest = content.as_slice();
            let mut upload = Upload::begin(sides[first]);
            for (number, length) in lengths.into_iter().enumerate() {
                let (part, behind) = rest.split_at(length);
                rest = behind;
                // Several parts to one side, then several to the other.
                let side = sides[(first + number / turns) % 2];
                let chunked = (number + seed as usize).is_multiple_of(2);
                let body = if chunked { Body::Chunked(part) } else { Body::Whole(part) };
                upload.append(side, body);
                if number % 3 == 0 {
                    upload.look(sides[(number / 3) % 2]);
                }
            }
            let tail = noise(seed + 100, seed as usize * 31);
            let body = if turns == 2 { Body::Chunked(&tail) } else { Body::Whole(&tail) };
            let (digest, sent) = upload.finish(sides[last], body);
            assert!(sent == [content, tail].concat());
            both.serve(&digest, &sent);
        }
    }
}

#[test]
fn an_upload_of_nothing_but_a_last_part_is_finished_by_the_other() {
    let both = Both::start();
    for (number, [begins, ends]) in
        [[both.ours(), both.theirs()], [both.theirs(), both.ours()]].into_iter().enumerate()
    {
        let content = noise(number as u64, 100_003);
        let (digest, sent) = Upload::begin(begins).finish(ends, Body::Whole(&content));
        both.serve(&digest, &sent);
        let mut upload = Upload::begin(begins);
        upload.append(begins, Body::Chunked(&content[1..]));
        let (digest, sent) = upload.finish(ends, Body::NOTHING);
        both.serve(&digest, &sent);
        // Nothing at all is a blob too.
        let (digest, sent) = Upload::begin(begins).finish(ends, Body::NOTHING);
        both.serve(&digest, &sent);
    }
}

#[test]
fn an_upload_hashed_otherwise_here_is_finished_by_distribution() {
    let both = Both::start();
    let content = noise(1, 200_001);
    let mut upload = Upload::begin_with(both.ours(), "?digest-algorithm=sha512");
    upload.append(both.ours(), Body::Whole(&content[..1001]));
    upload.append(both.theirs(), Body::Whole(&content[1001..70_000]));
    upload.append(both.ours(), Body::Chunked(&content[70_000..]));
    let (digest, sent) = upload.finish(both.theirs(), Body::NOTHING);
    both.serve(&digest, &sent);
}

#[test]
fn an_upload_that_one_cancels_is_gone_at_the_other() {
    let both = Both::start();
    for (begins, cancels) in [
        (both.ours(), both.theirs()),
        (both.theirs(), both.ours()),
        (both.ours(), both.ours()),
        (both.theirs(), both.theirs()),
    ] {
        let mut upload = Upload::begin(begins);
        upload.append(begins, Body::Whole(&noise(1, 1001)));
        upload.append(cancels, Body::Whole(&noise(2, 1001)));
        expect(204, ask(cancels, "DELETE", &upload.location, "", Body::NOTHING));
        for address in [both.ours(), both.theirs()] {
            for (method, query) in [
                ("GET", String::new()),
                ("PATCH", String::new()),
                ("PUT", format!("&digest={}", Digest::sha256(&upload.sent))),
                ("DELETE", String::new()),
            ] {
                let url = format!("{}{query}", upload.location);
                let answer = expect(404, ask(address, method, &url, OCTETS, Body::NOTHING));
                assert_eq!(codes(&answer), ["BLOB_UPLOAD_UNKNOWN"], "{method}");
            }
        }
    }
}

#[test]
fn what_distribution_had_received_when_it_was_killed_is_gone_on_from_here() {
    let both = Both::start();
    let content = noise(1, 1 << 20);
    let mut upload = Upload::begin(both.theirs());
    upload.append(both.theirs(), Body::Whole(&content[..1001]));

    let (received, open) =
        received_of_a_body_that_stalls(both.theirs(), &upload, &content, both.root.path());
    let Both { registry, distribution, root } = both;
    drop(distribution);
    drop(open);

    let answer = expect(204, ask(registry.address(), "GET", &upload.location, "", Body::NOTHING));
    let received = at_least(received, answer.header("range").unwrap());
    upload.sent = content[..received].to_vec();
    upload.go_on_from(&answer);
    upload.append(registry.address(), Body::Chunked(&content[received..900_000]));
    // The next one to start finds it as if nothing had happened.
    let distribution = Distribution::start(root.path());
    upload.append(distribution.address(), Body::Whole(&content[900_000..]));
    let (digest, sent) = upload.finish(registry.address(), Body::NOTHING);
    assert!(sent == content);
    Both { registry, distribution, root }.serve(&digest, &sent);
}

#[test]
fn what_registry_had_received_when_it_was_killed_is_finished_by_distribution() {
    let both = Both::start();
    let content = noise(1, 1 << 20);
    let mut upload = Upload::begin(both.ours());
    upload.append(both.ours(), Body::Whole(&content[..1001]));

    let (received, open) =
        received_of_a_body_that_stalls(both.ours(), &upload, &content, both.root.path());
    let Both { registry, distribution, root } = both;
    drop(registry);
    drop(open);

    // Distribution takes no address with another offset than the session's, so the new one comes from here.
    let registry = registry_with_secret(root.path(), "shared");
    let answer = expect(204, ask(registry.address(), "GET", &upload.location, "", Body::NOTHING));
    let received = at_least(received, answer.header("range").unwrap());
    upload.sent = content[..received].to_vec();
    upload.go_on_from(&answer);
    upload.append(distribution.address(), Body::Chunked(&content[received..900_000]));
    let (digest, sent) = upload.finish(distribution.address(), Body::Whole(&content[900_000..]));
    assert!(sent == content);
    Both { registry, distribution, root }.serve(&digest, &sent);
}

/// Sends a part of a PATCH, waits until bytes of it lie in the session, and leaves it open. How long the session
/// was then.
fn received_of_a_body_that_stalls(
    at: SocketAddr,
    upload: &Upload,
    content: &[u8],
    root: &Path,
) -> (usize, TcpStream) {
    let before = upload.sent.len();
    let target = upload.location.trim_start_matches(&format!("http://{at}"));
    let mut stream = connect(at);
    let head = format!(
        "PATCH {target} HTTP/1.1\r\nHost: {at}\r\nContent-Length: {}\r\nContent-Type: {OCTETS}\r\n\r\n",
        content.len() - before
    );
    stream.write_all(head.as_bytes()).unwrap();
    // More than anybody keeps in memory before it is written, and less than what is gone on to afterwards: all of it may be.
    stream.write_all(&content[before..800_000]).unwrap();
    let session = fs::read_dir(uploads(root)).unwrap().next().unwrap().unwrap().path();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let size = fs::metadata(session.join("data")).unwrap().len() as usize;
        if size > before {
            return (size, stream);
        }
        assert!(Instant::now() < deadline, "expected more than {before} bytes in the session");
        thread::yield_now();
    }
}

/// The length that a `Range` tells, which is no less than what was seen on the medium.
fn at_least(seen: usize, range: &str) -> usize {
    let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
    assert!(last + 1 >= seen, "expected {seen} bytes, found {range}");
    last + 1
}

#[test]
fn an_older_address_of_either_gets_the_newer_one_here() {
    let both = Both::start();
    for begins in [both.ours(), both.theirs()] {
        let content = noise(u64::from(begins.port()), 5003);
        let mut upload = Upload::begin(begins);
        let old = upload.location.clone();
        upload.append(both.theirs(), Body::Whole(&content[..2001]));
        // A proxy sends the first part once more.
        let answer = ask(both.ours(), "PATCH", &old, OCTETS, Body::Whole(&content[..2001]));
        let answer = expect(416, answer);
        assert_eq!(codes(&answer), ["BLOB_UPLOAD_INVALID"]);
        upload.go_on_from(&answer);
        upload.append(both.theirs(), Body::Whole(&content[2001..4000]));
        let (digest, sent) = upload.finish(both.ours(), Body::Whole(&content[4000..]));
        both.serve(&digest, &sent);
    }
}

#[test]
fn without_a_secret_and_with_another_the_uploads_of_distribution_are_finished_here_and_not_ours_there()
 {
    let root = TempDir::new().unwrap();
    let distribution = Distribution::start(root.path());
    for (seed, registry) in
        [(1, RegistryProcess::start(root.path())), (2, registry_with_secret(root.path(), "other"))]
    {
        let content = noise(seed, 30_011);
        let mut theirs = Upload::begin(distribution.address());
        theirs.append(distribution.address(), Body::Chunked(&content[..10_007]));
        theirs.append(registry.address(), Body::Whole(&content[10_007..10_008]));
        let (_, sent) = theirs.finish(registry.address(), Body::Whole(&content[10_008..]));
        assert!(sent == content);

        let mut ours = Upload::begin(registry.address());
        ours.append(registry.address(), Body::Whole(b"before"));
        let part = Body::Whole(b"refused");
        let answer = ask(distribution.address(), "PATCH", &ours.location, OCTETS, part);
        assert_eq!(codes(&expect(404, answer)), ["BLOB_UPLOAD_INVALID"]);
        let (digest, sent) = ours.finish(registry.address(), Body::Whole(b" and after"));
        let addresses = [registry.address(), distribution.address()];
        serve(addresses, &digest, &sent);
        serve(addresses, &Digest::sha256(&content), &content);
    }
}

#[test]
fn the_secret_of_the_flag_is_taken_before_that_of_the_environment() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("secret");
    fs::write(&file, "shared\n").unwrap();
    let mut command = registry(root.path());
    command.env("REGISTRY_HTTP_SECRET", "other").arg("--secret-file").arg(file);
    let registry = RegistryProcess::greeted(&mut command);
    let distribution = Distribution::start(root.path());
    let upload = Upload::begin(registry.address());
    let (digest, sent) = upload.finish(distribution.address(), Body::Whole(b"both have it"));
    serve([registry.address(), distribution.address()], &digest, &sent);
}
