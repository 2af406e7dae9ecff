//! [`SessionStaged`]: an upload session, as a request goes on with it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::Bucket;
use super::assemble::Bytewise;
use super::fault::{Cause, Failure};
use super::options::{LARGEST_PUT, SMALLEST_PART};
use super::read;
use super::record::{Piece, RECORDS, Record, SEGMENTS, record_name, record_of, token_of};
use super::requests::{Condition, Outcome, Source};
use super::writer::Writer;
use crate::backend::{
    Error, ErrorKind, Key, OpenSession, Promotion, Result, SessionKeys, Staged, Tip,
};

/// So many small pieces at the end are put together in the next record: a client that sends byte by byte would else
/// make records that name each of them, and a blob of as many reads.
const MOST_SMALL: usize = 32;

/// See the [module](self) and [`Record`] for how a session is kept.
pub(super) struct SessionStaged {
    bucket: Arc<Bucket>,
    keys: SessionKeys,
    /// The latest record that vouches for a beginning of the bytes.
    base: Option<(String, Record)>,
    /// How many records came before the next.
    depth: u32,
    /// Where the bytes are that have been stored.
    pieces: Vec<Piece>,
    /// Those of one record, which came with it.
    inline: Option<(String, Bytes)>,
    /// The bytes behind them.
    pending: Writer,
}

impl fmt::Debug for SessionStaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionStaged({} bytes in {})", self.length(), self.keys.root)
    }
}

/// Begins a session, or goes on with one.
pub(super) async fn open(
    bucket: &Arc<Bucket>,
    keys: &SessionKeys,
    open: OpenSession,
) -> Result<SessionStaged> {
    let mut session = SessionStaged {
        pending: Writer::new(bucket.clone(), segment_name(bucket, keys)),
        bucket: bucket.clone(),
        keys: keys.clone(),
        base: None,
        depth: 0,
        pieces: Vec::new(),
        inline: None,
    };
    let name = match open {
        OpenSession::New => return Ok(session),
        OpenSession::Resume(Some(Tip { token: Some(token), .. })) => record_of(&token),
        OpenSession::Resume(_) => session.latest().await.map_err(|f| f.at(&keys.root))?,
    };
    let record = match name {
        Some(name) => session.load(&name).await.map_err(|failure| failure.at(&keys.root))?,
        None => None,
    };
    match record {
        Some(record) => {
            session.go_on_from(record);
            Ok(session)
        }
        None => Err(Error::new(ErrorKind::NotFound, "resume session").at(&keys.root)),
    }
}

/// A record as it was read.
struct Loaded {
    name: String,
    record: Record,
    /// Where the bytes are that are stored with it, if there are any.
    own: Option<Piece>,
}

impl SessionStaged {
    /// The name of the latest record, and of several the longest.
    async fn latest(&self) -> Outcome<Option<String>> {
        let place = self.name("");
        let page = self.bucket.requests.list(&format!("{place}{RECORDS}"), None, None, 1).await?;
        let first = page.objects.into_iter().next();
        Ok(first.and_then(|(name, _)| Some(name.strip_prefix(&place)?.to_owned())))
    }

    async fn load(&self, name: &str) -> Outcome<Option<Loaded>> {
        let object = self.name(name);
        let answer = match self.bucket.requests.get(&object, None, None).await {
            Ok(answer) => answer,
            Err(failure) if failure.is(Cause::NoSuchKey) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let etag = answer.e_tag.unwrap_or_default();
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let length = length.unwrap_or_default();
        let source = Source { name: object, etag: etag.clone() };
        let bytes = read::collect(&self.bucket, &source, 0..length, answer.body).await?;
        let Some((record, start)) = Record::parse(&bytes) else {
            let reason = format!("{name} is not a record of an upload session");
            return Err(Failure::here("resume session", Cause::Other, reason));
        };
        let length = record.inline.len() as u64;
        let own = Piece { object: name.to_owned(), start, length, etag, whole: false };
        let own = Some(own).filter(|_| length > 0);
        Ok(Some(Loaded { name: name.to_owned(), record, own }))
    }

    fn go_on_from(&mut self, loaded: Loaded) {
        let Loaded { name, record, own } = loaded;
        self.depth = record.depth.saturating_add(1);
        self.pieces.clone_from(&record.pieces);
        if let Some(own) = own {
            self.inline = Some((name.clone(), record.inline.clone()));
            self.pieces.push(own);
        }
        self.base = Some((name, record));
    }

    /// The name of an object below the session's place for records.
    fn name(&self, below: &str) -> String {
        format!("{}{below}", self.bucket.names.prefix_of(&self.keys.record))
    }

    fn stored(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    fn length(&self) -> u64 {
        self.stored() + self.pending.length()
    }

    fn anew(&self) -> Writer {
        Writer::new(self.bucket.clone(), segment_name(&self.bucket, &self.keys))
    }

    /// Bytes at the end that are stored in pieces too small to be parts of the object.
    fn small(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().rev().take_while(|piece| piece.length < SMALLEST_PART)
    }

    async fn take(&mut self, bytes: Bytes) -> Outcome<()> {
        let small: u64 = self.small().map(|piece| piece.length).sum();
        let pending = self.pending.length();
        let together = small + pending + bytes.len() as u64;
        if small > 0 && pending < SMALLEST_PART && together >= SMALLEST_PART {
            self.take_small_up().await?;
        }
        self.pending.append(bytes).await
    }

    /// Puts the small pieces at the end before the pending bytes, so that together they become a piece that can be a
    /// part. So every byte is written to the session at most twice.
    async fn take_small_up(&mut self) -> Outcome<()> {
        let count = self.small().count();
        let small = self.pieces.split_off(self.pieces.len() - count);
        let sources: Vec<Bytewise> = small.iter().map(|piece| self.bytewise(piece)).collect();
        let front = self.bucket.gather(&sources).await?;
        let behind = Bytes::copy_from_slice(self.pending.in_memory().unwrap_or_default());
        self.pending = self.anew();
        self.pending.append(front).await?;
        self.pending.append(behind).await
    }

    fn bytewise(&self, piece: &Piece) -> Bytewise {
        // What came with the record need not be read once more.
        if let Some((name, inline)) = &self.inline
            && *name == piece.object
            && piece.length <= inline.len() as u64
        {
            return Bytewise::Here(inline.slice(..piece.length as usize));
        }
        let source = Source { name: self.name(&piece.object), etag: piece.etag.clone() };
        Bytewise::Stored(source, piece.start..piece.start + piece.length)
    }

    /// Makes the pending bytes a piece, if they are enough for one or have been sent in part already.
    async fn seal(&mut self) -> Outcome<()> {
        if self.pending.length() == 0
            || self.pending.in_memory().is_some() && self.pending.length() < SMALLEST_PART
        {
            return Ok(());
        }
        let etag = self.pending.finish(&Condition::Always).await?;
        let anew = self.anew();
        let written = std::mem::replace(&mut self.pending, anew);
        let object = written.name().rsplit('/').next().unwrap_or_default().to_owned();
        let length = written.length();
        self.pieces.push(Piece { object, start: 0, length, etag, whole: true });
        Ok(())
    }

    /// Order: the object with the new bytes, if they are many → the record. A crash leaves the object, which the end
    /// of the session takes away.
    async fn keep(&mut self, note: Bytes) -> Outcome<Tip> {
        if self.small().count() >= MOST_SMALL && self.pending.in_memory().is_some() {
            self.take_small_up().await?;
        }
        self.seal().await?;
        let inline = Bytes::copy_from_slice(self.pending.in_memory().unwrap_or_default());
        let record = Record {
            parent: self.base.as_ref().map(|(name, _)| name.clone()),
            depth: self.depth,
            note,
            pieces: self.pieces.clone(),
            inline,
        };
        let name = record_name(record.depth, record.end(), self.bucket.random.bytes());
        let (bytes, start) = record.to_bytes();
        let etag = self.bucket.requests.put(&self.name(&name), &bytes, &Condition::Always).await?;
        self.pending = self.anew();
        let length = record.inline.len() as u64;
        let own = Piece { object: name.clone(), start, length, etag, whole: false };
        let own = Some(own).filter(|_| length > 0);
        self.go_on_from(Loaded { name, record, own });
        Ok(self.tip())
    }

    /// The latest record that vouches for no more than so many bytes.
    async fn vouching_for(&self, offset: u64) -> Outcome<Option<(String, Record)>> {
        let mut at = self.base.clone();
        while let Some((_, record)) = at.as_ref().filter(|(_, record)| record.end() > offset) {
            at = match &record.parent {
                Some(parent) => {
                    let loaded = self.load(parent).await?;
                    loaded.map(|loaded| (loaded.name, loaded.record))
                }
                None => None,
            };
        }
        Ok(at)
    }

    async fn cut(&mut self, offset: u64) -> Outcome<()> {
        let stored = self.stored();
        if offset >= stored && self.pending.in_memory().is_some() {
            self.pending.truncate(usize::try_from(offset - stored).unwrap_or(usize::MAX));
            return Ok(());
        }
        if offset >= stored {
            // Some have been sent already, and those cannot be cut.
            self.seal().await?;
        }
        self.base = self.vouching_for(offset).await?;
        self.pending = self.anew();
        let mut left = offset;
        self.pieces.retain_mut(|piece| {
            piece.whole &= piece.length <= left;
            piece.length = piece.length.min(left);
            left -= piece.length;
            piece.length > 0
        });
        Ok(())
    }

    /// Makes the bytes an object, under a condition.
    async fn make(&self, name: &str, condition: &Condition) -> Outcome<()> {
        let mut pieces: Vec<Bytewise> =
            self.pieces.iter().map(|piece| self.bytewise(piece)).collect();
        let pending = self.pending.in_memory().unwrap_or_default();
        if !pending.is_empty() {
            pieces.push(Bytewise::Here(Bytes::copy_from_slice(pending)));
        }
        match self.way() {
            Way::Put => {
                let bytes = self.bucket.gather(&pieces).await?;
                self.bucket.requests.put(name, &bytes, condition).await.map(|_| ())
            }
            Way::Copy => match pieces.as_slice() {
                [Bytewise::Stored(source, range)] => {
                    self.bucket.requests.copy(source, range.end, name, condition).await
                }
                _ => self.bucket.assemble(pieces, name, condition).await,
            },
            Way::Assemble => self.bucket.assemble(pieces, name, condition).await,
        }
    }

    /// How the bytes become an object, with the fewest requests that pass no more than a few of them through us.
    fn way(&self) -> Way {
        let length = self.length();
        match self.pieces.as_slice() {
            [] => Way::Put,
            _ if length < SMALLEST_PART => Way::Put,
            // The whole of one segment.
            [piece]
                if piece.whole
                    && piece.length == length
                    && length <= self.bucket.copy_threshold.min(LARGEST_PUT) =>
            {
                Way::Copy
            }
            _ => Way::Assemble,
        }
    }
}

/// How the bytes of a session become an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In one request, through us.
    Put,
    /// By one copy within the server.
    Copy,
    /// By copies of parts within the server.
    Assemble,
}

#[async_trait]
impl Staged for SessionStaged {
    fn tip(&self) -> Tip {
        let token = self.base.as_ref().map(|(name, _)| token_of(name).to_owned());
        Tip { offset: self.length(), token }
    }

    fn is_promoted(&self) -> bool {
        false
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.take(bytes).await.map_err(|failure| failure.at(&self.keys.root))
    }

    async fn persist(&mut self, note: Bytes, _copy: &Key) -> Result<Tip> {
        self.keep(note).await.map_err(|failure| failure.at(&self.keys.root))
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        let found = self.vouching_for(offset).await;
        let found = found.map_err(|failure| failure.at(&self.keys.root))?;
        Ok(found.map(|(_, record)| (record.end(), record.note)))
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        self.cut(offset).await.map_err(|failure| failure.at(&self.keys.root))
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        if self.pending.in_memory().is_none() {
            self.seal().await.map_err(|failure| failure.at(&self.keys.root))?;
        }
        let (mut parts, mut skip) = (Vec::new(), from);
        let pending = Bytes::copy_from_slice(self.pending.in_memory().unwrap_or_default());
        let pieces = self.pieces.iter().map(|piece| self.bytewise(piece));
        for mut piece in pieces.chain([Bytewise::Here(pending)]) {
            let skipped = skip.min(piece.length());
            skip -= skipped;
            let _ = piece.split_to(skipped);
            if piece.length() > 0 {
                parts.push(piece);
            }
        }
        let (bucket, root) = (self.bucket.clone(), self.keys.root.clone());
        let streams = stream::iter(parts).flat_map(move |part| match part {
            Bytewise::Here(bytes) => stream::iter(read::in_parts(bytes).map(Ok)).boxed(),
            Bytewise::Stored(source, range) => read::stream(&bucket, source, range),
        });
        Ok(streams.map_err(move |failure| failure.at(&root)).boxed())
    }

    /// One effect: the put, the copy, or the completion of an upload.
    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let staged = self.length();
        if staged != size {
            let reason = format!("expected {size} bytes, found {staged} staged");
            return Err(Error::new(ErrorKind::Io, "promote").at(&self.keys.root).because(reason));
        }
        if self.pending.in_memory().is_none() {
            self.seal().await.map_err(|failure| failure.at(&self.keys.root))?;
        }
        let (way, abilities) = (self.way(), self.bucket.abilities);
        let is_conditional = match way {
            Way::Put => abilities.put_if_absent,
            Way::Copy => abilities.copy_if_absent,
            Way::Assemble => abilities.complete_if_absent,
        };
        let (name, this) = (self.bucket.names.of(to), &*self);
        let make = |condition: Condition| {
            let name = name.clone();
            async move { this.make(&name, &condition).await }.boxed()
        };
        self.bucket.place(to, size, is_conditional, way != Way::Put, make).await
    }

    /// Order: the mark → all else below the session. A crash leaves what expires.
    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { bucket, keys, pending, .. } = *self;
        pending.give_up().await;
        let discarded = async {
            bucket.requests.delete(&bucket.names.of(&keys.mark)).await?;
            bucket.delete_below(&bucket.names.prefix_of(&keys.root), None).await
        };
        discarded.await.map_err(|failure| failure.at(&keys.root))
    }
}

/// A name of its own for what a request writes to a session.
fn segment_name(bucket: &Bucket, keys: &SessionKeys) -> String {
    format!("{}{SEGMENTS}{}", bucket.names.prefix_of(&keys.record), bucket.random_name())
}
