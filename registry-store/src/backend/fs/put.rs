//! How small objects are written, several at a time.

use std::collections::BTreeSet;
use std::io;

use super::Root;
use super::durable::{ATTEMPTS, Parents};
use super::fault::{foreign, write_fault};
use super::naming::Naming;
use super::system::{Stat, System};
use super::temp::{Content, Place, Temp};
use crate::backend::{Key, Put, PutMode, PutRequest, Result};

/// How many objects are written at a time: each has a file open meanwhile.
const AT_A_TIME: usize = 64;

impl<S: System> Root<S> {
    /// Writes small objects. See [`Backend::put_all`](crate::backend::Backend::put_all).
    pub(super) fn put_all(&self, puts: &[PutRequest]) -> Result<Vec<Put>> {
        self.before_writing()?;
        let mut outcomes = Vec::with_capacity(puts.len());
        for puts in puts.chunks(AT_A_TIME) {
            outcomes.extend(self.put_batch(puts, &puts[0].key, ATTEMPTS)?);
        }
        Ok(outcomes)
    }

    /// Order: temporary files written → all synced → names made in the order given → files that were kept
    /// synced, unless known → every distinct directory, and every new or unknown one above, synced once.
    ///
    /// A crash leaves nothing, or temporary files, or some of the names, each whole.
    ///
    /// What was to be kept and is deleted meanwhile is put again.
    fn put_batch(&self, puts: &[PutRequest], first: &Key, attempts: usize) -> Result<Vec<Put>> {
        let mut parents = Parents::below(&self.path);
        let mut temps = Vec::with_capacity(puts.len());
        for put in puts {
            let temp = self.prepare(put, &mut parents);
            temps.push(temp.map_err(|error| write_fault("put", &put.key, error))?);
        }
        let files: Vec<_> = temps.iter().flatten().map(|temp| &**temp.file()).collect();
        self.durable.sync_files(&files).map_err(|error| write_fault("put", first, error))?;

        let mut outcomes = Vec::with_capacity(puts.len());
        let (mut written, mut kept) = (Vec::new(), Vec::new());
        for (put, temp) in puts.iter().zip(temps) {
            let named = self.name(put, temp, &mut parents);
            match named.map_err(|error| write_fault("put", &put.key, error))? {
                Some(stat) => {
                    written.push((&put.key, stat));
                    outcomes.push(Put::Written);
                }
                None => {
                    kept.push((put.key.clone(), self.path_of(&put.key)));
                    outcomes.push(Put::Kept);
                }
            }
        }

        let above = written.iter().map(|(key, _)| self.directory_of(key));
        let mut directories: BTreeSet<_> = above.collect();
        let found = self.durable.settle_files("put", &kept, &mut directories)?;
        self.durable
            .sync_directories(directories, &parents)
            .map_err(|error| write_fault("put", first, error))?;
        let there = kept.iter().zip(&found).filter_map(|((key, _), stat)| Some((key, (*stat)?)));
        for (key, stat) in there.chain(written) {
            self.durable.learn(key, &stat);
        }
        for ((key, _), _) in kept.iter().zip(&found).filter(|(_, stat)| stat.is_none()) {
            if attempts == 0 {
                return Err(write_fault("put", key, foreign("an object that stays, or nothing")));
            }
            for (put, outcome) in puts.iter().zip(&mut outcomes).filter(|(put, _)| put.key == *key)
            {
                let again = self.put_batch(std::slice::from_ref(put), key, attempts - 1)?;
                *outcome = again.first().copied().unwrap_or(Put::Written);
            }
        }
        Ok(outcomes)
    }

    /// A temporary file with the bytes; `None` if the object is there and is to be kept.
    fn prepare(&self, put: &PutRequest, parents: &mut Parents) -> io::Result<Option<Temp<S>>> {
        let temp = match put.mode {
            PutMode::Create if self.look(&self.path_of(&put.key))?.is_some() => return Ok(None),
            PutMode::Create => self.temp()?,
            // Only a file with a name can be renamed.
            PutMode::Overwrite => self.named_temp(Place::Reserved, parents)?,
        };
        self.fill(&temp, &Content::Bytes(&put.bytes))?;
        Ok(Some(temp))
    }

    /// Makes the name; `None` if the object is there and is to be kept.
    fn name(
        &self,
        put: &PutRequest,
        temp: Option<Temp<S>>,
        parents: &mut Parents,
    ) -> io::Result<Option<Stat>> {
        let Some(mut temp) = temp else {
            return Ok(None);
        };
        let (path, content) = (self.path_of(&put.key), Content::Bytes(&put.bytes));
        if put.mode == PutMode::Overwrite {
            let stat = self.name_over(&mut temp, &content, &path, parents)?;
            return Ok(Some(stat));
        }
        for _ in 0..ATTEMPTS {
            match self.name_new(&mut temp, &content, &path, parents)? {
                Naming::Made(stat) => return Ok(Some(stat)),
                Naming::Exists if self.look(&path)?.is_some() => return Ok(None),
                // It was deleted meanwhile, or is a symbolic link that leads nowhere.
                Naming::Exists => {}
            }
        }
        Err(foreign("a regular file or nothing"))
    }
}
