//! [`Trial`]: an operation that is done again and again on the same ground, to compare with how it goes undisturbed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use registry_store::backend::ErrorKind;
use registry_store::error::{Error, Result};
use registry_store::store::Store;
use tempfile::TempDir;

use super::{Operation, Prepared, Sight, sight, uploads};
use crate::world::World;

/// What the ground is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Memory.
    Memory,
    /// A directory.
    Filesystem,
}

/// An operation, and how it goes when nothing disturbs it.
#[derive(Debug)]
pub struct Trial {
    /// The operation.
    pub operation: &'static Operation,
    /// What it is done on.
    pub on: On,
    /// Ground in a directory, to be copied.
    template: Option<(TempDir, Prepared)>,
    before: Sight,
    after: Sight,
    answer: String,
    last: Last,
}

/// What it comes to when the operation was done again, and all that was begun is ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Last {
    things: Sight,
    objects: BTreeSet<String>,
}

/// Ground that an operation is done on once.
#[derive(Debug)]
pub struct Ground {
    /// The store and what is below it.
    pub world: World,
    /// What the operation is done to.
    pub prepared: Prepared,
    root: Option<PathBuf>,
}

impl Trial {
    /// Sees how the operation goes undisturbed.
    pub async fn new(operation: &'static Operation, on: On) -> Self {
        let template = match on {
            On::Memory => None,
            On::Filesystem => Some(template(operation).await),
        };
        let (before, after, answer) = <_>::default();
        let mut this =
            Self { operation, on, template, before, after, answer, last: Last::default() };
        let ground = this.ground().await;
        let name = operation.name;
        this.before = Sight::of(&ground.world.store, &ground.prepared, name).await;
        let done = operation.run(&ground.world.store, &ground.prepared).await;
        this.answer = done.unwrap_or_else(|error| panic!("{name}, undisturbed: {error}"));
        this.after = Sight::of(&ground.another(), &ground.prepared, name).await;
        this.last = this.do_again(&ground, name).await;
        this
    }

    /// The ground, anew.
    pub async fn ground(&self) -> Ground {
        let ground = match (&self.template, self.on) {
            (Some((template, prepared)), _) => {
                let directory = directory();
                let root = directory.path().to_owned();
                copy(template.path(), &root);
                let world = World::in_directory(directory);
                // Ids that the template has must not come again.
                for _ in 0..16 {
                    world.store.options().random.bytes();
                }
                Ground { world, prepared: prepared.clone(), root: Some(root) }
            }
            (None, _) => {
                let world = World::memory();
                let prepared = self.operation.prepare(&world).await;
                Ground { world, prepared, root: None }
            }
        };
        ground.world.clock.advance(A_WHILE);
        ground
    }

    /// What must hold after the operation was disturbed, as another process sees it.
    ///
    /// `outcome` is what it had to tell, if it came to its end; `kind` what a call of the storage failed with.
    pub async fn check(
        &self,
        ground: &Ground,
        outcome: Option<Result<String>>,
        kind: Option<ErrorKind>,
        when: &str,
    ) {
        let when = &format!("{}, {when}", self.operation.name);
        let found = Sight::of(&ground.another(), &ground.prepared, when).await;
        found.assert_between(&self.before, &self.after, when);
        match outcome {
            Some(Ok(_)) if kind.is_some_and(|kind| self.operation.passes_over(kind)) => {}
            Some(Ok(answer)) => {
                assert_eq!(answer, self.answer, "{when}");
                assert!(
                    found.has_the_same_things(&self.after),
                    "{when}: acknowledged, and {found:#?} instead of {:#?}",
                    self.after
                );
            }
            Some(Err(Error::Storage(error))) => {
                assert_eq!(Some(error.kind()), kind, "{when}: {error}");
            }
            Some(Err(error)) => panic!("{when}: a fault of the storage looks like {error}"),
            None => assert!(
                [&self.before, &self.after].iter().any(|it| found.has_the_same_things(it)),
                "{when}: stopped half-way, {found:#?}"
            ),
        }
        let last = self.do_again(ground, when).await;
        assert!(
            last.things.has_the_same_things(&self.last.things),
            "{when}, done again: {:#?} instead of {:#?}",
            last.things,
            self.last.things
        );
        assert_eq!(last.objects, self.last.objects, "{when}, done again, all ended");
    }

    /// Does the operation again, ends the upload session if there is one, and lets what is left expire.
    async fn do_again(&self, ground: &Ground, when: &str) -> Last {
        let store = ground.another();
        let done = self.operation.again(&store, &ground.prepared).await;
        done.unwrap_or_else(|error| panic!("{when}, done again: {error}"));
        let things = Sight::of(&store, &ground.prepared, when).await;
        if things.has_upload() {
            let ended = uploads::end(&store, &ground.prepared).await;
            ended.unwrap_or_else(|error| panic!("{when}: the upload's bytes: {error}"));
        }
        ground.world.clock.advance(A_WHILE);
        let expired = store.purge_uploads(A_WHILE / 2).await;
        expired.unwrap_or_else(|error| panic!("{when}: expiry: {error}"));
        let objects = sight::objects(&*ground.world.backend).await;
        let unfinished = objects.iter().find(|object| object.contains("/_uploads/"));
        assert_eq!(unfinished, None, "{when}");
        assert_eq!(ground.temporaries(), [""; 0], "{when}");
        Last { things, objects }
    }
}

impl Ground {
    /// The store, as another process has it.
    pub fn another(&self) -> Store {
        self.world.another_process()
    }

    /// Temporary files of the backend's own.
    fn temporaries(&self) -> Vec<String> {
        let Some(root) = &self.root else { return Vec::new() };
        let Ok(entries) = fs::read_dir(root.join("_rs/tmp")) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("the directory can be read").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

/// Longer than any upload of these may take, and than what is young when it is looked for what is old.
const A_WHILE: Duration = Duration::from_secs(2 * 60 * 60);

/// A directory in memory, where the machine has a place for that: what is looked at here is not its durability.
fn directory() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
    made.expect("there is room for a directory")
}

async fn template(operation: &Operation) -> (TempDir, Prepared) {
    let (copied, made) = (directory(), directory());
    let root = made.path().to_owned();
    let world = World::in_directory(made);
    let prepared = operation.prepare(&world).await;
    copy(&root, copied.path());
    (copied, prepared)
}

/// Copies a directory of small files, and syncs none of them.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the directory can be read") {
        let entry = entry.expect("the directory can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("an entry has a type").is_dir() {
            fs::create_dir(&target).expect("there is room for a directory");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("there is room for a file");
        }
    }
}
