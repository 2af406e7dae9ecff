//! What several test suites share.

pub mod child;
pub mod image;
pub mod peers;
pub mod plain_http;
pub mod registry_process;
pub mod tree;
