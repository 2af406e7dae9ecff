//! What several test suites share.
#![expect(clippy::panic, reason = "a test fails by panicking")]

pub mod acknowledged;
pub mod aside;
pub mod backends;
pub mod certificates;
pub mod child;
pub mod documents;
pub mod frames;
pub mod image;
pub mod issuer;
pub mod operations;
pub mod peers;
pub mod plain_http;
pub mod polls;
pub mod receiver;
pub mod registry_process;
pub mod s3;
pub mod server;
pub mod tls_client;
pub mod tree;
pub mod world;
