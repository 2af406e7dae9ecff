//! [`Effect`]: what a system call changes, or makes durable.

use std::ffi::OsString;

/// The number of a file or directory; never given to another one.
pub(crate) type Inode = u64;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The directory.
    pub(crate) directory: Inode,
    /// The name.
    pub(crate) name: OsString,
}

/// What a system call changes, or makes durable. Calls that only look have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A file without a name.
    Make {
        /// The file.
        inode: Inode,
        /// It is a directory.
        directory: bool,
    },
    /// Something has a name more; in the place of whatever had it.
    Name {
        /// The name.
        place: Place,
        /// What has it now.
        inode: Inode,
        /// It is new; whether as a directory.
        makes: Option<bool>,
    },
    /// Something has another name; in the place of whatever had that.
    Rename {
        /// The name it had.
        from: Place,
        /// The name it has.
        to: Place,
        /// What is renamed.
        inode: Inode,
    },
    /// A name is gone.
    Unname {
        /// The name.
        place: Place,
        /// What had it.
        inode: Inode,
    },
    /// Bytes of a file.
    Write {
        /// The file.
        inode: Inode,
        /// Where they begin.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The length of a file.
    Truncate {
        /// The file.
        inode: Inode,
        /// Its length in bytes.
        length: usize,
    },
    /// The bytes of a file are on the medium.
    SyncFile {
        /// The file.
        inode: Inode,
    },
    /// The names in a directory are on the medium.
    SyncDirectory {
        /// The directory.
        inode: Inode,
    },
    /// Everything is on the medium.
    SyncFilesystem,
}

impl Effect {
    /// The number of what it makes, if it makes something.
    pub(crate) const fn made(&self) -> Option<Inode> {
        match self {
            Self::Make { inode, .. } | Self::Name { inode, makes: Some(_), .. } => Some(*inode),
            _ => None,
        }
    }

    /// The names it changes; none if it changes bytes or nothing.
    pub(crate) fn places(&self) -> Vec<&Place> {
        match self {
            Self::Name { place, .. } | Self::Unname { place, .. } => vec![place],
            Self::Rename { from, to, .. } => vec![from, to],
            _ => Vec::new(),
        }
    }
}
