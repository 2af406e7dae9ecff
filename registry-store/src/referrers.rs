//! [`Referrers`]: the manifests of a repository that have a subject.

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::media_type::MediaType;
use crate::page::Page;

/// The manifests of a repository that have a subject.
#[derive(Clone, Debug)]
pub struct Referrers {}

impl Referrers {
    /// The manifests whose subject is `subject`, in the order of their digests: the first `limit` whose digest
    /// is greater than `after`, only those of `artifact_type` if one is given.
    ///
    /// A subject nobody refers to, or that does not exist, has none; that is no error.
    pub async fn list(
        &self,
        _subject: &Digest,
        _artifact_type: Option<&MediaType>,
        _after: Option<&Digest>,
        _limit: usize,
    ) -> Result<Page<Descriptor>> {
        todo!()
    }
}
