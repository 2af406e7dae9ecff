//! Listings of very many things: each thing once, in order, and memory that does not grow with their number.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::Request;
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_tests::documents::{descriptor_of, image, image_document, manifest};
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::server::{Answer, Client, Protocol, whole};
use rustix::fs::statvfs;
use serde_json::{Value, json};
use tempfile::TempDir;

const TAGS: usize = 100_000;
const REPOSITORIES: usize = 10_000;
const REFERRERS: usize = 3_000;

/// How much more memory, in KiB, a listing of everything may take than one of a few. Held are 8 Ki names at
/// once, some 2 MiB, and a page of 1000 or two, which a listing of more than 8 Ki has held already; all hundred
/// thousand tags, whose names are long, would be twice this.
const GROWTH: u64 = 8 * 1024;
/// What all tags begin with.
const LONG: [u8; 100] = [b't'; 100];

/// A registry whose memory is what it holds. By default the C library keeps what was freed for each thread apart,
/// which depends on the number of threads and not on what is listed.
fn start(root: &Path) -> RegistryProcess {
    let mut command = Command::new(program());
    command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root);
    RegistryProcess::greeted(command.env("MALLOC_ARENA_MAX", "1"))
}

fn expect_little_more(registry: &RegistryProcess, before: u64) {
    let growth = registry.peak_memory() - before;
    assert!(growth <= GROWTH, "expected at most {GROWTH} KiB more, found {growth} KiB");
}

/// A directory for names in their hundreds of thousands, in memory where that has room for them: to remove so many
/// from a medium can take minutes.
fn in_memory() -> TempDir {
    // A tag is two directories and a link in them, and all tests here run at the same time.
    const INODES: u64 = 10 * TAGS as u64;
    const BYTES: u64 = 256 << 20;
    let memory = Path::new("/dev/shm");
    let has_room = statvfs(memory).is_ok_and(|found| {
        // Where inodes are not counted there are none of them.
        let inodes = found.f_files == 0 || found.f_favail >= INODES;
        inodes && found.f_bavail.saturating_mul(found.f_frsize) >= BYTES
    });
    let made = if has_room { TempDir::new_in(memory) } else { TempDir::new() };
    made.or_else(|_| TempDir::new()).unwrap()
}

/// Files with content, most of which share one file: to make a new one for each would take longer.
struct Links {
    root: PathBuf,
    content: String,
    shared: Option<PathBuf>,
    names: usize,
}

impl Links {
    fn new(root: &Path, content: &str) -> Self {
        Self { root: root.to_owned(), content: content.to_owned(), shared: None, names: 0 }
    }

    fn make(&mut self, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join("link");
        self.names += 1;
        match &self.shared {
            // A file has at most 65,000 names on ext4.
            Some(shared) if !self.names.is_multiple_of(10_000) => {
                fs::hard_link(shared, path).unwrap();
            }
            _ => {
                fs::write(&path, &self.content).unwrap();
                self.shared = Some(path);
            }
        }
    }

    fn at(&self, key: &registry_store::backend::Key) -> PathBuf {
        self.root.join(key.as_str())
    }
}

async fn get(client: &mut Client, url: &str) -> Answer {
    let answer = client.send(Request::get(url), whole("")).await;
    assert_eq!(answer.status, 200, "{url}");
    answer
}

/// Follows a listing from page to page, and returns all that is listed and the number of pages.
async fn follow(client: &mut Client, url: &str, list: &str) -> (Vec<Value>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut next = Some(url.to_owned());
    while let Some(url) = next {
        let page = get(client, &url).await;
        found.extend_from_slice(page.json()[list].as_array().unwrap());
        pages += 1;
        let link = page.header("link").strip_prefix('<');
        next = link.and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(ToOwned::to_owned);
    }
    (found, pages)
}

fn keys(name: &str) -> RepositoryLayout {
    RepositoryLayout::new(&name.parse().unwrap())
}

/// Tags that are listed whatever they point at; every one begins others.
fn with_tags(root: &Path, repository: &str, count: usize) -> BTreeSet<String> {
    let mut links = Links::new(root, &Digest::sha256(b"whatever").to_string());
    let tags = links.at(&keys(repository).tags());
    let long = str::from_utf8(&LONG).unwrap();
    (0..count)
        .map(|number| {
            let name = format!("{long}{number}");
            links.make(&tags.join(&name).join("current"));
            name
        })
        .collect()
}

#[tokio::test]
async fn a_hundred_thousand_tags_are_listed_at_once_in_bounded_memory() {
    let root = in_memory();
    let few = with_tags(root.path(), "few", 10_000);
    let many = with_tags(root.path(), "many", TAGS);
    let registry = start(root.path());
    let mut client = Client::connect(registry.address(), Protocol::Http1).await;
    let listed = get(&mut client, "/v2/few/tags/list").await.json();
    assert_eq!(listed["tags"], json!(few));
    let before = registry.peak_memory();

    let listed = get(&mut client, "/v2/many/tags/list").await.json();
    assert!(listed["tags"] == json!(many), "each once, in order");
    expect_little_more(&registry, before);
}

#[tokio::test]
async fn a_hundred_thousand_tags_are_listed_in_pages_in_bounded_memory() {
    let root = in_memory();
    with_tags(root.path(), "few", 10_000);
    let many = with_tags(root.path(), "many", TAGS);
    let registry = start(root.path());
    let mut client = Client::connect(registry.address(), Protocol::Http1).await;
    follow(&mut client, "/v2/few/tags/list?n=1000", "tags").await;
    let before = registry.peak_memory();

    let (listed, pages) = follow(&mut client, "/v2/many/tags/list?n=1000", "tags").await;
    assert_eq!(pages, TAGS / 1000);
    assert!(Value::from(listed) == json!(many), "each once, in order");
    expect_little_more(&registry, before);
}

/// Names at several depths; some begin others, some are nested in others, some lie below what is none.
fn name_of(number: usize) -> String {
    let group = number / 100;
    match number % 5 {
        0 => format!("{number}"),
        1 => format!("{group}/{number}"),
        2 => format!("{group}-{number}"),
        3 => format!("g{group}/only/a/parent/{number}"),
        _ => format!("g{group}/only/a/parent/{}/{number}.x__y", number - 1),
    }
}

#[tokio::test]
async fn ten_thousand_repositories_at_all_depths_are_listed_in_bounded_memory() {
    let root = in_memory();
    let mut names: Vec<String> = (0..REPOSITORIES).map(name_of).collect();
    for (number, name) in names.iter().enumerate() {
        let keys = keys(name);
        let mark = if number % 2 == 0 { keys.layers() } else { keys.manifests() };
        fs::create_dir_all(root.path().join(mark.as_str())).unwrap();
    }
    names.sort_by_key(|name| name.replace('/', "\0"));
    let registry = start(root.path());
    let mut client = Client::connect(registry.address(), Protocol::Http1).await;
    get(&mut client, "/v2/_catalog?n=100").await;
    let before = registry.peak_memory();

    for (query, expected) in [("", REPOSITORIES / 100), ("?n=1000", REPOSITORIES / 1000)] {
        let (listed, pages) =
            follow(&mut client, &format!("/v2/_catalog{query}"), "repositories").await;
        assert_eq!(pages, expected);
        assert!(Value::from(listed) == json!(names), "each once, in order");
    }
    expect_little_more(&registry, before);
}

/// Stores so many signatures of an image, as Distribution would, with a record of each.
fn with_referrers(root: &Path, repository: &str, subject: &Manifest, count: usize) -> Vec<Digest> {
    let keys = keys(repository);
    let subject_digest = subject.digest(Algorithm::Sha256);
    let mut digests = Vec::new();
    for number in 0..count {
        let mut document = image_document(b"{}", &[]);
        document["subject"] = descriptor_of(subject);
        document["annotations"] = json!({ "number": number.to_string() });
        let signature = manifest(&document);
        let digest = signature.digest(Algorithm::Sha256);
        let link = digest.to_string();
        for (key, content) in [
            (layout::blob(&digest), signature.bytes().as_ref()),
            (keys.revision_link(&digest), link.as_bytes()),
            (keys.referrer_link(&subject_digest, &digest), link.as_bytes()),
        ] {
            let path = root.join(key.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        digests.push(digest);
    }
    digests.sort();
    digests
}

#[tokio::test]
async fn thousands_of_referrers_are_listed_in_bounded_memory() {
    let root = in_memory();
    let subject = image(b"{}", &[]);
    with_referrers(root.path(), "few", &subject, 100);
    let many = with_referrers(root.path(), "many", &subject, REFERRERS);
    let registry = start(root.path());
    let mut client = Client::connect(registry.address(), Protocol::Http1).await;
    let subject = subject.digest(Algorithm::Sha256);
    get(&mut client, &format!("/v2/few/referrers/{subject}")).await;
    let before = registry.peak_memory();

    for (query, expected) in [("", REFERRERS / 1000), ("?n=100", REFERRERS / 100)] {
        let url = format!("/v2/many/referrers/{subject}{query}");
        let (listed, pages) = follow(&mut client, &url, "manifests").await;
        assert_eq!(pages, expected);
        let listed: Vec<&Value> = listed.iter().map(|found| &found["digest"]).collect();
        let expected: Vec<String> = many.iter().map(Digest::to_string).collect();
        assert!(json!(listed) == json!(expected), "each once, in order");
    }
    expect_little_more(&registry, before);
}
