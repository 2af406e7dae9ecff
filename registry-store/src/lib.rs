//! A storage engine for container images and other OCI artifacts.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
pub mod blobs;
mod buffers;
mod catalog;
pub mod damage;
pub mod descriptor;
mod detach;
pub mod digest;
pub mod error;
mod guard;
mod ingest;
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
pub mod purge;
pub mod reference;
pub mod referrers;
pub mod repository;
mod shared;
pub mod store;
pub mod tags;
mod turns;
pub mod upload_id;
pub mod uploads;
