//! [`Tags`]: the tags of a repository.

use crate::digest::Digest;
use crate::error::Result;
use crate::page::Page;
use crate::reference::Tag;

/// The tags of a repository.
#[derive(Clone, Debug)]
pub struct Tags {}

impl Tags {
    /// The manifest a tag points at. Errors: `ManifestUnknown`.
    pub async fn resolve(&self, _tag: &Tag) -> Result<Digest> {
        todo!()
    }
    /// The first `limit` tags greater than `after`, in byte order; `after` need not be a tag. Errors:
    /// `NameUnknown` if there is no such repository.
    pub async fn list(&self, _after: Option<&str>, _limit: usize) -> Result<Page<Tag>> {
        todo!()
    }
    /// Every manifest the tag ever pointed at, in the order of digests. Errors: `ManifestUnknown`.
    pub async fn history(&self, _tag: &Tag) -> Result<Vec<Digest>> {
        todo!()
    }
    /// Removes a tag; its manifest stays. Errors: `ManifestUnknown`.
    pub async fn delete(&self, _tag: &Tag) -> Result<()> {
        todo!()
    }
}
