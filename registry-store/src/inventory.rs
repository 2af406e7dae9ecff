//! What there is in the storage, whatever refers to it: every blob, and links of algorithms that we do not know.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use futures::TryStreamExt as _;

use crate::backend::{Child, Key};
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::layout;
use crate::listing::MANY;
use crate::shared::Shared;

/// The links below a place of links that are named by an algorithm we do not know. There are few: Distribution keeps
/// what was pushed by such a digest under its sha256.
pub(crate) async fn foreign_links(shared: &Shared, place: &Key) -> Result<Vec<Key>> {
    let mut links = Vec::new();
    // More algorithms than there are.
    let page = shared.backend.list_children(place, None, MANY).await?;
    for child in page.items.iter().filter(|child| child.is_prefix()) {
        if child.name().parse::<Algorithm>().is_err()
            && let Ok(foreign) = place.child(child.name())
        {
            let below = shared.backend.list(&foreign, None);
            let found: Vec<Key> = below.try_collect().await?;
            links.extend(found.into_iter().filter(|key| key.name() == layout::LINK));
        }
    }
    Ok(links)
}

/// Goes through the digests of all blobs in their order, holding a page of a listing.
pub(crate) struct Blobs<'s> {
    shared: &'s Shared,
    after: Option<Digest>,
    /// How the hashes of those begin that are gone through.
    first_bytes: RangeInclusive<u8>,
    algorithms: VecDeque<Algorithm>,
    shards: VecDeque<Shard>,
}

/// The blobs whose digests begin alike.
struct Shard {
    algorithm: Algorithm,
    name: String,
    /// The name of the last one met.
    after: Option<String>,
}

impl<'s> Blobs<'s> {
    /// All behind this one, which need not be there.
    pub(crate) fn after(shared: &'s Shared, after: Option<Digest>) -> Self {
        let is_ahead = |algorithm: &Algorithm| after.is_none_or(|at| at.algorithm() <= *algorithm);
        let algorithms = Algorithm::ALL.into_iter().filter(is_ahead).collect();
        Self { shared, after, first_bytes: 0..=u8::MAX, algorithms, shards: VecDeque::new() }
    }

    /// Those whose hashes begin with one of these bytes.
    pub(crate) fn beginning_with(shared: &'s Shared, first_bytes: RangeInclusive<u8>) -> Self {
        Self { first_bytes, ..Self::after(shared, None) }
    }

    /// The next digests, perhaps none. A place that cannot be listed is told of and left behind.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<Digest>>> {
        if let Some(shard) = self.shards.pop_front() {
            return Some(self.blobs_of(shard).await);
        }
        let algorithm = self.algorithms.pop_front()?;
        Some(self.shards_of(algorithm).await.map(|shards| {
            self.shards = shards;
            Vec::new()
        }))
    }

    async fn shards_of(&self, algorithm: Algorithm) -> Result<VecDeque<Shard>> {
        let after = self.after.filter(|after| after.algorithm() == algorithm);
        let after = after.map(|after| after.hex());
        let begun = after.as_deref().map(|hex| &hex[..2]);
        let place = layout::blobs(algorithm);
        let mut shards = VecDeque::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.shared.backend.list_children(&place, cursor.as_deref(), MANY).await?;
            let names = page.items.iter().filter(|child| child.is_prefix());
            for name in names.map(Child::name).filter(|name| self.begins(name)) {
                if begun.is_none_or(|begun| name >= begun) {
                    let after = after.clone().filter(|_| begun == Some(name));
                    shards.push_back(Shard { algorithm, name: name.to_owned(), after });
                }
            }
            cursor = page.next_after().map(|child| child.name().to_owned());
            if cursor.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Is it the name of a shard that is gone through?
    fn begins(&self, name: &str) -> bool {
        let mut byte = [0];
        hex::decode_to_slice(name, &mut byte).is_ok() && self.first_bytes.contains(&byte[0])
    }

    async fn blobs_of(&mut self, mut shard: Shard) -> Result<Vec<Digest>> {
        let Ok(place) = layout::blobs(shard.algorithm).child(&shard.name) else {
            return Ok(Vec::new());
        };
        let backend = &self.shared.backend;
        let page = backend.list_children(&place, shard.after.as_deref(), MANY).await?;
        let names = page.items.iter().filter(|child| child.is_prefix()).map(Child::name);
        let digests = names.filter(|name| name.starts_with(&shard.name));
        let digests = digests.filter_map(|name| Digest::from_hex(shard.algorithm, name).ok());
        let digests = digests.collect();
        shard.after = page.next_after().map(|child| child.name().to_owned());
        if shard.after.is_some() {
            self.shards.push_front(shard);
        }
        Ok(digests)
    }
}
