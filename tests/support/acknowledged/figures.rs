//! [`Figures`]: how much was done, and how much of it was looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// How much was done, and how much of it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Images and indexes whose manifest was acknowledged.
    pub pushes: u64,
    /// Everything else that was acknowledged with a promise: blobs, moved tags, deletes.
    pub others: u64,
    /// Acknowledged blobs that were found, each read and hashed.
    pub blobs: u64,
    /// Acknowledged manifests that were found, each read and hashed.
    pub manifests: u64,
    /// Tags that were found to point where they were told to.
    pub tags: u64,
    /// Deletes that were found to have stayed done.
    pub deletes: u64,
    /// Lists of referrers that were compared.
    pub referrers: u64,
    /// Sessions that were asked how far they are.
    pub sessions: u64,
    /// Of these, what a request had not been answered about.
    pub interrupted: u64,
    /// Sessions that were gone on with and became the blob they were to be.
    pub resumed: u64,
    /// Requests that went unanswered, by what they were.
    pub unanswered: BTreeMap<String, u64>,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.pushes += other.pushes;
        self.others += other.others;
        self.blobs += other.blobs;
        self.manifests += other.manifests;
        self.tags += other.tags;
        self.deletes += other.deletes;
        self.referrers += other.referrers;
        self.sessions += other.sessions;
        self.interrupted += other.interrupted;
        self.resumed += other.resumed;
        for (what, times) in other.unanswered {
            *self.unanswered.entry(what).or_default() += times;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "acknowledged: {} pushes of manifests, {} blobs, moves and deletes",
            self.pushes, self.others
        )?;
        writeln!(
            f,
            "verified: {} blobs, {} manifests, {} tags, {} lists of referrers, {} deletes",
            self.blobs, self.manifests, self.tags, self.referrers, self.deletes
        )?;
        writeln!(
            f,
            "upload sessions: {} looked at, {} of them interrupted, {} gone on with to the end",
            self.sessions, self.interrupted, self.resumed
        )?;
        let unanswered: u64 = self.unanswered.values().sum();
        write!(f, "requests that went unanswered: {unanswered} {:?}", self.unanswered)
    }
}
