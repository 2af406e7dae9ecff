//! [`Limits`]: what connections may take.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// What connections may take, in time, in number and in memory.
///
/// None of them bounds a transfer that moves, however slowly and for however long. In HTTP/2 it moves when the client opens
/// its window, which some do only when they have read half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may be without a request: for the head of the first to be complete, and for that of the
    /// next after an answer was taken. Against heads that come a byte at a time, and connections that are of no use.
    /// Default: 120 s, since Go's clients keep one for 90 s: they close first, and none of their requests meets a
    /// connection that is being closed. With `None` as long as `idle` has it.
    pub head: Option<Duration>,
    /// How long a connection may stand still while something is waited for from it. There is no limit on a whole
    /// request. Against clients that stop to send or to read. Default: 5 minutes; with `None` for ever.
    ///
    /// * HTTP/1.1: a body of either direction, of which not a byte moves.
    /// * HTTP/2: the connection as a whole, on which not a byte moves, pings included; they are sent every quarter
    ///   of this, and one that is not answered within another quarter ends it. The body of a request has the bound
    ///   of its own that the service gives it ([`Options::body_idle_timeout`](crate::Options)).
    /// * HTTP/2, an answer of which the client takes nothing for so long, as it keeps the stream's window closed, though it
    ///   answers pings: it counts no more as in flight. A connection that has no other counts as one without a request from
    ///   then on: for `head`, for `connections`, and when the listener is told to end.
    pub idle: Option<Duration>,
    /// How many connections there may be. Default: half as many as the process may have files open when it is asked,
    /// as each may take one for what it transfers, and 10,000 at most; with `None` as many as the system lets.
    ///
    /// For one more than that, the connection that has been without a request for longest is closed. If a request is
    /// in flight on each of them, the next one waits to be accepted until one ends, or its client has taken nothing of the
    /// answer for `idle`.
    pub connections: Option<usize>,
    /// How long the head of a request may be, from its first line to the empty one, in bytes; a longer one is answered
    /// with 431, and so are, by HTTP/1.1, trailers. HTTP/2 counts 32 more for each header. Default: 128 KiB.
    pub head_size: u32,
    /// How many headers a request of HTTP/1.1 may have; one with more is answered with 431. HTTP/2 has no such count.
    /// Default: 100.
    pub headers: usize,
    /// The most one read from a connection may bring, in bytes; it begins small and grows with what comes. As requests
    /// of HTTP/1.1 that come in advance wait for their turn unread, it bounds what is held of them. Default: 1 MiB, and
    /// 8 KiB at least.
    pub read_buffer: usize,
    /// How many requests an HTTP/2 connection may have open. Default: 250.
    pub streams: u32,
    /// How many requests that a client of HTTP/2 took back at once may be in hand; with more the connection ends.
    /// Default: 20.
    pub resets: usize,
    /// How long requests in flight are waited for when the listener is told to end; then their connections are cut.
    /// Default: none, and they take as long as they take.
    pub drain: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        const MOST_CONNECTIONS: usize = 10_000;
        let files = getrlimit(Resource::Nofile).current.and_then(|files| files.try_into().ok());
        let half = files.map_or(MOST_CONNECTIONS, |files: usize| (files / 2).max(1));
        Self {
            head: Some(Duration::from_secs(120)),
            idle: Some(Duration::from_secs(5 * 60)),
            connections: Some(half.min(MOST_CONNECTIONS)),
            head_size: 128 << 10,
            headers: 100,
            read_buffer: 1 << 20,
            streams: 250,
            resets: 20,
            drain: None,
        }
    }
}
