//! The engine, each test on every backend.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// Stamps each test, a function of a [`World`](registry_tests::world::World), for every backend.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(registry_tests::world::World::memory()).await;
            })*
        }

        mod filesystem {
            $(#[tokio::test]
            async fn $test() {
                super::$test(registry_tests::world::World::filesystem()).await;
            })*
        }
    };
}

mod blobs;
mod cancelling;
mod catalog;
mod costs;
mod faults;
mod healing;
mod manifests;
mod model;
mod mounting;
mod orders;
mod preconditions;
mod races;
mod rebuilding;
mod referrers;
mod scenarios;
mod tags;
mod uploads;
