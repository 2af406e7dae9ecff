//! Directories, links, pipes and foreign files where ours should be: each request has an answer, a push heals or
//! fails clearly, listings pass over what is no part of them, and nothing outside the root is touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use registry_store::backend::Key;
use registry_store::digest::Digest;
use registry_store::layout::{self, RepositoryLayout};

use super::{CONFIG, HELLO, MANIFEST_TYPE, NO_SESSION, Registry, TOOL, good_image};

/// Where everything that Distribution knows lies below the root.
const DATA: &str = "docker/registry/v2";

/// What can lie where it should not.
const THINGS: &[&str] = &[
    "an empty directory",
    "a directory with a file",
    "an empty file",
    "a file of something else",
    "a link to nowhere",
    "a link to itself",
    "a link to a file outside",
    "a pipe",
    "a socket",
];

/// Puts a thing in the place of what is there.
fn put(thing: &str, path: &Path, outside: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).unwrap();
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match thing {
        "an empty directory" => fs::create_dir(path).unwrap(),
        "a directory with a file" => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("link"), "what is this?").unwrap();
        }
        "an empty file" => fs::write(path, "").unwrap(),
        "a file of something else" => fs::write(path, "something else").unwrap(),
        "a link to nowhere" => symlink(outside.join("nowhere"), path).unwrap(),
        "a link to itself" => symlink(path, path).unwrap(),
        "a link to a file outside" => symlink(outside.join("secret"), path).unwrap(),
        "a pipe" => pipe(path),
        "a socket" => socket(path, outside),
        _ => unreachable!("{thing:?} is no thing"),
    }
}

/// The standard library makes no pipes, and not every system can be asked for one in the same way.
fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg("--").arg(path).status().unwrap();
    assert!(made.success(), "expected the program mkfifo to make {}", path.display());
}

/// The path at which a socket is bound has to be short.
fn socket(path: &Path, outside: &Path) {
    let short = outside.join("s");
    drop(UnixListener::bind(&short).unwrap());
    fs::rename(short, path).unwrap();
}

/// A session of `app` with three bytes.
fn session(registry: &mut Registry) -> String {
    let location = registry.start("app");
    let answer = registry.ask(format!("PATCH {location}"), &[], b"abc");
    assert_eq!(answer.status, 202);
    let id = location.split('?').next().unwrap().rsplit('/').next().unwrap();
    id.to_owned()
}

/// A request, and what a good answer to it is.
struct Asked {
    line: String,
    body: Vec<u8>,
    /// What is to be pulled once this was answered with 201, and what it is.
    then: Option<(String, Vec<u8>)>,
}

impl Asked {
    fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), body: Vec::new(), then: None }
    }

    fn with(mut self, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn then(mut self, url: &str, content: &[u8]) -> Self {
        self.then = Some((url.to_owned(), content.to_vec()));
        self
    }
}

/// Everything that can be asked about `app`, reading first and deleting last.
fn requests(id: &str) -> Vec<Asked> {
    let image = good_image();
    let (hello, manifest) = (Digest::sha256(HELLO), Digest::sha256(image.bytes()));
    let blob = format!("/v2/app/blobs/{hello}");
    let (session, closed) = (format!("/v2/app/blobs/uploads/{id}"), Digest::sha256(b"abcdef"));
    let by_digest = format!("/v2/app/manifests/{manifest}");
    let mut requests = Vec::new();
    for url in
        [&blob, &by_digest, "/v2/app/manifests/v1", "/v2/app/tags/list", "/v2/_catalog", &session]
    {
        requests.push(Asked::new(format!("GET {url}")));
        requests.push(Asked::new(format!("HEAD {url}")));
    }
    requests.push(Asked::new(format!("GET /v2/app/referrers/{manifest}")));
    requests.push(Asked::new("GET /v2/app/tools/tags/list"));
    requests.push(Asked::new(format!("POST /v2/new/blobs/uploads/?mount={hello}&from=app")));
    requests.push(Asked::new("POST /v2/app/blobs/uploads/"));
    requests.push(Asked::new(format!("PATCH {session}")).with(b"def"));
    let close = format!("PUT {session}?digest={closed}");
    let closed = format!("/v2/app/blobs/{closed}");
    requests.push(Asked::new(close).then(&closed, b"abcdef"));
    for content in [HELLO, CONFIG] {
        let digest = Digest::sha256(content);
        let post = format!("POST /v2/app/blobs/uploads/?digest={digest}");
        let pull = format!("/v2/app/blobs/{digest}");
        requests.push(Asked::new(post).with(content).then(&pull, content));
    }
    for url in [&by_digest, "/v2/app/manifests/v1"] {
        let put = Asked::new(format!("PUT {url}")).with(image.bytes());
        requests.push(put.then(url, image.bytes()));
    }
    for url in ["/v2/app/manifests/v1", &by_digest, &blob, &session] {
        requests.push(Asked::new(format!("DELETE {url}")));
    }
    requests
}

/// What can be pulled, each with the files that it is read from: below the root, as the backend has them.
fn pullable() -> Vec<(String, Vec<u8>, Vec<String>)> {
    let image = good_image();
    let manifest = Digest::sha256(image.bytes());
    let blob = |digest: &Digest| keys(&[layout::blob(digest)]);
    let layer = |name: &str, content: &[u8]| {
        let digest = Digest::sha256(content);
        let link = RepositoryLayout::new(&name.parse().unwrap()).layer_link(&digest);
        let files = [blob(&digest), keys(&[link])].concat();
        (format!("/v2/{name}/blobs/{digest}"), content.to_vec(), files)
    };
    let app = RepositoryLayout::new(&"app".parse().unwrap());
    let revision = [blob(&manifest), keys(&[app.revision_link(&manifest)])].concat();
    let tag = keys(&[app.tag_current_link(&"v1".parse().unwrap())]);
    vec![
        layer("app/tools", TOOL),
        layer("app", CONFIG),
        layer("app", HELLO),
        (format!("/v2/app/manifests/{manifest}"), image.bytes().to_vec(), revision.clone()),
        ("/v2/app/manifests/v1".to_owned(), image.bytes().to_vec(), [revision, tag].concat()),
    ]
}

fn keys(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

/// Those of [`pullable`] of which nothing lies at or below a place.
fn untouched(place: &Path) -> Vec<(String, Vec<u8>)> {
    let touches = |file: &String| Path::new(file).starts_with(place);
    let all = pullable().into_iter();
    let untouched = all.filter(|(_, _, files)| !files.iter().any(touches));
    untouched.map(|(url, content, _)| (url, content)).collect()
}

/// Asks for everything; each time the service lives on, nothing outside has changed, and what is not affected by what
/// lies at `place`, a path below the root, can be pulled for as long as nobody deletes it.
fn survives(registry: &mut Registry, id: &str, place: &Path, told: &str) {
    let before = registry.look_around();
    let mut untouched = untouched(place);
    for (url, content) in &untouched {
        assert_pulls(registry, url, content, told);
    }
    for asked in requests(id) {
        let told = format!("{told}: {}", asked.line);
        let answer = registry.ask(&asked.line, &[MANIFEST_TYPE], &asked.body);
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        match answer.status {
            500 => registry.is_error(&answer, (500, "UNKNOWN"), &asked.line),
            // The session's bytes are others now, or cut to those that its record calls durable: none.
            400 if is_closing(&asked.line) && told.contains("/_uploads/") => {
                registry.is_error(&answer, (400, "DIGEST_INVALID"), &asked.line);
            }
            // A push of what refers to something that is not there, or is damaged.
            400 => registry.is_error(&answer, (400, "MANIFEST_BLOB_UNKNOWN"), &asked.line),
            416 => registry.is_error(&answer, (416, "BLOB_UPLOAD_INVALID"), &asked.line),
            200 | 201 | 202 | 204 | 404 => {}
            status => panic!("{told} gave {status}: {shown}"),
        }
        if let (201, Some((url, content))) = (answer.status, &asked.then) {
            let pulled = registry.ask(format!("GET {url}"), &[], b"");
            assert_eq!((pulled.status, &pulled.body), (200, content), "{told} gave 201");
        }
        if let Some(deleted) = asked.line.strip_prefix("DELETE ") {
            // A tag goes with its manifest.
            untouched.retain(|(url, _)| url != deleted && !url.contains("/manifests/"));
        }
        for (url, content) in &untouched {
            assert_pulls(registry, url, content, &told);
        }
        assert_eq!(registry.ask("GET /v2/", &[], b"").status, 200, "after {told}");
        assert_eq!(before.changes(&registry.look_around()), "", "{told}");
    }
}

fn assert_pulls(registry: &mut Registry, url: &str, content: &[u8], told: &str) {
    let pulled = registry.ask(format!("GET {url}"), &[], b"");
    assert_eq!((pulled.status, &pulled.body[..]), (200, content), "{told}: {url} is untouched");
}

fn is_closing(line: &str) -> bool {
    line.starts_with("PUT /v2/app/blobs/uploads/")
}

/// The places of `app`'s objects, but for those that have a table of their own below.
fn objects(id: &str) -> Vec<String> {
    let manifest = Digest::sha256(good_image().bytes());
    let (hex, app) = (manifest.hex(), "repositories/app");
    vec![
        format!("blobs/sha256/{}/{hex}/data", &hex[..2]),
        format!("{app}/_manifests/revisions/sha256/{hex}/link"),
        format!("{app}/_manifests/tags/v1/index/sha256/{hex}/link"),
        format!("{app}/_uploads/{id}/startedat"),
        format!("{app}/_uploads/{id}/data"),
        format!("{app}/_uploads/{id}/_record"),
        format!("{app}/_uploads/{id}/hashstates/sha256/6"),
    ]
}

#[test]
fn anything_may_lie_where_an_object_should() {
    for place in 0..objects(NO_SESSION).len() {
        for thing in THINGS.iter().skip(1) {
            let mut registry = Registry::new();
            let id = session(&mut registry);
            let place = &objects(&id)[place];
            let outside = registry.root().parent().unwrap().to_owned();
            let place = Path::new(DATA).join(place);
            put(thing, &registry.root().join(&place), &outside);
            let told = format!("{thing} at {}", place.display());
            survives(&mut registry, &id, &place, &told);
            registry.works();
        }
    }
}

/// The places of directories, of everybody's and of `app`.
const DIRECTORIES: &[&str] = &[
    "docker",
    "docker/registry/v2/blobs",
    "docker/registry/v2/blobs/sha256",
    "docker/registry/v2/repositories",
    "docker/registry/v2/repositories/app",
    "docker/registry/v2/repositories/app/_layers",
    "docker/registry/v2/repositories/app/_manifests",
    "docker/registry/v2/repositories/app/_manifests/revisions/sha256",
    "docker/registry/v2/repositories/app/_manifests/tags",
    "docker/registry/v2/repositories/app/_manifests/tags/v1",
    "docker/registry/v2/repositories/app/_manifests/tags/v1/current",
    "docker/registry/v2/repositories/app/_manifests/tags/v1/index",
    "docker/registry/v2/repositories/app/_uploads",
    "docker/registry/v2/repositories/new",
    "_rs",
    "_rs/tmp",
    "_rs/lock",
    "_rs/quarantine",
];

/// Those of [`THINGS`] that are each another matter where a directory should be.
const NO_DIRECTORIES: &[&str] =
    &["a file of something else", "a link to nowhere", "a link to itself"];

#[test]
fn anything_may_lie_where_a_directory_should() {
    for place in DIRECTORIES {
        for thing in NO_DIRECTORIES {
            let mut registry = Registry::new();
            let id = session(&mut registry);
            let outside = registry.root().parent().unwrap().to_owned();
            let path = registry.root().join(place);
            put(thing, &path, &outside);
            survives(&mut registry, &id, Path::new(place), &format!("{thing} at {place}"));
            // With it goes the damage.
            put("a file of something else", &path, &outside);
            fs::remove_file(&path).unwrap();
            let post = format!("POST /v2/healed/blobs/uploads/?digest={}", Digest::sha256(HELLO));
            assert_eq!(registry.ask(post, &[], HELLO).status, 201, "{thing} was at {place}");
            registry.pulls("healed", HELLO);
        }
    }
}

/// Directories whose names are listed.
fn listed(registry: &Registry) -> Vec<std::path::PathBuf> {
    let app = registry.path("repositories/app");
    let shards = fs::read_dir(registry.path("blobs/sha256")).unwrap();
    let shards = shards.map(|shard| shard.unwrap().path());
    let mut places: Vec<_> = [
        "_layers",
        "_layers/sha256",
        "_manifests",
        "_manifests/revisions",
        "_manifests/revisions/sha256",
        "_manifests/tags",
        "_manifests/tags/v1",
        "_manifests/tags/v1/current",
        "_manifests/tags/v1/index",
        "_manifests/tags/v1/index/sha256",
        "_uploads",
    ]
    .map(|place| app.join(place))
    .into();
    places.extend(shards);
    places.extend(["repositories", "blobs", "blobs/sha256", "."].map(|place| registry.path(place)));
    places.push(app);
    places.extend(["docker", "_rs", "_rs/tmp"].map(|place| registry.root().join(place)));
    places
}

/// Puts something strange into a directory, under names of every kind, and leaves what was there.
fn litter(directory: &Path, outside: &Path) {
    for (number, thing) in THINGS.iter().enumerate() {
        let names =
            [format!("stray{number}"), format!("_stray{number}"), format!("Stray {number}")];
        for name in names {
            put(thing, &directory.join(name), outside);
        }
        let name = [&b"\xff\xfe"[..], number.to_string().as_bytes()].concat();
        put(thing, &directory.join(OsStr::from_bytes(&name)), outside);
    }
    let long = "l".repeat(255);
    for name in
        [".hidden", "..stray", "a..b", "-", "A", "caf\u{e9}", &long, "nul\u{1}", "new\nline"]
    {
        fs::create_dir(directory.join(name)).unwrap();
    }
}

#[test]
fn listings_and_everything_else_pass_over_what_lies_beside_what_is_ours() {
    let mut registry = Registry::new();
    let id = session(&mut registry);
    let manifest = Digest::sha256(good_image().bytes());
    let referrers = format!("GET /v2/app/referrers/{manifest}");
    let listings =
        ["GET /v2/_catalog", "GET /v2/app/tags/list", "GET /v2/app/tools/tags/list", &referrers];
    let clean = listings.map(|line| registry.ask(line, &[], b"").body);
    let outside = registry.root().parent().unwrap().to_owned();
    for place in listed(&registry) {
        litter(&place, &outside);
    }
    let uploads = registry.path("repositories/app/_uploads").join(&id);
    litter(&uploads, &outside);

    let secret = registry.look_around();
    for (line, clean) in listings.iter().zip(&clean) {
        for page in ["", "?n=1", "?n=1000", "?last=a", "?last=stray", "?n=2&last=St"] {
            if !page.contains("last") || !line.contains("referrers") {
                let answer = registry.ask(format!("{line}{page}"), &[], b"");
                assert_eq!(answer.status, 200, "{line}{page}");
                if page == "?n=1000" || page.is_empty() {
                    assert_eq!(&answer.body, clean, "{line}{page}");
                }
            }
        }
    }
    registry.serves("litter everywhere");
    registry.works();
    let location = format!("/v2/app/blobs/uploads/{id}");
    registry.finish("app", &location, b"abcdef");
    for url in [
        format!("/v2/app/manifests/{manifest}"),
        format!("/v2/app/blobs/{}", Digest::sha256(HELLO)),
    ] {
        assert_eq!(registry.ask(format!("DELETE {url}"), &[], b"").status, 202);
        assert_eq!(registry.ask(format!("GET {url}"), &[], b"").status, 404);
    }
    assert_eq!(
        registry.ask("GET /v2/app/tags/list", &[], b"").body,
        b"{\"name\":\"app\",\"tags\":[]}"
    );
    // Nor do uploads that expire take anything with them that is outside.
    registry.start("app");
    let purged = registry.runtime.block_on(registry.store.purge_uploads(Duration::ZERO));
    purged.unwrap();
    assert_eq!(secret.changes(&registry.look_around()), "");
    fs::remove_dir_all(registry.path("blobs")).unwrap();
}

#[test]
fn what_an_upload_or_a_tag_holds_besides_is_removed_without_following_links() {
    let mut registry = Registry::new();
    let outside = registry.root().parent().unwrap().to_owned();
    fs::create_dir(outside.join("precious")).unwrap();
    fs::write(outside.join("precious/file"), "kept").unwrap();
    let id = session(&mut registry);
    let uploads = registry.path("repositories/app/_uploads").join(&id);
    symlink(outside.join("precious"), uploads.join("away")).unwrap();
    symlink(outside.join("precious"), uploads.join("hashstates/away")).unwrap();
    symlink(&uploads, uploads.join("around")).unwrap();
    let before = registry.look_around();
    let delete = format!("DELETE /v2/app/blobs/uploads/{id}");
    assert_eq!(registry.ask(delete, &[], b"").status, 204);
    assert!(!uploads.exists());
    assert_eq!(before.changes(&registry.look_around()), "");
    registry.works();
}

/// What lies at a place, how GET is answered, how a push of what should be there is, and how GET is after that.
type Answers = (&'static str, u16, u16, u16);

/// Puts each thing at `place` in turn, and compares how reading and pushing are answered.
fn are_answered(place: &str, get: &str, push: (&str, &[u8]), expected: &[Answers]) {
    assert_eq!(expected.len(), THINGS.len());
    let mut registry = Registry::new();
    let outside = registry.root().parent().unwrap().to_owned();
    let path = registry.path(place);
    let before = registry.look_around();
    for &(thing, read, pushed, after) in expected {
        put(thing, &path, &outside);
        let get = format!("GET {get}");
        let first = registry.ask(&get, &[], b"").status;
        let answer = registry.ask(push.0, &[MANIFEST_TYPE], push.1).status;
        let then = registry.ask(&get, &[], b"");
        assert_eq!((first, answer, then.status), (read, pushed, after), "{thing} at {place}");
        if pushed == 201 {
            assert_eq!(then.body, push.1, "{thing} at {place}");
        }
        assert_eq!(before.changes(&registry.look_around()), "", "{thing} at {place}");
        // Where the damage is gone the push works, whatever it was.
        put("an empty file", &path, &outside);
        fs::remove_file(&path).unwrap();
        assert_eq!(registry.ask(push.0, &[MANIFEST_TYPE], push.1).status, 201, "after {thing}");
        assert_eq!(registry.ask(&get, &[], b"").body, push.1, "after {thing}");
    }
    registry.serves("the last");
}

/// A file is healed, a link away from here is replaced, and what would have to be removed first is told of.
#[test]
fn what_lies_where_the_bytes_of_a_blob_should_is_told_or_healed() {
    let hello = Digest::sha256(HELLO);
    let place = format!("blobs/sha256/{}/{}/data", &hello.hex()[..2], hello.hex());
    let push = format!("POST /v2/app/blobs/uploads/?digest={hello}");
    let expected = [
        ("an empty directory", 404, 500, 404),
        ("a directory with a file", 404, 500, 404),
        ("an empty file", 404, 201, 200),
        // Of another size than what is pushed; that it is another is not known before.
        ("a file of something else", 200, 201, 200),
        ("a link to nowhere", 404, 500, 404),
        ("a link to itself", 500, 500, 500),
        ("a link to a file outside", 200, 201, 200),
        ("a pipe", 500, 500, 500),
        ("a socket", 500, 500, 500),
    ];
    are_answered(&place, &format!("/v2/app/blobs/{hello}"), (&push, HELLO), &expected);
}

#[test]
fn what_lies_where_the_link_of_a_blob_should_is_told_or_healed() {
    let hello = Digest::sha256(HELLO);
    let place = format!("repositories/app/_layers/sha256/{}/link", hello.hex());
    let push = format!("POST /v2/app/blobs/uploads/?digest={hello}");
    let expected = [
        ("an empty directory", 404, 500, 404),
        ("a directory with a file", 404, 500, 404),
        ("an empty file", 404, 201, 200),
        ("a file of something else", 404, 201, 200),
        ("a link to nowhere", 404, 500, 404),
        ("a link to itself", 500, 500, 500),
        ("a link to a file outside", 404, 201, 200),
        ("a pipe", 500, 500, 500),
        ("a socket", 500, 500, 500),
    ];
    are_answered(&place, &format!("/v2/app/blobs/{hello}"), (&push, HELLO), &expected);
}

/// A tag is moved by a rename, which replaces everything but a directory.
#[test]
fn what_lies_where_a_tag_should_is_told_or_healed() {
    let image = good_image();
    let place = "repositories/app/_manifests/tags/v1/current/link";
    let push = ("PUT /v2/app/manifests/v1", &image.bytes()[..]);
    let expected = [
        ("an empty directory", 404, 500, 404),
        ("a directory with a file", 404, 500, 404),
        ("an empty file", 404, 201, 200),
        ("a file of something else", 404, 201, 200),
        ("a link to nowhere", 404, 201, 200),
        ("a link to itself", 500, 201, 200),
        ("a link to a file outside", 404, 201, 200),
        ("a pipe", 500, 201, 200),
        ("a socket", 500, 201, 200),
    ];
    are_answered(place, "/v2/app/manifests/v1", push, &expected);
}

#[test]
fn a_session_whose_files_are_none_of_ours_is_cancelled_all_the_same() {
    for (file, thing) in [
        ("data", "an empty directory"),
        ("data", "a directory with a file"),
        ("data", "a link to a file outside"),
        ("data", "a link to itself"),
        ("data", "a pipe"),
        ("_record", "an empty directory"),
        ("_record", "a directory with a file"),
        ("_record", "a link to itself"),
    ] {
        let mut registry = Registry::new();
        let id = session(&mut registry);
        let outside = registry.root().parent().unwrap().to_owned();
        let before = registry.look_around();
        let files = registry.path(&format!("repositories/app/_uploads/{id}"));
        put(thing, &files.join(file), &outside);
        let session = format!("/v2/app/blobs/uploads/{id}");
        let told = registry.ask(format!("GET {session}"), &[], b"");
        registry.is_error(&told, (500, "UNKNOWN"), &format!("{thing} at {file}"));
        let cancelled = registry.ask(format!("DELETE {session}"), &[], b"");
        assert_eq!(cancelled.status, 204, "{thing} at {file}");
        assert!(!files.exists(), "{thing} at {file}");
        for line in [format!("GET {session}"), format!("DELETE {session}")] {
            let answer = registry.ask(&line, &[], b"");
            registry.is_error(&answer, (404, "BLOB_UPLOAD_UNKNOWN"), &line);
        }
        assert_eq!(before.changes(&registry.look_around()), "", "{thing} at {file}");
        registry.works();
    }
}

#[test]
fn a_session_whose_bytes_are_no_file_of_ours_is_told_of_and_expires() {
    for thing in [
        "an empty directory",
        "a directory with a file",
        "a link to nowhere",
        "a link to itself",
        "a link to a file outside",
        "a pipe",
    ] {
        let mut registry = Registry::new();
        let id = session(&mut registry);
        let outside = registry.root().parent().unwrap().to_owned();
        let before = registry.look_around();
        put(thing, &registry.path(&format!("repositories/app/_uploads/{id}/data")), &outside);
        let session = format!("/v2/app/blobs/uploads/{id}");
        let put = format!("PUT {session}?digest={}", Digest::sha256(b"abcdef"));
        for line in [format!("GET {session}"), format!("PATCH {session}"), put] {
            let answer = registry.ask(&line, &[], b"def");
            registry.is_error(&answer, (500, "UNKNOWN"), &format!("{line}, with {thing}"));
        }
        assert_eq!(before.changes(&registry.look_around()), "", "{thing}");
        registry.works();
        // What cannot be taken up expires.
        let purged = registry.runtime.block_on(registry.store.purge_uploads(Duration::ZERO));
        assert_eq!(purged.unwrap().uploads, 1, "{thing}");
        assert_eq!(registry.ask(format!("GET {session}"), &[], b"").status, 404);
        assert_eq!(before.changes(&registry.look_around()), "", "{thing}");
    }
}
