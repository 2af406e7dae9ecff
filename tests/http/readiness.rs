//! `StorageProbe`: whether the storage works, asked by many, of a storage that hangs or refuses.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use registry_http::ReadOnlySwitch;
use registry_http::health::{Probe as _, StorageProbe, Suspicion};
use registry_store::backend::{Action, Backend, BackendObserver as _, ErrorKind, ObservedBackend};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{
    CountedBackend, Fault, FaultyBackend, GatedBackend, Method, Moment,
};
use registry_tests::world::World;

fn probe(backend: Arc<dyn Backend>) -> (StorageProbe, Suspicion) {
    let suspicion = Suspicion::default();
    let observed = ObservedBackend::new(backend, vec![Arc::new(suspicion.clone())]);
    let store = Store::new(Arc::new(observed), StoreOptions::default());
    (StorageProbe::new(store, suspicion.clone(), ReadOnlySwitch::default(), true), suspicion)
}

fn fails(suspicion: &Suspicion, kind: ErrorKind) {
    suspicion.called(Action::Put, Duration::ZERO, Some(kind));
}

fn next_put(kind: ErrorKind) -> Fault {
    Fault { method: Some(Method::PutAll), call: 1, kind, moment: Moment::Before }
}

#[tokio::test]
async fn while_a_trial_is_under_way_nobody_is_told_that_all_is_well_though_who_began_it_left() {
    let counted = CountedBackend::new(World::memory().backend);
    let faulty = FaultyBackend::new(Arc::new(counted.clone()));
    let gated = GatedBackend::new(Arc::new(faulty.clone()));
    let (probe, suspicion) = probe(Arc::new(gated.clone()));
    fails(&suspicion, ErrorKind::Io);
    let gate = gated.shut_where(Moment::Before, Method::PutAll, |_| true);
    assert!(probe.probe().now_or_never().is_none(), "it has begun");
    let waiting = gate.meanwhile(probe.probe(), async {
        faulty.arm(next_put(ErrorKind::Io));
        assert!(probe.clone().probe().now_or_never().is_none(), "who asks waits too");
        assert!(suspicion.is_raised());
    });
    waiting.await.unwrap_err();
    assert!(!faulty.disarm() && suspicion.is_raised());
    assert_eq!(counted.counts().of(Method::PutAll), 0, "there was one trial, which failed");

    probe.probe().await.unwrap();
    assert!(!suspicion.is_raised());
    assert_eq!(counted.counts().of(Method::PutAll), 1);
}

#[tokio::test]
async fn a_failure_during_a_trial_that_goes_well_asks_for_another() {
    let gated = GatedBackend::new(World::memory().backend);
    let (probe, suspicion) = probe(Arc::new(gated.clone()));
    fails(&suspicion, ErrorKind::Io);
    let gate = gated.shut_where(Moment::After, Method::PutAll, |_| true);
    gate.meanwhile(probe.probe(), async { fails(&suspicion, ErrorKind::Io) }).await.unwrap();
    assert!(suspicion.is_raised());
    probe.probe().await.unwrap();
    assert!(!suspicion.is_raised());
}

#[tokio::test]
async fn a_storage_that_refuses_to_write_is_not_ready_in_the_same_words_each_time_and_serves_pulls()
{
    let faulty = FaultyBackend::new(World::memory().backend);
    let (probe, suspicion) = probe(Arc::new(faulty.clone()));
    let refused = async |probe: &StorageProbe| {
        faulty.arm(next_put(ErrorKind::Denied));
        probe.probe().await
    };
    fails(&suspicion, ErrorKind::Denied);
    let why = refused(&probe).await.unwrap_err();
    assert_eq!(refused(&probe).await.unwrap_err(), why);
    assert!(!faulty.disarm() && suspicion.is_raised());
    // A medium that failed first, such as one that was mounted anew for reading only, is looked at all the same.
    fails(&suspicion, ErrorKind::Io);
    refused(&probe.of_pulls()).await.unwrap();
    assert!(!faulty.disarm(), "it was tried");
    assert!(suspicion.is_raised());
}

#[tokio::test]
async fn a_storage_that_refuses_to_be_read_serves_no_pulls() {
    let faulty = FaultyBackend::new(World::memory().backend);
    let (probe, suspicion) = probe(Arc::new(faulty.clone()));
    fails(&suspicion, ErrorKind::Io);
    let (method, kind) = (Some(Method::Read), ErrorKind::Denied);
    faulty.arm(Fault { method, call: 1, kind, moment: Moment::Before });
    probe.of_pulls().probe().await.unwrap_err();
    assert!(!faulty.disarm() && suspicion.is_raised());
    probe.of_pulls().probe().await.unwrap();
}
