//! How small objects are written and deleted, on a condition too.
//!
//! **Deleting on a condition** cannot rest on the server's alone: few have it, and an ETag names the content of an
//! object, not that write of it. A tag that is deleted because its manifest was, and is pushed again with the same
//! manifest in that moment, would go with the ETag unchanged. So who deletes says so first, in a note beside the
//! target, and who points looks there afterwards, where it looks for the target anyway. Either the one sees what the
//! other wrote, or the other sees the note, waits until it is gone, and writes again if its object is. Where the server
//! does not delete on a condition a second note says which object is to go.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::Bucket;
use super::fault::{Cause, Doubt, Failure};
use super::read::{ATTEMPTS, SILENCE};
use super::requests::{Condition, Outcome, PAGE};
use crate::backend::{
    DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Meta, PointIf, Pointed, Put, PutMode,
    PutRequest, Result,
};
use crate::digest::Digest;
use crate::layout;

/// How long who points waits for a delete that is under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it rests between two looks.
const REST: Duration = Duration::from_millis(50);
/// How long who takes notes away rests at most between two tries.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// A note as old as that is one of a process that died: no request that it sent can be under way any more.
const STALE: Duration = Duration::from_mins(15);

impl Bucket {
    /// See [`Backend::put_all`](crate::backend::Backend::put_all). One after the other, in the order given.
    pub(super) async fn put_all(&self, puts: &[PutRequest]) -> Result<Vec<Put>> {
        let mut outcomes = Vec::with_capacity(puts.len());
        for put in puts {
            let outcome = match put.mode {
                PutMode::Create => self.create(&put.key, &put.bytes).await,
                PutMode::Overwrite => self.overwrite(&put.key, &put.bytes).await,
            };
            outcomes.push(outcome?);
        }
        Ok(outcomes)
    }

    async fn create(&self, key: &Key, bytes: &Bytes) -> Result<Put> {
        let created = self.put_if_absent(key, bytes).await;
        match created.map_err(|failure| failure.at(key))? {
            true => Ok(Put::Written),
            false => Ok(Put::Kept),
        }
    }

    /// Writes an object unless there is one; among the writers of this process only, where the server does not look.
    async fn put_if_absent(&self, key: &Key, bytes: &Bytes) -> Outcome<bool> {
        let name = self.names.of(key);
        if self.abilities.put_if_absent {
            let put = self.requests.put(&name, bytes, &Condition::Absent).await;
            return unless_condition(put);
        }
        let _alone = self.naming.lock(key, LockMode::Exclusive).await;
        if self.requests.head(&name).await?.is_some() {
            return Ok(false);
        }
        self.requests.put(&name, bytes, &Condition::Always).await.map(|_| true)
    }

    async fn overwrite(&self, key: &Key, bytes: &Bytes) -> Result<Put> {
        let put = self.requests.put(&self.names.of(key), bytes, &Condition::Always).await;
        put.map(|_| Put::Written).map_err(|failure| failure.at(key))
    }

    /// See [`Backend::point`](crate::backend::Backend::point).
    ///
    /// Order: the object → a look at its target, and whether somebody is deleting one or the other → if so, when that
    /// is over, a look at the object, and if it is gone the same again. A crash leaves the old object, the new one, or
    /// none, and nothing is acknowledged.
    pub(super) async fn point(
        &self,
        key: &Key,
        bytes: &Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let is_plain = condition == PointIf::Always;
        let written = match condition {
            PointIf::Always => self.overwrite(key, bytes).await.map(|_| true)?,
            condition => self.point_if(key, bytes, condition).await?,
        };
        if !written {
            return Ok(Pointed::Refused);
        }
        self.see_it_stand(key, bytes, target, is_plain).await
    }

    /// Sees to it that what was written stays, whoever was about to delete it meanwhile.
    async fn see_it_stand(
        &self,
        key: &Key,
        bytes: &Bytes,
        target: &Key,
        is_plain: bool,
    ) -> Result<Pointed> {
        let begun = Instant::now();
        loop {
            let mut standing = self.standing(key, target).await?;
            let was_noted = standing.is_noted;
            while standing.is_noted {
                if begun.elapsed() > PATIENCE {
                    let reason = "another process deletes it, or died doing so";
                    return Err(Error::new(ErrorKind::Unavailable, "put").at(key).because(reason));
                }
                sleep(REST).await;
                standing = self.standing(key, target).await?;
            }
            let is_gone = match standing.is_key_there {
                Some(is_there) => !is_there,
                None if was_noted => {
                    let found = self.requests.look_for(&self.names.of(key)).await;
                    found.map_err(|failure| failure.at(key))?.is_none()
                }
                // With the condition under which it would have been deleted it was not.
                None => false,
            };
            if !is_gone {
                // It is ours, or one that came after it.
                let is_there = standing.is_target_there;
                return Ok(if is_there { Pointed::Written } else { Pointed::TargetGone });
            }
            if is_plain {
                self.overwrite(key, bytes).await?;
            } else if !self.point_if(key, bytes, PointIf::Absent).await? {
                return Ok(Pointed::Refused);
            }
        }
    }

    /// Where the server does not look at the condition, among those that point on a condition, of all processes.
    ///
    /// Order there: the claim → a look → the object → the claim taken away. A crash leaves the claim, which holds up
    /// who points on a condition until it is stale; what was written stands.
    async fn point_if(&self, key: &Key, bytes: &Bytes, condition: PointIf) -> Result<bool> {
        let is_conditional = match condition {
            PointIf::Always => return self.overwrite(key, bytes).await.map(|_| true),
            PointIf::Absent => self.abilities.put_if_absent,
            PointIf::Holds(_) => self.abilities.put_if_match,
        };
        let claim = if is_conditional { None } else { Some(self.claim(key).await?) };
        let written = match condition {
            PointIf::Always => Ok(true),
            PointIf::Absent => self.make_if_absent(key, bytes).await,
            PointIf::Holds(expected) => self.replace_if(key, bytes, &expected).await,
        };
        if let Some((claim, _alone)) = claim {
            self.take_away(vec![claim]).await;
        }
        written.map_err(|failure| failure.at(key))
    }

    /// Waits until nobody else has a claim on an object, and has one.
    ///
    /// Who sees another's claim beside its own takes its own back. So of two at least one sees the other's, and at most
    /// one goes on. A process that dies with a claim holds others up until it is stale.
    async fn claim(&self, key: &Key) -> Result<(String, LockGuard)> {
        let alone = self.claims.lock(key, LockMode::Exclusive).await;
        let digest = Digest::sha256(key.as_str().as_bytes());
        let place = format!("{}claims/{}/", self.private, digest.hex());
        let claim = format!("{place}{}", self.random_name());
        let begun = Instant::now();
        loop {
            let claimed = async {
                let text = Bytes::from(key.to_string());
                self.requests.put(&claim, &text, &Condition::Always).await?;
                let page = self.requests.list(&place, None, None, PAGE).await?;
                let mut others = page.objects.iter().filter(|(name, _)| *name != claim);
                let is_mine = !others.any(|(_, note)| self.counts(note));
                if !is_mine {
                    self.requests.delete(&claim).await?;
                }
                Ok(is_mine)
            };
            match claimed.await {
                Ok(true) => return Ok((claim, alone)),
                Ok(false) => {}
                Err(failure) => {
                    let failure: Failure = failure;
                    self.take_away(vec![claim]).await;
                    return Err(failure.at(key));
                }
            }
            if begun.elapsed() > PATIENCE {
                let reason = "another process is about to write it, or died doing so";
                return Err(Error::new(ErrorKind::Unavailable, "put").at(key).because(reason));
            }
            let [chance, ..] = self.random.bytes();
            sleep(REST.mul_f64(1.0 + f64::from(chance) / 64.0)).await;
        }
    }

    /// As [`Bucket::put_if_absent`], but tells what is there by its own hand, though the answer to that was lost, from
    /// what others have written.
    async fn make_if_absent(&self, key: &Key, bytes: &Bytes) -> Outcome<bool> {
        if !self.abilities.put_if_absent {
            return self.put_if_absent(key, bytes).await;
        }
        let name = self.names.of(key);
        match self.requests.put(&name, bytes, &Condition::Absent).await {
            Err(failure) if failure.is_uncertain() && failure.is(Cause::Condition) => {
                self.holds(&name, bytes).await
            }
            put => unless_condition(put),
        }
    }

    /// Does a small object hold just these bytes?
    async fn holds(&self, name: &str, bytes: &Bytes) -> Outcome<bool> {
        let found = self.read_small(name, bytes.len()).await?;
        Ok(found.is_some_and(|(found, _)| found == *bytes))
    }

    /// Takes notes and claims away, which hold others up until they are stale. If that cannot be done now, as in an
    /// outage, it is tried again beside all else.
    async fn take_away(&self, notes: Vec<String>) {
        if notes.is_empty() || self.requests.delete_all(&notes).await.is_ok() {
            return;
        }
        let requests = self.requests.clone();
        tokio::spawn(async move {
            let (begun, mut rest) = (Instant::now(), REST);
            while begun.elapsed() < STALE {
                sleep(rest).await;
                if requests.delete_all(&notes).await.is_ok() {
                    return;
                }
                rest = (2 * rest).min(LONGEST_REST);
            }
        });
    }

    async fn replace_if(&self, key: &Key, bytes: &Bytes, expected: &Bytes) -> Outcome<bool> {
        let name = self.names.of(key);
        let Some((found, etag)) = self.read_small(&name, expected.len()).await? else {
            return Ok(false);
        };
        if found != *expected {
            return Ok(false);
        }
        let condition = match self.abilities.put_if_match {
            true => Condition::Matches(etag),
            false => Condition::Always,
        };
        match self.requests.put(&name, bytes, &condition).await {
            // Perhaps by a try before this one.
            Err(failure) if failure.is_uncertain() && failure.is(Cause::Condition) => {
                self.holds(&name, bytes).await
            }
            // It was deleted since it was read.
            Err(failure) if failure.is(Cause::NoSuchKey) => Ok(false),
            put => unless_condition(put),
        }
    }

    /// Is the target there, and is somebody about to delete it, or what points at it?
    ///
    /// One listing shows an object and the notes beside it. What points is looked at only where the server does not
    /// delete on a condition.
    async fn standing(&self, key: &Key, target: &Key) -> Result<Standing> {
        let on_key = async {
            match self.abilities.delete_if_match {
                true => Ok(None),
                false => self.beside(key).await.map(Some),
            }
        };
        let (target, key) = futures::try_join!(self.beside(target), on_key)
            .map_err(|failure: Failure| failure.at(key))?;
        Ok(Standing {
            is_noted: target.is_noted || key.as_ref().is_some_and(|key| key.is_noted),
            is_target_there: target.is_there,
            is_key_there: key.map(|key| key.is_there),
        })
    }

    /// How an object stands that has a place of its own.
    async fn beside(&self, key: &Key) -> Outcome<Beside> {
        let (name, notes) = (self.names.of(key), self.notes_on(key));
        let place = name.strip_suffix(key.name()).unwrap_or(&name);
        let page = self.requests.list(place, None, None, PAGE).await?;
        let mut noted = page.objects.iter().filter(|(found, _)| found.starts_with(&notes));
        let is_noted = noted.any(|(_, note)| self.counts(note));
        let is_there = match page.objects.iter().any(|(found, _)| *found == name) {
            false if page.more => self.requests.look_for(&name).await?.is_some(),
            is_there => is_there,
        };
        Ok(Beside { is_noted, is_there })
    }

    /// Is a note of a delete that may be under way?
    fn counts(&self, note: &Meta) -> bool {
        let age = note.modified.and_then(|written| self.clock.now().duration_since(written).ok());
        age.is_none_or(|age| age <= STALE)
    }

    /// See [`Backend::delete_if`](crate::backend::Backend::delete_if).
    ///
    /// Order: notes that it is to go → looks at it, and at its target → the object → the notes. A crash leaves the
    /// notes, which hold up who points there until they are stale. They stay, too, where a request to delete was not
    /// answered, as that may still come to pass.
    pub(super) async fn delete_if(&self, key: &Key, condition: &DeleteIf) -> Result<bool> {
        let notes = self.notes_for(key, &condition.target);
        let text = Bytes::from(key.to_string());
        let deleted = async {
            for note in &notes {
                let noted = self.requests.put(note, &text, &Condition::Always).await;
                noted.map_err(Failure::of_a_look)?;
            }
            self.delete_noted(key, condition).await
        };
        let deleted = deleted.await;
        let doubt = deleted.as_ref().map_or_else(|failure| failure.doubt, |(_, doubt)| *doubt);
        if doubt < Doubt::Later {
            self.take_away(notes).await;
        }
        deleted.map(|(deleted, _)| deleted).map_err(|failure| failure.at(key))
    }

    /// The names of the notes that a delete leaves while it is under way.
    fn notes_for(&self, key: &Key, target: &Key) -> Vec<String> {
        let id = self.random_name();
        let on_key = (!self.abilities.delete_if_match).then_some(key);
        [target].into_iter().chain(on_key).map(|on| format!("{}{id}", self.notes_on(on))).collect()
    }

    /// Deletes it if all is as it is to be, and tells what may have become of requests to do so.
    async fn delete_noted(&self, key: &Key, condition: &DeleteIf) -> Outcome<(bool, Doubt)> {
        let name = self.names.of(key);
        let found = self.read_small(&name, condition.holds.len()).await;
        let Some((found, etag)) = found.map_err(Failure::of_a_look)? else {
            return Ok((false, Doubt::None));
        };
        if found != condition.holds {
            return Ok((false, Doubt::None));
        }
        if condition.only_if_gone {
            let target = self.requests.head(&self.names.of(&condition.target)).await;
            if target.map_err(Failure::of_a_look)?.is_some() {
                return Ok((false, Doubt::None));
            }
        }
        let if_match = self.abilities.delete_if_match.then_some(etag);
        match self.requests.delete_telling(&name, if_match).await {
            Ok(doubt) => Ok((true, doubt)),
            // It was overwritten meanwhile, or a try before this one has deleted it.
            Err(failure) if failure.is(Cause::Condition) => Ok((false, failure.doubt)),
            Err(failure) => Err(failure),
        }
    }

    /// Where notes lie that an object, or what points at it, is to go.
    fn notes_on(&self, key: &Key) -> String {
        self.names.prefix_of(&layout::deleting(key))
    }

    /// A small object and its ETag; `None` if there is none. Of a longer one than is expected only the length counts.
    async fn read_small(&self, name: &str, expected: usize) -> Outcome<Option<(Bytes, String)>> {
        let mut cut = None;
        for _ in 0..ATTEMPTS {
            let mut answer = match self.requests.get(name, None, None).await {
                Ok(answer) => answer,
                Err(failure) if failure.is(Cause::NoSuchKey) => return Ok(None),
                Err(failure) => return Err(failure),
            };
            let mut found = Vec::new();
            let ended = loop {
                if found.len() > expected {
                    break Ok(());
                }
                match timeout(SILENCE, answer.body.next()).await {
                    Ok(Some(Ok(bytes))) => found.extend_from_slice(&bytes),
                    Ok(Some(Err(error))) => break Err(error.to_string()),
                    Ok(None) => break Ok(()),
                    Err(_) => break Err(format!("not a byte for {SILENCE:?}")),
                }
            };
            match ended {
                Ok(()) => return Ok(Some((found.into(), answer.e_tag.unwrap_or_default()))),
                Err(reason) => cut = Some(reason),
            }
        }
        let reason = cut.unwrap_or_else(|| "it was never tried".to_owned());
        Err(Failure::here("read", Cause::Unavailable, reason))
    }
}

/// How a target stands, and what points at it.
struct Standing {
    /// Somebody is about to delete one or the other.
    is_noted: bool,
    is_target_there: bool,
    /// If it was looked at.
    is_key_there: Option<bool>,
}

/// How an object stands.
struct Beside {
    /// Somebody is about to delete it, or what points at it.
    is_noted: bool,
    is_there: bool,
}

/// A condition that does not hold is no failure.
fn unless_condition(put: Outcome<String>) -> Outcome<bool> {
    match put {
        Ok(_) => Ok(true),
        Err(failure) if failure.is(Cause::Condition) => Ok(false),
        Err(failure) => Err(failure),
    }
}
