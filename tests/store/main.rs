//! The engine, each test on every backend.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// Stamps each test, a function of a [`World`](registry_tests::world::World), for every backend.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        on_every_backend_of_ours!($($test),*);
        #[cfg(feature = "peers")]
        stamp!(garage { $($test)* });
        #[cfg(feature = "peers")]
        stamp!(moto { $($test)* });
    };
}

/// The same without the servers no one here wrote, for tests that go through many orders: between the calls of a backend
/// all are alike.
macro_rules! on_every_backend_of_ours {
    ($($test:ident),* $(,)?) => {
        stamp!(memory { $($test)* });
        stamp!(filesystem { $($test)* });
        stamp!(s3 { $($test)* });
    };
}

/// The same for those where what is visible may not be durable yet: there a push looks twice at what it relies on.
macro_rules! on_every_backend_that_is_looked_at_twice {
    ($($test:ident),* $(,)?) => {
        mod looked_at_twice {
            use super::*;
            stamp!(memory { $($test)* });
            stamp!(filesystem { $($test)* });
        }
    };
}

macro_rules! stamp {
    ($world:ident { $($test:ident)* }) => {
        mod $world {
            $(#[tokio::test]
            async fn $test() {
                super::$test(registry_tests::world::World::$world()).await;
            })*
        }
    };
}

mod blobs;
mod cancelling;
mod catalog;
mod collect_model;
mod collecting;
mod collecting_what_is_hidden;
mod costs;
mod damage_model;
mod faults;
mod full_disk;
mod healing;
mod manifests;
mod meeting;
mod model;
mod mounting;
mod orders;
mod preconditions;
mod races;
mod rebuilding;
mod referrers;
mod removing;
mod scrub_races;
mod scrubbing;
mod tags;
mod trying_out;
mod uploads;
