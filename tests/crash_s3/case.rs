//! [`Case`]: an operation on one kind of server, and what is compared with the model when something happened to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::Backend;
use registry_store::error::Result;
use registry_store::options::{Clock as _, SystemClock};
use registry_store::store::Store;
use registry_store::upload_status::UploadStatus;
use registry_tests::backends::BUCKET;
use registry_tests::s3::Snapshot;
use registry_tests::world::{pull, repository};

use crate::bucket::{Bucket, store};
use crate::contents::{Name, blob};
use crate::model::{Run, View, alone};
use crate::operations::{Operation, commit};
use crate::profile::Profile;
use crate::seen;
use crate::suite::is_full;
use crate::tally::Tally;

/// Longer than anything is under way.
const A_DAY: Duration = Duration::from_hours(24);

/// An operation on one kind of server, again and again from the same beginning.
pub(crate) struct Case {
    pub(crate) bucket: Bucket,
    pub(crate) operation: &'static Operation,
    pub(crate) profile: Profile,
    beginning: Snapshot,
    /// What was seen at the beginning.
    pub(crate) before: View,
    pub(crate) session: Option<UploadStatus>,
    pub(crate) tally: Tally,
    /// What is happening now, for messages.
    pub(crate) now: String,
}

impl Case {
    pub(crate) fn new(bucket: Bucket, operation: &'static Operation, profile: Profile) -> Self {
        bucket.clear();
        let prepared = (operation.prepare)(store(&bucket.second));
        let session = bucket.runtime.block_on(prepared);
        let mut case = Self {
            beginning: bucket.s3.snapshot(),
            bucket,
            operation,
            profile,
            before: View::default(),
            session,
            tally: Tally { enumerations: 1, ..Tally::default() },
            now: "at the beginning".to_owned(),
        };
        case.before = case.look().unwrap();
        case
    }

    /// From the beginning again; nothing goes wrong.
    pub(crate) fn begin(&mut self, now: String) {
        self.bucket.return_to(&self.beginning);
        self.now = now;
    }

    /// The operation, on a replica.
    pub(crate) fn run(
        &self,
        replica: &Arc<dyn Backend>,
    ) -> impl Future<Output = Result<()>> + use<> {
        self.run_of(self.operation, replica)
    }

    /// Another operation, on a replica.
    pub(crate) fn run_of(
        &self,
        operation: &Operation,
        replica: &Arc<dyn Backend>,
    ) -> impl Future<Output = Result<()>> + use<> {
        (operation.run)(store(replica), self.session.clone())
    }

    /// The operation when nothing goes wrong; how many requests it makes.
    pub(crate) fn count(&mut self) -> usize {
        self.begin("undisturbed".to_owned());
        let answer = self.bucket.answered(self.run(&self.bucket.first));
        let requests = self.bucket.answered_requests();
        match answer {
            Ok(()) => {
                self.expect(&alone(&self.before, self.ran(true)), "acknowledged");
            }
            Err(error) => self.lost(&format!("nothing happened to it: {error}")),
        }
        self.tally.requests += requests;
        requests
    }

    /// How the operation ended.
    pub(crate) fn ran(&self, is_acknowledged: bool) -> Run {
        Run { effects: self.operation.effects, is_acknowledged }
    }

    /// Something was found that must not be.
    pub(crate) fn lost(&mut self, what: &str) {
        let (name, profile, now) = (self.operation.name, self.profile, &self.now);
        self.tally.losses.push(format!("{name} ({profile:?}), {now}: {what}"));
    }

    /// What is seen is one of these, and a session that is there can be gone on with; what it was.
    pub(crate) fn expect(&mut self, allowed: &BTreeSet<View>, when: &str) -> Option<View> {
        self.tally.states += 1;
        let view = match self.look() {
            Ok(view) => view,
            Err(wrong) => {
                self.lost(&format!("{when}, {wrong}"));
                return None;
            }
        };
        if !allowed.contains(&view) {
            self.lost(&format!("{when}, seen {view:?}, expected one of {allowed:?}"));
            return None;
        }
        if let Some((name, _)) = self.operation.of_session.zip(view.session)
            && let Err(wrong) = self.goes_on(name)
        {
            self.lost(&format!("{when}, {wrong}"));
        }
        Some(view)
    }

    /// Another replica does the operation once more, and its effects are seen then.
    ///
    /// Where others came between, it may be refused. And a tag may be left on a manifest that is gone, as
    /// ARCHITECTURE.md has it, "Tags and deletes without a lock": "What is left: […]".
    pub(crate) fn repeat(&mut self, before: &View, others_came_between: bool) {
        let replica = self.bucket.survivor().clone();
        let again = self.bucket.runtime.block_on(self.run(&replica));
        let mut allowed = alone(before, self.ran(true));
        if others_came_between {
            let left = |view: &View| view.clone().with_tags_on_nothing(before);
            allowed = allowed.iter().map(left).chain(allowed.clone()).collect();
        }
        match again {
            Ok(()) => {}
            // There was nothing left to do. What was asked on a condition cannot be done twice, and what another took
            // back, as by a cancel, not at all.
            Err(error) if (self.operation.was_done)(&error) => {
                let may_be_undone = others_came_between && (self.operation.may_be_refused)(&error);
                if allowed.is_empty() || allowed.contains(before) || may_be_undone {
                    allowed = BTreeSet::from([before.clone()]);
                }
            }
            Err(error) if others_came_between && (self.operation.may_be_refused)(&error) => return,
            Err(error) => return self.lost(&format!("repeated: {error}")),
        }
        self.expect(&allowed, "repeated");
    }

    /// What has expired is removed: nothing that is seen, and all that is being written in parts.
    pub(crate) fn expire(&mut self, before: &View) {
        let all = SystemClock.now() + A_DAY;
        match self.bucket.runtime.block_on(self.bucket.later.expire_staged(all)) {
            Ok(_) => {
                self.expect(&BTreeSet::from([before.clone()]), "expired");
            }
            Err(error) => self.lost(&format!("expired: {error}")),
        }
        let left = self.bucket.s3.uploads(BUCKET);
        if !left.is_empty() {
            self.lost(&format!("expired, and left {left:?}"));
        }
    }

    /// What a fresh store shows now.
    pub(crate) fn look(&self) -> Result<View, String> {
        self.bucket.runtime.block_on(async {
            let replica = store(&self.bucket.later);
            let mut view = match is_full() {
                true => seen::through(&replica).await?,
                false => seen::through(&self.bucket.in_memory().await).await?,
            };
            if let Some(session) = &self.session {
                view.session = seen::session(&replica, session.id).await?;
            }
            Ok(view)
        })
    }

    /// Whoever asks where the session is, sends the rest and commits it has the blob. All is put back then.
    fn goes_on(&self, name: Name) -> Result<(), String> {
        let before = self.bucket.s3.snapshot();
        let replica = store(&self.bucket.second);
        let gone_on = self.bucket.runtime.block_on(self.to_its_end(&replica, name));
        self.bucket.s3.restore(&before);
        gone_on
    }

    async fn to_its_end(&self, replica: &Store, name: Name) -> Result<(), String> {
        let a = repository(replica, "a");
        let id = self.session.as_ref().expect("it is there").id;
        let told = |error: registry_store::error::Error| format!("the session: {error}");
        let status = a.uploads().status(id).await.map_err(told)?;
        commit(replica.clone(), Some(status), name).await.map_err(told)?;
        let pulled = pull(&a, &blob(name).digest).await.map_err(told)?;
        if pulled == blob(name).bytes {
            Ok(())
        } else {
            Err("the session became other bytes".to_owned())
        }
    }
}
