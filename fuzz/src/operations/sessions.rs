//! Operations on upload sessions.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use registry_store::backend::Tip;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{BodyError, Error};
use registry_store::options::Clock as _;
use registry_store::upload_id::UploadId;
use registry_store::uploads::{ResumeAt, Uploads};

use super::super::input::Input;
use super::trial::{Outcome, Trial};
use super::world::{NAMES, pull, repository};
use super::{Run, Sent};

/// Sessions at a time.
const MOST: usize = 6;
/// How old a session becomes.
const EXPIRY: Duration = Duration::from_secs(100);

/// A session, and what was sent to it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    name: &'static str,
    id: UploadId,
    began: SystemTime,
    bytes: Vec<u8>,
}

impl Session {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Where a request says that it begins, and whether it is right about that.
    fn at(&self, input: &mut Input<'_>) -> (ResumeAt, bool) {
        let tip = |offset| Some(Tip { offset, token: None });
        let length = self.length();
        match input.below(6) {
            0 | 1 => (ResumeAt::default(), true),
            2 => (ResumeAt { tip: tip(length), offset: None }, true),
            3 => (ResumeAt { tip: tip(length), offset: Some(length) }, true),
            4 => (ResumeAt { tip: None, offset: Some(length + 1) }, false),
            _ => (ResumeAt { tip: tip(length.wrapping_sub(1)), offset: Some(length) }, false),
        }
    }
}

fn nothing() -> impl futures::Stream<Item = Result<Bytes, BodyError>> + Send {
    futures::stream::empty()
}

impl Run {
    pub(super) async fn start(&mut self, trial: Trial, input: &mut Input<'_>) {
        let (name, algorithm) = (input.one_of(&NAMES), input.one_of(&Algorithm::ALL));
        if self.sessions.len() == MOST {
            return;
        }
        let uploads = repository(&self.world.store, name).uploads();
        match trial.run(&self.world, uploads.start(algorithm)).await {
            Outcome::Done(status) => {
                let (id, began) = (status.id, self.world.clock.now());
                assert_eq!((status.tip.offset, status.started_at), (0, began));
                self.sessions.push(Session { name, id, began, bytes: Vec::new() });
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {}
        }
    }

    pub(super) async fn append(&mut self, trial: Trial, input: &mut Input<'_>) {
        let Some(number) = self.any_session(input) else { return };
        let (session, part) = (self.sessions[number].clone(), Self::bytes(input));
        let (body, (at, is_right)) = (Sent::new(&part, input), session.at(input));
        let uploads = self.uploads(&session);
        match trial.run(&self.world, uploads.append(session.id, at, body.stream())).await {
            Outcome::Done(status) => {
                assert!(is_right && !body.is_broken);
                self.sessions[number].bytes.extend_from_slice(&part);
                assert_eq!(status.tip.offset, self.sessions[number].length());
            }
            Outcome::Refused(Error::Body(_)) => {
                assert!(is_right && body.is_broken);
                self.sessions[number].bytes.extend_from_slice(&part);
            }
            Outcome::Refused(Error::UploadOffset { status, .. }) => {
                assert!(!is_right);
                assert_eq!(status.tip.offset, session.length());
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {
                let part = if is_right { part } else { Bytes::new() };
                let is_open = self.settle_session(number, &part).await;
                assert!(is_open, "a session ends by 201, DELETE or expiry");
            }
        }
    }

    pub(super) async fn commit(&mut self, trial: Trial, input: &mut Input<'_>) {
        let Some(number) = self.any_session(input) else { return };
        let (session, part) = (self.sessions[number].clone(), Self::bytes(input));
        let (body, (at, is_at)) = (Sent::new(&part, input), session.at(input));
        let whole: Bytes = [&session.bytes[..], &part].concat().into();
        let found = Digest::of(input.one_of(&Algorithm::ALL), &whole);
        let is_right = input.below(6) != 5;
        let digest = if is_right { found } else { Digest::sha256(b"something else") };
        self.known.insert(found, whole.clone());

        let uploads = self.uploads(&session);
        let committed = uploads.commit(session.id, at, &digest, body.stream());
        let outcome = trial.run(&self.world, committed).await;
        let mut after = self.of(session.name).clone();
        if is_at && is_right && !body.is_broken {
            after.blobs.insert(found);
            self.sent.insert(found);
        }
        match outcome {
            Outcome::Done(size) => {
                assert!(is_at && is_right && !body.is_broken);
                assert_eq!(size, whole.len() as u64);
                *self.of(session.name) = after;
                let ended = self.sessions.swap_remove(number);
                // What could not be removed of it is left to expire.
                if matches!(trial, Trial::Undisturbed) {
                    self.ended.push(ended);
                }
            }
            Outcome::Refused(Error::UploadOffset { status, .. }) => {
                assert!(!is_at);
                assert_eq!(status.tip.offset, session.length());
            }
            Outcome::Refused(Error::Body(_)) => {
                assert!(is_at && body.is_broken);
                assert!(self.settle_session(number, &part).await);
                let stored = self.sessions[number].length();
                assert!(stored == session.length() || stored == whole.len() as u64);
            }
            Outcome::Refused(Error::DigestMismatch { expected, found: told }) => {
                assert!(is_at && !is_right && !body.is_broken);
                assert_eq!((expected, told), (digest, Digest::of(digest.algorithm(), &whole)));
                assert!(self.settle_session(number, &[]).await);
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {
                let part = if is_at { part } else { Bytes::new() };
                if !self.settle_session(number, &part).await {
                    assert!(after.blobs.contains(&found), "it ended by what was refused");
                    self.is_finished_by_the_same(number, &found, trial).await;
                }
                self.settle(session.name, &after).await;
            }
        }
    }

    /// A session whose bytes have become a blob ends when the same is asked for again; unless it has ended, and
    /// nobody was told.
    async fn is_finished_by_the_same(&mut self, number: usize, digest: &Digest, trial: Trial) {
        let session = self.sessions.swap_remove(number);
        let store = self.world.sound();
        let repository = repository(&store, session.name);
        let at = ResumeAt::default();
        match repository.uploads().commit(session.id, at, digest, nothing()).await {
            Ok(_) => {}
            Err(Error::UploadUnknown { .. }) => assert!(trial.is_left(), "it has ended unheard"),
            Err(error) => unreachable!("{error:?}"),
        }
        let found = pull(&repository, digest, registry_store::backend::ReadRange::Full).await;
        assert_eq!(found.ok().as_ref(), self.known.get(digest));
    }

    pub(super) async fn cancel(&mut self, trial: Trial, input: &mut Input<'_>) {
        let Some(number) = self.any_session(input) else { return };
        let session = self.sessions[number].clone();
        let uploads = self.uploads(&session);
        match trial.run(&self.world, uploads.cancel(session.id)).await {
            Outcome::Done(()) => {
                let ended = self.sessions.swap_remove(number);
                self.ended.push(ended);
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {
                if !self.settle_session(number, &[]).await {
                    self.sessions.swap_remove(number);
                }
            }
        }
    }

    /// Of a session that there is, or of one that has ended.
    pub(super) async fn status(&mut self, trial: Trial, input: &mut Input<'_>) {
        let all = [&self.sessions[..], &self.ended[..]].concat();
        if all.is_empty() {
            return;
        }
        let number = input.below(all.len());
        let (session, is_open) = (&all[number], number < self.sessions.len());
        let uploads = self.uploads(session);
        match trial.run(&self.world, uploads.status(session.id)).await {
            Outcome::Done(status) => {
                assert!(is_open, "it has ended");
                let expected = (session.length(), session.began);
                assert_eq!((status.tip.offset, status.started_at), expected);
            }
            Outcome::Refused(Error::UploadUnknown { .. }) => assert!(!is_open),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {}
        }
    }

    /// Time passes, and what is too old goes.
    pub(super) async fn purge(&mut self, trial: Trial, input: &mut Input<'_>) {
        self.world.clock.pass(u64::from(input.byte()));
        let store = self.world.store.clone();
        let outcome = trial.run(&self.world, store.purge_uploads(EXPIRY)).await;
        let before = self.world.clock.now() - EXPIRY;
        let is_old = |session: &Session| session.began < before;
        let is_sure = match outcome {
            Outcome::Done(report) => {
                let expected = self.sessions.iter().filter(|session| is_old(session)).count();
                let is_sure = matches!(trial, Trial::Undisturbed);
                assert!(!is_sure || report.uploads >= expected as u64, "{report:?}");
                is_sure
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => false,
        };
        for number in (0..self.sessions.len()).rev() {
            let is_open = self.settle_session(number, &[]).await;
            let is_old = is_old(&self.sessions[number]);
            assert!(is_open || is_old, "it was not old enough");
            assert!(!(is_open && is_old && is_sure), "it was too old");
            if !is_open {
                let ended = self.sessions.swap_remove(number);
                self.ended.extend(Some(ended).filter(|_| is_sure));
            }
        }
    }

    /// After something failed that would have added `part`: a session has some of it, or none. `false` if it is not
    /// there.
    async fn settle_session(&mut self, number: usize, part: &[u8]) -> bool {
        let session = &mut self.sessions[number];
        let before = session.bytes.len();
        let store = self.world.sound();
        let stored = match repository(&store, session.name).uploads().status(session.id).await {
            Ok(status) => status.tip.offset as usize,
            Err(Error::UploadUnknown { .. }) => return false,
            Err(error) => unreachable!("{error:?}"),
        };
        assert!((before..=before + part.len()).contains(&stored), "{stored} bytes of {session:?}");
        session.bytes.extend_from_slice(&part[..stored - before]);
        true
    }

    /// Every session becomes the blob of what was sent to it.
    pub(super) async fn sessions_hold_what_was_sent(&mut self) {
        let store = self.world.sound();
        for session in std::mem::take(&mut self.sessions) {
            let digest = Digest::sha256(&session.bytes);
            let uploads = repository(&store, session.name).uploads();
            let at = ResumeAt::default();
            let committed = uploads.commit(session.id, at, &digest, nothing()).await;
            assert_eq!(committed.ok(), Some(session.length()), "{session:?}");
            self.known.insert(digest, session.bytes.into());
            self.of(session.name).blobs.insert(digest);
        }
    }

    fn any_session(&self, input: &mut Input<'_>) -> Option<usize> {
        let choice = usize::from(input.byte());
        choice.checked_rem(self.sessions.len())
    }

    fn uploads(&self, session: &Session) -> Uploads {
        repository(&self.world.store, session.name).uploads()
    }
}
