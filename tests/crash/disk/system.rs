//! [`SimulatedSystem`]: the system calls of the filesystem backend, on a [`Disk`].

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use registry_store::backend::LockMode;
use registry_store::backend::fs::system::{Entry, Kind, Open, Stat, System};
use rustix::io::Errno;

use super::effect::{Effect, Inode};
use super::{Disk, Fault, Process, State, failed};

/// The system calls of one process on a [`Disk`].
#[derive(Clone, Debug)]
pub(crate) struct SimulatedSystem {
    disk: Disk,
    process: Process,
}

/// An open file or directory. Lets go of its lock when it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: Disk,
    inode: Inode,
    holder: u64,
    /// It was made without a name, so that it can be given one.
    unnamed: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.unlock(self.inode, self.holder);
    }
}

impl SimulatedSystem {
    pub(super) const fn new(disk: Disk, process: Process) -> Self {
        Self { disk, process }
    }

    fn handle(&self, state: &mut State, inode: Inode, unnamed: bool) -> Handle {
        state.next_holder += 1;
        Handle { disk: self.disk.clone(), inode, holder: state.next_holder, unnamed }
    }

    /// Names what exists.
    fn name_new(&self, inode: Inode, to: &Path, state: &mut State) -> io::Result<()> {
        if state.refused.links {
            return failed(Errno::PERM);
        }
        let place = state.tree.place(to)?;
        if state.tree.at(&place).is_some() {
            return failed(Errno::EXIST);
        }
        state.do_it(Effect::Name { place, inode, makes: None });
        Ok(())
    }

    fn renamed(&self, from: &Path, to: &Path, replaces: bool) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let (from, to) = (state.tree.place(from)?, state.tree.place(to)?);
        let inode = state.tree.at(&from).ok_or(Errno::NOENT)?;
        if !replaces && state.refused.rename_new {
            return failed(Errno::INVAL);
        }
        match state.tree.at(&to) {
            Some(_) if !replaces => return failed(Errno::EXIST),
            // rename(2): two names of one file stay as they are.
            Some(other) if other == inode => return Ok(()),
            Some(other) if state.tree.is_directory(other) => return failed(Errno::ISDIR),
            _ => {}
        }
        state.do_it(Effect::Rename { from, to, inode });
        Ok(())
    }
}

impl System for SimulatedSystem {
    type File = Handle;
    type Entries = std::vec::IntoIter<io::Result<Entry>>;

    fn open(&self, path: &Path, how: Open) -> io::Result<Handle> {
        let mut state = self.disk.enter(self.process);
        let found = state.tree.find(path);
        let inode = match (how, found) {
            (Open::New, Ok(_)) => return failed(Errno::EXIST),
            (Open::Unnamed, _) if state.refused.unnamed => return failed(Errno::OPNOTSUPP),
            (Open::Unnamed, Ok(_)) => {
                let inode = state.new_inode();
                state.do_it(Effect::Make { inode, directory: false });
                return Ok(self.handle(&mut state, inode, true));
            }
            (Open::ReadWrite | Open::Existing, Ok(inode)) if state.tree.is_directory(inode) => {
                return failed(Errno::ISDIR);
            }
            (Open::Directory, Ok(inode)) if !state.tree.is_directory(inode) => {
                return failed(Errno::NOTDIR);
            }
            (_, Ok(inode)) => inode,
            (Open::New | Open::ReadWrite, Err(Errno::NOENT)) => {
                let place = state.tree.place(path)?;
                let inode = state.new_inode();
                state.do_it(Effect::Name { place, inode, makes: Some(false) });
                inode
            }
            (_, Err(error)) => return failed(error),
        };
        Ok(self.handle(&mut state, inode, false))
    }

    fn read_at(&self, file: &Handle, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.enter(self.process);
        let bytes = state.tree.bytes(file.inode);
        let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_at_nowait(&self, _: &Handle, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn write_all_at(&self, file: &Handle, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = bytes.to_vec();
        state.do_it(Effect::Write { inode: file.inode, offset, bytes });
        Ok(())
    }

    fn truncate(&self, file: &Handle, length: u64) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        state.do_it(Effect::Truncate { inode: file.inode, length });
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.disk.enter(self.process);
        let inode = state.tree.find(path)?;
        Ok(stat(&state, inode))
    }

    fn stat_file(&self, file: &Handle) -> io::Result<Stat> {
        Ok(stat(&self.disk.enter(self.process), file.inode))
    }

    fn sync_data(&self, file: &Handle) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        if state.fault != Fault::NoFileSync {
            state.do_it(Effect::SyncFile { inode: file.inode });
        }
        Ok(())
    }

    fn sync_directory(&self, directory: &Handle) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let inode = directory.inode;
        let names = state.tree.names(inode);
        let is_above = names.values().any(|inode| state.tree.is_directory(*inode));
        match state.fault {
            Fault::NoDirectorySync => {}
            Fault::NoParentSync if is_above => {}
            Fault::NoDirectorySyncBeside if self.process != 0 => {}
            _ => state.do_it(Effect::SyncDirectory { inode }),
        }
        Ok(())
    }

    fn sync_filesystem(&self, _: &Handle) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        if state.fault != Fault::NoFilesystemSync {
            state.do_it(Effect::SyncFilesystem);
        }
        Ok(())
    }

    fn start_writeback(&self, _: &Handle, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn link_open_file(&self, file: &Handle, to: &Path) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        if !file.unnamed && state.tree.links(file.inode) == 0 {
            return failed(Errno::NOENT);
        }
        self.name_new(file.inode, to, &mut state)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let inode = state.tree.find(from)?;
        self.name_new(inode, to, &mut state)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.renamed(from, to, true)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.renamed(from, to, false)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let place = state.tree.place(path)?;
        if state.tree.at(&place).is_some() {
            return failed(Errno::EXIST);
        }
        let inode = state.new_inode();
        state.do_it(Effect::Name { place, inode, makes: Some(true) });
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let place = state.tree.place(path)?;
        let inode = state.tree.at(&place).ok_or(Errno::NOENT)?;
        if state.tree.is_directory(inode) {
            return failed(Errno::ISDIR);
        }
        state.do_it(Effect::Unname { place, inode });
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.enter(self.process);
        let place = state.tree.place(path)?;
        let inode = state.tree.at(&place).ok_or(Errno::NOENT)?;
        if !state.tree.is_directory(inode) {
            return failed(Errno::NOTDIR);
        }
        if !state.tree.names(inode).is_empty() {
            return failed(Errno::NOTEMPTY);
        }
        state.do_it(Effect::Unname { place, inode });
        Ok(())
    }

    fn read_directory(&self, path: &Path) -> io::Result<Self::Entries> {
        let state = self.disk.enter(self.process);
        let directory = state.tree.find(path)?;
        if !state.tree.is_directory(directory) {
            return failed(Errno::NOTDIR);
        }
        let entries = state.tree.names(directory).iter().map(|(name, inode)| {
            let is_directory = state.tree.is_directory(*inode);
            let kind = if is_directory { Kind::Directory } else { Kind::File };
            Ok(Entry { name: name.clone(), kind })
        });
        Ok(entries.collect::<Vec<_>>().into_iter())
    }

    fn try_lock(&self, file: &Handle, mode: LockMode) -> io::Result<bool> {
        self.disk.lock(self.process, file.inode, file.holder, mode);
        Ok(true)
    }

    fn boot_id(&self) -> Option<String> {
        let state = self.disk.enter(self.process);
        (!state.refused.boot).then(|| state.boot.clone())
    }

    fn random_name(&self) -> String {
        let mut state = self.disk.enter(self.process);
        state.next_name += 1;
        format!("{:032x}", state.next_name)
    }
}

fn stat(state: &State, inode: Inode) -> Stat {
    let is_directory = state.tree.is_directory(inode);
    let kind = if is_directory { Kind::Directory } else { Kind::File };
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    Stat {
        kind,
        size: state.tree.bytes(inode).len() as u64,
        links: state.tree.links(inode),
        device: 1,
        inode,
        created: at(inode),
        modified: at(state.written.get(&inode).copied().unwrap_or(0)),
    }
}
