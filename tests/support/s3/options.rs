//! [`S3Options`]: which S3 it is that answers.

use std::sync::Arc;

use registry_store::options::{Clock, SystemClock};

/// Which S3 it is that answers. The default is what AWS does.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Who may ask; `None` asks nobody who they are. Default: [`Credentials::default`].
    pub credentials: Option<Credentials>,
    /// The region that requests are signed for. Default: `us-east-1`.
    pub region: String,
    /// A host `<bucket>.<domain>` addresses that bucket; any other host is followed by the bucket in the path.
    /// Default: `localhost`.
    pub domain: String,
    /// What time it is: for signatures, and for when something was last modified. Default: the machine's.
    pub clock: Arc<dyn Clock>,
    /// What becomes of conditions on writes. Default: all are honoured.
    pub conditional_writes: ConditionalWrites,
    /// How a listing of objects looks. Default: as it should.
    pub listing: Listing,
    /// The most entries of one page, of objects, parts and uploads, whatever is asked for. Default: 1000.
    pub page: usize,
    /// The fewest bytes of a part that is not the last. Default: 5 MiB.
    pub smallest_part: u64,
    /// The most bytes of one part, and of an object that is not put in parts. Default: 5 GiB.
    pub largest_put: u64,
    /// The most bytes that one request copies. Default: 5 GiB.
    pub largest_copy: u64,
    /// What a second completion of the same parts is told. Default: the same again.
    pub completed_again: CompletedAgain,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            credentials: Some(Credentials::default()),
            region: "us-east-1".to_owned(),
            domain: "localhost".to_owned(),
            clock: Arc::new(SystemClock),
            conditional_writes: ConditionalWrites::default(),
            listing: Listing::default(),
            page: 1000,
            smallest_part: 5 << 20,
            largest_put: 5 << 30,
            largest_copy: 5 << 30,
            completed_again: CompletedAgain::default(),
        }
    }
}

/// A key pair, and the token that goes with it if it is a temporary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who it is.
    pub access_key: String,
    /// What it is signed with.
    pub secret_key: String,
    /// What a temporary key pair is sent with.
    pub session_token: Option<String>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            access_key: "AKIAOFTHETESTS".to_owned(),
            secret_key: "the/secret+of=the tests".to_owned(),
            session_token: None,
        }
    }
}

/// What becomes of `If-None-Match` and `If-Match`, for each operation that writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConditionalWrites {
    /// Of PutObject.
    pub put: Honour,
    /// Of CompleteMultipartUpload.
    pub complete: Honour,
    /// Of CopyObject: of its target. Conditions on its source are always honoured, as everywhere.
    pub copy: Honour,
    /// Of DeleteObject and DeleteObjects.
    pub delete: Honour,
}

impl ConditionalWrites {
    /// The same for each operation.
    pub const fn all(honour: Honour) -> Self {
        Self { put: honour, complete: honour, copy: honour, delete: honour }
    }
}

/// What becomes of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Honour {
    /// The write happens only if it holds.
    #[default]
    Honoured,
    /// The write happens, as Garage does it.
    Ignored,
    /// 501, and nothing happens.
    Refused,
}

/// How a listing of objects looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whether keys come in the order of their bytes, or in one that has no meaning (as S3's directory buckets).
    /// Either way pages go on where the last ended.
    pub ordered: bool,
    /// How many of the latest writes a listing does not see yet.
    pub writes_behind: u64,
    /// Whether a common prefix that is not after `start-after`, but has keys that are, is listed. moto does not,
    /// Garage does; what AWS does is not documented.
    pub returns_to_prefixes: bool,
}

impl Default for Listing {
    fn default() -> Self {
        Self { ordered: true, writes_behind: 0, returns_to_prefixes: false }
    }
}

/// What a second completion of the same parts is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompletedAgain {
    /// 200, and nothing happens, as AWS does it.
    #[default]
    Same,
    /// 404 `NoSuchUpload`, as Garage does it.
    NoSuchUpload,
}
