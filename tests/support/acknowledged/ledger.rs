//! [`Ledger`]: what one client was told, and what it was not told.

use std::collections::{BTreeMap, BTreeSet};

use registry_store::digest::Digest;
use serde_json::Value;

use crate::acknowledged::facts::Fact;
use crate::acknowledged::sessions::Upload;

/// What one client was told, and what it was not told. Names and tags are such that no other client touches them;
/// other clients may push the same blobs.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Counts the checks, so that one can look at what was touched since the last.
    pub(crate) round: u32,
    /// Of each repository: blobs.
    pub(crate) blobs: BTreeMap<(String, Digest), Blob>,
    /// Of each repository: manifests.
    pub(crate) manifests: BTreeMap<(String, Digest), Manifest>,
    /// Of each repository: where a tag may point.
    pub(crate) tags: BTreeMap<(String, String), Pointing>,
    /// Upload sessions that the client knows of.
    pub(crate) sessions: Vec<Upload>,
    /// Where upload sessions were whose end was acknowledged.
    pub(crate) cancelled: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) fact: Fact,
    pub(crate) touched: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) document: Value,
    pub(crate) there: Fact,
    /// Whether it is among the referrers of its subject, if it has one.
    pub(crate) listed: Fact,
    /// Something that is never deleted relies on it.
    pub(crate) kept: bool,
    pub(crate) touched: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Pointing {
    /// One place, if it is known.
    pub(crate) may: BTreeSet<Option<Digest>>,
    pub(crate) touched: u32,
}

impl Manifest {
    pub(crate) fn subject(&self) -> Option<Digest> {
        self.document["subject"]["digest"].as_str()?.parse().ok()
    }
}

impl Ledger {
    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// A blob is, may be, or is no longer there.
    pub fn blob(&mut self, name: &str, digest: Digest, fact: Fact) {
        let touched = self.round;
        self.blobs.insert((name.to_owned(), digest), Blob { fact, touched });
    }

    pub(crate) fn blob_being_made(&mut self, name: &str, digest: Digest) {
        self.blob(name, digest, self.fact_of_blob(name, &digest).being_made());
    }

    pub(crate) fn fact_of_blob(&self, name: &str, digest: &Digest) -> Fact {
        let known = self.blobs.get(&(name.to_owned(), *digest));
        known.map_or(Fact::Gone, |blob| blob.fact)
    }

    /// A manifest is being put, under a tag if there is one.
    pub(crate) fn manifest_being_put(
        &mut self,
        name: &str,
        digest: Digest,
        document: &Value,
        tag: Option<&str>,
    ) {
        let touched = self.round;
        let manifest = self.manifests.entry((name.to_owned(), digest)).or_insert(Manifest {
            document: document.clone(),
            there: Fact::Gone,
            listed: Fact::Gone,
            kept: false,
            touched,
        });
        manifest.touched = touched;
        manifest.there = manifest.there.being_made();
        manifest.listed = manifest.listed.being_made();
        if let Some(tag) = tag {
            self.pointing(name, tag).may.insert(Some(digest));
        }
    }

    /// A manifest was put, under a tag if there is one.
    pub(crate) fn manifest_put(&mut self, name: &str, digest: Digest, tag: Option<&str>) {
        let manifest = self.manifest(name, digest);
        (manifest.there, manifest.listed) = (Fact::There, Fact::There);
        if let Some(tag) = tag {
            self.pointing(name, tag).may = [Some(digest)].into();
        }
    }

    /// A manifest is being deleted, with the tags that point at it.
    pub(crate) fn manifest_being_deleted(&mut self, name: &str, digest: Digest) {
        let manifest = self.manifest(name, digest);
        (manifest.there, manifest.listed) = (Fact::Either, Fact::Either);
        for tag in self.tags_that_may_be(name, digest) {
            tag.may.insert(None);
        }
    }

    /// A manifest was deleted, and the tags that pointed at it.
    pub(crate) fn manifest_deleted(&mut self, name: &str, digest: Digest) {
        let manifest = self.manifest(name, digest);
        (manifest.there, manifest.listed) = (Fact::Gone, Fact::Gone);
        for tag in self.tags_that_may_be(name, digest) {
            tag.may.remove(&Some(digest));
            if tag.may.is_empty() {
                tag.may.insert(None);
            }
        }
    }

    /// A tag is being deleted.
    pub(crate) fn tag_being_deleted(&mut self, name: &str, tag: &str) {
        self.pointing(name, tag).may.insert(None);
    }

    /// A tag was deleted.
    pub(crate) fn tag_deleted(&mut self, name: &str, tag: &str) {
        self.pointing(name, tag).may = [None].into();
    }

    /// Never to be deleted from now on.
    pub(crate) fn keep(&mut self, name: &str, digest: Digest) {
        self.manifest(name, digest).kept = true;
    }

    fn manifest(&mut self, name: &str, digest: Digest) -> &mut Manifest {
        let manifest = self.manifests.get_mut(&(name.to_owned(), digest));
        let manifest = manifest.expect("it was noted when it was sent");
        manifest.touched = self.round;
        manifest
    }

    fn pointing(&mut self, name: &str, tag: &str) -> &mut Pointing {
        let touched = self.round;
        let tag = self.tags.entry((name.to_owned(), tag.to_owned()));
        let tag = tag.or_insert_with(|| Pointing { may: [None].into(), touched });
        tag.touched = touched;
        tag
    }

    fn tags_that_may_be(&mut self, name: &str, digest: Digest) -> Vec<&mut Pointing> {
        let mut found = Vec::new();
        for ((of, _), tag) in &mut self.tags {
            if of == name && tag.may.contains(&Some(digest)) {
                tag.touched = self.round;
                found.push(tag);
            }
        }
        found
    }
}
