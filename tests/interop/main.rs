//! Programs no one here wrote, and a disk that only root can make.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod authenticating;
mod balancing;
mod broken_sessions;
mod buildah;
mod collecting;
mod comparing;
mod configuring;
mod distribution;
mod docker;
mod documents;
mod each;
mod exchange;
mod full_disk;
mod healing;
mod large_on_s3;
mod look;
mod packaging;
mod podman;
mod referrers;
mod replicas;
mod s3_servers;
mod schema;
mod sessions;
mod skopeo;
mod tls;
mod upload;
