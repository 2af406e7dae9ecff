//! How a finished file gets the name of an object: without overwriting, or in the place of what has it.
//!
//! The bytes are durable before; the directory is synced after, by the caller.
//!
//! Without overwriting, the ways are tried in this order, as filesystems refuse some of them: a link of the
//! open file, a link of its name, a rename that does not replace, a look and a rename under a lock of this
//! process. Where the temporary file is on another filesystem than the object, a copy is made beside that.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Root;
use super::durable::{Parents, locked};
use super::fault;
use super::system::{Kind, Stat, System};
use super::temp::{Content, Place, Temp};
use crate::backend::Promotion;

/// What came of naming a file without overwriting.
#[derive(Debug)]
pub(super) enum Naming {
    /// The file, or a copy of it, has the name.
    Made(Stat),
    /// Something has the name already.
    Exists,
}

/// What came of giving staged bytes the name of an object.
#[derive(Debug)]
pub(super) enum Named {
    /// The name has these bytes.
    As(Promotion),
    /// What has the name is of another size, this one, and stays: it gives way only to who is alone in replacing it.
    Damaged(u64),
}

/// What came of linking a file.
#[derive(Debug)]
pub(super) enum Linking {
    /// It has one name more.
    Made(Stat),
    /// Something has the name already.
    Exists,
    /// It cannot be linked there.
    Refused(io::Error),
}

impl<S: System> Root<S> {
    /// Names a temporary file `target`, unless something has that name.
    ///
    /// `content` is what the file holds, in case it has to be copied.
    pub(super) fn name_new(
        &self,
        temp: &mut Temp<S>,
        content: &Content<'_, S::File>,
        target: &Path,
        parents: &mut Parents,
    ) -> io::Result<Naming> {
        let refusal = match self.link(temp.file(), temp.name(), target, parents)? {
            Linking::Made(stat) => return Ok(Naming::Made(stat)),
            Linking::Exists => return Ok(Naming::Exists),
            Linking::Refused(refusal) => refusal,
        };
        if temp.name().is_some() && !fault::is_across(&refusal) {
            match self.rename_new(temp, target, parents) {
                Err(error) if fault::is_across(&error) => {
                    return self.name_copy(content, target, parents, &error);
                }
                result => return result,
            }
        }
        self.name_copy(content, target, parents, &refusal)
    }

    /// Gives a temporary file with a name of its own the name `target`, in the place of what has it.
    pub(super) fn name_over(
        &self,
        temp: &mut Temp<S>,
        content: &Content<'_, S::File>,
        target: &Path,
        parents: &mut Parents,
    ) -> io::Result<Stat> {
        match self.rename_over(temp, target, parents) {
            Err(error) if fault::is_across(&error) => {}
            result => return result,
        }
        let mut beside = self.filled_temp(Place::Beside(target), content, parents)?;
        self.rename_over(&mut beside, target, parents)
    }

    /// Gives a file one name more, unless something has that name. `name` is a name it has.
    pub(super) fn link(
        &self,
        file: &S::File,
        name: Option<&Path>,
        target: &Path,
        parents: &mut Parents,
    ) -> io::Result<Linking> {
        let directory = target.parent().unwrap_or(&self.path);
        self.durable.make_directories(directory, parents)?;
        let mut refusal: io::Error = rustix::io::Errno::OPNOTSUPP.into();
        let refused = &self.refused.linking_open_files;
        if !refused.load(Ordering::Relaxed) {
            let link = || self.system.link_open_file(file, target);
            match self.making_parents(directory, parents, link) {
                Ok(()) => return self.system.stat_file(file).map(Linking::Made),
                Err(error) if fault::exists(&error) => return Ok(Linking::Exists),
                Err(error) if fault::is_across(&error) => return Ok(Linking::Refused(error)),
                Err(error) if fault::is_refusal(&error) => {
                    refused.store(fault::is_of_filesystem(&error), Ordering::Relaxed);
                    refusal = error;
                }
                Err(error) => return Err(error),
            }
        }
        let refused = &self.refused.hard_links;
        if let Some(name) = name
            && !refused.load(Ordering::Relaxed)
        {
            let link = || self.system.hard_link(name, target);
            match self.making_parents(directory, parents, link) {
                Ok(()) => return self.system.stat_file(file).map(Linking::Made),
                Err(error) if fault::exists(&error) => return Ok(Linking::Exists),
                Err(error) if fault::is_refusal(&error) => {
                    refused.store(fault::is_of_filesystem(&error), Ordering::Relaxed);
                    refusal = error;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Linking::Refused(refusal))
    }

    /// A second name, in the reserved place, of a file that is to stay where it is; or of a copy.
    pub(super) fn second_name(
        &self,
        file: &Arc<S::File>,
        name: Option<&Path>,
        content: &Content<'_, S::File>,
        parents: &mut Parents,
    ) -> io::Result<Temp<S>> {
        let second = self.temp_name(Place::Reserved);
        match self.link(file, name, &second, parents)? {
            Linking::Made(_) => Ok(self.temp_named(file, second)),
            // A name of 128 random bits that is taken is not to be told from a link that is refused.
            Linking::Exists | Linking::Refused(_) => {
                self.filled_temp(Place::Reserved, content, parents)
            }
        }
    }

    /// Names a copy of a file `target`, unless something has that name. `refusal` says why the file itself
    /// cannot have it.
    pub(super) fn name_copy(
        &self,
        content: &Content<'_, S::File>,
        target: &Path,
        parents: &mut Parents,
        refusal: &io::Error,
    ) -> io::Result<Naming> {
        let skipped = usize::from(fault::is_across(refusal));
        let places = [Place::Reserved, Place::Beside(target)];
        for place in places.into_iter().skip(skipped) {
            let mut copy = self.filled_temp(place, content, parents)?;
            match self.link(copy.file(), copy.name(), target, parents)? {
                Linking::Made(stat) => return Ok(Naming::Made(stat)),
                Linking::Exists => return Ok(Naming::Exists),
                Linking::Refused(_) => {}
            }
            match self.rename_new(&mut copy, target, parents) {
                Err(error) if fault::is_across(&error) => {}
                result => return result,
            }
        }
        Err(rustix::io::Errno::XDEV.into())
    }

    fn rename_new(
        &self,
        temp: &mut Temp<S>,
        target: &Path,
        parents: &mut Parents,
    ) -> io::Result<Naming> {
        let Some(name) = temp.name() else {
            return Err(rustix::io::Errno::XDEV.into());
        };
        let directory = target.parent().unwrap_or(&self.path);
        let rename = || self.system.rename_new(name, target);
        match self.making_parents(directory, parents, rename) {
            Ok(()) => {}
            Err(error) if fault::exists(&error) => return Ok(Naming::Exists),
            Err(error) if fault::is_refusal(&error) && !fault::is_across(&error) => {
                let _alone = locked(&self.checked_rename);
                if self.look(target)?.is_some() {
                    return Ok(Naming::Exists);
                }
                let rename = || self.system.rename(name, target);
                self.making_parents(directory, parents, rename)?;
            }
            Err(error) => return Err(error),
        }
        temp.was_renamed();
        self.system.stat_file(temp.file()).map(Naming::Made)
    }

    fn rename_over(
        &self,
        temp: &mut Temp<S>,
        target: &Path,
        parents: &mut Parents,
    ) -> io::Result<Stat> {
        let Some(name) = temp.name() else {
            return Err(rustix::io::Errno::XDEV.into());
        };
        let directory = target.parent().unwrap_or(&self.path);
        let rename = || self.system.rename(name, target);
        self.making_parents(directory, parents, rename)?;
        temp.was_renamed();
        self.system.stat_file(temp.file())
    }

    /// The regular file that has a name; `None` if nothing has it. Anything else is an error.
    pub(super) fn look(&self, path: &Path) -> io::Result<Option<Stat>> {
        match self.system.stat(path) {
            Ok(stat) if stat.kind == Kind::File => Ok(Some(stat)),
            Ok(_) => Err(fault::foreign("a regular file")),
            Err(error) if fault::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
