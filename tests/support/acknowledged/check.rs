//! [`Check`]: whether a registry has what a client was told, and nothing half made.

use std::collections::{BTreeMap, BTreeSet};

use registry_store::digest::Digest;
use serde_json::Value;

use crate::acknowledged::cutting::Cut;
use crate::acknowledged::facts::Fact;
use crate::acknowledged::pusher::{Pusher, expect};

/// What a server woke up after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Its process ended; the system went on.
    Kill,
    /// The machine stopped. Upload sessions may be shorter, or gone.
    Power,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What the client touched since the check before.
    Recent,
    /// All it ever touched.
    Everything,
}

/// A look at everything that a client's ledger knows, in one registry. What is otherwise than it was told becomes one
/// of [`Pusher::losses`]; what was open is known afterwards.
#[derive(Debug)]
pub struct Check<'p> {
    client: &'p mut Pusher,
    scope: Scope,
    /// Blobs whose bytes were read and are right.
    read: BTreeSet<Digest>,
    /// Whether they are whole, of the manifests that were read.
    whole: BTreeMap<(String, Digest), bool>,
}

impl<'p> Check<'p> {
    /// Looks at all there is. Sessions are gone on with: every other one, or all when everything is looked at.
    pub fn run(client: &'p mut Pusher, scope: Scope) {
        let mut check = Self { client, scope, read: BTreeSet::new(), whole: BTreeMap::new() };
        check.all().expect("a server that nobody kills answers");
        check.client.ledger.round += 1;
    }

    fn all(&mut self) -> Result<(), Cut> {
        self.sessions()?;
        self.blobs()?;
        self.manifests()?;
        self.tags()?;
        self.referrers()
    }

    fn is_due(&self, touched: u32) -> bool {
        self.scope == Scope::Everything || touched >= self.client.ledger.round
    }

    fn sessions(&mut self) -> Result<(), Cut> {
        for session in (0..self.client.ledger.sessions.len()).rev() {
            // The others are gone on with under load.
            if self.scope == Scope::Everything || self.client.chance.one_in(2) {
                self.client.go_on(session)?;
            } else {
                self.client.take_up(session)?;
            }
        }
        if self.client.after == After::Kill {
            for location in std::mem::take(&mut self.client.ledger.cancelled) {
                let found = self.client.get(&location)?.status;
                self.gone(found, &format!("the session {location}"));
            }
        }
        Ok(())
    }

    fn blobs(&mut self) -> Result<(), Cut> {
        let blobs = self.client.ledger.blobs.clone();
        let due = blobs.into_iter().filter(|(_, blob)| self.is_due(blob.touched));
        let due: Vec<_> = due.collect();
        for ((name, digest), blob) in due {
            let there = self.blob_is_there(&name, &digest)?;
            match blob.fact {
                Fact::There if there => self.client.figures.blobs += 1,
                Fact::Gone if !there => self.client.figures.deletes += 1,
                // Others may push it yet.
                Fact::Either if !there => {}
                Fact::Either => self.client.ledger.blob(&name, digest, Fact::There),
                told => self.client.lost(&format!("{name}: blob {digest} is told {told:?}")),
            }
        }
        Ok(())
    }

    /// Whether it is served. If it is, it is right.
    fn blob_is_there(&mut self, name: &str, digest: &Digest) -> Result<bool, Cut> {
        let target = format!("/v2/{name}/blobs/{digest}");
        if self.read.contains(digest) {
            return Ok(self.client.head(&target)?.status == 200);
        }
        let answer = self.client.get(&target)?;
        if answer.status == 200 {
            self.read.insert(*digest);
            if Digest::sha256(&answer.body) != *digest {
                self.client.lost(&format!("{name}: blob {digest} is another"));
            }
            return Ok(true);
        }
        expect(404, answer);
        Ok(false)
    }

    fn manifests(&mut self) -> Result<(), Cut> {
        let manifests = self.client.ledger.manifests.clone();
        let due: Vec<_> =
            manifests.into_iter().filter(|(_, known)| self.is_due(known.touched)).collect();
        for ((name, digest), known) in due {
            let found = self.manifest(&name, &digest.to_string())?;
            if !known.there.allows(found.is_some()) {
                self.client.lost(&format!("{name}: manifest {digest} is told {:?}", known.there));
                continue;
            }
            let manifest = self.client.ledger.manifests.get_mut(&(name, digest));
            let manifest = manifest.expect("nobody else forgets it");
            if found.is_some() {
                self.client.figures.manifests += 1;
                manifest.there = Fact::There;
            } else {
                self.client.figures.deletes += u64::from(known.there == Fact::Gone);
                manifest.there = Fact::Gone;
            }
        }
        Ok(())
    }

    /// The digest of what is served, if anything is. If it is, it is right, and so is all that it refers to.
    fn manifest(&mut self, name: &str, reference: &str) -> Result<Option<Digest>, Cut> {
        let answer = self.client.get(&format!("/v2/{name}/manifests/{reference}"))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = expect(200, answer);
        let digest = Digest::sha256(&answer.body);
        let told = answer.header("docker-content-digest").map(str::to_owned);
        if told != Some(digest.to_string())
            || reference.contains(':') && told.as_deref() != Some(reference)
        {
            self.client.lost(&format!("{name}: {reference} is told to be {told:?}, is {digest}"));
            return Ok(Some(digest));
        }
        let key = (name.to_owned(), digest);
        if !self.whole.contains_key(&key) {
            let whole = self.is_whole(name, &answer.body)?;
            if !whole {
                self.client.lost(&format!("{name}: {reference} misses something it refers to"));
            }
            self.whole.insert(key, whole);
        }
        Ok(Some(digest))
    }

    fn is_whole(&mut self, name: &str, document: &[u8]) -> Result<bool, Cut> {
        let document: Value = serde_json::from_slice(document).expect("its digest is right");
        let parts = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let config = document.get("config").cloned();
        let mut whole = true;
        for blob in parts("layers").into_iter().chain(config) {
            whole &= self.blob_is_there(name, &digest_of(&blob))?;
        }
        for child in parts("manifests") {
            let child = digest_of(&child);
            whole &= self.manifest(name, &child.to_string())?.is_some();
        }
        Ok(whole)
    }

    fn tags(&mut self) -> Result<(), Cut> {
        let (tags, mut lists) = (self.client.ledger.tags.clone(), BTreeMap::new());
        for ((name, tag), known) in tags {
            if !self.is_due(known.touched) {
                continue;
            }
            if !lists.contains_key(&name) {
                lists.insert(name.clone(), self.list(&name)?);
            }
            let found = self.manifest(&name, &tag)?;
            if !known.may.contains(&found) {
                let told = &known.may;
                self.client.lost(&format!("{name}:{tag} is {found:?}, told to be in {told:?}"));
            } else if lists[&name].contains(&tag) != found.is_some() {
                self.client.lost(&format!("{name}:{tag} is {found:?}, and listed otherwise"));
            } else if known.may.len() == 1 && found.is_some() {
                self.client.figures.tags += 1;
            } else if known.may.len() == 1 {
                self.client.figures.deletes += 1;
            }
            let tag = self.client.ledger.tags.get_mut(&(name, tag));
            tag.expect("nobody else forgets it").may = [found].into();
        }
        for (name, listed) in lists {
            self.listed_are_known(&name, &listed);
        }
        Ok(())
    }

    /// The tags that are listed, of those that are the client's.
    fn list(&mut self, name: &str) -> Result<BTreeSet<String>, Cut> {
        let answer = self.client.get(&format!("/v2/{name}/tags/list"))?;
        if answer.status == 404 {
            return Ok(BTreeSet::new());
        }
        let answer = expect(200, answer);
        assert_eq!(answer.header("link"), None, "there are few enough for one page");
        let list: Value = serde_json::from_slice(&answer.body).expect("a list is JSON");
        let prefix = self.client.prefix();
        let tags = list["tags"].as_array().cloned().unwrap_or_default();
        let tags = tags.iter().map(|tag| tag.as_str().expect("tags are text").to_owned());
        Ok(tags.filter(|tag| tag.starts_with(&prefix)).collect())
    }

    fn listed_are_known(&mut self, name: &str, listed: &BTreeSet<String>) {
        for tag in listed {
            if !self.client.ledger.tags.contains_key(&(name.to_owned(), tag.clone())) {
                self.client.lost(&format!("{name}:{tag} is listed, and nobody pushed it"));
            }
        }
    }

    fn referrers(&mut self) -> Result<(), Cut> {
        let referrers = self.client.ledger.manifests.clone();
        let mut lists = BTreeMap::new();
        for ((name, digest), known) in referrers {
            let Some(subject) = known.subject().filter(|_| self.is_due(known.touched)) else {
                continue;
            };
            let subject = (name.clone(), subject);
            if !lists.contains_key(&subject) {
                lists.insert(subject.clone(), self.list_of_referrers(&subject.0, &subject.1)?);
                self.client.figures.referrers += 1;
            }
            let listed = lists[&subject].contains(&digest);
            // That of a manifest is settled by now.
            let there = self.client.ledger.manifests[&(name.clone(), digest)].there == Fact::There;
            if !known.listed.allows(listed) || listed && !there {
                let told = known.listed;
                self.client.lost(&format!("{name}: referrer {digest} is told {told:?}"));
            }
            let manifest = self.client.ledger.manifests.get_mut(&(name, digest));
            manifest.expect("nobody else forgets it").listed =
                if listed { Fact::There } else { Fact::Gone };
        }
        Ok(())
    }

    fn list_of_referrers(&mut self, name: &str, subject: &Digest) -> Result<BTreeSet<Digest>, Cut> {
        let answer = self.client.get(&format!("/v2/{name}/referrers/{subject}"))?;
        let answer = expect(200, answer);
        assert_eq!(answer.header("link"), None, "there are few enough for one page");
        let index: Value = serde_json::from_slice(&answer.body).expect("an index is JSON");
        let entries = index["manifests"].as_array().expect("an index has entries");
        Ok(entries.iter().map(digest_of).collect())
    }

    fn gone(&mut self, status: u16, what: &str) {
        if status == 404 {
            self.client.figures.deletes += 1;
        } else {
            self.client.lost(&format!("the end of {what}"));
        }
    }
}

fn digest_of(descriptor: &Value) -> Digest {
    let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
    digest.parse().expect("it was made from one")
}
