//! [`keep`]: puts what is in a queue into its files.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use super::journal::Journal;
use super::queue::{Queue, Work};
use super::slot::Abandoned;
use super::stats::Counters;

/// How long is waited when files cannot be written; twice as long each time, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How often is looked for what processes that ended have left.
const LOOK: Duration = Duration::from_secs(60);

/// Writes until the queue is closed and all of it is written. Where that fails, the queue goes on in memory, and what
/// could not be written is written later.
///
/// What processes that end meanwhile leave, as in a rolling update, comes into the queue as far as it has room.
pub(super) async fn keep(
    name: String,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    journal: Journal,
) {
    let keeper = Keeper { name: name.clone(), queue, counters, taken: None, failures: 0 };
    if keeper.run(journal).await.is_err() {
        // The task that had the files panicked.
        error!(endpoint = %name, "its queue is not written to disk any more");
    }
}

struct Keeper {
    name: String,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    /// So many of its events are in the queue, and not in our files yet.
    taken: Option<(Abandoned, usize)>,
    /// In a row.
    failures: u32,
}

impl Keeper {
    async fn run(mut self, mut journal: Journal) -> io::Result<()> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let work = select! {
                biased;
                _ = look.tick(), if self.taken.is_none() && !self.queue.is_closed() => {
                    journal = self.take_over(journal).await?;
                    continue;
                }
                work = self.queue.work() => work,
            };
            let Some(work) = work else { return Ok(()) };
            let (is_last, events) = (self.queue.is_closed(), work.records.len());
            let (back, outcome) = self.write(journal, work).await?;
            journal = back;
            match outcome {
                Err(error) if is_last => {
                    error!(endpoint = %self.name, events, "its queue cannot be written to disk, and is lost: {error}");
                    return Ok(());
                }
                Err(error) => self.wait_for_disk(&error).await,
                Ok(()) => {
                    if self.failures > 0 {
                        info!(endpoint = %self.name, "its queue is written to disk again");
                    }
                    self.failures = 0;
                    if let Some((abandoned, taken)) = self.taken.take() {
                        if abandoned.is_whole(taken) {
                            // There may be others.
                            look.reset_immediately();
                        }
                        journal = self.leave_behind(journal, abandoned, taken).await?;
                    }
                }
            }
        }
    }

    async fn write(
        &self,
        mut journal: Journal,
        work: Work,
    ) -> io::Result<(Journal, io::Result<()>)> {
        let step = spawn_blocking(move || {
            let written = journal.write(&work.records, work.position);
            (journal, written)
        });
        let (journal, written) = step.await?;
        self.queue.written(written.last, written.position);
        Ok((journal, written.outcome))
    }

    async fn wait_for_disk(&mut self, error: &io::Error) {
        if self.failures == 0 {
            warn!(endpoint = %self.name, "its queue cannot be written to disk, and is in memory alone: {error}");
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(20)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // At the end there is one more try, at once.
        let _ = timeout(pause, self.queue.closed()).await;
    }

    /// Puts into the queue what a process that ended has left, if there is such, as far as there is room.
    async fn take_over(&mut self, mut journal: Journal) -> io::Result<Journal> {
        let Some(room) = self.queue.room().filter(|_| self.failures == 0) else {
            return Ok(journal);
        };
        let step = spawn_blocking(move || {
            let search = journal.search(room);
            (journal, search)
        });
        let (journal, search) = step.await?;
        for (place, error) in search.failed {
            warn!(
                endpoint = %self.name, place = %place.display(),
                "what another process left cannot be looked at, and stays there: {error}"
            );
        }
        if let Some(found) = search.found {
            let added = self.queue.take_over(&found.records);
            self.counters.came(added.taken as u64);
            self.counters.dropped(added.dropped);
            if added.taken > 0 {
                info!(endpoint = %self.name, events = added.taken, "goes on with what another process left");
            }
            if found.damaged > 0 && found.is_whole(added.taken) {
                warn!(
                    endpoint = %self.name, lines = found.damaged,
                    "lines of what another process left are not as they were written: they are passed over"
                );
            }
            if added.taken == 0 {
                return self.leave_behind(journal, found, 0).await;
            }
            self.taken = Some((found, added.taken));
        }
        Ok(journal)
    }

    async fn leave_behind(
        &self,
        mut journal: Journal,
        abandoned: Abandoned,
        taken: usize,
    ) -> io::Result<Journal> {
        let step = spawn_blocking(move || {
            let outcome = journal.leave_behind(abandoned, taken);
            (journal, outcome)
        });
        let (journal, outcome) = step.await?;
        if let Err(error) = outcome {
            warn!(endpoint = %self.name, "what was taken over cannot be removed where it was, and may come twice: {error}");
        }
        Ok(journal)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "it makes disks full")]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::io::Write as _;
    use std::path::Path;

    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::notifications::queue::Limits;

    const HOUR: Duration = Duration::from_hours(1);

    struct Scene {
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        task: JoinHandle<()>,
    }

    impl Scene {
        fn new(journal: Journal, events: usize) -> Self {
            let (queue, _) = Queue::new(Limits { events, bytes: 10_000 }, vec![], 1);
            let (queue, counters) = (Arc::new(queue), Arc::new(Counters::default()));
            let kept = keep("x".to_owned(), Arc::clone(&queue), Arc::clone(&counters), journal);
            Self { task: tokio::spawn(kept), queue, counters }
        }

        /// Time goes on for so long.
        async fn runs_for(&mut self, span: Duration) {
            assert!(timeout(span, &mut self.task).await.is_err(), "it ended");
        }

        async fn ends(self) {
            self.queue.close();
            timeout(HOUR, self.task).await.unwrap().unwrap();
        }
    }

    fn add(queue: &Queue, texts: &[&str]) {
        for text in texts {
            queue.add((*text).into());
        }
    }

    /// Fails to write, as a full disk does, where a file `full` is; and counts how often it was asked for a file.
    fn create(path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        if !path.with_file_name("full").exists() {
            return Ok(file);
        }
        let tries = path.with_file_name("tries");
        OpenOptions::new().create(true).append(true).open(tries)?.write_all(b"x")?;
        OpenOptions::new().append(true).open("/dev/full")
    }

    fn segments(slot: &Path) -> usize {
        let entries = fs::read_dir(slot).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|it| it == "events")).count()
    }

    fn left(directory: &Path) -> Vec<String> {
        let opened = Journal::open(directory).unwrap();
        opened.left.iter().map(|record| record.text.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_disk_is_full_it_is_filled_no_further_and_all_is_written_when_it_is_not() {
        let directory = TempDir::new().unwrap();
        let slot = directory.path().join("0");
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.create_by(create, 1);
        let mut scene = Scene::new(journal, 10);
        add(&scene.queue, &["a", "b"]);
        scene.runs_for(Duration::from_secs(1)).await;
        assert_eq!(segments(&slot), 2);

        fs::write(slot.join("full"), "").unwrap();
        add(&scene.queue, &["c", "d"]);
        scene.runs_for(HOUR).await;
        assert_eq!(segments(&slot), 2, "what could not be written leaves nothing");
        let tries = fs::read(slot.join("tries")).unwrap().len();
        assert!((50..80).contains(&tries), "{tries} tries in an hour");
        assert_eq!(scene.queue.len(), 4, "it goes on in memory");

        // What was delivered meanwhile makes room.
        scene.queue.delivered(1);
        scene.runs_for(HOUR).await;
        assert_eq!(segments(&slot), 1);

        fs::remove_file(slot.join("full")).unwrap();
        scene.ends().await;
        assert_eq!(left(directory.path()), ["b", "c", "d"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_is_still_full_at_the_end_does_not_hold_it_up() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.create_by(create, 1);
        fs::write(directory.path().join("0/full"), "").unwrap();
        let mut scene = Scene::new(journal, 10);
        add(&scene.queue, &["a"]);
        scene.runs_for(HOUR).await;
        scene.queue.close();
        timeout(Duration::from_secs(1), scene.task).await.expect("one more try, at once").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_leaves_that_ends_while_this_one_runs_is_taken_over() {
        let directory = TempDir::new().unwrap();
        // The old one and the new one of a rolling update.
        let mut old = Journal::open(directory.path()).unwrap().journal;
        let mut scene = Scene::new(Journal::open(directory.path()).unwrap().journal, 3);
        let (queue, _) = Queue::new(Limits { events: 10, bytes: 100 }, vec![], 1);
        add(&queue, &["a", "b", "c", "d", "e", "f"]);
        let work = queue.work().await.unwrap();
        old.write(&work.records, 1).outcome.unwrap();
        add(&scene.queue, &["new"]);
        scene.runs_for(HOUR).await;
        assert_eq!(scene.queue.len(), 1, "it is the old one's while that lives");

        drop(old);
        scene.runs_for(2 * LOOK).await;
        // As many as there is room for; nothing is dropped for them.
        assert_eq!(scene.queue.len(), 3);
        let mut told = Vec::new();
        for _ in 0..3 {
            let front = scene.queue.front().await;
            scene.queue.delivered(front.number);
            told.push(front.text.to_string());
        }
        scene.runs_for(2 * LOOK).await;
        while scene.queue.len() > 1 {
            let front = scene.queue.front().await;
            scene.queue.delivered(front.number);
            told.push(front.text.to_string());
        }
        assert_eq!(told, ["new", "b", "c", "d", "e"]);
        let stats = scene.counters.stats("x", 1);
        assert_eq!((stats.events, stats.dropped), (5, 0));
        scene.runs_for(2 * LOOK).await;
        assert_eq!(segments(&directory.path().join("0")), 0, "it is not there any more");
        scene.ends().await;

        // It is in the files of the one that took it.
        fs::remove_dir_all(directory.path().join("0")).unwrap();
        fs::rename(directory.path().join("1"), directory.path().join("0")).unwrap();
        assert_eq!(left(directory.path()), ["f"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_found_at_the_start_of_several_that_ended_is_taken_over_at_once() {
        let directory = TempDir::new().unwrap();
        let mut ended: Vec<Journal> =
            (0..4).map(|_| Journal::open(directory.path()).unwrap().journal).collect();
        let (queue, _) = Queue::new(Limits { events: 10, bytes: 100 }, vec![], 1);
        add(&queue, &["a"]);
        let work = queue.work().await.unwrap();
        for journal in &mut ended[1..] {
            journal.write(&work.records, 0).outcome.unwrap();
        }
        drop(ended);
        let mut scene = Scene::new(Journal::open(directory.path()).unwrap().journal, 10);
        scene.runs_for(Duration::from_secs(1)).await;
        assert_eq!(scene.queue.len(), 3);
        scene.ends().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_over_stays_where_it_was_until_it_is_in_the_files_of_the_new_one() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        let mut old = Journal::open(directory.path()).unwrap().journal;
        let (queue, _) = Queue::new(Limits { events: 10, bytes: 100 }, vec![], 1);
        add(&queue, &["a"]);
        let work = queue.work().await.unwrap();
        old.write(&work.records, 0).outcome.unwrap();
        drop(old);
        let [ours, theirs] = ["0", "1"].map(|slot| directory.path().join(slot));
        journal.create_by(create, 1000);
        fs::write(ours.join("full"), "").unwrap();
        let mut scene = Scene::new(journal, 10);
        scene.runs_for(HOUR).await;
        assert_eq!((scene.queue.len(), segments(&ours), segments(&theirs)), (1, 0, 1));
        fs::remove_file(ours.join("full")).unwrap();
        scene.runs_for(2 * LONGEST).await;
        assert_eq!((scene.queue.len(), segments(&ours), segments(&theirs)), (1, 1, 0));
        scene.ends().await;
    }
}
