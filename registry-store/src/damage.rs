//! [`DamageReport`]: how much was found damaged, and healed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Key;

/// Counts what was found damaged since the store was opened; each is also logged.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    links: AtomicU64,
    blobs: AtomicU64,
    put_aside: AtomicU64,
    healed: AtomicU64,
}

/// What was found damaged since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DamageReport {
    /// Links that were empty, or held no digest or that of something else. Each time one is met it counts again.
    pub links: u64,
    /// Blobs that were empty, of another size, or of other content than their digest says. Each time one is met
    /// it counts again.
    pub blobs: u64,
    /// Blobs of them that were put out of everybody's sight: the next push brings them again.
    pub put_aside: u64,
    /// Damaged objects that a push has replaced.
    pub healed: u64,
}

impl Damage {
    /// A link holds no digest, or that of something else; to everybody it is as if it were not there.
    pub(crate) fn link(&self, key: &Key) {
        self.links.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%key, "damaged link: it holds no digest, or that of something else; the next push replaces it");
    }

    /// A blob is not what its digest says; to everybody it is as if it were not there.
    pub(crate) fn blob(&self, key: &Key, found: u64) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%key, found, "damaged blob: not of the size or content of its digest");
    }

    /// A blob that was found damaged is where nobody but an operator sees it.
    pub(crate) fn put_aside(&self, key: &Key) {
        self.put_aside.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%key, "damaged blob put into quarantine; the next push brings it again");
    }

    /// A push has put a good object in the place of a damaged one.
    pub(crate) fn healed(&self, key: &Key) {
        self.healed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%key, "damaged object replaced by a push");
    }

    pub(crate) fn report(&self) -> DamageReport {
        DamageReport {
            links: self.links.load(Ordering::Relaxed),
            blobs: self.blobs.load(Ordering::Relaxed),
            put_aside: self.put_aside.load(Ordering::Relaxed),
            healed: self.healed.load(Ordering::Relaxed),
        }
    }
}
