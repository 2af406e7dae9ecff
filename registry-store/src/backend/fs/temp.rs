//! [`Temp`]: a file that is written before it gets its name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Root;
use super::durable::{ATTEMPTS, Parents};
use super::fault;
use super::system::{Open, System};

/// How much is copied at a time, in bytes.
const COPIED_AT_ONCE: usize = 1 << 20;

/// A file that is being written. What names it still has of its own are removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temp<S: System> {
    system: S,
    file: Arc<S::File>,
    name: Option<PathBuf>,
}

impl<S: System> Temp<S> {
    /// The file.
    pub(super) const fn file(&self) -> &Arc<S::File> {
        &self.file
    }

    /// The name it has of its own, if it needs one.
    pub(super) fn name(&self) -> Option<&Path> {
        self.name.as_deref()
    }

    /// Its own name became that of an object.
    pub(super) fn was_renamed(&mut self) {
        self.name = None;
    }
}

impl<S: System> Drop for Temp<S> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // Whatever stays is litter in a place that expires, or is never read.
            let _ = self.system.unlink(&name);
        }
    }
}

/// Where a temporary file is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// In the place that is reserved for them.
    Reserved,
    /// Beside what it will become, where the reserved place is on another filesystem.
    Beside(&'a Path),
}

/// What a temporary file is to hold.
#[derive(Debug)]
pub(super) enum Content<'a, F> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The first so many bytes of a file.
    File(&'a F, u64),
}

/// What this filesystem has refused so far, so that it is not asked again for every file.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Files without a name.
    pub(super) unnamed: AtomicBool,
    /// A name for an open file.
    pub(super) linking_open_files: AtomicBool,
    /// A second name for a file.
    pub(super) hard_links: AtomicBool,
}

impl<S: System> Root<S> {
    /// A temporary file in the reserved place, without a name if that can be had.
    pub(super) fn temp(&self) -> io::Result<Temp<S>> {
        let refused = &self.refused;
        if refused.unnamed.load(Ordering::Relaxed)
            || refused.linking_open_files.load(Ordering::Relaxed)
        {
            return self.named_temp(Place::Reserved, &mut Parents::below(&self.path));
        }
        let mut parents = Parents::below(&self.path);
        let open = || self.system.open(&self.temporaries, Open::Unnamed);
        match self.making_parents(&self.temporaries, &mut parents, open) {
            Ok(file) => Ok(self.owned(file, None)),
            // A kernel or filesystem that does not know such files takes this for the opening of a directory.
            Err(error)
                if fault::is_refusal(&error) || fault::is(&error, &[rustix::io::Errno::ISDIR]) =>
            {
                refused.unnamed.store(true, Ordering::Relaxed);
                self.named_temp(Place::Reserved, &mut parents)
            }
            Err(error) => Err(error),
        }
    }

    /// A temporary file that has a name of its own, so that it can be renamed.
    ///
    /// The reserved place is made again if somebody took it away; `parents` are those of what is beside.
    pub(super) fn named_temp(
        &self,
        place: Place<'_>,
        parents: &mut Parents,
    ) -> io::Result<Temp<S>> {
        let name = self.temp_name(place);
        let directory = name.parent().unwrap_or(&self.path);
        let open = || self.system.open(&name, Open::New);
        let file = match place {
            Place::Reserved => {
                let mut parents = Parents::below(&self.path);
                self.making_parents(directory, &mut parents, open)?
            }
            Place::Beside(_) => self.making_parents(directory, parents, open)?,
        };
        Ok(self.owned(file, Some(name)))
    }

    /// A temporary file with a name of its own and this content, which is durable.
    pub(super) fn filled_temp(
        &self,
        place: Place<'_>,
        content: &Content<'_, S::File>,
        parents: &mut Parents,
    ) -> io::Result<Temp<S>> {
        let temp = self.named_temp(place, parents)?;
        self.fill(&temp, content)?;
        self.durable.sync_file(temp.file())?;
        Ok(temp)
    }

    /// A further name of a staged file, which is removed when this is dropped.
    pub(super) fn temp_named(&self, file: &Arc<S::File>, name: PathBuf) -> Temp<S> {
        Temp { system: self.system.clone(), file: Arc::clone(file), name: Some(name) }
    }

    /// A name for a temporary file.
    ///
    /// None ends in the name of a file that Distribution's walkers read (`link`, `data`), and none lies where
    /// they take every name for a tag, as objects do not lie there.
    pub(super) fn temp_name(&self, place: Place<'_>) -> PathBuf {
        let random = self.system.random_name();
        match place {
            Place::Reserved => self.temporaries.join(format!("{random}.tmp")),
            Place::Beside(target) => {
                let name = target.file_name().unwrap_or_default().to_string_lossy();
                let name: String = name.chars().take(128).collect();
                target.with_file_name(format!("{name}.{random}.tmp"))
            }
        }
    }

    /// Writes the content into an empty temporary file.
    pub(super) fn fill(&self, temp: &Temp<S>, content: &Content<'_, S::File>) -> io::Result<()> {
        let (from, size) = match *content {
            Content::Bytes(bytes) => return self.system.write_all_at(temp.file(), bytes, 0),
            Content::File(from, size) => (from, size),
        };
        let mut buffer = vec![0; COPIED_AT_ONCE];
        let mut offset = 0;
        while offset < size {
            let wanted = usize::try_from(size - offset).unwrap_or(usize::MAX);
            let part = &mut buffer[..wanted.min(COPIED_AT_ONCE)];
            let count = self.system.read_at(from, part, offset)?;
            if count == 0 {
                let message = format!("expected {size} bytes, found {offset}");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            self.system.write_all_at(temp.file(), &part[..count], offset)?;
            offset += count as u64;
        }
        Ok(())
    }

    /// Does what needs `directory`, and makes the directory, again if a deleter takes it away meanwhile.
    pub(super) fn making_parents<T>(
        &self,
        directory: &Path,
        parents: &mut Parents,
        mut action: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut result = action();
        for _ in 0..ATTEMPTS {
            match result {
                Err(error) if fault::is(&error, &[rustix::io::Errno::NOENT]) => {
                    self.durable.make_directories(directory, parents)?;
                    result = action();
                }
                result => return result,
            }
        }
        result
    }

    fn owned(&self, file: S::File, name: Option<PathBuf>) -> Temp<S> {
        Temp { system: self.system.clone(), file: Arc::new(file), name }
    }
}
