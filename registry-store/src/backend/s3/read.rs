//! How objects are read: as a stream that goes on where a connection broke off.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use super::Bucket;
use super::fault::{Cause, Failure};
use super::requests::{Outcome, Source};
use crate::backend::{Body, Error, ErrorKind, Key, Object, ReadRange, Result};

/// The longest part that is handed on.
const PART: usize = 1 << 20;
/// How often one read is taken up again without a byte in between.
pub(super) const ATTEMPTS: u32 = 4;
/// How long the server may send nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// Opens an object, or a part of it. See [`Backend::read`](crate::backend::Backend::read).
pub(super) async fn open(bucket: &Arc<Bucket>, key: &Key, range: ReadRange) -> Result<Object> {
    let name = bucket.names.of(key);
    let header = match range {
        ReadRange::Full => None,
        ReadRange::From(start) => Some(format!("bytes={start}-")),
        ReadRange::Bounded { start, end } if start < end => {
            Some(format!("bytes={start}-{}", end - 1))
        }
        ReadRange::Suffix(length) if length > 0 => Some(format!("bytes=-{length}")),
        // Not to be said in a header. It is still to be told whether the object is there.
        ReadRange::Bounded { .. } | ReadRange::Suffix(_) => {
            let found = bucket.requests.look_for(&name).await.map_err(|failure| failure.at(key))?;
            let kind =
                if found.is_some() { ErrorKind::RangeNotSatisfiable } else { ErrorKind::NotFound };
            return Err(Error::new(kind, "read").at(key));
        }
    };
    let answer =
        bucket.requests.get(&name, header, None).await.map_err(|failure| failure.at(key))?;
    // Some servers know no range of nothing, and answer with all of it, or with a range that makes no sense.
    if answer.content_length == Some(0) && range != ReadRange::Full {
        return Err(Error::new(ErrorKind::RangeNotSatisfiable, "read").at(key));
    }
    let (size, range) = described(&answer, range).ok_or_else(|| {
        let found = format!(
            "expected the bytes {range:?}, found {:?} of length {:?}",
            answer.content_range, answer.content_length
        );
        Error::new(ErrorKind::Io, "read").at(key).because(found)
    })?;
    let reading = Reading {
        bucket: bucket.clone(),
        source: Source { name, etag: answer.e_tag.unwrap_or_default() },
        range: range.clone(),
        body: Some(answer.body),
        rest: Bytes::new(),
    };
    let key = key.clone();
    let body = reading.into_stream().map_err(move |failure| failure.at(&key));
    Ok(Object { size, range, body: Body::Stream(body.boxed()) })
}

/// Bytes of an object that must be as it was, which are few enough to be held.
pub(super) async fn whole(bucket: &Bucket, source: &Source, range: Range<u64>) -> Outcome<Bytes> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let body = part(bucket, source, &range).await?;
    collect(bucket, source, range, body).await
}

/// The same, of which a first answer has come.
pub(super) async fn collect(
    bucket: &Bucket,
    source: &Source,
    range: Range<u64>,
    mut body: ByteStream,
) -> Outcome<Bytes> {
    let length = range.end - range.start;
    let mut whole = BytesMut::new();
    for _ in 0..ATTEMPTS {
        while let Ok(Some(Ok(bytes))) = timeout(SILENCE, body.next()).await {
            whole.extend_from_slice(&bytes);
        }
        if whole.len() as u64 == length {
            return Ok(whole.freeze());
        }
        if whole.len() as u64 > length {
            break;
        }
        body = part(bucket, source, &(range.start + whole.len() as u64..range.end)).await?;
    }
    let reason = format!("expected {length} bytes, found {} before the end", whole.len());
    Err(Failure::here("read", Cause::Unavailable, reason))
}

async fn part(bucket: &Bucket, source: &Source, range: &Range<u64>) -> Outcome<ByteStream> {
    let header = format!("bytes={}-{}", range.start, range.end - 1);
    let etag = Some(source.etag.clone()).filter(|etag| !etag.is_empty());
    let answer = bucket.requests.get(&source.name, Some(header), etag).await?;
    let asked = ReadRange::Bounded { start: range.start, end: range.end };
    match described(&answer, asked) {
        Some((_, found)) if found == *range => Ok(answer.body),
        // Whoever ignores what part was asked for would have others put in its place.
        _ => {
            let found = &answer.content_range;
            let reason = format!("expected the bytes {range:?}, found {found:?}");
            Err(Failure::here("read", Cause::Other, reason))
        }
    }
}

/// Bytes of an object that must be as it was, as a stream.
pub(super) fn stream(
    bucket: &Arc<Bucket>,
    source: Source,
    range: Range<u64>,
) -> BoxStream<'static, Outcome<Bytes>> {
    let reading = Reading { bucket: bucket.clone(), source, range, body: None, rest: Bytes::new() };
    reading.into_stream()
}

/// Bytes as parts that are not too long.
pub(super) fn in_parts(mut bytes: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || {
        let part = bytes.split_to(bytes.len().min(PART));
        (!part.is_empty()).then_some(part)
    })
}

/// The size of the object and which bytes are sent, as the answer tells; `None` if that is not what was asked for.
fn described(answer: &GetObjectOutput, asked: ReadRange) -> Option<(u64, Range<u64>)> {
    let length = u64::try_from(answer.content_length?).ok()?;
    match (&answer.content_range, asked) {
        (None, ReadRange::Full) => Some((length, 0..length)),
        (None, _) => None,
        (Some(text), _) => {
            let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            let size: u64 = size.parse().ok()?;
            let range = first..last.checked_add(1)?;
            (asked.within(size) == Some(range.clone()) && range.end - range.start == length)
                .then_some((size, range))
        }
    }
}

/// A read under way.
struct Reading {
    bucket: Arc<Bucket>,
    source: Source,
    /// What is still to come.
    range: Range<u64>,
    body: Option<ByteStream>,
    /// What has come and was not handed on yet.
    rest: Bytes,
}

impl Reading {
    fn into_stream(self) -> BoxStream<'static, Outcome<Bytes>> {
        let parts = stream::try_unfold(self, |mut reading| async move {
            Ok(reading.next().await?.map(|part| (part, reading)))
        });
        parts.boxed()
    }

    /// The next part; `None` at the end.
    ///
    /// Where the connection breaks off the rest is asked for anew, on the condition that it is the same object.
    async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            if !self.rest.is_empty() {
                let part = self.rest.split_to(self.rest.len().min(PART));
                return Ok(Some(part));
            }
            if self.range.is_empty() {
                return Ok(None);
            }
            let mut body = match self.body.take() {
                Some(body) => body,
                None => part(&self.bucket, &self.source, &self.range).await?,
            };
            match timeout(SILENCE, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    let wanted = self.range.end - self.range.start;
                    let bytes = bytes
                        .slice(..bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)));
                    self.range.start += bytes.len() as u64;
                    self.rest = bytes;
                    self.body = Some(body);
                }
                Ok(Some(Err(error))) => failed = Some(error.to_string()),
                Ok(None) => failed = Some("the answer ended before its time".to_owned()),
                Err(_) => failed = Some(format!("not a byte for {SILENCE:?}")),
            }
        }
        if !self.rest.is_empty() {
            return Ok(Some(self.rest.split_to(self.rest.len().min(PART))));
        }
        let reason = failed.unwrap_or_else(|| "nothing but empty parts came".to_owned());
        Err(Failure::here("read", Cause::Unavailable, reason))
    }
}
