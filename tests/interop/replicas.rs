//! Three replicas on one bucket behind a load balancer, each request to the next; they are killed while images are
//! pushed through it. Whatever was acknowledged is there, whole.
//!
//! `REPLICA_ROUNDS` says how many times one is killed. CI does a few rounds.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use registry_store::backend::s3::S3Options;
use registry_store::digest::Digest;
use registry_tests::backends::{on_garage, on_moto};
use registry_tests::image::Layout;
use registry_tests::peers::{Haproxy, Skopeo};
use registry_tests::plain_http;
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// Rounds where nobody says how many.
const ROUNDS: u32 = 6;
/// Who pushes at the same time.
const PUSHERS: usize = 3;

#[test]
fn what_was_acknowledged_survives_the_death_of_replicas_on_garage() {
    let (garage, options) = on_garage();
    kill_while_pushing(&options);
    drop(garage);
}

#[test]
fn what_was_acknowledged_survives_the_death_of_replicas_on_moto() {
    let (moto, options) = on_moto();
    kill_while_pushing(&options);
    drop(moto);
}

/// What clients were told is there.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Every manifest, with its repository.
    manifests: Vec<(String, Digest)>,
    /// What tags point at, by repository and tag.
    tags: BTreeMap<(String, String), Digest>,
    /// How many of them were pulled while replicas died.
    pulls: usize,
}

#[expect(clippy::print_stdout, reason = "how much was tried is worth to be known")]
fn kill_while_pushing(options: &S3Options) {
    let rounds = env::var("REPLICA_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let home = TempDir::new().unwrap();
    let mut replicas = Replicas::start(home.path(), options);
    let haproxy = Haproxy::in_front_of(&replicas.addresses);
    let (acknowledged, ending) = (Mutex::<Acknowledged>::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        // Told to end however this thread ends: else the others never would.
        let ending = EndsOnDrop(&ending);
        for pusher in 0..PUSHERS {
            let (acknowledged, ending, address) = (&acknowledged, ending.0, haproxy.address());
            scope.spawn(move || push_until(pusher, address, acknowledged, ending));
        }
        let (puller, ending_puller, address) = (&acknowledged, ending.0, haproxy.address());
        scope.spawn(move || pull_until(address, puller, ending_puller));
        for round in 0..rounds {
            // When it hits is left to chance: so many requests from now on.
            for _ in 0..20 + round * 7919 % 150 {
                let answer = plain_http::request(haproxy.address(), "GET", "/v2/");
                assert_eq!(answer.status, 200);
            }
            replicas.kill_and_restart(round as usize % replicas.addresses.len());
        }
    });
    let acknowledged = acknowledged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Acknowledged { manifests, tags, .. } = &acknowledged;
    assert!(manifests.len() > rounds as usize / 2, "only {} pushes", manifests.len());
    for (name, pushed) in manifests {
        verify(haproxy.address(), name, &pushed.to_string(), pushed);
    }
    for ((name, tag), pushed) in tags {
        verify(haproxy.address(), name, tag, pushed);
    }
    println!(
        "{rounds} kills, {} pushes acknowledged, all there; {} pulls meanwhile",
        manifests.len(),
        acknowledged.pulls,
    );
}

struct EndsOnDrop<'a>(&'a AtomicBool);

impl Drop for EndsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Pushes one image after the other with skopeo, tags moved among them, until it is told to end.
///
/// What skopeo fails at is no harm: the client was told.
fn push_until(
    pusher: usize,
    at: SocketAddr,
    acknowledged: &Mutex<Acknowledged>,
    ending: &AtomicBool,
) {
    let skopeo = Skopeo::new();
    let name = format!("team/app-{pusher}");
    for number in 0usize.. {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let layout = skopeo.path(&format!("image-{number}"));
        // Sizes below and above that of a part, each once.
        let size = (1 + number % 3 * 6) * (1 << 20) + pusher * 100_003 + number;
        Layout::create(&layout).add_large_image("it", size);
        let tag = format!("v{}", number % 5);
        let source = format!("oci:{}:it", layout.display());
        let target = format!("docker://{at}/{name}:{tag}");
        // From here on the tag may be moved, whether we are told so or not.
        let key = (name.clone(), tag);
        acknowledged.lock().unwrap().tags.remove(&key);
        // What it pushed differs from what it read: it compresses layers.
        let digest = skopeo.path("digest").display().to_string();
        let flags = ["--dest-tls-verify=false", "--digestfile", &digest];
        if skopeo.try_run(&[&["copy"], &flags[..], &[&source, &target]].concat()).success {
            let manifest = fs::read_to_string(&digest).unwrap().trim().parse().unwrap();
            let mut acknowledged = acknowledged.lock().unwrap();
            acknowledged.manifests.push((name.clone(), manifest));
            acknowledged.tags.insert(key, manifest);
        }
        fs::remove_dir_all(&layout).unwrap();
    }
}

/// Pulls what was acknowledged with skopeo, which checks every digest, until it is told to end.
///
/// That it fails is no harm; that it gets anything else it would say.
fn pull_until(at: SocketAddr, acknowledged: &Mutex<Acknowledged>, ending: &AtomicBool) {
    let skopeo = Skopeo::new();
    let layout = skopeo.path("pulled");
    for number in 0usize.. {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let known = acknowledged.lock().unwrap().manifests.get(number / 2).cloned();
        let Some((name, digest)) = known else {
            thread::yield_now();
            continue;
        };
        let source = format!("docker://{at}/{name}@{digest}");
        let target = format!("oci:{}:it", layout.display());
        if skopeo.try_run(&["copy", "--src-tls-verify=false", &source, &target]).success {
            acknowledged.lock().unwrap().pulls += 1;
        }
        let _ = fs::remove_dir_all(&layout);
    }
}

/// An image is what was pushed, read through the load balancer: its manifest, by this reference, and every blob.
fn verify(at: SocketAddr, name: &str, tag: &str, pushed: &Digest) {
    let get = |path: &str| {
        let answer = plain_http::request(at, "GET", &format!("/v2/{name}/{path}"));
        assert_eq!(answer.status, 200, "{name}:{tag} {path}");
        answer.body
    };
    let manifest = get(&format!("manifests/{tag}"));
    assert_eq!(Digest::sha256(&manifest), *pushed, "{name}:{tag}");
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    for blob in layers.iter().chain([&manifest["config"]]) {
        let digest: Digest = blob["digest"].as_str().unwrap().parse().unwrap();
        let content = get(&format!("blobs/{digest}"));
        assert_eq!(Digest::sha256(&content), digest, "{name}:{tag}");
    }
}

/// Processes of one configuration, at addresses that stay theirs.
struct Replicas {
    addresses: Vec<SocketAddr>,
    files: Vec<PathBuf>,
    running: Vec<RegistryProcess>,
}

impl Replicas {
    fn start(home: &Path, options: &S3Options) -> Self {
        // Held until all are known, so that they differ.
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let files = addresses.iter().map(|address| {
            let file = home.join(format!("{}.yml", address.port()));
            fs::write(&file, configuration(*address, options)).unwrap();
            file
        });
        let files: Vec<PathBuf> = files.collect();
        drop(listeners);
        let running = files.iter().map(|file| RegistryProcess::configured(file, &[])).collect();
        Self { addresses, files, running }
    }

    fn kill_and_restart(&mut self, replica: usize) {
        let killed = self.running.remove(replica);
        killed.signal(Signal::KILL);
        killed.wait();
        let started = RegistryProcess::configured(&self.files[replica], &[]);
        self.running.insert(replica, started);
    }
}

/// Distribution's, for one process at an address.
pub(crate) fn configuration(address: SocketAddr, options: &S3Options) -> String {
    let S3Options { bucket, root, region, endpoint, credentials, .. } = options;
    let credentials = credentials.as_ref().unwrap();
    format!(
        "version: 0.1\nlog: {{level: warn}}\nhttp: {{addr: '{address}'}}\nstorage:\n  \
         delete: {{enabled: true}}\n  redirect: {{disable: true}}\n  s3:\n    \
         accesskey: {}\n    secretkey: '{}'\n    region: {}\n    regionendpoint: {}\n    \
         bucket: {bucket}\n    rootdirectory: /{root}\n    secure: false\n    forcepathstyle: true\n",
        credentials.access_key,
        credentials.secret_key,
        region.as_ref().unwrap(),
        endpoint.as_ref().unwrap(),
    )
}
