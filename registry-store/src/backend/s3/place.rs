//! How an object gets its final name without overwriting a good one.

use super::Bucket;
use super::fault::Cause;
use super::requests::{Condition, Outcome};
use crate::backend::{Error, ErrorKind, Key, LockMode, Promotion, Result};

/// How often another writer may be met at one name.
const ATTEMPTS: usize = 8;

impl Bucket {
    /// Makes the object `to`, of `size` bytes, by `make`, or finds it there already.
    ///
    /// One effect, the last of `make`. An object of that size is kept; one of another size is damaged, and replaced.
    /// Where the server honours the condition (`is_conditional`) no other writer comes in between; where it does
    /// not, none of this process does, and one of another that does writes the same bytes, verified as these are.
    ///
    /// Whether the object is there is asked for first if `looks` says so: where making it costs more than to look.
    pub(super) async fn place<F>(
        &self,
        to: &Key,
        size: u64,
        is_conditional: bool,
        looks: bool,
        mut make: impl FnMut(Condition) -> F,
    ) -> Result<Promotion>
    where
        F: Future<Output = Outcome<()>>,
    {
        let name = self.names.of(to);
        let _alone = match is_conditional {
            true => None,
            false => Some(self.naming.lock(to, LockMode::Exclusive).await),
        };
        let mut looks = looks || !is_conditional;
        for _ in 0..ATTEMPTS {
            let found = if looks { self.look(&name).await.map_err(|f| f.at(to))? } else { None };
            let condition = match found {
                Some(found) if found == size => return Ok(Promotion::Kept),
                None if is_conditional => Condition::Absent,
                Some(_) | None => Condition::Always,
            };
            match make(condition).await {
                Ok(()) => {
                    return Ok(match found {
                        Some(found) => Promotion::Replaced { found },
                        None => Promotion::Created,
                    });
                }
                // Another was first, or this one, in a try whose answer was lost. An upload that met another may be
                // gone with that.
                Err(failure) if failure.is(Cause::Condition) || failure.is(Cause::NoSuchUpload) => {
                    looks = true;
                }
                Err(failure) => return Err(failure.at(to)),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "promote")
            .at(to)
            .because("others come and go there"))
    }

    /// The size of an object.
    async fn look(&self, name: &str) -> Outcome<Option<u64>> {
        Ok(self.requests.head(name).await?.map(|found| found.meta.size))
    }
}
