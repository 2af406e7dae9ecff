//! [`Pusher`]: a client that pushes, moves and deletes, and notes what it is told.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use registry_store::digest::Digest;
use registry_store::media_type::MediaType;
use serde_json::{Value, json};

use crate::acknowledged::chance::Chance;
use crate::acknowledged::check::After;
use crate::acknowledged::content::Content;
use crate::acknowledged::cutting::{Cut, Cutting};
use crate::acknowledged::facts::Fact;
use crate::acknowledged::figures::Figures;
use crate::acknowledged::ledger::{Ledger, Pointing};
use crate::acknowledged::wire::{Body, Request, Wire};
use crate::documents::descriptor;
use crate::plain_http::Answer;

pub(super) const OCTETS: &str = "Content-Type: application/octet-stream\r\n";
const NOTHING: Body<'_> = Body::Whole(b"");
/// Layers that all clients push, of these lengths.
const SHARED: [usize; 6] = [3_001, 60_013, 300_007, 1 << 20, 3_000_017, 5_000_011];
/// How many tags a client has in each repository.
const TAGS: usize = 6;

/// A client that pushes, moves and deletes, and notes what it is told. It has tags of its own in a repository that
/// others push to as well, and two repositories to itself.
#[derive(Debug)]
pub struct Pusher {
    /// What it was told.
    pub ledger: Ledger,
    /// How much it did, and looked at.
    pub figures: Figures,
    /// What it found to be otherwise than it was told.
    pub losses: Vec<String>,
    pub(super) chance: Chance,
    pub(super) after: After,
    pub(super) wires: Vec<Wire>,
    pub(super) handed: usize,
    pub(super) unfinished: Vec<TcpStream>,
    number: u64,
    made: u64,
    largest: usize,
    victim: usize,
    cutting: Arc<Cutting>,
}

/// How a blob is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// POST with the digest and all bytes.
    Whole,
    /// POST, then PUT with all bytes.
    Put,
    /// POST, so many PATCHes, then PUT.
    Patched(usize),
    /// POST that names another repository; bytes only if that does not have it.
    Mount(String),
}

impl Pusher {
    /// A client with a number of its own; no blob it makes is longer than `largest` bytes.
    pub fn new(number: u64, seed: u64, largest: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            figures: Figures::default(),
            losses: Vec::new(),
            chance: Chance::new(seed ^ (number << 48)),
            after: After::Kill,
            wires: Vec::new(),
            handed: 0,
            unfinished: Vec::new(),
            number,
            made: 0,
            largest,
            victim: 0,
            cutting: Arc::default(),
        }
    }

    /// From now on it speaks to these servers, of which one may be killed.
    pub fn speak_to(&mut self, servers: &[SocketAddr], victim: usize, cutting: &Arc<Cutting>) {
        self.wires = servers.iter().map(|&server| Wire::to(server)).collect();
        self.victim = victim;
        self.cutting = cutting.clone();
    }

    /// Another that was told the same, to speak to a server that woke up after `after`.
    pub fn again(&self, after: After) -> Self {
        let mut again = Self::new(self.number, 0, self.largest);
        again.ledger = self.ledger.clone();
        again.after = after;
        again
    }

    /// Works until the server is gone.
    pub fn work(&mut self) {
        while self.step().is_ok() || !self.cutting.over() {}
    }

    /// One of the things that clients do.
    pub fn step(&mut self) -> Result<(), Cut> {
        match self.chance.below(20) {
            0..=7 => self.push_image(),
            8 | 9 => self.move_tag(),
            10 | 11 => self.delete_tag(),
            12 => self.delete_manifest(),
            13 => self.push_referrer(),
            14 => self.push_index(),
            15 => self.push_blob_and_delete_it(),
            16 => self.park(),
            17 => self.cancel(),
            _ => match self.ledger.sessions.len() {
                0 => self.park(),
                open => {
                    let session = self.chance.below(open);
                    self.go_on(session)
                }
            },
        }
    }

    /// Pushes the layers of an image, its config, and its manifest under a tag.
    pub fn push_image(&mut self) -> Result<(), Cut> {
        let name = self.name();
        let document = self.push_parts_of_image(&name)?;
        let tag = self.tag();
        self.put(&name, &document, Some(&tag)).map(|_| ())
    }

    /// The same, but for the manifest, which is returned.
    pub fn push_parts_of_image(&mut self, name: &str) -> Result<Value, Cut> {
        let mut layers = Vec::new();
        for _ in 0..1 + self.chance.below(3) {
            let layer = if self.chance.one_in(3) { self.shared() } else { self.layer() };
            let way = self.way();
            self.push_blob(name, layer, &way)?;
            layers.push(described("application/vnd.oci.image.layer.v1.tar", layer));
        }
        let config = self.content(64);
        self.push_blob(name, config, &Way::Whole)?;
        Ok(json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", config),
            "layers": layers,
        }))
    }

    /// Puts a manifest that is there under a tag once more, or under another.
    pub fn move_tag(&mut self) -> Result<(), Cut> {
        let name = self.name();
        let Some(digest) = self.present(&name, |_| true) else {
            return self.push_image();
        };
        let document = self.document(&name, digest);
        let tag = self.tag();
        self.put(&name, &document, Some(&tag)).map(|_| ())
    }

    /// Deletes a tag.
    pub fn delete_tag(&mut self) -> Result<(), Cut> {
        let points = |tag: &Pointing| tag.may.len() == 1 && !tag.may.contains(&None);
        let known = self.ledger.tags.iter().filter(|(_, tag)| points(tag));
        let known: Vec<_> = known.map(|(key, _)| key.clone()).collect();
        let Some((name, tag)) = self.chance.pick(&known) else {
            return self.push_image();
        };
        self.ledger.tag_being_deleted(&name, &tag);
        self.delete("DELETE of a tag", &format!("/v2/{name}/manifests/{tag}"))?;
        self.ledger.tag_deleted(&name, &tag);
        Ok(())
    }

    /// Deletes a manifest, and so the tags on it.
    pub fn delete_manifest(&mut self) -> Result<(), Cut> {
        let name = self.name();
        let Some(digest) = self.present(&name, |kept| !kept) else {
            return self.push_image();
        };
        self.ledger.manifest_being_deleted(&name, digest);
        self.delete("DELETE of a manifest", &format!("/v2/{name}/manifests/{digest}"))?;
        self.ledger.manifest_deleted(&name, digest);
        Ok(())
    }

    /// Pushes an image that refers to another.
    pub fn push_referrer(&mut self) -> Result<(), Cut> {
        let name = self.name();
        let Some(subject) = self.present(&name, |_| true) else {
            return self.push_image();
        };
        let mut document = self.push_parts_of_image(&name)?;
        let length = self.document(&name, subject).to_string().len();
        document["subject"] = descriptor(MediaType::OCI_MANIFEST, &subject, length);
        self.put(&name, &document, None).map(|_| ())
    }

    /// Pushes an index of two images that are there, which are not deleted from then on.
    pub fn push_index(&mut self) -> Result<(), Cut> {
        let name = self.name();
        let mut entries = Vec::new();
        for _ in 0..2 {
            let Some(digest) = self.present(&name, |_| true) else {
                return self.push_image();
            };
            self.ledger.keep(&name, digest);
            let document = self.document(&name, digest);
            let media_type = document["mediaType"].as_str().expect("each has one").to_owned();
            entries.push(descriptor(&media_type, &digest, document.to_string().len()));
        }
        let document = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries,
        });
        let tag = self.tag();
        self.put(&name, &document, Some(&tag)).map(|_| ())
    }

    /// Pushes a blob that no image has, and deletes it.
    pub fn push_blob_and_delete_it(&mut self) -> Result<(), Cut> {
        let (name, content) = (self.name(), self.layer());
        self.push_blob(&name, content, &Way::Patched(1))?;
        let digest = content.digest();
        self.ledger.blob(&name, digest, Fact::Either);
        self.delete("DELETE of a blob", &format!("/v2/{name}/blobs/{digest}"))?;
        self.ledger.blob(&name, digest, Fact::Gone);
        Ok(())
    }

    /// Pushes a blob.
    pub fn push_blob(&mut self, name: &str, content: Content, way: &Way) -> Result<(), Cut> {
        let parts = match way {
            Way::Whole => return self.push_whole(name, content),
            Way::Put => 0,
            Way::Patched(parts) => *parts,
            Way::Mount(from) => {
                if self.mount(name, content, from)? {
                    return Ok(());
                }
                1
            }
        };
        if !matches!(way, Way::Mount(_)) {
            self.begin(name, content, "")?;
        }
        let session = self.ledger.sessions.len() - 1;
        let mut left = content.length;
        for _ in 0..parts {
            let length = 1 + self.chance.below(left);
            self.append(session, length)?;
            left -= length;
            if left == 0 {
                break;
            }
        }
        self.finish(session)
    }

    /// Mounts a blob from another repository. `false` if that does not have it, and a session has begun.
    pub fn mount(&mut self, name: &str, content: Content, from: &str) -> Result<bool, Cut> {
        let digest = content.digest();
        self.ledger.blob_being_made(name, digest);
        let target = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
        self.cutting.before_last();
        let answer = self.post("POST that mounts", &target, NOTHING)?;
        if answer.status == 201 {
            self.ledger.blob(name, digest, Fact::There);
            self.figures.others += 1;
            return Ok(true);
        }
        self.note_begun(name, content, &expect(202, answer));
        Ok(false)
    }

    /// Puts a manifest, under a tag if there is one, and otherwise by its digest.
    pub fn put(&mut self, name: &str, document: &Value, tag: Option<&str>) -> Result<Digest, Cut> {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        let reference = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let target = format!("/v2/{name}/manifests/{reference}");
        let media_type = document["mediaType"].as_str().expect("each has one");
        let headers = format!("Content-Type: {media_type}\r\n");
        self.ledger.manifest_being_put(name, digest, document, tag);
        let request = Request {
            method: "PUT",
            target: &target,
            headers: &headers,
            body: Body::Whole(&bytes),
        };
        expect(201, self.ask_last("PUT of a manifest", request)?);
        self.ledger.manifest_put(name, digest, tag);
        self.figures.pushes += 1;
        Ok(digest)
    }

    /// A repository, by chance.
    pub fn name(&mut self) -> String {
        match self.chance.below(3) {
            0 => "shared/app".to_owned(),
            1 => format!("team-{}/app", self.number),
            _ => format!("team-{}/app/tools", self.number),
        }
    }

    /// The beginning of all tags that are its own.
    pub fn prefix(&self) -> String {
        format!("by-{}-", self.number)
    }

    /// Content that nobody else has: a small one, or a larger one, or a large one.
    pub fn layer(&mut self) -> Content {
        let length = match self.chance.below(12) {
            0 => 1_500_000 + self.chance.below(5_000_000),
            1..=4 => 30_000 + self.chance.below(300_000),
            _ => 100 + self.chance.below(9_000),
        };
        self.content(length)
    }

    /// Content of this length that nobody else has.
    pub fn content(&mut self, length: usize) -> Content {
        self.made += 1;
        Content { length: length.min(self.largest), seed: (self.number + 1) << 32 | self.made }
    }

    pub(super) fn ask(&mut self, what: &str, request: Request<'_>) -> Result<Answer, Cut> {
        self.handed = 0;
        let killed = self.cutting.killed();
        let living: Vec<_> =
            (0..self.wires.len()).filter(|&server| !killed || server != self.victim).collect();
        if self.cutting.over() {
            return Err(Cut);
        }
        let server = self.chance.pick(&living).ok_or(Cut)?;
        let answer = self.wires[server].ask(request, &self.cutting);
        self.handed = self.wires[server].handed();
        answer.map_err(|error| {
            let Request { method, target, .. } = request;
            let may_fail = server == self.victim && self.cutting.killed();
            assert!(may_fail, "{method} {target}: {error}");
            *self.figures.unanswered.entry(what.to_owned()).or_default() += 1;
            Cut
        })
    }

    /// The same, where the answer promises something.
    pub(super) fn ask_last(&mut self, what: &str, request: Request<'_>) -> Result<Answer, Cut> {
        self.cutting.before_last();
        self.ask(what, request)
    }

    pub(super) fn post(&mut self, what: &str, target: &str, body: Body<'_>) -> Result<Answer, Cut> {
        self.ask(what, Request { method: "POST", target, headers: OCTETS, body })
    }

    pub(super) fn get(&mut self, target: &str) -> Result<Answer, Cut> {
        self.ask("GET", Request { method: "GET", target, headers: "", body: NOTHING })
    }

    pub(super) fn head(&mut self, target: &str) -> Result<Answer, Cut> {
        self.ask("HEAD", Request { method: "HEAD", target, headers: "", body: NOTHING })
    }

    /// Something is not as it was told.
    pub(super) fn lost(&mut self, what: &str) {
        self.losses.push(what.to_owned());
    }

    fn push_whole(&mut self, name: &str, content: Content) -> Result<(), Cut> {
        let digest = content.digest();
        self.ledger.blob_being_made(name, digest);
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        self.cutting.before_last();
        let answer = self.post("POST of a blob", &target, Body::Whole(&content.bytes()))?;
        expect(201, answer);
        self.ledger.blob(name, digest, Fact::There);
        self.figures.others += 1;
        Ok(())
    }

    fn delete(&mut self, what: &str, target: &str) -> Result<(), Cut> {
        let request = Request { method: "DELETE", target, headers: "", body: NOTHING };
        expect(202, self.ask_last(what, request)?);
        self.figures.others += 1;
        Ok(())
    }

    fn way(&mut self) -> Way {
        match self.chance.below(6) {
            0 => Way::Whole,
            1 => Way::Put,
            2 | 3 => Way::Patched(1 + self.chance.below(3)),
            _ => Way::Mount(self.name()),
        }
    }

    fn shared(&mut self) -> Content {
        let number = self.chance.below(SHARED.len());
        let length = SHARED[number].min(self.largest);
        Content { length, seed: number as u64 }
    }

    fn tag(&mut self) -> String {
        format!("{}v{}", self.prefix(), self.chance.below(TAGS))
    }

    fn document(&self, name: &str, digest: Digest) -> Value {
        self.ledger.manifests[&(name.to_owned(), digest)].document.clone()
    }

    /// A manifest of the repository that is known to be there, and to be kept or not.
    fn present(&mut self, name: &str, kept: impl Fn(bool) -> bool) -> Option<Digest> {
        let known = self.ledger.manifests.iter().filter(|((of, _), manifest)| {
            of == name && manifest.there == Fact::There && kept(manifest.kept)
        });
        let known: Vec<_> = known.map(|((_, digest), _)| *digest).collect();
        self.chance.pick(&known)
    }
}

fn described(media_type: &str, content: Content) -> Value {
    descriptor(media_type, &content.digest(), content.length)
}

/// Expects an answer of this status, and shows the body of another.
#[track_caller]
pub(super) fn expect(status: u16, answer: Answer) -> Answer {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{:?}\n{body:.1000}", answer.headers);
    answer
}
