//! How objects are put together within the server, from pieces of others.

use std::ops::Range;

use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::Bucket;
use super::options::{LARGEST_PUT, SMALLEST_PART};
use super::read;
use super::requests::{Condition, Outcome, Source};

/// Bytes that an object is to have.
#[derive(Clone, Debug)]
pub(super) enum Bytewise {
    /// Those of another object.
    Stored(Source, Range<u64>),
    /// These.
    Here(Bytes),
}

impl Bytewise {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Stored(_, range) => range.end - range.start,
            Self::Here(bytes) => bytes.len() as u64,
        }
    }

    /// Takes so many bytes off the front.
    pub(super) fn split_to(&mut self, length: u64) -> Self {
        match self {
            Self::Stored(source, range) => {
                let front = range.start..range.start + length;
                range.start += length;
                Self::Stored(source.clone(), front)
            }
            Self::Here(bytes) => Self::Here(bytes.split_to(length as usize)),
        }
    }
}

/// How a part comes about.
#[derive(Clone, Debug)]
enum Part {
    /// By a copy within the server.
    Copied(Source, Range<u64>),
    /// Through us: pieces that are too small to be parts.
    Gathered(Vec<Bytewise>),
}

impl Bucket {
    /// Makes an object of pieces: those that can be parts are copied within the server, several at a time; of those
    /// too small, some 10 MiB at a time pass through us.
    ///
    /// Order: an upload → its parts → its completion, the one effect that is visible. A failure aborts the upload;
    /// a crash leaves it to expiry.
    pub(super) async fn assemble(
        &self,
        mut pieces: Vec<Bytewise>,
        name: &str,
        condition: &Condition,
    ) -> Outcome<()> {
        let mut beside = Vec::new();
        let made = async {
            if pieces.len() > self.plain_parts.into() {
                pieces = self.grouped(pieces, &mut beside).await?;
            }
            self.join(pieces, name, condition).await.map(|_| ())
        };
        let made = made.await;
        // Litter if it stays.
        let _ = self.requests.delete_all(&beside).await;
        made
    }

    /// Makes an object of pieces that are few enough to be parts, and tells its ETag.
    async fn join(
        &self,
        pieces: Vec<Bytewise>,
        name: &str,
        condition: &Condition,
    ) -> Outcome<String> {
        let length = pieces.iter().map(Bytewise::length).sum();
        let upload = self.requests.create_upload(name).await?;
        let made = async {
            let plan = plan(pieces, self.copy_part_size(length));
            let parts = self.parts(plan, name, &upload).await?;
            self.complete(name, &upload, &parts, length, condition).await
        };
        let made = made.await;
        if made.is_err() {
            self.abort(name, &upload).await;
        }
        made
    }

    /// Many pieces as few, as many of them together as an upload has plain parts, each at a name of its own, which is
    /// added to `beside`.
    async fn grouped(
        &self,
        pieces: Vec<Bytewise>,
        beside: &mut Vec<String>,
    ) -> Outcome<Vec<Bytewise>> {
        let mut grouped = Vec::new();
        for group in pieces.chunks(self.plain_parts.into()) {
            let name = self.temporary_name();
            beside.push(name.clone());
            let length = group.iter().map(Bytewise::length).sum();
            let etag = self.join(group.to_vec(), &name, &Condition::Always).await?;
            grouped.push(Bytewise::Stored(Source { name, etag }, 0..length));
        }
        Ok(grouped)
    }

    async fn parts(
        &self,
        plan: Vec<Part>,
        name: &str,
        upload: &str,
    ) -> Outcome<Vec<CompletedPart>> {
        let making = (1i32..).zip(plan).map(|(number, part)| async move {
            match part {
                Part::Copied(source, range) => {
                    self.requests.copy_part(name, upload, number, &source, &range).await
                }
                Part::Gathered(pieces) => {
                    let _alone = self.gathering.acquire().await;
                    let bytes = self.gather(&pieces).await?;
                    self.requests.upload_part(name, upload, number, &bytes).await
                }
            }
        });
        // Collected first: a lazy iterator of futures with borrows does not pass for one that can be sent.
        let making: Vec<_> = making.collect();
        stream::iter(making).buffered(self.copy_concurrency).try_collect().await
    }

    /// Reads pieces, which are few bytes together.
    pub(super) async fn gather(&self, pieces: &[Bytewise]) -> Outcome<Bytes> {
        if let [Bytewise::Here(bytes)] = pieces {
            return Ok(bytes.clone());
        }
        let mut gathered = BytesMut::new();
        for piece in pieces {
            match piece {
                Bytewise::Here(bytes) => gathered.extend_from_slice(bytes),
                Bytewise::Stored(source, range) => {
                    gathered.extend_from_slice(&read::whole(self, source, range.clone()).await?);
                }
            }
        }
        Ok(gathered.freeze())
    }

    /// Bytes of a part that is copied, at least, such that there are not too many.
    fn copy_part_size(&self, length: u64) -> u64 {
        let least = length / u64::from(self.plain_parts);
        self.copy_part_size.max(least).min(LARGEST_PUT / 2)
    }
}

/// How pieces become parts: each of at least 5 MiB but the last, as S3 asks for, and those that are copied of `size`
/// at least, where they are as long.
fn plan(pieces: Vec<Bytewise>, size: u64) -> Vec<Part> {
    let mut plan = Vec::new();
    let mut gathered: Vec<Bytewise> = Vec::new();
    let mut bytes = 0;
    for mut piece in pieces {
        if piece.length() == 0 {
            continue;
        }
        let here = matches!(piece, Bytewise::Here(_));
        let wanted = SMALLEST_PART - bytes;
        // What would be left over behind it were too little to be copied.
        let whole = here || piece.length() < wanted + SMALLEST_PART;
        let is_plain = bytes == 0 && !here && piece.length() >= SMALLEST_PART;
        if !is_plain {
            let front = if whole { piece.length() } else { wanted };
            gathered.push(piece.split_to(front));
            bytes += front;
            if bytes >= SMALLEST_PART {
                plan.push(Part::Gathered(std::mem::take(&mut gathered)));
                bytes = 0;
            }
        }
        if let Bytewise::Stored(source, range) = piece
            && range.start < range.end
        {
            plan.extend(copies(&source, range, size));
        }
    }
    if !gathered.is_empty() {
        plan.push(Part::Gathered(gathered));
    }
    plan
}

/// Parts of a range, alike, each of `size` bytes at least if it is as long.
fn copies(source: &Source, range: Range<u64>, size: u64) -> impl Iterator<Item = Part> {
    let length = range.end - range.start;
    let count = (length / size).max(1);
    let at =
        move |n: u64| range.start + (u128::from(length) * u128::from(n) / u128::from(count)) as u64;
    (0..count).map(move |n| Part::Copied(source.clone(), at(n)..at(n + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn stored(name: usize, range: Range<u64>) -> Bytewise {
        Bytewise::Stored(Source { name: name.to_string(), etag: String::new() }, range)
    }

    fn spelled(piece: &Bytewise) -> (String, Range<u64>) {
        match piece {
            Bytewise::Stored(source, range) => (source.name.clone(), range.clone()),
            Bytewise::Here(bytes) => ("here".to_owned(), 0..bytes.len() as u64),
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_part_in_order_and_no_part_is_too_small(
            lengths in prop::collection::vec((0u64..40 * MIB, any::<bool>()), 0..12),
            size in 5 * MIB..30 * MIB,
        ) {
            let pieces: Vec<Bytewise> = lengths
                .iter()
                .enumerate()
                .map(|(n, &(length, is_small))| {
                    let length = if is_small { length / 16 } else { length };
                    stored(n, 7..7 + length)
                })
                .collect();
            let plan = plan(pieces.clone(), size);
            let flat: Vec<(String, Range<u64>)> = plan
                .iter()
                .flat_map(|part| match part {
                    Part::Copied(source, range) => vec![(source.name.clone(), range.clone())],
                    Part::Gathered(pieces) => pieces.iter().map(spelled).collect(),
                })
                .collect();
            let mut joined: Vec<(String, Range<u64>)> = Vec::new();
            for (name, range) in flat {
                match joined.last_mut() {
                    Some((last, before)) if *last == name && before.end == range.start => {
                        before.end = range.end;
                    }
                    _ => joined.push((name, range)),
                }
            }
            let expected: Vec<_> =
                pieces.iter().filter(|piece| piece.length() > 0).map(spelled).collect();
            prop_assert_eq!(joined, expected);

            let length = |part: &Part| match part {
                Part::Copied(_, range) => range.end - range.start,
                Part::Gathered(pieces) => pieces.iter().map(Bytewise::length).sum(),
            };
            let behind_the_last = plan.len().saturating_sub(1);
            for part in &plan[..behind_the_last] {
                prop_assert!(length(part) >= SMALLEST_PART, "{part:?}");
            }
            for part in &plan {
                match part {
                    Part::Copied(..) => prop_assert!(length(part) < 2 * size.max(SMALLEST_PART)),
                    Part::Gathered(_) => prop_assert!(length(part) < 3 * SMALLEST_PART),
                }
            }
        }
    }
}
