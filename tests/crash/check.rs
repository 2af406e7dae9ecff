//! What a store shows of what a crash left, and what is wrong with that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use registry_store::backend::Key;
use registry_store::backend::fs::FilesystemBackend;
use registry_store::digest::Digest;
use registry_store::error::{Error, Result};
use registry_store::layout;
use registry_store::options::StoreOptions;
use registry_store::reference::Reference;
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use registry_tests::world::{TestRandom, body, pull};

use super::disk::crash::Medium;
use super::disk::tree::Tree;
use super::disk::{Disk, Process, Refused};
use super::step::{CONTENTS, REPOSITORIES, Sessions, Step, TAGS, Which, repository_of, tag};
use super::world::{Asked, Expected, World};

/// The root of every store here.
pub(crate) const ROOT: &str = "/sim";

/// A store of a process on a disk, as it is after its start.
pub(crate) fn open(disk: &Disk, process: Process) -> Store {
    let backend = FilesystemBackend::with_system(ROOT, disk.system(process)).unwrap();
    let random = Arc::new(TestRandom::default());
    Store::new(Arc::new(backend), StoreOptions { random, ..StoreOptions::default() })
}

/// How a crash came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Crash {
    /// The processes were killed: what they wrote is there.
    Kill,
    /// The power went: what was not synced may be gone.
    Power,
}

/// What was found after a crash.
pub(crate) struct Wreck<'a> {
    /// What is on the disk.
    pub(crate) tree: Tree,
    /// How it came about.
    pub(crate) crash: Crash,
    /// What there was for certain before the last requests.
    pub(crate) base: &'a World,
    /// The last requests.
    pub(crate) asked: Vec<Asked>,
    /// Sessions that were begun.
    pub(crate) sessions: &'a Sessions,
    /// What the filesystem does not know.
    pub(crate) refused: Refused,
    /// What was observed on other disks.
    pub(crate) observed: &'a Observed,
}

/// What stores showed of disks, so that those that are alike are looked at once.
#[derive(Default)]
pub(crate) struct Observed(Mutex<HashMap<String, Result<World, String>>>);

impl Wreck<'_> {
    /// What is wrong with it, and with what comes of it when the requests are made again.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let boot = if self.crash == Crash::Kill { "first" } else { "second" };
        let disk = Disk::new(self.tree.clone(), boot, self.refused);
        let mut medium = Medium::of(&self.tree);
        let store = open(&disk, 0);
        let bytes_survive = self.crash == Crash::Kill;

        let expected = Expected::after(self.base, &self.asked);
        let mut faults = self.compare(&disk, &store, &expected, bytes_survive).await;
        if !faults.is_empty() {
            return faults;
        }
        let mut now = self.asked.clone();
        for asked in now.iter_mut().filter(|asked| !asked.is_acknowledged) {
            match self.again(&disk, &store, asked.step).await {
                Ok(is_acknowledged) => asked.is_acknowledged = is_acknowledged,
                Err(fault) => faults.push(fault),
            }
        }
        store.finish_detached().await;
        let expected = Expected::after(self.base, &now);
        let told = |faults: Vec<String>, when: &str| {
            faults.into_iter().map(|fault| format!("{when}: {fault}")).collect::<Vec<_>>()
        };
        let seen = self.compare(&disk, &store, &expected, bytes_survive).await;
        faults.extend(told(seen, "when it was asked again"));

        // What was acknowledged now is durable too, whatever the first try had left.
        disk.log().iter().for_each(|effect| medium.take(effect));
        let disk = Disk::new(medium.least(), "third", self.refused);
        let seen = self.compare(&disk, &open(&disk, 0), &expected, false).await;
        faults.extend(told(seen, "when it was asked again and the power went again"));
        faults
    }

    fn deletes_blobs(&self) -> bool {
        self.asked.iter().any(|asked| matches!(asked.step, Step::DeleteBlob(..)))
    }

    fn collects(&self) -> bool {
        self.asked.iter().any(|asked| matches!(asked.step, Step::Collect(_)))
    }

    async fn compare(
        &self,
        disk: &Disk,
        store: &Store,
        expected: &Expected,
        bytes_survive: bool,
    ) -> Vec<String> {
        let found = match self.observe_once(disk, store).await {
            Ok(found) => found,
            Err(error) => return vec![format!("expected a store that can be read: {error}")],
        };
        let mut faults = expected.faults(&found, bytes_survive);
        if !self.deletes_blobs() {
            faults.extend(found.incomplete());
        }
        faults.extend(torn(&disk.tree()));
        faults
    }

    /// Makes a request again, as its client does; whether it was acknowledged now.
    async fn again(&self, disk: &Disk, store: &Store, step: Step) -> Result<bool, String> {
        let result = match step {
            Step::Append(session, ..) | Step::Commit(session, ..) => {
                match self.go_on(disk, store, session, step).await {
                    Ok(false) => return Ok(false),
                    gone_on => gone_on.map(drop),
                }
            }
            // Nobody was told of its id; the client begins another.
            Step::Start(..) => return Ok(false),
            step => step.run(store, self.sessions).await,
        };
        match (step, result) {
            (_, Ok(()))
            | (Step::Cancel(_), Err(Error::UploadUnknown { .. }))
            | (
                Step::DeleteTag(..) | Step::DeleteManifest(..),
                Err(Error::ManifestUnknown { .. }),
            )
            | (Step::DeleteBlob(..), Err(Error::BlobUnknown { .. })) => Ok(true),
            // Another request took away what this one needs.
            (Step::Put(..), Err(Error::ManifestBlobUnknown { .. }))
            | (Step::Mount(..), Err(Error::BlobUnknown { .. }))
                if self.deletes_blobs() || self.collects() =>
            {
                Ok(false)
            }
            (step, Err(error)) => Err(format!("{step:?}, asked again: {error}")),
        }
    }

    /// Brings a session from wherever it is to where the request was to bring it; or begins again, if it is gone. `false` if
    /// another client's bytes are in the way.
    async fn go_on(&self, disk: &Disk, store: &Store, session: usize, step: Step) -> Result<bool> {
        let all = self.sessions.all();
        let (_, name, id) = *all.iter().find(|(begun, ..)| *begun == session).unwrap();
        let uploads = repository_of(store, name).uploads();
        let (bytes, content) = match step {
            Step::Append(_, at, bytes) => {
                let held = self.base.sessions.get(&session).map_or(&[][..], Vec::as_slice);
                let held = &held[..held.len().min(usize::try_from(at).unwrap())];
                ([held, bytes].concat(), None)
            }
            Step::Commit(_, _, content) => (CONTENTS[content].to_vec(), Some(content)),
            _ => panic!("expected a request on a session, found {step:?}"),
        };
        let held = match uploads.status(id).await {
            Ok(status) => stored(disk, name, id, status.tip.offset).unwrap(),
            // Promoted and not linked yet, it is unknown to all but a PUT of the same digest.
            Err(Error::UploadUnknown { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let Some(rest) = bytes.strip_prefix(&held[..]) else {
            // It is told by 416, and stops.
            return Ok(false);
        };
        let result = match content {
            Some(_) => {
                let digest = Digest::sha256(&bytes);
                uploads.commit(id, ResumeAt::default(), &digest, body(&[rest])).await.map(drop)
            }
            None => uploads.append(id, ResumeAt::default(), body(&[rest])).await.map(drop),
        };
        let gone_on = match (result, content) {
            (Err(Error::UploadUnknown { .. }), Some(content)) => {
                Step::Push(name, content).run(store, self.sessions).await
            }
            (Err(Error::UploadUnknown { .. }), None) => Ok(()),
            (result, _) => result,
        };
        gone_on.map(|()| true)
    }

    /// What the store shows, unless one did on a disk that is alike.
    async fn observe_once(&self, disk: &Disk, store: &Store) -> Result<World, String> {
        let seen = format!("{:?} {}\n{}", self.refused, disk.boot(), disk.tree());
        if let Some(found) = self.observed.0.lock().unwrap().get(&seen) {
            return found.clone();
        }
        let found = self.observe(disk, store).await;
        self.observed.0.lock().unwrap().insert(seen, found.clone());
        found
    }

    /// What the store shows.
    async fn observe(&self, disk: &Disk, store: &Store) -> Result<World, String> {
        let mut world = World::default();
        for name in self.base.repositories(&self.asked) {
            let repository = repository_of(store, name);
            layers(&repository, name, &mut world).await?;
            manifests(&repository, name, &mut world).await?;
            tags(&repository, name, &mut world).await?;
        }
        for (session, name, id) in self.sessions.all() {
            match repository_of(store, name).uploads().status(id).await {
                Ok(status) => {
                    let bytes = stored(disk, name, id, status.tip.offset)?;
                    world.sessions.insert(session, bytes);
                }
                Err(Error::UploadUnknown { .. }) => {}
                Err(error) => return Err(format!("session {session}: {error}")),
            }
        }
        Ok(world)
    }
}

/// The first so many bytes of a session, as they are on the disk.
fn stored(disk: &Disk, name: usize, id: UploadId, length: u64) -> Result<Vec<u8>, String> {
    let name = REPOSITORIES[name];
    let data = format!("docker/registry/v2/repositories/{name}/_uploads/{id}/data");
    let tree = disk.tree();
    let inode = tree.find(&Path::new(ROOT).join(data)).map_err(|error| error.to_string())?;
    let bytes = tree.bytes(inode).get(..usize::try_from(length).unwrap());
    Ok(bytes.ok_or_else(|| format!("session {id} says {length} bytes and has fewer"))?.to_vec())
}

async fn layers(repository: &Repository, name: usize, world: &mut World) -> Result<(), String> {
    for (content, expected) in CONTENTS.into_iter().enumerate() {
        match pull(repository, &Digest::sha256(expected)).await {
            Ok(found) if found == expected => _ = world.layers.insert((name, content)),
            Ok(found) => return Err(format!("{content} is served as {}", found.escape_ascii())),
            Err(Error::BlobUnknown { .. }) => {}
            Err(error) => return Err(format!("layer {content} of {name}: {error}")),
        }
    }
    Ok(())
}

async fn manifests(repository: &Repository, name: usize, world: &mut World) -> Result<(), String> {
    for which in Which::ALL {
        match repository.manifests().get(&Reference::Digest(which.digest())).await {
            Ok(found) if found.bytes == *which.manifest().bytes() => {
                world.manifests.insert((name, which));
            }
            Ok(found) => return Err(format!("{which:?} is served as {:?}", found.bytes)),
            Err(Error::ManifestUnknown { .. }) => {}
            Err(error) => return Err(format!("{which:?} of {name}: {error}")),
        }
    }
    let referrers = repository.referrers().list(&Which::Day.digest(), None, None, 10).await;
    if !referrers.map_err(|error| format!("referrers in {name}: {error}"))?.items.is_empty() {
        world.listed.insert(name);
    }
    Ok(())
}

async fn tags(repository: &Repository, name: usize, world: &mut World) -> Result<(), String> {
    let mut there = Vec::new();
    for number in 0..TAGS.len() {
        match repository.tags().resolve(&tag(number)).await {
            Ok(digest) => {
                let which = Which::ALL.into_iter().find(|which| which.digest() == digest);
                let which = which.ok_or_else(|| format!("tag {number} of {name} is {digest}"))?;
                world.tags.insert((name, number), which);
                there.push(tag(number));
            }
            Err(Error::ManifestUnknown { .. }) => {}
            Err(error) => return Err(format!("tag {number} of {name}: {error}")),
        }
    }
    let listed = match repository.tags().list(None, 10).await {
        Ok(page) => page.items,
        Err(Error::NameUnknown { .. }) => Vec::new(),
        Err(error) => return Err(format!("tags of {name}: {error}")),
    };
    if listed == there {
        Ok(())
    } else {
        Err(format!("tags {listed:?} are listed, {there:?} found"))
    }
}

/// Where an object is on the disk.
pub(crate) fn at(key: &Key) -> PathBuf {
    Path::new(ROOT).join(key.as_str())
}

/// Blobs and links on the disk that are not whole, or lead nowhere, whether anything shows them or not.
fn torn(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let is_there = |digest: Digest| tree.find(&at(&layout::blob(&digest))).is_ok();
    for (path, inode) in tree.paths() {
        let shown: PathBuf = path.strip_prefix("/").unwrap().to_owned();
        let is_ours = path.iter().any(|part| part == "_rs" || part == "_uploads");
        if is_ours || tree.is_directory(inode) {
            continue;
        }
        let bytes = tree.bytes(inode);
        let is_whole = match path.file_name().and_then(|name| name.to_str()) {
            Some("data") => {
                let directory = path.parent().and_then(Path::file_name).unwrap();
                Digest::sha256(bytes).hex() == directory.to_string_lossy()
            }
            Some("link") => {
                std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Digest>().is_ok())
            }
            _ => true,
        };
        if path.iter().any(|part| part == "_layers")
            && let Some(digest) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok())
            && !is_there(digest)
        {
            faults.push(format!("{} leads nowhere", shown.display()));
        }
        if !is_whole {
            faults.push(format!("{} holds \"{}\"", shown.display(), bytes.escape_ascii()));
        }
    }
    faults
}
