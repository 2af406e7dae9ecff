//! [`Configured`]: the configuration, read again at SIGHUP: what can change while it serves does.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use registry_http::ReadOnlySwitch;
use registry_http::auth::policy::CurrentPolicy;
use registry_http::config::Loaded;
use tracing::warn;

use super::logging::Level;
use super::reload::Reload;
use super::settings;

const LEVEL: [&str; 2] = ["log.level", "loglevel"];
const READ_ONLY: &str = "storage.maintenance.readonly.enabled";
const RULES: [&str; 2] = ["access.anonymous", "access.rules"];
/// What says who somebody is. Rules are about those who are known by it, so they wait for the restart that it waits for.
const IDENTITIES: [&str; 3] = ["auth.", "access.certificates", "http.tls.clientcas"];

/// What can change while it serves.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) level: Level,
    /// `None`: the storage was opened for reading.
    pub(super) read_only: Option<ReadOnlySwitch>,
    /// `None`: there are no rules.
    pub(super) policy: Option<CurrentPolicy>,
}

/// A file with the variables laid over it, and what of it can change.
pub(super) struct Configured {
    file: PathBuf,
    /// What it said when the program started. What cannot change is still so.
    started: Loaded,
    /// What it said when it was last read, and was good.
    last: Mutex<Option<Loaded>>,
    live: Live,
}

impl Configured {
    /// `started` is what was read of `file` when the program started.
    pub(super) const fn new(file: PathBuf, started: Loaded, live: Live) -> Self {
        Self { file, started, last: Mutex::new(None), live }
    }

    /// Puts in force what can be. Returns the keys that changed, and those that need a restart.
    fn put_in_force(
        &self,
        last: &Loaded,
        now: &Loaded,
    ) -> Result<(Vec<String>, Vec<String>), String> {
        let mut changed = Vec::new();
        let mut waiting = self.started.changes(now);
        let (before, after) = (&last.configuration, &now.configuration);

        waiting.retain(|key| !LEVEL.contains(&key.as_str()));
        if before.log.level != after.log.level {
            if self.live.level.set(after.log.level)? {
                changed.push(LEVEL[0].to_owned());
            } else {
                warn!("SIGHUP: {}: RUST_LOG says what is logged, and counts before it", LEVEL[0]);
            }
        }
        if let Some(switch) = &self.live.read_only {
            waiting.retain(|key| key != READ_ONLY);
            // What is said again as it was is not news: it may have been switched elsewhere since.
            if before.storage.read_only != after.storage.read_only {
                switch.set(after.storage.read_only);
                changed.push(READ_ONLY.to_owned());
            }
        }
        if let (Some(policy), Some(access)) = (&self.live.policy, &after.access) {
            waiting.retain(|key| !RULES.contains(&key.as_str()));
            let others_are_known =
                waiting.iter().any(|key| IDENTITIES.iter().any(|it| key.starts_with(it)));
            if *policy.get() != access.policy {
                let keys = if others_are_known {
                    &mut waiting
                } else {
                    policy.set(access.policy.clone());
                    &mut changed
                };
                keys.push(RULES[1].to_owned());
            }
        }
        Ok((changed, waiting))
    }
}

impl Reload for Configured {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn reload(&self) -> Result<String, String> {
        let now = settings::load(Some(&self.file)).map_err(|failure| failure.message)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().unwrap_or(&self.started);
        let is_news = |warning: &&_| !before.warnings.contains(warning);
        for warning in now.warnings.iter().filter(is_news) {
            warn!("SIGHUP: {warning}");
        }
        let (changed, waiting) = self.put_in_force(before, &now)?;
        *last = Some(now);
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            warn!("SIGHUP: changed, and in force after a restart: {keys}");
        }
        Ok(match changed.as_slice() {
            [] => "nothing to put in force".to_owned(),
            keys => format!("in force: {}", keys.join(", ")),
        })
    }
}
