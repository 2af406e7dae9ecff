//! A storage engine for container images and other OCI artifacts.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
pub mod blobs;
pub mod descriptor;
pub mod digest;
pub mod error;
pub mod layout;
pub mod manifest;
pub mod manifests;
pub mod media_type;
pub mod name;
pub mod options;
pub mod page;
pub mod purge;
pub mod reference;
pub mod referrers;
pub mod repository;
pub mod store;
pub mod tags;
pub mod upload_id;
pub mod uploads;
