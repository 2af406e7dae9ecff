//! [`Step`]: one request to a store, as a client makes it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::gc::CollectOptions;
use registry_store::manifest::Manifest;
use registry_store::reference::Tag;
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use registry_tests::documents::{descriptor_of, image, image_document, manifest};
use registry_tests::world::{body, repository};

/// The config of every image here.
pub(crate) const CONFIG: &[u8] = b"{}";
/// Contents of blobs.
pub(crate) const CONTENTS: [&[u8]; 3] = [CONFIG, b"hello, world", b"good night"];
/// Repositories.
pub(crate) const REPOSITORIES: [&str; 2] = ["a", "b/c"];
/// Tags.
pub(crate) const TAGS: [&str; 2] = ["latest", "v1"];

/// Which of the manifests there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Which {
    /// An image with the second content as its layer.
    Day,
    /// An image with the third content as its layer.
    Night,
    /// An image whose subject is the first.
    Signature,
}

impl Which {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Day, Self::Night, Self::Signature];

    /// The manifest.
    pub(crate) fn manifest(self) -> Manifest {
        match self {
            Self::Day => image(CONFIG, &[CONTENTS[1]]),
            Self::Night => image(CONFIG, &[CONTENTS[2]]),
            Self::Signature => {
                let mut document = image_document(CONFIG, &[]);
                document["subject"] = descriptor_of(&Self::Day.manifest());
                manifest(&document)
            }
        }
    }

    /// Its digest.
    pub(crate) fn digest(self) -> Digest {
        Digest::sha256(self.manifest().bytes())
    }

    /// The contents of the blobs it refers to, by number.
    pub(crate) const fn contents(self) -> &'static [usize] {
        match self {
            Self::Day => &[0, 1],
            Self::Night => &[0, 2],
            Self::Signature => &[0],
        }
    }
}

/// One request. Repositories, contents and tags are given by their number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A blob whose digest is known before its first byte.
    Push(usize, usize),
    /// POST: the session of this number.
    Start(usize, usize),
    /// PATCH of the session: these bytes, which begin at this offset.
    Append(usize, u64, &'static [u8]),
    /// PUT of the session: its last bytes, and the content it is to be.
    Commit(usize, &'static [u8], usize),
    /// DELETE of the session.
    Cancel(usize),
    /// A content into the first repository from the second.
    Mount(usize, usize, usize),
    /// A manifest by its digest, or under a tag.
    Put(usize, Which, Option<usize>),
    /// DELETE of a tag.
    DeleteTag(usize, usize),
    /// DELETE of a manifest.
    DeleteManifest(usize, Which),
    /// DELETE of a blob.
    DeleteBlob(usize, usize),
    /// A collection; of what has no tag too, if it says so.
    Collect(bool),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(name, content) => write!(f, "push content {content} to {name}"),
            Self::Start(name, session) => write!(f, "start session {session} in {name}"),
            Self::Append(session, at, bytes) => {
                write!(f, "append \"{}\" to session {session} at {at}", bytes.escape_ascii())
            }
            Self::Commit(session, bytes, content) => {
                let bytes = bytes.escape_ascii();
                write!(f, "commit session {session} with \"{bytes}\" as content {content}")
            }
            Self::Cancel(session) => write!(f, "cancel session {session}"),
            Self::Mount(to, from, content) => write!(f, "mount {content} into {to} from {from}"),
            Self::Put(name, which, Some(tag)) => write!(f, "put {which:?} to {name} as {tag}"),
            Self::Put(name, which, None) => write!(f, "put {which:?} to {name}"),
            Self::DeleteTag(name, tag) => write!(f, "delete tag {tag} of {name}"),
            Self::DeleteManifest(name, which) => write!(f, "delete {which:?} of {name}"),
            Self::DeleteBlob(name, content) => write!(f, "delete content {content} of {name}"),
            Self::Collect(delete_untagged) => write!(f, "collect, untagged too: {delete_untagged}"),
        }
    }
}

/// The sessions that steps have begun: in which repository, and under which id.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<usize, (usize, UploadId)>>);

impl Clone for Sessions {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap().clone()))
    }
}

impl Sessions {
    /// Of all that were begun: number, repository and id.
    pub(crate) fn all(&self) -> Vec<(usize, usize, UploadId)> {
        let sessions = self.0.lock().unwrap();
        sessions.iter().map(|(session, (name, id))| (*session, *name, *id)).collect()
    }

    fn begun(&self, session: usize) -> (usize, UploadId) {
        self.0.lock().unwrap()[&session]
    }
}

/// A handle to a repository, by its number.
pub(crate) fn repository_of(store: &Store, name: usize) -> Repository {
    repository(store, REPOSITORIES[name])
}

/// A tag, by its number.
pub(crate) fn tag(number: usize) -> Tag {
    TAGS[number].parse().unwrap()
}

impl Step {
    /// Makes the request. An answer that is no error and yet not what was asked for is one here.
    pub(crate) async fn run(self, store: &Store, sessions: &Sessions) -> Result<()> {
        match self {
            Self::Push(name, content) => {
                let content = CONTENTS[content];
                let blobs = repository_of(store, name).blobs();
                blobs.put(&Digest::sha256(content), body(&[content])).await.map(drop)
            }
            Self::Start(name, session) => {
                let uploads = repository_of(store, name).uploads();
                let id = uploads.start(Algorithm::Sha256).await?.id;
                sessions.0.lock().unwrap().insert(session, (name, id));
                Ok(())
            }
            Self::Append(session, offset, bytes) => {
                let (name, id) = sessions.begun(session);
                let at = ResumeAt { tip: None, offset: Some(offset) };
                let uploads = repository_of(store, name).uploads();
                uploads.append(id, at, body(&[bytes])).await.map(drop)
            }
            Self::Commit(session, bytes, content) => {
                let (name, id) = sessions.begun(session);
                let digest = Digest::sha256(CONTENTS[content]);
                let offset = CONTENTS[content].len() - bytes.len();
                let at = ResumeAt { tip: None, offset: Some(offset as u64) };
                let uploads = repository_of(store, name).uploads();
                uploads.commit(id, at, &digest, body(&[bytes])).await.map(drop)
            }
            Self::Cancel(session) => {
                let (name, id) = sessions.begun(session);
                repository_of(store, name).uploads().cancel(id).await
            }
            Self::Mount(to, from, content) => mount(store, to, from, content).await,
            Self::Put(name, which, under) => {
                let tags: Vec<_> = under.map(tag).into_iter().collect();
                let manifests = repository_of(store, name).manifests();
                manifests.put(&which.manifest(), &which.digest(), &tags).await
            }
            Self::DeleteTag(name, number) => {
                repository_of(store, name).tags().delete(&tag(number)).await
            }
            Self::DeleteManifest(name, which) => {
                repository_of(store, name).manifests().delete(&which.digest()).await
            }
            Self::DeleteBlob(name, content) => {
                let digest = Digest::sha256(CONTENTS[content]);
                repository_of(store, name).blobs().delete(&digest).await
            }
            Self::Collect(delete_untagged) => {
                let options = CollectOptions {
                    delete_untagged,
                    no_repositories: true,
                    ..CollectOptions::default()
                };
                store.collect(options, &mut |_| {}).await.map(drop)
            }
        }
    }
}

async fn mount(store: &Store, to: usize, from: usize, content: usize) -> Result<()> {
    let digest = Digest::sha256(CONTENTS[content]);
    let (to, from) = (repository_of(store, to), repository_of(store, from));
    match to.mount(&digest, from.name()).await? {
        Some(_) => Ok(()),
        None => Err(Error::BlobUnknown { name: from.name().clone(), digest }),
    }
}
