//! [`Writer`]: an object that is written while its bytes arrive.
//!
//! Bytes are gathered to parts of one size; up to three of them are on their way while another fills. What is not
//! longer than one part is put in one request. So a writer holds at most four parts, for an object of any size,
//! and one that is written beside it (see below) as many.
//!
//! S3 takes at most 10,000 parts. The first 5,000 are as they come ([`S3Options::plain_parts`]); from there on the bytes
//! go to an object beside, and of every 4 GiB of it the server makes one part: 20 TiB in all, with parts of 10 MiB.
//!
//! [`S3Options::plain_parts`]: super::S3Options::plain_parts

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::Bucket;
use super::fault::{Cause, Failure};
use super::requests::{Condition, Outcome, Source};

/// Parts that are on their way at once.
const ON_THEIR_WAY: usize = 3;
/// What a writer may hold without asking for room: many that hold so little are little.
const UNCOUNTED: usize = 256 << 10;

/// See the [module](self).
pub(super) struct Writer {
    bucket: Arc<Bucket>,
    name: String,
    filling: BytesMut,
    /// What was filling when it was first tried to be put whole.
    whole: Bytes,
    /// Room in memory for what is filling.
    room: Option<OwnedSemaphorePermit>,
    upload: Option<String>,
    /// Parts on their way. Each gives its room back when it has arrived, whether or not this goes on.
    on_their_way: JoinSet<Outcome<CompletedPart>>,
    parts: Vec<CompletedPart>,
    /// The number of the next part.
    next: i32,
    /// Behind the plain parts: an object beside, that becomes one part.
    beside: Option<Box<Self>>,
    length: u64,
    /// Some of its bytes could not be written. What is left of it must not become an object.
    is_broken: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} bytes of {})", self.length, self.name)
    }
}

impl Writer {
    /// Begins nothing yet. Dropping it gives up what it has begun.
    pub(super) fn new(bucket: Arc<Bucket>, name: String) -> Self {
        Self {
            bucket,
            name,
            filling: BytesMut::new(),
            whole: Bytes::new(),
            room: None,
            upload: None,
            on_their_way: JoinSet::new(),
            parts: Vec::new(),
            next: 1,
            beside: None,
            length: 0,
            is_broken: false,
        }
    }

    /// The name of the object.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of bytes so far.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// All bytes, as long as none of them has been sent.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        let bytes: &[u8] = if self.whole.is_empty() { &self.filling } else { &self.whole };
        self.upload.is_none().then_some(bytes)
    }

    /// Cuts bytes off that have not been sent.
    pub(super) fn truncate(&mut self, length: usize) {
        self.fill_again();
        self.filling.truncate(length);
        self.length = self.filling.len() as u64;
    }

    /// Adds bytes at the end. May wait for room. After an error it is of no more use.
    pub(super) async fn append(&mut self, mut bytes: Bytes) -> Outcome<()> {
        self.expect_unbroken()?;
        self.fill_again();
        let part_size = self.bucket.part_size();
        while !bytes.is_empty() {
            if self.next > self.bucket.plain_parts.into() {
                return self.append_beside(bytes).await;
            }
            if self.room.is_none() && self.filling.len() + bytes.len() > UNCOUNTED {
                self.room = Some(self.find_room().await?);
                self.filling.reserve(part_size - self.filling.len());
            }
            let taken = bytes.split_to(bytes.len().min(part_size - self.filling.len()));
            self.filling.extend_from_slice(&taken);
            self.length += taken.len() as u64;
            if self.filling.len() == part_size {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Room for one part.
    ///
    /// Who waits for it holds none but what its parts on their way give back by themselves, and no lock. So each that
    /// holds some goes on as far as its client does.
    async fn find_room(&mut self) -> Outcome<OwnedSemaphorePermit> {
        while self.on_their_way.len() >= ON_THEIR_WAY {
            self.arrive().await?;
        }
        Ok(self.bucket.room_for_a_part().await)
    }

    /// Waits for a part that is on its way; `false` if there is none.
    async fn arrive(&mut self) -> Outcome<bool> {
        let Some(arrived) = self.on_their_way.join_next().await else { return Ok(false) };
        let part = match arrived {
            Ok(part) => part,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            Err(error) => Err(Failure::cut("upload a part", error)),
        };
        self.is_broken |= part.is_err();
        self.parts.push(part?);
        Ok(true)
    }

    /// What was to be put whole is added to, or cut, once more.
    fn fill_again(&mut self) {
        if !self.whole.is_empty() {
            self.filling = std::mem::take(&mut self.whole).into();
        }
    }

    /// Refuses what would leave bytes out.
    fn expect_unbroken(&self) -> Outcome<()> {
        if !self.is_broken {
            return Ok(());
        }
        let reason = "a part of it could not be written before".to_owned();
        Err(Failure::here("upload a part", Cause::Unavailable, reason))
    }

    /// Sends what has been gathered as a part, with the room that it has: what is too little to be counted has none.
    async fn send(&mut self) -> Outcome<()> {
        let upload = self.begin().await?;
        let room = self.room.take();
        let bytes = std::mem::take(&mut self.filling).freeze();
        let (bucket, name, number) = (self.bucket.clone(), self.name.clone(), self.next);
        self.next += 1;
        self.on_their_way.spawn(async move {
            let part = bucket.requests.upload_part(&name, &upload, number, &bytes).await;
            drop((bytes, room));
            part
        });
        Ok(())
    }

    async fn begin(&mut self) -> Outcome<String> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        let upload = self.bucket.requests.create_upload(&self.name).await?;
        self.upload = Some(upload.clone());
        Ok(upload)
    }

    fn append_beside(&mut self, bytes: Bytes) -> BoxFuture<'_, Outcome<()>> {
        async move {
            self.length += bytes.len() as u64;
            let beside = self.beside.get_or_insert_with(|| {
                let name = self.bucket.temporary_name();
                Box::new(Self::new(self.bucket.clone(), name))
            });
            beside.append(bytes).await?;
            if beside.length >= self.bucket.large_part { self.fold().await } else { Ok(()) }
        }
        .boxed()
    }

    /// Makes the object beside a part.
    ///
    /// Order: the object beside → the part of it → the object removed. A crash leaves an upload and an object that
    /// expire.
    fn fold(&mut self) -> BoxFuture<'_, Outcome<()>> {
        async move {
            let Some(mut beside) = self.beside.take() else { return Ok(()) };
            // Until it is a part; also if this is given up halfway.
            self.is_broken = true;
            let upload = self.begin().await?;
            let etag = beside.finish(&Condition::Always).await?;
            let (source, length) = (Source { name: beside.name.clone(), etag }, beside.length);
            let requests = &self.bucket.requests;
            let copied =
                requests.copy_part(&self.name, &upload, self.next, &source, &(0..length)).await;
            // Litter if it stays.
            let _ = requests.delete(&source.name).await;
            self.parts.push(copied?);
            self.next += 1;
            self.is_broken = false;
            Ok(())
        }
        .boxed()
    }

    /// Makes the bytes the object, and tells its ETag. Can be repeated after a failure, but where that was of a part.
    pub(super) async fn finish(&mut self, condition: &Condition) -> Outcome<String> {
        self.expect_unbroken()?;
        if self.upload.is_none() {
            if !self.filling.is_empty() {
                // Kept, should this be given up halfway.
                self.whole = std::mem::take(&mut self.filling).freeze();
            }
            return self.bucket.requests.put(&self.name, &self.whole, condition).await;
        }
        if !self.filling.is_empty() {
            self.send().await?;
        }
        self.fold().await?;
        while self.arrive().await? {}
        self.expect_unbroken()?;
        self.parts.sort_by_key(|part| part.part_number);
        let upload = self.begin().await?;
        let completed =
            self.bucket.complete(&self.name, &upload, &self.parts, self.length, condition);
        let etag = completed.await?;
        // There is nothing to give up any more.
        self.upload = None;
        Ok(etag)
    }

    /// Gives up what was begun.
    pub(super) async fn give_up(mut self) {
        self.on_their_way.shutdown().await;
        if let Some(upload) = self.upload.take() {
            self.bucket.abort(&self.name, &upload).await;
        }
    }
}

impl Drop for Writer {
    /// Parts on their way are stopped, and the upload is aborted, if there is a runtime to do it; expiry does it else.
    fn drop(&mut self) {
        self.on_their_way.abort_all();
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let (bucket, name) = (self.bucket.clone(), std::mem::take(&mut self.name));
        let mut on_their_way = std::mem::take(&mut self.on_their_way);
        runtime.spawn(async move {
            // A part that arrives behind the abort would stay.
            on_their_way.shutdown().await;
            bucket.abort(&name, &upload).await;
        });
    }
}

impl Bucket {
    /// Completes an upload of so many bytes, and tells the object's ETag.
    ///
    /// If the upload is not there any more, and a try before may have done it, the object tells; so it does if the
    /// answer cannot be read, as that of some versions of moto.
    pub(super) async fn complete(
        &self,
        name: &str,
        upload: &str,
        parts: &[CompletedPart],
        length: u64,
        condition: &Condition,
    ) -> Outcome<String> {
        let completed = self.requests.complete(name, upload, parts, condition).await;
        let may_be_there = match &completed {
            Ok(etag) => etag.is_empty(),
            Err(failure) => {
                failure.is(Cause::Unreadable)
                    || failure.is(Cause::NoSuchUpload) && failure.is_uncertain()
            }
        };
        if !may_be_there {
            return completed;
        }
        match self.requests.head(name).await? {
            Some(found) if found.meta.size == length => Ok(found.etag),
            _ => completed,
        }
    }

    /// Aborts an upload; one that cannot be expires.
    pub(super) async fn abort(&self, name: &str, upload: &str) {
        if let Err(failure) = self.requests.abort(name, upload).await {
            let error = failure.into_error();
            tracing::warn!(name, %error, "an upload in parts that was given up stays until it expires");
        }
    }
}
