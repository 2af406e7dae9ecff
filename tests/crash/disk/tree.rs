//! [`Tree`]: directories, names and files, as they are at one instant.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::effect::{Effect, Inode, Place};

/// The directory that everything is below.
pub(crate) const ROOT: Inode = 0;

/// What a directory holds.
pub(crate) type Names = BTreeMap<OsString, Inode>;

/// Directories, names and files. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tree {
    nodes: HashMap<Inode, Node>,
}

/// A file or a directory.
#[derive(Clone, Debug)]
struct Node {
    content: Content,
    /// How many names it has.
    links: u64,
}

/// What is in it.
#[derive(Clone, Debug)]
enum Content {
    File(Arc<Vec<u8>>),
    Directory(Arc<Names>),
}

impl Content {
    fn empty(is_directory: bool) -> Self {
        if is_directory { Self::Directory(Arc::default()) } else { Self::File(Arc::default()) }
    }
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node { content: Content::empty(true), links: 1 };
        Self { nodes: HashMap::from([(ROOT, root)]) }
    }
}

impl Tree {
    /// The names in a directory; none if it is no directory.
    pub(crate) fn names(&self, directory: Inode) -> &Names {
        static NONE: Names = Names::new();
        match self.content(directory) {
            Some(Content::Directory(names)) => names,
            _ => &NONE,
        }
    }

    /// The bytes of a file; none if it is no file.
    pub(crate) fn bytes(&self, file: Inode) -> &[u8] {
        match self.content(file) {
            Some(Content::File(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Is it a directory?
    pub(crate) fn is_directory(&self, inode: Inode) -> bool {
        matches!(self.content(inode), Some(Content::Directory(_)))
    }

    /// How many names something has, in all directories.
    pub(crate) fn links(&self, inode: Inode) -> u64 {
        self.nodes.get(&inode).map_or(0, |node| node.links)
    }

    /// What has a path.
    pub(crate) fn find(&self, path: &Path) -> Result<Inode, Errno> {
        let mut at = ROOT;
        for name in components(path) {
            if !self.is_directory(at) {
                return Err(Errno::NOTDIR);
            }
            at = *self.names(at).get(name).ok_or(Errno::NOENT)?;
        }
        Ok(at)
    }

    /// The directory a path is in, and the name it has there.
    pub(crate) fn place(&self, path: &Path) -> Result<Place, Errno> {
        let name = path.file_name().ok_or(Errno::EXIST)?.to_owned();
        let directory = self.find(path.parent().unwrap_or(path))?;
        if !self.is_directory(directory) {
            return Err(Errno::NOTDIR);
        }
        Ok(Place { directory, name })
    }

    /// What has a name.
    pub(crate) fn at(&self, place: &Place) -> Option<Inode> {
        self.names(place.directory).get(&place.name).copied()
    }

    /// Does what a system call did. A sync changes nothing that is seen.
    pub(crate) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Make { inode, directory } => self.make(*inode, *directory),
            Effect::Name { place, inode, makes } => {
                if let Some(is_directory) = makes {
                    self.make(*inode, *is_directory);
                }
                self.name(place, *inode);
            }
            Effect::Rename { from, to, inode } => {
                self.unname(from, *inode);
                self.name(to, *inode);
            }
            Effect::Unname { place, inode } => self.unname(place, *inode),
            Effect::Write { inode, offset, bytes } => {
                let file = self.bytes_mut(*inode);
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }
            Effect::Truncate { inode, length } => self.bytes_mut(*inode).resize(*length, 0),
            Effect::SyncFile { .. } | Effect::SyncDirectory { .. } | Effect::SyncFilesystem => {}
        }
    }

    /// Is there, if it was not.
    pub(crate) fn make(&mut self, inode: Inode, is_directory: bool) {
        let new = || Node { content: Content::empty(is_directory), links: 0 };
        self.nodes.entry(inode).or_insert_with(new);
    }

    /// Gives a file these bytes.
    pub(crate) fn fill(&mut self, file: Inode, bytes: Vec<u8>) {
        *self.bytes_mut(file) = bytes;
    }

    /// Gives something a name, whatever had it.
    fn name(&mut self, place: &Place, inode: Inode) {
        if let Some(other) = self.at(place) {
            self.unname(place, other);
        }
        self.names_mut(place.directory).insert(place.name.clone(), inode);
        self.nodes.get_mut(&inode).expect("what is named was made").links += 1;
    }

    /// Takes a name away, if it is still this one's.
    fn unname(&mut self, place: &Place, inode: Inode) {
        if self.at(place) == Some(inode) {
            self.names_mut(place.directory).remove(&place.name);
            self.nodes.get_mut(&inode).expect("what has a name was made").links -= 1;
        }
    }

    /// Every directory and file that can be reached, by its path from the root, in order; of a file that has several
    /// names, each.
    pub(crate) fn paths(&self) -> Vec<(PathBuf, Inode)> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, directory)) = open.pop() {
            for (name, inode) in self.names(directory) {
                let path = path.join(name);
                if self.is_directory(*inode) {
                    open.push((path.clone(), *inode));
                }
                found.push((path, *inode));
            }
        }
        found.sort();
        found
    }

    /// Without what has no name: what is left when nobody has anything open.
    pub(crate) fn reachable(&self) -> Self {
        let mut links: HashMap<Inode, u64> = HashMap::from([(ROOT, 1)]);
        for (_, inode) in self.paths() {
            *links.entry(inode).or_default() += 1;
        }
        let nodes = links.into_iter().map(|(inode, links)| {
            let content = self.nodes[&inode].content.clone();
            (inode, Node { content, links })
        });
        Self { nodes: nodes.collect() }
    }

    fn content(&self, inode: Inode) -> Option<&Content> {
        self.nodes.get(&inode).map(|node| &node.content)
    }

    fn names_mut(&mut self, directory: Inode) -> &mut Names {
        match self.nodes.get_mut(&directory).map(|node| &mut node.content) {
            Some(Content::Directory(names)) => Arc::make_mut(names),
            other => panic!("expected directory {directory}, found {other:?}"),
        }
    }

    fn bytes_mut(&mut self, file: Inode) -> &mut Vec<u8> {
        match self.nodes.get_mut(&file).map(|node| &mut node.content) {
            Some(Content::File(bytes)) => Arc::make_mut(bytes),
            other => panic!("expected file {file}, found {other:?}"),
        }
    }
}

/// Two trees print the same if nobody can tell them apart by looking.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first_names: HashMap<Inode, PathBuf> = HashMap::new();
        for (path, inode) in self.paths() {
            let shown = path.display();
            if self.is_directory(inode) {
                writeln!(f, "{shown}/")?;
            } else if let Some(first) = first_names.get(&inode) {
                writeln!(f, "{shown} is {}", first.display())?;
            } else {
                writeln!(f, "{shown} {}", self.bytes(inode).escape_ascii())?;
                first_names.insert(inode, path);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn components(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}
