//! Two stores on one memory, on one thread: clients meet between any two calls of the backend, as chance has it, and a
//! seed gives the same history each time.

use std::sync::{Arc, Mutex};

use registry_store::backend::MemoryBackend;
use registry_store::store::Store;
use registry_tests::backends::{Flaw, YieldingBackend};
use registry_tests::world::store_on;
use tokio::runtime::Builder;

use crate::calls::Chance;
use crate::clients::{CLIENTS, Progress, look_at_all, prepare, seeds, wholeness, work};
use crate::doors::Door;
use crate::history::History;

const CALLS: usize = 25;

/// A history of clients of two stores, whose backends have a flaw or none. Returns how many steps it has.
pub(crate) fn history(seed: u64, flaw: Option<Flaw>) -> Result<usize, String> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let memory = MemoryBackend::new();
        let sound = store_on(memory.clone());
        prepare(&sound).await;
        let doors: Vec<Arc<dyn Door>> = (0..2)
            .map(|nth| Arc::new(disturbed(&memory, seed + nth, flaw)) as Arc<dyn Door>)
            .collect();
        let history = Arc::new(History::new());
        work(&doors, CALLS, seed, &history, &Arc::new(Progress::default())).await;
        look_at_all(&sound, &history).await;
        wholeness(&sound).await?;
        history.explained()?;
        Ok(history.len())
    })
}

fn disturbed(memory: &MemoryBackend, seed: u64, flaw: Option<Flaw>) -> Store {
    let chance = Mutex::new(Chance::new(seed));
    let backend = YieldingBackend::new(Arc::new(memory.clone()), move || {
        let yields = chance.lock().unwrap().below(4);
        u32::try_from(yields).unwrap()
    });
    match flaw {
        Some(flaw) => store_on(backend.with_flaw(flaw)),
        None => store_on(backend),
    }
}

#[test]
fn on_memory_every_answer_is_explained() {
    let (mut histories, mut steps) = (0, 0);
    for seed in seeds(60) {
        let explained = history(seed, None);
        steps += explained.unwrap_or_else(|report| panic!("seed {seed}: {report}"));
        histories += 1;
    }
    println!(
        "memory: {histories} histories of {} calls, {steps} steps, from seed {:?} on",
        2 * CLIENTS * CALLS,
        seeds(1).next()
    );
}
