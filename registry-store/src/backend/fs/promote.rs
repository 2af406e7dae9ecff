//! How staged bytes become an object.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::durable::{ATTEMPTS, Parents};
use super::fault::{fault, foreign, write_fault};
use super::naming::{Linking, Named, Naming};
use super::staged::{Home, Shared, State};
use super::system::{Stat, System};
use super::temp::Content;
use crate::backend::{Error, ErrorKind, Key, Promotion, Result};

impl<S: System> Shared<S> {
    /// Order: bytes synced → directories made → object named → its directory, and every new or unknown one
    /// above, synced. A crash leaves the session, or the session with the object as its second name.
    pub(super) fn promote(&self, state: &mut State<S>, to: &Key, size: u64) -> Result<Named> {
        let failed = |error| write_fault("promote", to, error);
        match &self.home {
            Home::Final(key) if key != to => {
                return Err(failed(io::Error::other(format!("expected the key {key}"))));
            }
            _ => {}
        }
        self.root.in_its_place("promote")?;
        match self.check(state, "promote") {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.promote_again(state, to).map(Named::As);
            }
            result => result?,
        }
        let offset = self.offset();
        if size != offset {
            let message = format!("expected {size} bytes, found {offset}");
            return Err(failed(io::Error::other(message)));
        }
        self.sync(state, offset).map_err(|error| fault("promote", to, error))?;
        let named = self.name_object(state, to, size, &mut Parents::below(&self.root.path))?;
        self.note_whether_promoted(state, to)?;
        Ok(named)
    }

    /// The same for bytes that were synced, and over what has another size. The caller is alone in this, among all
    /// processes, and looks once more here.
    ///
    /// So nothing that was named by a promotion ever gives way to another file. Were it to, its session would be left
    /// with one name and could be added to, while a loss of power may still undo that and give the object back to it.
    pub(super) fn promote_over(
        &self,
        state: &mut State<S>,
        to: &Key,
        size: u64,
    ) -> Result<Promotion> {
        let failed = |error| write_fault("promote", to, error);
        let mut parents = Parents::below(&self.root.path);
        let promotion = match self.name_object(state, to, size, &mut parents)? {
            Named::As(promotion) => promotion,
            Named::Damaged(found) => {
                let target = self.root.path_of(to);
                let stat = self.replace(state, &target, size, &mut parents).map_err(failed)?;
                self.finish(to, &stat, &parents).map_err(failed)?;
                Promotion::Replaced { found }
            }
        };
        self.note_whether_promoted(state, to)?;
        Ok(promotion)
    }

    fn note_whether_promoted(&self, state: &State<S>, to: &Key) -> Result<()> {
        let stat = self.root.system.stat_file(&self.file);
        let links = stat.map_err(|error| write_fault("promote", to, error))?.links;
        self.is_promoted.store(links > state.names, Ordering::Release);
        Ok(())
    }

    fn name_object(
        &self,
        state: &mut State<S>,
        to: &Key,
        size: u64,
        parents: &mut Parents,
    ) -> Result<Named> {
        let failed = |error| write_fault("promote", to, error);
        let target = self.root.path_of(to);
        for _ in 0..ATTEMPTS {
            let named = self.name_new(state, &target, size, parents);
            if let Naming::Made(stat) = named.map_err(failed)? {
                self.finish(to, &stat, parents).map_err(failed)?;
                return Ok(Named::As(Promotion::Created));
            }
            // What was there may be deleted by now, or be a symbolic link that leads nowhere.
            let Some(found) = self.root.look(&target).map_err(failed)? else {
                continue;
            };
            if found.size != size {
                return Ok(Named::Damaged(found.size));
            }
            let kept = self.root.make_durable("promote", &[(to.clone(), target.clone())])?;
            if kept[0].is_some() {
                return Ok(Named::As(Promotion::Kept));
            }
        }
        Err(failed(foreign("a regular file or nothing")))
    }

    fn name_new(
        &self,
        state: &mut State<S>,
        target: &Path,
        size: u64,
        parents: &mut Parents,
    ) -> io::Result<Naming> {
        let content = Content::File(&*self.file, size);
        if let Some(temp) = &mut state.temp {
            let naming = self.root.name_new(temp, &content, target, parents);
            if temp.name().is_none() {
                // Its own name became that of the object.
                state.names = 0;
            }
            return naming;
        }
        let name = self.name(state);
        match self.root.link(&self.file, name.as_deref(), target, parents)? {
            Linking::Made(stat) => Ok(Naming::Made(stat)),
            Linking::Exists => Ok(Naming::Exists),
            Linking::Refused(refusal) => self.root.name_copy(&content, target, parents, &refusal),
        }
    }

    /// Puts the bytes in the place of a damaged object.
    ///
    /// Order: second name in the reserved place → renamed over. A crash in between leaves a session that looks
    /// promoted, until the second name expires: its client begins anew.
    fn replace(
        &self,
        state: &State<S>,
        target: &Path,
        size: u64,
        parents: &mut Parents,
    ) -> io::Result<Stat> {
        let content = Content::File(&*self.file, size);
        let name = self.name(state);
        let mut second = self.root.second_name(&self.file, name.as_deref(), &content, parents)?;
        self.root.name_over(&mut second, &content, target, parents)
    }

    /// Makes the name of an object durable whose bytes are.
    fn finish(&self, to: &Key, stat: &Stat, parents: &Parents) -> io::Result<()> {
        let durable = &self.root.durable;
        durable.sync_directories([self.root.directory_of(to)], parents)?;
        durable.learn(to, stat);
        Ok(())
    }

    /// The session was promoted before: the rest of what that has to do, if it was to the same key.
    fn promote_again(&self, state: &State<S>, to: &Key) -> Result<Promotion> {
        let failed = |error| fault("promote", to, error);
        let ours = self.root.system.stat_file(&self.file).map_err(failed)?;
        let target = self.root.path_of(to);
        let found = self.root.look(&target).map_err(failed)?;
        let is_ours = found.is_some_and(|found| found.is_same_file(&ours));
        if ours.links <= state.names || !is_ours {
            return Err(Error::new(ErrorKind::NotFound, "promote").at(to));
        }
        let kept = self.root.make_durable("promote", &[(to.clone(), target)])?;
        match kept[0] {
            Some(_) => Ok(Promotion::Kept),
            None => Err(Error::new(ErrorKind::NotFound, "promote").at(to)),
        }
    }
}
