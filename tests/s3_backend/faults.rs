//! Every request of every operation meets a fault that passes.

use futures::{StreamExt as _, stream};
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::{Honour, S3Options as ServerOptions};

use crate::fixture::{Bucket, kind, store};
use crate::scenarios::{SCENARIOS, Scenario};

/// Requests an operation may need, with room; more would mean that the fault is never met.
const MOST_REQUESTS: usize = 200;

/// Does so with every operation, several at a time.
async fn with_every_operation<F>(
    options: fn() -> ServerOptions,
    run: fn(Bucket, &'static Scenario, Fault) -> F,
    fault: Fault,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let runs = SCENARIOS
        .iter()
        .map(|scenario| tokio::spawn(run(Bucket::new(options()), scenario, fault.clone())));
    let runs: Vec<_> = runs.collect();
    stream::iter(runs).for_each(|run| async { run.await.unwrap() }).await;
}

/// The nth request meets the fault, for every n: the operation succeeds all the same.
async fn one_after_the_other(bucket: Bucket, scenario: &Scenario, fault: Fault) {
    let process = bucket.process();
    let before = bucket.prepared(scenario, &process).await;
    for nth in 1..MOST_REQUESTS {
        bucket.restore(&before);
        let met = bucket.s3().faults().when(move |asked| asked.nth == nth, fault.clone());
        let result = scenario.run(&store(&process)).await;
        let when = format!("request {nth} met {fault:?}");
        assert!(result.is_ok(), "{}, {when}: {result:?}", scenario.name);
        scenario.check(&bucket.in_memory().await, true, &when).await;
        if met.times() == 0 {
            assert!(nth > 1, "{}: {nth} requests", scenario.name);
            return;
        }
    }
    panic!("{}: more than {MOST_REQUESTS} requests", scenario.name);
}

/// Every other request meets the fault: the operation succeeds all the same.
async fn over_and_over(bucket: Bucket, scenario: &Scenario, fault: Fault) {
    let process = bucket.process();
    let before = bucket.prepared(scenario, &process).await;
    bucket.restore(&before);
    let met = bucket.s3().faults().when(|asked| asked.nth % 2 == 1, fault.clone());
    let result = scenario.run(&store(&process)).await;
    let when = format!("every other request met {fault:?}");
    assert!(result.is_ok(), "{}, {when}: {result:?}", scenario.name);
    assert!(met.times() > 0);
    scenario.check(&bucket.in_memory().await, true, &when).await;
}

fn as_aws() -> ServerOptions {
    kind(Honour::Honoured)
}

fn without_conditions() -> ServerOptions {
    kind(Honour::Ignored)
}

/// Stamps a test of a fault for servers that honour conditions and such that ignore them.
macro_rules! every_operation_gets_over {
    ($($name:ident: $run:ident, $fault:expr,)*) => {
        mod on_a_server_as_aws {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    with_every_operation(as_aws, $run, $fault).await;
                }
            )*
        }
        mod on_a_server_without_conditions {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    with_every_operation(without_conditions, $run, $fault).await;
                }
            )*
        }
    };
}

every_operation_gets_over! {
    any_answer_that_is_lost: one_after_the_other, Fault::LoseAnswer,
    any_answer_whose_body_is_cut: one_after_the_other, Fault::CutAnswer { after: 20 },
    requests_that_are_done_and_denied: over_and_over, Fault::DoAndDeny(Failure::InternalError),
    requests_that_are_lost: over_and_over, Fault::LoseRequest,
    requests_whose_bodies_are_cut: over_and_over, Fault::CutRequest { after: 20 },
    requests_that_are_refused: over_and_over, Fault::Refuse(Failure::InternalError),
    requests_that_are_refused_as_too_many: over_and_over, Fault::Refuse(Failure::SlowDown),
    conflicts_that_are_none: over_and_over, Fault::DoAndDeny(Failure::Conflict),
}

#[tokio::test]
async fn one_object_of_many_that_is_not_deleted_is_deleted_again() {
    let bucket = Bucket::new(as_aws());
    let process = bucket.process();
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name.contains("in parts")).unwrap();
    let refused = bucket.s3().faults().nth(
        Operation::DeleteOfBatch,
        1,
        Fault::Refuse(Failure::InternalError),
    );
    scenario.run(&store(&process)).await.unwrap();
    assert_eq!(refused.times(), 1);
    let names = bucket.names();
    assert!(!names.iter().any(|name| name.contains("_uploads")), "{names:?}");
}
