//! Two processes on one directory, one of which is killed in the middle and started anew.

use std::sync::Arc;

use registry_store::backend::fs::FilesystemBackend;
use registry_tests::registry_process::RegistryProcess;
use registry_tests::world::store_on;
use tokio::runtime::Builder;

use crate::clients::{CLIENTS, Progress, look_at_all, prepare, seeds, wholeness, work};
use crate::doors::{Door, Program};
use crate::history::History;

const CALLS: usize = 30;

#[test]
fn on_one_directory_every_answer_of_two_processes_is_explained() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut histories, mut steps) = (0, 0);
    for seed in seeds(2) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let history = Arc::new(History::new());
        runtime.block_on(async {
            let store = store_on(FilesystemBackend::open(root).unwrap());
            prepare(&store).await;
            let lasting = RegistryProcess::start(root);
            let killed = RegistryProcess::start(root);
            let doors = [&lasting, &killed].map(|it| Arc::new(Program::at(it.address())));
            let dying = doors[1].clone();
            let all: Vec<Arc<dyn Door>> = doors.iter().map(|door| door.clone() as _).collect();
            let progress = Arc::new(Progress::default());
            let ends = async {
                progress.reaches(CLIENTS * CALLS).await;
                // Those that are under way are not answered; later ones wait for the next.
                dying.moves(None);
                // Sends it SIGKILL.
                drop(killed);
                let again = RegistryProcess::start(root);
                dying.moves(Some(again.address()));
                again
            };
            let (_again, ()) = futures::join!(ends, work(&all, CALLS, seed, &history, &progress));
            look_at_all(&*doors[0], &history).await;
            look_at_all(&*doors[1], &history).await;
            let whole = wholeness(&store).await;
            whole.unwrap_or_else(|report| panic!("seed {seed}: {report}"));
        });
        history.explained().unwrap_or_else(|report| panic!("seed {seed}: {report}"));
        steps += history.len();
        histories += 1;
    }
    println!(
        "two processes: {histories} histories of {} calls, {steps} steps",
        2 * CLIENTS * CALLS
    );
}
