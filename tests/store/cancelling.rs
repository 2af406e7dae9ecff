//! Every operation is dropped at every await: what is left is what a crash could have left.

use registry_tests::polls::drop_after_polls;
use registry_tests::world::World;

use crate::scenarios::SCENARIOS;

/// Polls an operation may need, with room.
const MOST_POLLS: usize = 300;

#[test]
fn on_a_filesystem_an_operation_that_is_dropped_harms_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for scenario in SCENARIOS {
        let ended = (0..MOST_POLLS).find(|&polls| {
            let world = World::filesystem();
            runtime.block_on(async {
                scenario.prepare(&world.store).await;
                let result = drop_after_polls(polls, scenario.run(&world.store)).await;
                let ended = result.is_some();
                if let Some(result) = result {
                    result.unwrap();
                }
                // What must not stop half-way goes on by itself.
                while runtime.metrics().num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
                let when = format!("dropped after {polls} polls");
                scenario.check(&world.another_process(), ended, &when).await;
                ended
            })
        });
        assert!(ended.is_some_and(|polls| polls > 0), "{}: {ended:?} polls", scenario.name);
    }
}
