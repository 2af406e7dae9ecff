//! [`Upload`]: an upload session as the client that pushes through it knows it.

use crate::acknowledged::check::After;
use crate::acknowledged::content::Content;
use crate::acknowledged::cutting::Cut;
use crate::acknowledged::facts::Fact;
use crate::acknowledged::pusher::{OCTETS, Pusher, expect};
use crate::acknowledged::wire::{Body, Request};
use crate::plain_http::Answer;

/// An upload session as the client that pushes through it knows it.
#[derive(Clone, Debug)]
pub struct Upload {
    name: String,
    content: Content,
    location: String,
    /// So many bytes were acknowledged.
    acknowledged: usize,
    /// No more than so many were sent.
    sent: usize,
    ending: Ending,
}

/// What was asked for last and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Put,
    Cancel,
}

impl Upload {
    fn is_settled(&self) -> bool {
        self.acknowledged == self.sent && self.ending == Ending::No
    }
}

impl Pusher {
    /// Begins a session, which becomes the last of the ledger's.
    pub(super) fn begin(&mut self, name: &str, content: Content, query: &str) -> Result<(), Cut> {
        let target = format!("/v2/{name}/blobs/uploads/{query}");
        let answer = expect(202, self.post("POST of a session", &target, Body::Whole(b""))?);
        self.note_begun(name, content, &answer);
        Ok(())
    }

    pub(super) fn note_begun(&mut self, name: &str, content: Content, answer: &Answer) {
        self.ledger.sessions.push(Upload {
            name: name.to_owned(),
            content,
            location: location(answer),
            acknowledged: 0,
            sent: 0,
            ending: Ending::No,
        });
    }

    /// Sends a part of the session's content.
    pub(super) fn append(&mut self, session: usize, length: usize) -> Result<(), Cut> {
        let Upload { content, location, acknowledged, .. } = self.ledger.sessions[session].clone();
        let part = &content.bytes()[acknowledged..acknowledged + length];
        let range = format!(
            "{OCTETS}Content-Range: {acknowledged}-{}\r\n",
            acknowledged + length.saturating_sub(1)
        );
        // A chunk that says where it belongs, or a stream that is added at the end.
        let (headers, body) = match self.chance.one_in(2) {
            true => (range.as_str(), Body::Whole(part)),
            false => (OCTETS, Body::Chunked(part)),
        };
        let request = Request { method: "PATCH", target: &location, headers, body };
        let answer = self.ask("PATCH", request);
        let handed = self.handed;
        let upload = &mut self.ledger.sessions[session];
        upload.sent = acknowledged + handed;
        let answer = expect(202, answer?);
        upload.acknowledged = upload.sent;
        upload.location = location_at(&answer, upload.acknowledged);
        Ok(())
    }

    /// Sends the head of a PATCH of the last session and half of what it announces, and keeps the connection without
    /// another word.
    pub fn begin_to_append(&mut self) {
        let session = self.ledger.sessions.len() - 1;
        let upload = &mut self.ledger.sessions[session];
        let bytes = upload.content.bytes();
        let body = Body::Whole(&bytes[upload.acknowledged..]);
        let request = Request { method: "PATCH", target: &upload.location, headers: OCTETS, body };
        let length = body.content().len() / 2;
        upload.sent = upload.acknowledged + length;
        let begun = self.wires[0].begin(request, length).expect("the server reads");
        self.unfinished.push(begun);
    }

    /// Sends what is missing, and makes the whole a blob.
    pub(super) fn finish(&mut self, session: usize) -> Result<(), Cut> {
        let upload = &mut self.ledger.sessions[session];
        upload.ending = Ending::Put;
        let Upload { name, content, location, acknowledged, .. } = upload.clone();
        let (bytes, digest) = (content.bytes(), content.digest());
        let rest = &bytes[acknowledged..];
        let target = format!("{location}&digest={digest}");
        let chunked = self.chance.one_in(2);
        let body = if chunked { Body::Chunked(rest) } else { Body::Whole(rest) };
        self.ledger.blob_being_made(&name, digest);
        let request = Request { method: "PUT", target: &target, headers: OCTETS, body };
        let answer = self.ask_last("PUT of a blob", request);
        self.ledger.sessions[session].sent = acknowledged + self.handed;
        let answer = expect(201, answer?);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
        self.ledger.blob(&name, digest, Fact::There);
        self.ledger.sessions.remove(session);
        self.figures.others += 1;
        Ok(())
    }

    /// Ends a session of which nothing is open.
    pub(super) fn cancel(&mut self) -> Result<(), Cut> {
        let settled = |&at: &usize| self.ledger.sessions[at].is_settled();
        let settled: Vec<_> = (0..self.ledger.sessions.len()).filter(settled).collect();
        let Some(session) = self.chance.pick(&settled) else {
            return self.park();
        };
        self.ledger.sessions[session].ending = Ending::Cancel;
        let target = self.ledger.sessions[session].location.clone();
        let request = Request { method: "DELETE", target: &target, headers: "", body: NOTHING };
        expect(204, self.ask("DELETE of a session", request)?);
        self.ledger.sessions.remove(session);
        self.ledger.cancelled.push(target);
        Ok(())
    }

    /// Leaves a session with a beginning of its content.
    pub fn park(&mut self) -> Result<(), Cut> {
        let (name, content) = (self.name(), self.layer());
        self.begin(&name, content, "")?;
        let session = self.ledger.sessions.len() - 1;
        for _ in 0..self.chance.below(3) {
            let left = content.length - self.ledger.sessions[session].acknowledged;
            let length = 1 + self.chance.below(left.div_ceil(2));
            self.append(session, length.min(left))?;
        }
        Ok(())
    }

    /// Goes on with a session, whatever was open of it, to the end.
    pub(super) fn go_on(&mut self, session: usize) -> Result<(), Cut> {
        if !self.take_up(session)? {
            return Ok(());
        }
        let Upload { content, acknowledged, .. } = self.ledger.sessions[session];
        let left = content.length - acknowledged;
        if left > 1 && self.chance.one_in(2) {
            let length = 1 + self.chance.below(left - 1);
            self.append(session, length)?;
        }
        self.finish(session)?;
        self.figures.resumed += 1;
        Ok(())
    }

    /// Asks how far a session is. `false` if it has ended, and then it is no longer in the ledger.
    pub(super) fn take_up(&mut self, session: usize) -> Result<bool, Cut> {
        let upload = self.ledger.sessions[session].clone();
        let request =
            Request { method: "GET", target: &upload.location, headers: "", body: NOTHING };
        let answer = self.ask("GET of a session", request)?;
        self.figures.sessions += 1;
        self.figures.interrupted += u64::from(!upload.is_settled());
        if answer.status == 404 {
            return self.take_up_ended(session, &upload).map(|()| false);
        }
        let answer = expect(204, answer);
        let offset = offset(&answer);
        let least = if self.after == After::Kill { upload.acknowledged } else { 0 };
        if offset < least || offset > upload.sent {
            self.lost(&format!("a session at {offset}, expected {least} to {}", upload.sent));
            self.ledger.sessions.remove(session);
            return Ok(false);
        }
        let upload = &mut self.ledger.sessions[session];
        upload.location = location_at(&answer, offset);
        (upload.acknowledged, upload.sent, upload.ending) = (offset, offset, Ending::No);
        Ok(true)
    }

    /// A session that is not known any more has become its blob, or can become nothing else.
    fn take_up_ended(&mut self, session: usize, upload: &Upload) -> Result<(), Cut> {
        match (upload.ending, self.after) {
            (Ending::Cancel, _) | (Ending::No, After::Power) => {}
            (Ending::No, After::Kill) => self.lost(&format!("the session {}", upload.location)),
            (Ending::Put, _) => {
                let digest = upload.content.digest();
                let target = format!("{}&digest={digest}", upload.location);
                let request =
                    Request { method: "PUT", target: &target, headers: OCTETS, body: NOTHING };
                let again = self.ask_last("PUT of a blob", request)?;
                if again.status != 201 {
                    expect(404, again);
                }
                self.ledger.blob(&upload.name, digest, Fact::There);
                let found = self.get(&format!("/v2/{}/blobs/{digest}", upload.name))?;
                if found.status != 200 || found.body != upload.content.bytes() {
                    self.lost(&format!("the blob {digest} of a session that has ended"));
                }
                self.figures.resumed += 1;
            }
        }
        self.ledger.sessions.remove(session);
        Ok(())
    }
}

const NOTHING: Body<'_> = Body::Whole(b"");

/// Where the session goes on. It names the offset, which tells nothing from one byte, as `Range` does not.
fn location(answer: &Answer) -> String {
    answer.header("location").expect("an address to go on at").to_owned()
}

fn offset(answer: &Answer) -> usize {
    let location = location(answer);
    let (_, offset) = location.split_once("_offset=").expect("an address with an offset");
    offset.parse().expect("an offset is a number")
}

/// The same, where the offset is known. `Range` agrees.
#[track_caller]
fn location_at(answer: &Answer, expected: usize) -> String {
    assert_eq!(offset(answer), expected, "{:?}", answer.headers);
    let range = format!("0-{}", expected.saturating_sub(1));
    assert_eq!(answer.header("range"), Some(range.as_str()));
    location(answer)
}
