//! Whole requests, sent to the service over storage that fails now and then.
//!
//! Every answer is orderly. What was acknowledged is served, by another process too, until it is deleted; a request
//! that was refused, or only reads, changes nothing that can be seen.

mod answer;
mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{LINK, RANGE};
use http::{HeaderName, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use registry_http::{Locations, Options, RegistryService, UploadSecret, service};
use registry_store::backend::{Backend as _, BackendExt as _, ErrorKind, Key, MemoryBackend};
use registry_store::digest::Digest;
use registry_store::layout;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::runtime::Builder;
use tower::ServiceExt as _;

use super::faulty::{Fault, Faulty};
use super::input::Input;
use answer::{Answer, content_digest, is_orderly, location, text};
use request::{Asked, Kind};

/// More than a fuzzer needs to show anything.
const MOST: usize = 32;
const KINDS: [ErrorKind; 3] = [ErrorKind::Io, ErrorKind::Full, ErrorKind::Unavailable];

/// The bytes are choices: of how the service is set up, and then of requests and how the storage fails.
pub fn requests(data: &[u8]) {
    let mut input = Input::new(data);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without a driver for sockets needs nothing of the system");
    runtime.block_on(async {
        let mut run = Run::new(&mut input);
        for _ in 0..MOST {
            if !input.is_over() {
                run.step(&mut input).await;
            }
        }
        run.serves_what_was_acknowledged().await;
    });
}

/// An upload session, and what was sent to it.
#[derive(Clone, Debug)]
pub struct Upload {
    name: &'static str,
    location: String,
    bytes: Vec<u8>,
}

/// A registry, and what was acknowledged of it.
struct Run {
    backend: Faulty,
    /// The service whose storage fails.
    service: RegistryService,
    /// Another process, whose storage does not.
    sound: RegistryService,
    store: Store,
    seen: BTreeMap<Key, Option<Bytes>>,
    uploads: Vec<Upload>,
    contents: BTreeMap<Digest, Bytes>,
    blobs: BTreeSet<(&'static str, Digest)>,
    manifests: BTreeSet<(&'static str, Digest)>,
    tags: BTreeMap<(&'static str, &'static str), Digest>,
}

impl Run {
    fn new(input: &mut Input<'_>) -> Self {
        let backend = Faulty::new(MemoryBackend::new(), input.flag());
        let secret = UploadSecret::new(if input.flag() { "secret" } else { "" });
        let locations = if input.flag() { Locations::FromRequest } else { Locations::Relative };
        let options = Options { upload_secret: secret, locations, ..Options::default() };
        let open = |backend| Store::new(Arc::new(backend), StoreOptions::default());
        let store = open(backend.sound());
        Self {
            service: service(open(backend.clone()), options.clone()),
            sound: service(store.clone(), options),
            store,
            backend,
            seen: BTreeMap::new(),
            uploads: Vec::new(),
            contents: BTreeMap::new(),
            blobs: BTreeSet::new(),
            manifests: BTreeSet::new(),
            tags: BTreeMap::new(),
        }
    }

    async fn step(&mut self, input: &mut Input<'_>) {
        let fault = (input.below(4) == 3).then(|| Fault {
            after: input.below(16),
            times: [1, usize::MAX][input.below(2)],
            kind: input.one_of(&KINDS),
            is_done: input.flag(),
        });
        let asked = Asked::new(&self.uploads, input);
        if asked.url.parse::<Uri>().is_err() {
            return;
        }
        self.backend.arm(fault);
        let answer = ask(&self.service, &asked).await;
        let met = self.backend.disarm();
        let Some(answer) = answer else {
            assert!(met.is_some(), "an answer broke off: {asked:?}");
            return;
        };
        is_orderly(&asked, &answer, met.is_some());

        let is_told_gone = answer.status() == StatusCode::NOT_FOUND;
        assert!(!is_told_gone || !self.is_acknowledged(&asked), "{asked:?}: {answer:?}");
        let (status, before) = (answer.status(), std::mem::take(&mut self.seen));
        self.seen = self.visible().await;
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&asked.method);
        if status.is_client_error() || reads {
            assert_eq!(self.seen, before, "{asked:?} has changed something: {answer:?}");
        }
        match status.as_u16() {
            200 | 206 | 204 if reads => self.has_read(&asked, &answer).await,
            201 => self.has_created(&asked, &answer).await,
            202 if asked.method == Method::DELETE => self.has_deleted(&asked).await,
            202 => self.has_begun_or_gone_on(&asked, &answer, input).await,
            204 => drop(asked.upload.map(|number| self.uploads.swap_remove(number))),
            _ if reads => {}
            _ => self.has_not(&asked, status, met.is_some()).await,
        }
    }

    /// Is there what the request names?
    fn is_acknowledged(&self, asked: &Asked) -> bool {
        let Some(name) = asked.name else { return false };
        let digest = asked.digest.map(|digest| (name, digest));
        match asked.kind {
            Kind::Blob => digest.is_some_and(|at| self.blobs.contains(&at)),
            Kind::Manifest => {
                let tag = asked.tag.map(|tag| (name, tag));
                digest.is_some_and(|at| self.manifests.contains(&at))
                    || tag.is_some_and(|at| self.tags.contains_key(&at))
            }
            _ => false,
        }
    }

    /// Asks the process whose storage does not fail.
    async fn ask_sound(&self, method: Method, url: &str) -> Answer {
        let asked = Asked::plain(method, url);
        ask(&self.sound, &asked).await.unwrap_or_else(|| unreachable!("nothing fails: {url}"))
    }

    /// All that repositories consist of but their upload sessions.
    async fn visible(&self) -> BTreeMap<Key, Option<Bytes>> {
        let backend = self.backend.sound();
        let keys = backend.list(&layout::repositories(), None).try_collect::<Vec<Key>>().await;
        let mut visible = BTreeMap::new();
        for key in keys.expect("nothing fails") {
            if !key.to_string().contains("/_uploads/") {
                let content = backend.read_small(&key, 1000).await.expect("nothing fails");
                visible.insert(key, content);
            }
        }
        visible
    }

    /// What was read is what was pushed, and HEAD says the same of it.
    async fn has_read(&self, asked: &Asked, answer: &Answer) {
        if let (StatusCode::PARTIAL_CONTENT, Some(digest)) = (answer.status(), asked.digest) {
            let (first, last, size) = answer::part(answer);
            let url = asked.url.split('?').next().unwrap_or_default();
            let whole = self.ask_sound(Method::GET, url).await.into_body();
            assert_eq!(Digest::of(digest.algorithm(), &whole), digest);
            assert_eq!(size, whole.len());
            assert_eq!(answer.body(), &whole[first..=last], "{asked:?}");
        }
        if let (StatusCode::NO_CONTENT, Some(number)) = (answer.status(), asked.upload) {
            assert_eq!(
                text(answer, &RANGE),
                Some(range_of(self.uploads[number].bytes.len()).as_str())
            );
        }
        if let Some(link) = text(answer, &LINK) {
            let next = link.strip_prefix('<').and_then(|link| link.split_once('>'));
            let (next, _) = next.expect("a link is in angle brackets");
            assert_eq!(self.ask_sound(Method::GET, next).await.status(), 200, "{next}");
        }
        if asked.method == Method::GET && !asked.headers.contains_key(RANGE) {
            let head = Asked { method: Method::HEAD, ..asked.clone() };
            let head = ask(&self.sound, &head).await.expect("it has no body that could break off");
            let mut expected = answer.headers().clone();
            let mut found = head.headers().clone();
            // A body that is not read to its end closes the connection, and some are sent to GET too.
            let _ = (expected.remove("connection"), found.remove("connection"));
            assert_eq!((head.status(), found), (answer.status(), expected), "{asked:?}");
        }
    }

    /// What was acknowledged is where the answer says, and is what was sent.
    async fn has_created(&mut self, asked: &Asked, answer: &Answer) {
        let name = asked.name.expect("nothing is made under a name that is none");
        let digest = content_digest(answer).expect("what was made has a digest");
        let found = self.ask_sound(Method::GET, &location(answer)).await;
        assert_eq!(found.status(), 200, "{asked:?}: {answer:?}");
        assert_eq!(Digest::of(digest.algorithm(), found.body()), digest, "{asked:?}");
        let is_mount = asked.url.contains("mount=");
        assert!(is_mount || !asked.is_broken, "{asked:?}");
        if asked.kind == Kind::Manifest {
            assert_eq!(found.body(), &asked.content());
            self.has_put(name, asked, answer, &digest).await;
            return;
        }
        if let Some(number) = asked.upload {
            let sent = self.uploads.swap_remove(number).bytes;
            assert_eq!(found.body(), &[sent, asked.content().into()].concat(), "{asked:?}");
        } else if !is_mount {
            assert_eq!(found.body(), &asked.content());
        }
        self.contents.insert(digest, found.into_body());
        self.blobs.insert((name, digest));
    }

    async fn has_put(
        &mut self,
        name: &'static str,
        asked: &Asked,
        answer: &Answer,
        digest: &Digest,
    ) {
        self.contents.insert(*digest, asked.content());
        self.manifests.insert((name, *digest));
        let tags = answer.headers().get_all("oci-tag").iter().filter_map(|tag| tag.to_str().ok());
        let known = tags.filter_map(|tag| request::TAGS.into_iter().find(|known| *known == tag));
        self.tags.extend(known.chain(asked.tag).map(|tag| ((name, tag), *digest)));
        let manifest: serde_json::Value =
            serde_json::from_slice(&asked.content()).expect("a manifest is JSON");
        let expected = manifest["subject"]["digest"].as_str();
        let expected = expected.filter(|subject| subject.parse::<Digest>().is_ok());
        let subject = text(answer, &HeaderName::from_static("oci-subject"));
        assert_eq!(subject, expected, "{asked:?}");
        if let Some(subject) = subject {
            let url = format!("/v2/{name}/referrers/{subject}");
            let listed = self.ask_sound(Method::GET, &url).await.into_body();
            assert!(String::from_utf8_lossy(&listed).contains(&digest.to_string()), "{asked:?}");
        }
    }

    async fn has_deleted(&mut self, asked: &Asked) {
        let name = asked.name.expect("nothing is under a name that is none");
        match (asked.kind, asked.digest, asked.tag) {
            (Kind::Blob, Some(digest), _) => drop(self.blobs.remove(&(name, digest))),
            (_, Some(digest), _) => {
                self.manifests.remove(&(name, digest));
                self.tags.retain(|(of, _), current| *of != name || *current != digest);
            }
            (_, None, Some(tag)) => drop(self.tags.remove(&(name, tag))),
            // A tag that nobody looks after.
            (_, None, None) => {}
        }
        let url = asked.url.split('?').next().unwrap_or_default();
        assert_eq!(self.ask_sound(Method::GET, url).await.status(), 404, "{asked:?}");
    }

    /// A session has begun, or has all that was sent to it.
    async fn has_begun_or_gone_on(
        &mut self,
        asked: &Asked,
        answer: &Answer,
        input: &mut Input<'_>,
    ) {
        let name = asked.name.expect("nothing is uploaded under a name that is none");
        let new = Upload { name, location: location(answer), bytes: Vec::new() };
        let number = if asked.method == Method::POST {
            self.uploads.push(new);
            self.uploads.len() - 1
        } else {
            let Some(number) = asked.upload else { unreachable!("a session was guessed") };
            assert!(!asked.is_broken, "{asked:?}");
            self.uploads[number].bytes.extend_from_slice(&asked.content());
            // A client may keep the old address; what that says of the offset is wrong from now on.
            if input.below(4) != 3 {
                self.uploads[number].location = new.location;
            }
            number
        };
        let upload = &self.uploads[number];
        assert_eq!(text(answer, &RANGE), Some(range_of(upload.bytes.len()).as_str()), "{asked:?}");
        let found = self.ask_sound(Method::GET, &upload.location).await;
        assert_eq!(found.status(), 204, "{asked:?}");
        assert_eq!(text(&found, &RANGE), text(answer, &RANGE), "{asked:?}");
    }

    /// After a request that would have changed something was refused, or failed: a session has some of what was sent to
    /// it, and none of it where it was told that this belongs elsewhere.
    async fn has_not(&mut self, asked: &Asked, status: StatusCode, has_failed: bool) {
        if has_failed {
            self.forgets_what_may_have_gone(asked).await;
        }
        let Some(number) = asked.upload else { return };
        let Some((stored, now)) = self.stored_of(&self.uploads[number]).await else {
            let ends = [Method::PUT, Method::DELETE].contains(&asked.method);
            assert!(has_failed && ends, "a session ends by 201, DELETE or expiry: {asked:?}");
            self.uploads.swap_remove(number);
            return;
        };
        let (content, upload) = (asked.content(), &mut self.uploads[number]);
        let before = upload.bytes.len();
        let is_told_elsewhere = status == StatusCode::RANGE_NOT_SATISFIABLE;
        let most = before + if is_told_elsewhere { 0 } else { content.len() };
        assert!((before..=most).contains(&stored), "{stored} bytes of {upload:?} after {asked:?}");
        upload.bytes.extend_from_slice(&content[..stored - before]);
        upload.location = now;
    }

    /// How much of a session is stored, and the address at which it goes on; `None` if there is none.
    async fn stored_of(&self, upload: &Upload) -> Option<(usize, String)> {
        let bare = upload.location.split('?').next().unwrap_or_default();
        let found = self.ask_sound(Method::GET, bare).await;
        let id = bare.rsplit('/').next().unwrap_or_default().parse();
        let id = id.expect("it was handed out as the address of a session");
        let name = upload.name.parse().expect("a constant is a name");
        let status = self.store.repository(&name).uploads().status(id).await.ok();
        assert_eq!(status.is_some(), found.status() == 204, "{upload:?}: {found:?}");
        let stored = usize::try_from(status?.tip.offset).expect("it fits in memory");
        assert_eq!(text(&found, &RANGE), Some(range_of(stored).as_str()));
        Some((stored, location(&found)))
    }

    /// What failed half-way may have been done, or a part of it.
    async fn forgets_what_may_have_gone(&mut self, asked: &Asked) {
        let Some(name) = asked.name else { return };
        let tags: Vec<_> = self.tags.keys().filter(|(of, _)| *of == name).copied().collect();
        for (of, tag) in tags {
            let answer = self.ask_sound(Method::GET, &format!("/v2/{of}/manifests/{tag}")).await;
            let (before, now) = (self.tags.remove(&(of, tag)), content_digest(&answer));
            let put = now.map(|now| Digest::of(now.algorithm(), &asked.content()));
            let is_put = asked.method == Method::PUT && now.is_some() && now == put;
            let is_gone = asked.method == Method::DELETE && now.is_none();
            assert!(now == before || is_put || is_gone, "{tag} of {of} after {asked:?}");
            self.tags.extend(now.map(|now| ((of, tag), now)));
        }
        if let (true, Some(digest)) = (asked.method == Method::DELETE, asked.digest) {
            let url = asked.url.split('?').next().unwrap_or_default();
            if self.ask_sound(Method::HEAD, url).await.status() == StatusCode::NOT_FOUND {
                let from =
                    if asked.kind == Kind::Blob { &mut self.blobs } else { &mut self.manifests };
                from.remove(&(name, digest));
            }
        }
    }

    async fn serves_what_was_acknowledged(&self) {
        let all = self.blobs.iter().map(|at| ("blobs", at));
        for (what, (name, digest)) in all.chain(self.manifests.iter().map(|at| ("manifests", at))) {
            let found = self.ask_sound(Method::GET, &format!("/v2/{name}/{what}/{digest}")).await;
            assert_eq!(found.status(), 200, "{what} {digest} of {name}");
            assert_eq!(found.body(), &self.contents[digest]);
        }
        for ((name, tag), digest) in &self.tags {
            let found = self.ask_sound(Method::GET, &format!("/v2/{name}/manifests/{tag}")).await;
            assert_eq!(content_digest(&found), Some(*digest), "{tag} of {name}");
        }
        for upload in &self.uploads {
            let digest = Digest::sha256(&upload.bytes);
            let bare = upload.location.split('?').next().unwrap_or_default();
            let done = self.ask_sound(Method::PUT, &format!("{bare}?digest={digest}")).await;
            assert_eq!(done.status(), 201, "{upload:?}: {done:?}");
        }
    }
}

/// The `Range` of a session of so many bytes: nothing looks as one byte does.
fn range_of(stored: usize) -> String {
    format!("0-{}", stored.saturating_sub(1))
}

/// The answer to a request whose URL is one; `None` if its body broke off.
async fn ask(service: &RegistryService, asked: &Asked) -> Option<Answer> {
    let response = service.clone().oneshot(asked.request()).await;
    let (head, body) = response.unwrap_or_else(|never| match never {}).into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Answer::from_parts(head, body))
}
