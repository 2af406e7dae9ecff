//! [`S3Options`]: which bucket, how it is reached, and how objects are written to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::options::{Clock, Random, SystemClock, SystemRandom};

/// The fewest bytes of a part of a multipart upload, but for the last: S3's limit.
pub const SMALLEST_PART: u64 = 5 << 20;
/// The most bytes of one put, part or copy: S3's limit.
pub const LARGEST_PUT: u64 = 5 << 30;

/// Which bucket, how it is reached, and how objects are written to it.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with, without slashes at its ends; may be empty. Distribution's `rootdirectory`.
    pub root: String,
    /// The region that requests are signed for. `None`: as the environment, the profile or the instance says.
    pub region: Option<String>,
    /// Where S3 is, as a URL. `None`: AWS, in the region.
    pub endpoint: Option<String>,
    /// Where clients find it, for [signed addresses](crate::backend::Backend::signed_url), as a URL. `None`: the
    /// same.
    pub public_endpoint: Option<String>,
    /// `endpoint/bucket/key` in place of `bucket.endpoint/key`.
    pub path_style: bool,
    /// Who we are. `None`: as the usual chain says, which is the environment, the profile, a web identity, and the
    /// instance's or container's metadata.
    pub credentials: Option<S3Credentials>,
    /// How objects are encrypted at rest. Default: as the bucket has it.
    pub encryption: Encryption,
    /// The class of objects, in S3's words. `None`: the bucket's.
    pub storage_class: Option<String>,
    /// The canned ACL of objects, in S3's words. `None`: the bucket's.
    pub acl: Option<String>,
    /// Bytes of a part that is uploaded, [`SMALLEST_PART`] to [`LARGEST_PUT`]. Default: 10 MiB.
    ///
    /// A transfer holds at most four parts. A blob of more than [`plain_parts`](Self::plain_parts) goes on in larger ones,
    /// that are put together by the server; so this bounds memory and not the size of blobs.
    pub part_size: u64,
    /// What is longer is copied in parts, at once. Default: 256 MiB.
    pub copy_threshold: u64,
    /// Bytes of such a part, at least; at most twice as much. Default: 128 MiB.
    pub copy_part_size: u64,
    /// How many parts of an upload are as they come, 1 to 5,000: half of what the server takes. Default: 5,000.
    ///
    /// What comes behind them is written beside, and becomes larger parts.
    pub plain_parts: u16,
    /// Bytes of such a larger part, [`SMALLEST_PART`] to [`LARGEST_PUT`]. Default: 4 GiB.
    pub large_part: u64,
    /// How many parts of one object are copied at once. Default: 16.
    pub copy_concurrency: usize,
    /// The most bytes of parts in memory for all transfers of the process together. Default: 256 MiB.
    ///
    /// A transfer that finds no room waits, and so does its client.
    pub memory: u64,
    /// How long a request is tried again that fails for want of the server, from when it failed first. Default: 30 s.
    pub retry_for: Duration,
    /// AWS's accelerated endpoint.
    pub accelerate: bool,
    /// AWS's endpoint that has IPv6 too.
    pub dual_stack: bool,
    /// AWS's endpoint with FIPS.
    pub fips: bool,
    /// Nothing is to be written, so nothing is tried at [opening](super::S3Backend::open) that writes.
    pub read_only: bool,
    /// What time it is: for how old litter is.
    pub clock: Arc<dyn Clock>,
    /// Where names come from that nobody else makes, and how long to wait before trying again.
    pub random: Arc<dyn Random>,
}

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Its name.
    pub access_key: String,
    /// The key itself.
    pub secret_key: String,
    /// What goes with keys that are lent for a while.
    pub session_token: Option<String>,
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket has it.
    #[default]
    Bucket,
    /// With keys of S3's: `AES256`.
    S3,
    /// With a key of KMS, by its id: `aws:kms`.
    Kms(String),
}

impl S3Options {
    /// A bucket at AWS, or wherever the environment says, with the defaults for all else.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            root: String::new(),
            region: None,
            endpoint: None,
            public_endpoint: None,
            path_style: false,
            credentials: None,
            encryption: Encryption::default(),
            storage_class: None,
            acl: None,
            part_size: 10 << 20,
            copy_threshold: 256 << 20,
            copy_part_size: 128 << 20,
            plain_parts: 5_000,
            large_part: 4 << 30,
            copy_concurrency: 16,
            memory: 256 << 20,
            retry_for: Duration::from_secs(30),
            accelerate: false,
            dual_stack: false,
            fips: false,
            read_only: false,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Credentials({}, …)", self.access_key)
    }
}
