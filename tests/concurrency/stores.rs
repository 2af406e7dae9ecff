//! Two stores on one directory, each with a backend of its own, on several threads.

use std::path::Path;
use std::sync::Arc;

use registry_store::backend::fs::FilesystemBackend;
use registry_store::store::Store;
use registry_tests::world::store_on;
use tokio::runtime::Builder;

use crate::clients::{CLIENTS, Progress, look_at_all, prepare, seeds, wholeness, work};
use crate::doors::Door;
use crate::history::History;

const CALLS: usize = 40;

fn store(root: &Path) -> Store {
    store_on(FilesystemBackend::open(root).unwrap())
}

#[test]
fn on_one_directory_every_answer_of_two_stores_is_explained() {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut steps = 0;
    let mut histories = 0;
    for seed in seeds(4) {
        let directory = tempfile::tempdir().unwrap();
        let history = runtime.block_on(async {
            prepare(&store(directory.path())).await;
            let doors: Vec<Arc<dyn Door>> =
                (0..2).map(|_| Arc::new(store(directory.path())) as Arc<dyn Door>).collect();
            let history = Arc::new(History::new());
            work(&doors, CALLS, seed, &history, &Arc::new(Progress::default())).await;
            let another = store(directory.path());
            look_at_all(&another, &history).await;
            let whole = wholeness(&another).await;
            whole.unwrap_or_else(|report| panic!("seed {seed}: {report}"));
            history
        });
        history.explained().unwrap_or_else(|report| panic!("seed {seed}: {report}"));
        steps += history.len();
        histories += 1;
    }
    println!("two stores: {histories} histories of {} calls, {steps} steps", 2 * CLIENTS * CALLS);
}
