//! [`Door`]: what a client's calls go through: a store in this process, or a server in another.

use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{CONTENT_TYPE, HOST, IF_MATCH, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use registry_store::backend::ReadRange;
use registry_store::digest::Digest;
use registry_store::error::{Error, Result};
use registry_store::precondition::Precondition;
use registry_store::reference::{Reference, Tag};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_tests::world::{body, repository};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::calls::{
    Asks, Call, Outcome, blob, manifest, manifest_of, repository_name, tag_name, tag_of,
};

/// Answers calls.
#[async_trait]
pub(crate) trait Door: Send + Sync {
    /// `None` if the call was never made.
    async fn answer(&self, call: &Call) -> Option<Outcome>;
}

#[async_trait]
impl Door for Store {
    async fn answer(&self, call: &Call) -> Option<Outcome> {
        let outcome = answer(self, call).await;
        Some(outcome.unwrap_or_else(|error| match error {
            Error::ManifestUnknown { .. }
            | Error::BlobUnknown { .. }
            | Error::NameUnknown { .. } => Outcome::Absent,
            Error::PreconditionFailed { .. } => Outcome::Refused,
            // Of a push that met a delete: it may have been done before, and been undone.
            Error::ManifestBlobUnknown { .. } => Outcome::Unknown,
            error => panic!("{call:?}: {error}"),
        }))
    }
}

async fn answer(store: &Store, call: &Call) -> Result<Outcome> {
    let of = |at: usize| repository(store, &repository_name(at));
    let tag_named = |tag: usize| -> Tag { tag_name(tag).parse().expect("a tag") };
    Ok(match *call {
        Call::Put { repository, manifest, tag, asks } => {
            put(&of(repository), manifest, tag.map(tag_named), asks).await?;
            Outcome::Done
        }
        Call::DeleteTag { repository, tag, asks } => {
            of(repository).tags().delete_if(&tag_named(tag), &precondition(asks)).await?;
            Outcome::Done
        }
        Call::DeleteManifest { repository, manifest: which } => {
            of(repository).manifests().delete(&manifest(which).1).await?;
            Outcome::Done
        }
        Call::ReadTag { repository, tag } => {
            let found = of(repository).manifests().get(&tag_named(tag).into()).await?;
            Outcome::Found(manifest_of(&found.bytes))
        }
        Call::ReadManifest { repository, manifest: which } => {
            let found = of(repository).manifests().get(&manifest(which).1.into()).await?;
            assert_eq!(manifest_of(&found.bytes), which);
            Outcome::Found(which)
        }
        Call::ListTags { repository } => {
            let tags = of(repository).tags().list(None, 100).await?.items;
            Outcome::Tags(tags.iter().map(|tag| tag_of(&tag.to_string())).collect())
        }
        Call::PutBlob { repository, blob: which } => {
            let content = blob(which);
            of(repository).blobs().put(&Digest::sha256(&content), body(&[content])).await?;
            Outcome::Done
        }
        Call::Mount { repository, from, blob: which } => {
            let (digest, from) = (Digest::sha256(&blob(which)), of(from));
            let mounted = of(repository).mount(&digest, from.name()).await?;
            mounted.map_or(Outcome::Absent, |_| Outcome::Done)
        }
        Call::DeleteBlob { repository, blob: which } => {
            of(repository).blobs().delete(&Digest::sha256(&blob(which))).await?;
            Outcome::Done
        }
        Call::ReadBlob { repository, blob: which } => {
            let digest = Digest::sha256(&blob(which));
            let found = of(repository).blobs().get(&digest, ReadRange::Full).await?;
            let parts: Vec<Bytes> = found.into_stream().try_collect().await?;
            assert_eq!(parts.concat(), blob(which));
            Outcome::Found(0)
        }
    })
}

async fn put(repository: &Repository, which: usize, tag: Option<Tag>, asks: Asks) -> Result<()> {
    let (manifest, digest) = manifest(which);
    let manifests = repository.manifests();
    let of = tag.clone().map_or(Reference::Digest(*digest), Reference::Tag);
    let tags = tag.as_slice();
    manifests.put_if(manifest, digest, tags, &of, &precondition(asks)).await
}

fn precondition(asks: Asks) -> Precondition {
    match asks {
        Asks::Nothing => Precondition::default(),
        Asks::Absent => Precondition::absent(),
        Asks::Is(expected) => Precondition::unchanged(&manifest(expected).1),
    }
}

/// A server that may be killed and started anew.
#[derive(Debug)]
pub(crate) struct Program(watch::Sender<Option<SocketAddr>>);

impl Program {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self(watch::Sender::new(Some(address)))
    }

    /// It listens elsewhere from now on, or nowhere: then clients wait.
    pub(crate) fn moves(&self, to: Option<SocketAddr>) {
        self.0.send_replace(to);
    }

    async fn address(&self) -> Option<SocketAddr> {
        *self.0.subscribe().wait_for(Option::is_some).await.ok()?
    }
}

#[async_trait]
impl Door for Program {
    async fn answer(&self, call: &Call) -> Option<Outcome> {
        let connection = TcpStream::connect(self.address().await?).await.ok()?;
        let Some((status, body)) = send(connection, request(call)).await else {
            return Some(Outcome::Unknown);
        };
        Some(match (status.as_u16(), call) {
            (200, Call::ListTags { .. }) => Outcome::Tags(listed(&body)),
            (200, Call::ReadBlob { blob: which, .. }) => {
                assert_eq!(body, blob(*which));
                Outcome::Found(0)
            }
            (200, _) => Outcome::Found(manifest_of(&body)),
            // No such blob to be mounted: a session was begun instead.
            (202, Call::Mount { .. }) | (404, _) => Outcome::Absent,
            (201 | 202, _) => Outcome::Done,
            (412, _) => Outcome::Refused,
            (status, _) => panic!("{call:?}: {status} {}", String::from_utf8_lossy(&body)),
        })
    }
}

fn request(call: &Call) -> Request<Full<Bytes>> {
    let asked = |method: Method, repository: usize, path: String| {
        let target = format!("/v2/{}/{path}", repository_name(repository));
        Request::builder().method(method).uri(target).header(HOST, "registry")
    };
    let digest = |which: usize| Digest::sha256(&blob(which));
    let none = Bytes::new();
    let (request, body) = match *call {
        Call::Put { repository, manifest: which, tag, asks } => {
            let (manifest, digest) = manifest(which);
            let reference = tag.map_or_else(|| digest.to_string(), tag_name);
            let put = asked(Method::PUT, repository, format!("manifests/{reference}"));
            let put = put.header(CONTENT_TYPE, manifest.media_type().as_str());
            (conditional(put, asks), manifest.bytes().clone())
        }
        Call::DeleteTag { repository, tag, asks } => {
            let path = format!("manifests/{}", tag_name(tag));
            (conditional(asked(Method::DELETE, repository, path), asks), none)
        }
        Call::DeleteManifest { repository, manifest: which } => {
            let path = format!("manifests/{}", manifest(which).1);
            (asked(Method::DELETE, repository, path), none)
        }
        Call::ReadTag { repository, tag } => {
            (asked(Method::GET, repository, format!("manifests/{}", tag_name(tag))), none)
        }
        Call::ReadManifest { repository, manifest: which } => {
            (asked(Method::GET, repository, format!("manifests/{}", manifest(which).1)), none)
        }
        Call::ListTags { repository } => {
            (asked(Method::GET, repository, "tags/list".to_owned()), none)
        }
        Call::PutBlob { repository, blob: which } => {
            let path = format!("blobs/uploads/?digest={}", digest(which));
            (asked(Method::POST, repository, path), blob(which).into())
        }
        Call::Mount { repository, from, blob: which } => {
            let (digest, from) = (digest(which), repository_name(from));
            let path = format!("blobs/uploads/?mount={digest}&from={from}");
            (asked(Method::POST, repository, path), none)
        }
        Call::DeleteBlob { repository, blob: which } => {
            (asked(Method::DELETE, repository, format!("blobs/{}", digest(which))), none)
        }
        Call::ReadBlob { repository, blob: which } => {
            (asked(Method::GET, repository, format!("blobs/{}", digest(which))), none)
        }
    };
    request.body(Full::new(body)).expect("well formed")
}

fn conditional(request: http::request::Builder, asks: Asks) -> http::request::Builder {
    match asks {
        Asks::Nothing => request,
        Asks::Absent => request.header(IF_NONE_MATCH, "*"),
        Asks::Is(expected) => request.header(IF_MATCH, format!("\"{}\"", manifest(expected).1)),
    }
}

/// The answer, if one comes.
async fn send(connection: TcpStream, request: Request<Full<Bytes>>) -> Option<(StatusCode, Bytes)> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await.ok()?;
    let driver = tokio::spawn(driver);
    let answered = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        Some((head.status, body.collect().await.ok()?.to_bytes()))
    };
    let answered = answered.await;
    driver.abort();
    answered
}

fn listed(body: &[u8]) -> Vec<usize> {
    let listed: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let tags = listed["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    tags.iter().map(|tag| tag_of(tag.as_str().expect("text"))).collect()
}
