//! What a journalling filesystem may have on its medium when the power goes.
//!
//! * A change of names (a file or directory made, linked, renamed, removed) is durable once a directory that it
//!   changes was synced. Until then it may be there or not, each independently of every other and so in any order;
//!   but for three things that every such filesystem keeps: a rename is whole, nothing is in a directory that is not
//!   there itself, and a directory that is gone was empty.
//! * The bytes and the length of a file are durable once it was synced. Of what was written since, any beginning may
//!   be there, the last part of it torn; or the length without the bytes, which read as zeros then.
//! * The sync of a file says nothing of its names, that of a directory nothing of the names above it.
//!
//! So every state that one journal for all leaves (ext4, xfs) is among these, as is every state of a log for each
//! inode (btrfs).
//!
//! Changes that nothing rests on are kept all together, or not at all: those in the backend's own place for temporary
//! files and locks, those of the states of a session's hash, which are written for Distribution and never read, and the
//! removals of empty directories.

use std::collections::BTreeSet;
use std::path::Path;

use super::effect::{Effect, Inode, Place};
use super::tree::{ROOT, Tree};

/// A disk of which the power can go: what is on the medium, and what is not yet.
#[derive(Clone, Default)]
pub(crate) struct Medium {
    /// What is there for certain.
    durable: Tree,
    /// Changes of names, in order.
    names: Vec<Effect>,
    /// Changes of bytes, in order.
    bytes: Vec<Effect>,
}

impl Medium {
    /// A medium on which this is durable.
    pub(crate) fn of(tree: &Tree) -> Self {
        Self { durable: tree.clone(), ..Self::default() }
    }

    /// Does what a system call did.
    pub(crate) fn take(&mut self, effect: &Effect) {
        match effect {
            Effect::Make { inode, directory } => self.durable.make(*inode, *directory),
            Effect::Name { inode, makes, .. } => {
                if let Some(directory) = makes {
                    self.durable.make(*inode, *directory);
                }
                self.names.push(effect.clone());
            }
            Effect::Rename { .. } | Effect::Unname { .. } => self.names.push(effect.clone()),
            Effect::Write { .. } | Effect::Truncate { .. } => self.bytes.push(effect.clone()),
            Effect::SyncFile { inode } => self.sync_file(*inode),
            Effect::SyncDirectory { inode } => self.sync_directory(*inode),
            Effect::SyncFilesystem => {
                let changes = self.names.drain(..).chain(self.bytes.drain(..));
                changes.for_each(|effect| self.durable.apply(&effect));
            }
        }
    }

    /// What is there if nothing is that need not be.
    pub(crate) fn least(&self) -> Tree {
        self.durable.reachable()
    }

    /// Two of the states: nothing is there that need not be; every name is, and no bytes that need not be.
    pub(crate) fn extremes(&self) -> [Tree; 2] {
        let mut names = self.durable.clone();
        self.names.iter().for_each(|effect| names.apply(effect));
        [self.least(), names.reachable()]
    }

    /// Every state that may be found when the power comes back. Some may be alike.
    pub(crate) fn states(&self) -> Vec<Tree> {
        let mut found = Vec::new();
        let idle = self.idle();
        for keeps_idle in [true, false] {
            let chooses = Chooses { medium: self, idle: &idle, keeps_idle };
            chooses.names(0, self.durable.clone(), &mut found);
        }
        found
    }

    fn sync_file(&mut self, inode: Inode) {
        let is_of = |effect: &Effect| written(effect) == inode;
        for effect in self.bytes.extract_if(.., |effect| is_of(effect)) {
            self.durable.apply(&effect);
        }
    }

    fn sync_directory(&mut self, inode: Inode) {
        let touches =
            |effect: &Effect| effect.places().iter().any(|place| place.directory == inode);
        for effect in self.names.extract_if(.., |effect| touches(effect)) {
            self.durable.apply(&effect);
        }
    }

    /// The directories that nothing rests on, durable or not.
    fn idle(&self) -> BTreeSet<Inode> {
        let mut all = self.durable.clone();
        self.names.iter().for_each(|effect| all.apply(effect));
        let idle = all
            .paths()
            .into_iter()
            .filter(|(path, inode)| all.is_directory(*inode) && is_idle(path));
        idle.map(|(_, inode)| inode).collect()
    }

    /// Every content that a file may have.
    fn contents(&self, file: Inode) -> Vec<Vec<u8>> {
        let changes: Vec<_> = self.bytes.iter().filter(|effect| written(effect) == file).collect();
        let mut tree = self.durable.clone();
        let mut found = vec![tree.bytes(file).to_vec()];
        for effect in &changes {
            if let Effect::Write { offset, bytes, .. } = effect {
                let mut torn = tree.clone();
                let half = bytes[..bytes.len() / 2].to_vec();
                torn.apply(&Effect::Write { inode: file, offset: *offset, bytes: half });
                found.push(torn.bytes(file).to_vec());
                let mut zeros = tree.clone();
                let nothing = vec![0; bytes.len()];
                zeros.apply(&Effect::Write { inode: file, offset: *offset, bytes: nothing });
                found.push(zeros.bytes(file).to_vec());
            }
            tree.apply(effect);
            found.push(tree.bytes(file).to_vec());
        }
        found.sort();
        found.dedup();
        found
    }
}

/// Does nothing rest on what lies there?
fn is_idle(path: &Path) -> bool {
    path.iter().any(|part| part == "_rs" || part == "hashstates")
}

/// Is it the removal of a directory? Only empty ones are removed, and one that comes back says nothing.
fn removes_directory(effect: &Effect, tree: &Tree) -> bool {
    matches!(effect, Effect::Unname { inode, .. } if tree.is_directory(*inode))
}

/// The file whose bytes an effect changes.
fn written(effect: &Effect) -> Inode {
    match effect {
        Effect::Write { inode, .. } | Effect::Truncate { inode, .. } => *inode,
        _ => panic!("expected a change of bytes, found {effect:?}"),
    }
}

/// Chooses in every way what is there of what need not be.
struct Chooses<'a> {
    medium: &'a Medium,
    idle: &'a BTreeSet<Inode>,
    keeps_idle: bool,
}

impl Chooses<'_> {
    /// Of the changes of names from this one on.
    fn names(&self, at: usize, tree: Tree, found: &mut Vec<Tree>) {
        let Some(effect) = self.medium.names.get(at) else {
            return self.contents(&tree.reachable(), found);
        };
        let (may_stay_away, may_be_there) = self.fates(effect, &tree);
        if may_be_there {
            let mut with = tree.clone();
            with.apply(effect);
            self.names(at + 1, with, found);
        }
        if may_stay_away {
            self.names(at + 1, tree, found);
        }
    }

    /// May a change not be there, and may it be?
    fn fates(&self, effect: &Effect, tree: &Tree) -> (bool, bool) {
        let target = match effect {
            Effect::Name { place, .. } | Effect::Rename { to: place, .. } => place.directory,
            Effect::Unname { place, inode } => {
                let is_there = tree.at(place) == Some(*inode);
                let is_in_use = tree.is_directory(*inode) && !tree.names(*inode).is_empty();
                if !is_there || is_in_use {
                    return (true, false);
                }
                place.directory
            }
            _ => panic!("expected a change of names, found {effect:?}"),
        };
        if target != ROOT && tree.links(target) == 0 {
            return (true, false);
        }
        let is_in_idle = |place: &&Place| self.idle.contains(&place.directory);
        let is_idle = effect.places().iter().all(is_in_idle) || removes_directory(effect, tree);
        if is_idle { (!self.keeps_idle, self.keeps_idle) } else { (true, true) }
    }

    /// Of the bytes of every file that has a name, but those of temporary files.
    fn contents(&self, tree: &Tree, found: &mut Vec<Tree>) {
        let mut files: BTreeSet<Inode> = self.medium.bytes.iter().map(written).collect();
        files.retain(|file| {
            tree.paths().iter().any(|(path, inode)| inode == file && !is_idle(path))
        });
        let mut trees = vec![tree.clone()];
        for file in files {
            let contents = self.medium.contents(file);
            let each = trees.iter().flat_map(|tree| {
                contents.iter().map(|bytes| {
                    let mut tree = tree.clone();
                    tree.fill(file, bytes.clone());
                    tree
                })
            });
            trees = each.collect();
        }
        found.append(&mut trees);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: Inode = 1;
    const FILE: Inode = 2;

    fn place(directory: Inode, name: &str) -> Place {
        Place { directory, name: name.into() }
    }

    fn states_after(effects: &[Effect]) -> BTreeSet<String> {
        let mut medium = Medium::default();
        effects.iter().for_each(|effect| medium.take(effect));
        medium.states().iter().map(ToString::to_string).collect()
    }

    fn made(directory: Inode, name: &str, inode: Inode, is_directory: bool) -> Effect {
        Effect::Name { place: place(directory, name), inode, makes: Some(is_directory) }
    }

    fn write(bytes: &str) -> Effect {
        Effect::Write { inode: FILE, offset: 0, bytes: bytes.into() }
    }

    #[test]
    fn a_name_may_be_durable_without_the_bytes_it_names() {
        let states = states_after(&[
            made(ROOT, "a", FILE, false),
            write("xy"),
            Effect::SyncDirectory { inode: ROOT },
        ]);
        assert_eq!(
            states,
            ["/a \n", "/a \\x00\\x00\n", "/a x\n", "/a xy\n"].map(Into::into).into()
        );
    }

    #[test]
    fn bytes_that_were_synced_are_whole_wherever_their_name_is() {
        let states = states_after(&[
            made(ROOT, "a", FILE, false),
            write("xy"),
            Effect::SyncFile { inode: FILE },
        ]);
        assert_eq!(states, ["", "/a xy\n"].map(Into::into).into());
    }

    #[test]
    fn a_directory_that_was_synced_can_be_lost_with_its_own_name() {
        let states = states_after(&[
            made(ROOT, "d", DIRECTORY, true),
            made(DIRECTORY, "a", FILE, false),
            Effect::SyncDirectory { inode: DIRECTORY },
        ]);
        assert_eq!(states, ["", "/d/\n/d/a \n"].map(Into::into).into());
    }

    #[test]
    fn names_reach_the_medium_in_any_order_and_a_rename_is_whole() {
        let states = states_after(&[
            made(ROOT, "a", FILE, false),
            Effect::SyncDirectory { inode: ROOT },
            Effect::Rename { from: place(ROOT, "a"), to: place(ROOT, "b"), inode: FILE },
            made(ROOT, "c", 3, false),
        ]);
        let expected = ["/a \n", "/b \n", "/a \n/c \n", "/b \n/c \n"];
        assert_eq!(states, expected.map(Into::into).into());
    }

    #[test]
    fn a_directory_is_not_gone_before_what_was_in_it() {
        let states = states_after(&[
            made(ROOT, "d", DIRECTORY, true),
            made(DIRECTORY, "a", FILE, false),
            Effect::SyncDirectory { inode: DIRECTORY },
            Effect::SyncDirectory { inode: ROOT },
            Effect::Unname { place: place(DIRECTORY, "a"), inode: FILE },
            Effect::Unname { place: place(ROOT, "d"), inode: DIRECTORY },
        ]);
        assert_eq!(states, ["", "/d/\n", "/d/\n/d/a \n"].map(Into::into).into());
    }
}
