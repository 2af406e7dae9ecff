//! [`Options`]: how the service behaves, where the specification leaves a choice.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::auth::Authorizer;
#[cfg(feature = "auth")]
use crate::auth::issuer::TokenService;
use crate::events::EventSink;
use crate::read_only::ReadOnlySwitch;
use crate::upload_secret::UploadSecret;

/// How a [`RegistryService`](crate::RegistryService) behaves.
///
/// The defaults suit a registry of its own; they are not Distribution's where those are surprising (deletion
/// is on).
#[derive(Clone, Debug)]
pub struct Options {
    /// Manifests, tags and blobs can be deleted; otherwise DELETE on them answers 405. Default: true.
    ///
    /// An upload session can always be cancelled.
    pub delete: bool,
    /// Nothing can be written: everything but GET, HEAD and OPTIONS answers 405. So does all of an upload session,
    /// as to look at one is to take it up. Default: false.
    pub read_only: bool,
    /// The same, to be switched while the service runs. Default: a switch that nobody else has, which is off.
    pub read_only_switch: ReadOnlySwitch,
    /// How long the service waits for the next part of a request's body. Default: 60 seconds.
    ///
    /// There is no limit on a request as a whole: a layer of many gigabytes may take hours.
    pub body_idle_timeout: Duration,
    /// How much of a body that is not wanted is read before the answer, in bytes, so that the connection can go on.
    /// Default: 256 KiB. HTTP/1.1 only; with 0 the connection ends after such an answer.
    pub drain_limit: u64,
    /// How long that may hold the answer back. Default: 1 second.
    pub drain_time: Duration,
    /// How long the next part of the rest is waited for, after the answer. Default: 5 seconds.
    ///
    /// The rest is read and thrown away, because many a client sends all before it reads the answer.
    pub discard_idle_timeout: Duration,
    /// How long the rest is read in all; then the client is cut off. Default: 30 seconds.
    pub discard_time: Duration,
    /// How many repositories a page of the catalog has if the client names no number. Default: 100.
    pub catalog_default: usize,
    /// The most repositories on a page of the catalog; a greater `n` is served as this. Default: 1000.
    pub catalog_max: usize,
    /// The most tags on a page; a greater `n` is served as this. Default: 1000.
    ///
    /// A client that names no number gets all tags in one answer, as the specification has it.
    pub tags_max: usize,
    /// The most referrers on a page. Default: 1000.
    pub referrers_max: usize,
    /// A page of referrers ends when it has grown to so many bytes, though it holds at least one. Default: 4 MiB.
    ///
    /// It is an order of magnitude, not a bound: the annotations of the last may be as long as a manifest.
    pub referrers_max_bytes: usize,
    /// The most tags a manifest can be pushed with as parameters. Default: 50; the OCI distribution-spec asks for
    /// 10 at least.
    pub manifest_tags_max: usize,
    /// A mount that names no repository to mount from takes the blob from wherever it is. Default: true.
    ///
    /// Whoever may push to one repository can then have any blob whose digest they know: switch it off where
    /// not everybody may read everything. With an [`authorizer`](Self::authorizer) it is always off.
    pub mount_from_anywhere: bool,
    /// Where the storage gives out signed addresses, clients that pull a blob are sent there (307). Default: none, and
    /// all blobs go through the service.
    pub redirect: Option<Redirect>,
    /// What the `Location` header holds. Default: [`Locations::Relative`].
    ///
    /// It says nothing of where clients are [sent](Self::redirect).
    pub locations: Locations,
    /// What stands before `/v2/` in every path, such as `/registry`; without a slash at its end. Default: empty.
    ///
    /// For a proxy or router that passes paths on as they came. One that takes the prefix off needs
    /// [`Locations::Under`] instead.
    pub path_prefix: String,
    /// What every answer has beside its own headers, such as `X-Content-Type-Options: nosniff` or CORS's. A header that an
    /// answer has itself is left as it is. Not for those that say where a body ends. Default: none.
    pub headers: HeaderMap,
    /// What the addresses of upload sessions are signed with, as Distribution does with its `http.secret`. Default:
    /// none, and they are not signed.
    ///
    /// It is needed only where Distribution serves the same data: with the same secret, either can finish the
    /// uploads of the other. Addresses of Distribution are taken with and without it.
    pub upload_secret: Option<UploadSecret>,
    /// Says who may do what. Default: none, and everybody may do everything.
    pub authorizer: Option<Arc<dyn Authorizer>>,
    /// Makes tokens, at a path of its own behind the [prefix](Self::path_prefix). It asks for no leave: who may have which
    /// token it says itself. Default: none.
    #[cfg(feature = "auth")]
    pub tokens: Option<Arc<TokenService>>,
    /// Is told what was done. Default: none.
    pub events: Option<Arc<dyn EventSink>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            delete: true,
            read_only: false,
            read_only_switch: ReadOnlySwitch::default(),
            body_idle_timeout: Duration::from_secs(60),
            drain_limit: 256 * 1024,
            drain_time: Duration::from_secs(1),
            discard_idle_timeout: Duration::from_secs(5),
            discard_time: Duration::from_secs(30),
            catalog_default: 100,
            catalog_max: 1000,
            tags_max: 1000,
            referrers_max: 1000,
            referrers_max_bytes: 4 * 1024 * 1024,
            manifest_tags_max: 50,
            mount_from_anywhere: true,
            redirect: None,
            locations: Locations::Relative,
            path_prefix: String::new(),
            headers: HeaderMap::new(),
            upload_secret: None,
            authorizer: None,
            #[cfg(feature = "auth")]
            tokens: None,
            events: None,
        }
    }
}

impl Options {
    /// Nothing can be written now.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.read_only_switch.is_on()
    }
}

/// Which blobs clients fetch from the storage itself, as S3 lets them; see [`Options::redirect`].
///
/// GET and HEAD of a blob are answered with 307 and the storage's signed address, a `Range` with them, which the client
/// repeats there. It is done once the blob has been found in the repository. Such an address is a key to that blob:
/// whoever has it can read it until it expires, so the answer is not to be kept by caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Blobs of fewer bytes than this go through the service. Default: 64 KiB.
    ///
    /// To be sent elsewhere costs a client a request more and, mostly, a connection with TLS to another host, which
    /// takes longer than to send it an image's config.
    pub minimum_size: u64,
    /// How long an address is good for. Default: 6 hours. S3 signs for whole seconds, 1 second to 7 days.
    ///
    /// The storage looks at it when a request begins, so no transfer is cut by it. But clients begin again at the same
    /// address, to go on where a connection broke or with the next of many ranges: so it has to outlive a slow pull of
    /// a large layer, 50 GiB at 20 Mbit/s.
    pub expires_in: Duration,
}

impl Redirect {
    /// The longest that S3 signs for: 7 days.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);
}

impl Default for Redirect {
    fn default() -> Self {
        Self { minimum_size: 64 * 1024, expires_in: Duration::from_hours(6) }
    }
}

/// What the `Location` header of an answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Locations {
    /// A path. Right behind every proxy, and understood by every client.
    #[default]
    Relative,
    /// An address made of the request: scheme and host as `Forwarded` or `X-Forwarded-Proto` and
    /// `X-Forwarded-Host` say, else as the request itself does: `https` [over TLS](crate::peer::OverTls), else `http`. A
    /// path if it names no host.
    FromRequest,
    /// An address or path that all paths are put behind, such as `https://registry.example.com` or, where a
    /// router takes a prefix off, `/registry`; without a slash at its end.
    Under(String),
    /// The same, but in place of the [prefix](Options::path_prefix) too: all that stands before `/v2/`. It is what
    /// Distribution's `http.host` does.
    At(String),
}
