//! `Backend::lock` on storage that has locks between processes, as a filesystem has and S3 has not.
//!
//! Another handle stands for another process.

use registry_store::backend::LockMode::{Exclusive, Shared};
use registry_tests::backends::Fixture;

use crate::locking::{Waiter, lock};

pub(crate) async fn a_holder_is_alone_among_all_handles(fixture: &Fixture) {
    let other = fixture.reopen();
    let held = lock(&*fixture.backend, "a", Exclusive).await;
    let waiter = Waiter::begin(&other, "a", Shared).await;
    assert!(waiter.waits());
    drop(held);
    drop(waiter.gets_it().await);
}

pub(crate) async fn a_waiter_on_another_handle_can_give_up(fixture: &Fixture) {
    let other = fixture.reopen();
    let held = lock(&*fixture.backend, "a", Shared).await;
    let waiter = Waiter::begin(&other, "a", Exclusive).await;
    assert!(waiter.waits());
    waiter.gives_up();
    drop(held);
    drop(lock(&*other, "a", Exclusive).await);
    drop(lock(&*fixture.backend, "a", Exclusive).await);
}

pub(crate) async fn all_handles_share(fixture: &Fixture) {
    let other = fixture.reopen();
    let held = lock(&*fixture.backend, "a", Shared).await;
    drop(lock(&*other, "a", Shared).await);
    drop(held);
}
