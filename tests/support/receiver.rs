//! [`Receiver`]: an endpoint of notifications, which takes them, fails, or hangs.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use serde_json::Value;

use crate::child::PATIENCE;
use crate::plain_http::received;

/// What it does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Keeps it, and answers with this status.
    Answer(u16),
    /// Keeps it, and never answers.
    Hang,
}

/// A document it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The lines of the head.
    pub head: Vec<String>,
    /// The body.
    pub document: Value,
    /// What became of it.
    pub mood: Mood,
}

impl Sent {
    /// The one event in it.
    pub fn event(&self) -> &Value {
        &self.document["events"][0]
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A connection to it.
pub trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// It listens as long as the process lives.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<(Mood, Vec<Sent>)>,
    came: Condvar,
}

impl Receiver {
    /// At a free port of this machine.
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        Self::listening(listener, mood, |stream| Box::new(stream))
    }

    /// The same, over what `wrap` makes of a connection, such as TLS.
    pub fn start_over(
        mood: Mood,
        wrap: impl Fn(TcpStream) -> Box<dyn Connection> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        Self::listening(listener, mood, wrap)
    }

    /// At this address, which somebody was promised before anybody listened there.
    pub fn start_at(address: SocketAddr, mood: Mood) -> Self {
        let listener = TcpListener::bind(address).expect("the port is still free");
        Self::listening(listener, mood, |stream| Box::new(stream))
    }

    fn listening(
        listener: TcpListener,
        mood: Mood,
        wrap: impl Fn(TcpStream) -> Box<dyn Connection> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it was bound");
        let shared = Arc::new(Shared { state: Mutex::new((mood, vec![])), came: Condvar::new() });
        let receiver = Self { address, shared };
        let accepting = receiver.clone();
        let wrap = Arc::new(wrap);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (receiver, wrap) = (accepting.clone(), Arc::clone(&wrap));
                // A connection ends as its client likes.
                thread::spawn(move || receiver.serve(wrap(stream)));
            }
        });
        receiver
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it does this.
    pub fn set(&self, mood: Mood) {
        self.state().0 = mood;
    }

    /// All it was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().1.clone()
    }

    /// Waits until it has been sent something for which this is true.
    pub fn wait_for(&self, mut is_it: impl FnMut(&[Sent]) -> bool) -> Vec<Sent> {
        let state = self.state();
        let waited = self.shared.came.wait_timeout_while(state, PATIENCE, |state| !is_it(&state.1));
        let (state, timeout) = waited.expect("nobody panics with it");
        assert!(!timeout.timed_out(), "expected other events, found {:#?}", state.1);
        state.1.clone()
    }

    fn state(&self) -> MutexGuard<'_, (Mood, Vec<Sent>)> {
        self.shared.state.lock().expect("nobody panics with it")
    }

    fn serve(&self, stream: Box<dyn Connection>) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let (head, body) = received(&mut reader)?;
            let mut sent = Sent { head, document: Value::Null, mood: Mood::Hang };
            sent.document = serde_json::from_slice(&body).ok()?;
            let mood = {
                let mut state = self.state();
                sent.mood = state.0;
                state.1.push(sent);
                state.0
            };
            self.shared.came.notify_all();
            match mood {
                Mood::Answer(status) => {
                    let stream = reader.get_mut();
                    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok").ok()?;
                    stream.flush().ok()?;
                }
                // Until the client has had enough.
                Mood::Hang => return reader.read_line(&mut String::new()).ok().map(|_| ()),
            }
        }
    }
}
