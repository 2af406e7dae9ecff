//! A storage engine for container images and other OCI artifacts.
//!
//! Content-addressed blobs, repositories, manifests and tags, upload sessions, cross-repository mounts, on a
//! filesystem or in memory, in the layout of CNCF Distribution (the `registry:2` and `registry:3` images), byte
//! for byte: a directory that one wrote, the other opens.
//!
//! What this crate adds to that layout are promises: what was acknowledged survives a crash and the loss of
//! power; nobody reads half a blob; a damaged blob is healed by the next push of it; any process continues any
//! upload; memory does not grow with what is stored. It knows no HTTP: the crate `registry-http` makes a
//! registry of it.
//!
//! # A push and a pull
//!
//! A [`Store`](store::Store) is everything on one backend. It hands out a [`Repository`](repository::Repository) by
//! name, which need not exist, and that hands out its [blobs], [uploads], [manifests], [tags] and [referrers]. All of
//! these are handles: cheap to make and to clone, with nothing open in them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use futures::{TryStreamExt as _, stream};
//! use registry_store::backend::{MemoryBackend, ReadRange};
//! use registry_store::digest::{Algorithm, Digest};
//! use registry_store::manifest::Manifest;
//! use registry_store::options::StoreOptions;
//! use registry_store::store::Store;
//! use registry_store::uploads::ResumeAt;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `backend::fs::FilesystemBackend::create("registry-data")?` keeps it in a directory.
//! let backend = MemoryBackend::new();
//! let store = Store::new(Arc::new(backend), StoreOptions::default());
//! let repository = store.repository(&"library/hello".parse()?);
//!
//! // A blob whose digest is known, from any stream of bytes.
//! let config = Bytes::from_static(b"{}");
//! let config_digest = Digest::sha256(&config);
//! repository.blobs().put(&config_digest, stream::iter([Ok(config)])).await?;
//!
//! // The same in parts; another process could go on with it at any point.
//! let layer_digest = Digest::sha256(b"hello, world");
//! let upload = repository.uploads().start(Algorithm::Sha256).await?;
//! let first = stream::iter([Ok(Bytes::from_static(b"hello, "))]);
//! let upload = repository.uploads().append(upload.id, ResumeAt::default(), first).await?;
//! let at = ResumeAt { tip: Some(upload.tip), offset: None };
//! let last = stream::iter([Ok(Bytes::from_static(b"world"))]);
//! repository.uploads().commit(upload.id, at, &layer_digest, last).await?;
//!
//! // A manifest that binds them, under a tag.
//! let document = format!(
//!     r#"{{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
//!          "config": {{"mediaType": "application/vnd.oci.image.config.v1+json",
//!                      "digest": "{config_digest}", "size": 2}},
//!          "layers": [{{"mediaType": "application/vnd.oci.image.layer.v1.tar",
//!                       "digest": "{layer_digest}", "size": 12}}]}}"#
//! );
//! let manifest = Manifest::parse(None, document.into())?;
//! let digest = manifest.digest(Algorithm::Sha256);
//! repository.manifests().put(&manifest, &digest, &["latest".parse()?]).await?;
//!
//! // And back.
//! let pulled = repository.manifests().get(&"latest".parse()?).await?;
//! assert_eq!(&pulled.bytes, manifest.bytes());
//! let blob = repository.blobs().get(&layer_digest, ReadRange::Full).await?;
//! let bytes: Vec<Bytes> = blob.into_stream().try_collect().await?;
//! assert_eq!(bytes.concat(), b"hello, world");
//! # Ok(())
//! # }
//! ```
//!
//! A tag that must never be overwritten is written with [`Manifests::put_if`](manifests::Manifests::put_if) and
//! [`Precondition::absent`](precondition::Precondition::absent): of all who do so at once, exactly one wins.
//!
//! # Errors
//!
//! Every operation fails with an [`enum@error::Error`], in the field's words. It is deliberately exhaustive: all
//! variants but the last are faults of the request, the last is one of the storage, and its
//! [kind](backend::ErrorKind) says whether to try again.
//!
//! ```
//! # use std::sync::Arc;
//! use registry_store::backend::{ErrorKind, MemoryBackend};
//! use registry_store::error::Error;
//! # use registry_store::options::StoreOptions;
//! # use registry_store::store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
//! let repository = store.repository(&"library/hello".parse()?);
//! match repository.manifests().get(&"latest".parse()?).await {
//!     Ok(manifest) => println!("{}", manifest.media_type),
//!     Err(Error::ManifestUnknown { name, reference }) => println!("no {reference} in {name}"),
//!     Err(Error::Storage(error)) if error.kind() == ErrorKind::Unavailable => println!("later"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Maintenance
//!
//! Nothing runs in the background unless it is spawned. [`Store::maintenance`](store::Store::maintenance) expires
//! uploads that were never finished, for ever; [`Store::purge_uploads`](store::Store::purge_uploads) does so once.
//! [`Store::scrub`](store::Store::scrub) hashes what is stored and puts out of sight what does not match, so that it is
//! pushed again; the embedder says when and how fast. [`Store::collect`](store::Store::collect) takes away what no
//! manifest refers to, while nobody writes: who writes while another process may collect says so with
//! [`Store::hold_off_collection`](store::Store::hold_off_collection). [`Store::damage`](store::Store::damage) counts what was found
//! damaged, and healed. A program that ends waits for
//! [`Store::finish_detached`](store::Store::finish_detached).
//!
//! ```
//! # use std::sync::Arc;
//! # use registry_store::backend::MemoryBackend;
//! # use registry_store::options::StoreOptions;
//! # use registry_store::store::Store;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
//! let maintained = store.clone();
//! let maintenance = tokio::spawn(async move { maintained.maintenance().await });
//! // … and when the program ends:
//! maintenance.abort();
//! store.finish_detached().await;
//! # }
//! ```
//!
//! # Time and chance
//!
//! Both come from [`options::StoreOptions`], so that a test owns them:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, SystemTime};
//!
//! use registry_store::backend::MemoryBackend;
//! use registry_store::options::{Clock, StoreOptions};
//! use registry_store::store::Store;
//!
//! /// It is always the first of January 1970.
//! #[derive(Debug)]
//! struct Stopped;
//!
//! impl Clock for Stopped {
//!     fn now(&self) -> SystemTime {
//!         SystemTime::UNIX_EPOCH
//!     }
//! }
//!
//! let clock = Arc::new(Stopped);
//! let backend = MemoryBackend::with_clock(clock.clone());
//! let expiry = Duration::from_secs(60);
//! let options = StoreOptions { clock, upload_expiry: expiry, ..StoreOptions::default() };
//! let store = Store::new(Arc::new(backend), options);
//! ```
//!
//! # Where to find what
//!
//! | question | place |
//! |---|---|
//! | What can be asked for, and how is it spelled? | the values: [`digest`], [`name`], [`mod@reference`], [`upload_id`], [`media_type`], [`descriptor`], [`manifest`], [`precondition`] |
//! | How do I open a store? | [`store::Store`], [`options::StoreOptions`], [`backend::fs`], `backend::s3`, [`backend::MemoryBackend`] |
//! | What can I do with a repository? | [`repository::Repository`] and what it hands out: [`blobs`], [`uploads`], [`manifests`], [`tags`], [`referrers`] |
//! | What can go wrong? | [`error::Error`]; faults of the request and faults of the storage never share a variant |
//! | What is on disk? | [`layout`] |
//! | What must another storage promise? | [`backend`] |
//! | Who clears up? | [`store::Store::maintenance`], which the embedder runs; [`purge`], [`damage`] |
//! | What takes away what nobody needs any more? | [`gc`], which the embedder runs while nobody writes |
//! | What finds damage? | [`scrub`], which the embedder runs, and every push, read and look that meets it: [`damage`] |
//!
//! # What to know before embedding it
//!
//! * It runs on [tokio](https://tokio.rs): the caller's runtime, with its time enabled. Nothing is global.
//! * **Any future may be dropped** at any await. What is left is a state that a crash could have left; whatever
//!   must not stop half-way runs on a task of its own.
//! * **Bodies are streams**, in both directions. An upload holds at most 2.5 MiB, a download 1 MiB, whatever
//!   their size; on S3 an upload holds four parts more, 40 MiB, and all of a process 256 MiB.
//! * The filesystem backend is the feature `fs`, which is on by default. The S3 backend is the feature `s3`
//!   (`backend::s3::S3Backend`), which brings the client of S3 and its TLS. Without both nothing here makes a system
//!   call but for chance and time, and nothing knows HTTP.
//! * Who may do what is for the caller to decide: a store trusts whoever has it.

pub mod backend;
pub mod blobs;
mod buffers;
mod catalog;
pub mod damage;
mod dependencies;
pub mod descriptor;
mod detach;
pub mod digest;
pub mod error;
pub mod gc;
mod guard;
mod ingest;
mod inventory;
pub mod layout;
mod link;
mod listing;
pub mod manifest;
pub mod manifests;
pub mod media_type;
mod mount;
pub mod name;
pub mod options;
pub mod page;
pub mod precondition;
pub mod purge;
pub mod reference;
pub mod referrers;
pub mod repository;
pub mod scrub;
mod shared;
pub mod store;
pub mod tags;
mod trial;
mod turns;
pub mod upload_id;
pub mod upload_status;
pub mod uploads;
