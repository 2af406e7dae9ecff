//! How small objects are overwritten and deleted if they are as expected.

use bytes::Bytes;

use super::Root;
use super::fault::{self, fault};
use super::system::{Kind, Open, System};
use crate::backend::{DeleteIf, Key, PointIf, Pointed, Put, PutMode, PutRequest, Result};

impl<S: System> Root<S> {
    /// See [`Backend::point`](crate::backend::Backend::point). One effect, that of the put.
    pub(super) fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: &PointIf,
    ) -> Result<Pointed> {
        let mode = match condition {
            PointIf::Always => PutMode::Overwrite,
            PointIf::Absent => PutMode::Create,
            PointIf::Holds(expected) if self.holds(key, expected)? => PutMode::Overwrite,
            PointIf::Holds(_) => return Ok(Pointed::Refused),
        };
        let outcomes = self.put_all(&[PutRequest { key: key.clone(), bytes, mode }])?;
        if outcomes != [Put::Written] {
            return Ok(Pointed::Refused);
        }
        let found = self.head(target)?;
        Ok(found.map_or(Pointed::TargetGone, |_| Pointed::Written))
    }

    /// See [`Backend::delete_if`](crate::backend::Backend::delete_if). One effect, that of the delete.
    pub(super) fn delete_if(&self, key: &Key, condition: &DeleteIf) -> Result<bool> {
        let hindered = condition.only_if_gone && self.head(&condition.target)?.is_some();
        if hindered || !self.holds(key, &condition.holds)? {
            return Ok(false);
        }
        self.delete(std::slice::from_ref(key))?;
        Ok(true)
    }

    /// Is there an object of exactly these bytes?
    fn holds(&self, key: &Key, expected: &Bytes) -> Result<bool> {
        let failed = |error| fault("read", key, error);
        let file = match self.system.open(&self.path_of(key), Open::Read) {
            Ok(file) => file,
            Err(error) if fault::is_missing(&error) => {
                return self.in_its_place("read").map(|()| false);
            }
            Err(error) => return Err(failed(error)),
        };
        let stat = self.system.stat_file(&file).map_err(failed)?;
        if stat.kind != Kind::File || stat.size != expected.len() as u64 {
            return Ok(false);
        }
        let mut found = vec![0; expected.len()];
        let mut read = 0;
        while read < found.len() {
            match self.system.read_at(&file, &mut found[read..], read as u64).map_err(failed)? {
                0 => return Ok(false),
                more => read += more,
            }
        }
        Ok(found == *expected)
    }
}
