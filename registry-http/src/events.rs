//! [`EventSink`]: what was done, told to the embedder.
//!
//! ```
//! use registry_http::events::{Action, Event, EventSink};
//! use tokio::sync::mpsc;
//!
//! /// Hands what was pushed to a task that does something with it.
//! struct Pushes(mpsc::Sender<Event>);
//!
//! impl EventSink for Pushes {
//!     fn tell(&self, event: Event) {
//!         // A queue that is full loses events, rather than hold up pushes.
//!         if event.action == Action::Push {
//!             let _ = self.0.try_send(event);
//!         }
//!     }
//! }
//! ```
//!
//! An event has what an entry of Distribution's notifications has, but for its id, where the registry runs, and
//! what a manifest refers to, all of which the sink can tell itself. The client's network address, an id of the
//! request and the like are not known to the service: a layer around it puts them into the request's extensions,
//! which the event brings back ([`RequestInfo::extensions`]).
//!
//! # When
//!
//! After the thing is durable and can be read, and before the client is answered: a sink may read through the
//! store what it is told of, and so may whoever it tells. What failed is not told of.
//!
//! At most once. A client that leaves in the last moment, or a crash, may leave a thing without its event: events
//! make others look sooner, and are no record of what is there. What a sink makes of an event it was told is its own:
//! the one of the feature `notifications` keeps it on disk until it is delivered.
//!
//! | request | events |
//! |---|---|
//! | GET or HEAD of a blob, of a part of it too; of a manifest | one pull, before the body is sent; none for 304 |
//! | a blob pushed, in a session or at once | one push |
//! | a mount that succeeds | one mount |
//! | a manifest pushed | one push for each tag it was pushed with, or one without a tag |
//! | DELETE of a blob | one delete |
//! | DELETE of a tag | one delete, of the tag |
//! | DELETE of a manifest | one delete for each tag that went with it, each when it has gone; then one, of the manifest |

use std::fmt;
use std::time::SystemTime;

use http::{Extensions, Method};
use registry_store::digest::Digest;
use registry_store::media_type::MediaType;
use registry_store::name::RepositoryName;
use registry_store::reference::Tag;

use crate::auth::Actor;

/// Takes note of what was done.
pub trait EventSink: Send + Sync + 'static {
    /// Something was done.
    ///
    /// It must not block: the client waits for it, and so does everybody else on the same thread, and, while a
    /// manifest is deleted with its tags, everybody who pushes to the repository. Put it into a queue, and bound
    /// that. It must not panic: that breaks off the request, which was done, as a crash in its place would.
    fn tell(&self, event: Event);
}

impl fmt::Debug for dyn EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink(..)")
    }
}

/// Something that was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by the store's clock.
    pub time: SystemTime,
    /// What was done.
    pub action: Action,
    /// Where.
    pub repository: RepositoryName,
    /// To what.
    pub target: Target,
    /// The address the target can be pulled from; absolute unless neither the request nor
    /// [`Options::locations`](crate::Options::locations) names a host. A tag that went has none. Unless the options
    /// name it, the host is the client's word.
    pub url: Option<String>,
    /// By whom.
    pub actor: Actor,
    /// With which request.
    pub request: RequestInfo,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was asked for.
    Pull,
    /// It was stored here, or was here already and pushed again.
    Push,
    /// A blob that is elsewhere was made one of this repository.
    Mount {
        /// The repository it was taken from; `None` if the client named none.
        from: Option<RepositoryName>,
    },
    /// It was taken from the repository.
    Delete,
}

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A blob.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes, the whole if a part was pulled; `None` if it was deleted.
        size: Option<u64>,
    },
    /// A manifest.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes; `None` if it was deleted.
        size: Option<u64>,
        /// What it is; `None` if it was deleted.
        media_type: Option<MediaType>,
        /// The tag it was pulled by, or pushed with.
        tag: Option<Tag>,
    },
    /// A tag, without the manifest it pointed at.
    Tag(Tag),
}

/// What there is to say of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestInfo {
    /// Its method.
    pub method: Method,
    /// The host it was sent to, as the client wrote it.
    pub host: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// What layers around the service have put there.
    pub extensions: Extensions,
}
