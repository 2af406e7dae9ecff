//! [`Requests`]: the requests to S3 that the backend is made of, each tried again as long as that may help.
//!
//! Names are those of objects in the bucket. Every request here may be done twice: what that means for a caller
//! stands at those where it matters.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, ObjectCannedAcl, ObjectIdentifier,
    ServerSideEncryption, StorageClass,
};
use bytes::Bytes;

use super::fault::{Cause, Doubt, Failure, Tried};
use super::names::encoded;
use super::options::{Encryption, S3Options};
use super::retry::{Patience, RequestCounts, Retries};
use crate::backend::{Meta, SignedMethod};

/// The most objects that are deleted by one request: S3's limit.
pub(super) const MOST_DELETED: usize = 1000;
/// The most entries of a page: S3's limit.
pub(super) const PAGE: usize = 1000;

pub(super) type Outcome<T> = Result<T, Failure>;

/// What an object that is written must not come upon.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Always,
    /// If there is no such object.
    Absent,
    /// If it is this one still.
    Matches(String),
}

impl Condition {
    fn if_none_match(&self) -> Option<String> {
        matches!(self, Self::Absent).then(|| "*".to_owned())
    }

    fn if_match(&self) -> Option<String> {
        match self {
            Self::Matches(etag) => Some(etag.clone()),
            Self::Always | Self::Absent => None,
        }
    }
}

/// What is known of an object.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) meta: Meta,
    pub(super) etag: String,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct ListedPage {
    /// Objects, with what is known of them.
    pub(super) objects: Vec<(String, Meta)>,
    /// What several objects' names begin with, up to the delimiter and with it.
    pub(super) prefixes: Vec<String>,
    /// There is more behind it.
    pub(super) more: bool,
}

/// An upload that was neither completed nor aborted.
#[derive(Debug)]
pub(super) struct OpenUpload {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) begun: Option<SystemTime>,
}

/// What a part is copied from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// It must be this one still.
    pub(super) etag: String,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Requests {
    client: Client,
    /// For addresses that clients are sent to.
    public: Client,
    bucket: String,
    acl: Option<ObjectCannedAcl>,
    storage_class: Option<StorageClass>,
    encryption: Option<ServerSideEncryption>,
    encryption_key: Option<String>,
    retries: Retries,
    retry_for: Duration,
}

/// Sets what every object that is written is given.
macro_rules! with_attributes {
    ($self:ident, $builder:expr) => {
        $builder
            .set_acl($self.acl.clone())
            .set_storage_class($self.storage_class.clone())
            .set_server_side_encryption($self.encryption.clone())
            .set_ssekms_key_id($self.encryption_key.clone())
            .content_type("application/octet-stream")
    };
}

impl Requests {
    pub(super) fn new(client: Client, public: Client, options: &S3Options) -> Self {
        let (encryption, encryption_key) = match &options.encryption {
            Encryption::Bucket => (None, None),
            Encryption::S3 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
        };
        Self {
            client,
            public,
            bucket: options.bucket.clone(),
            acl: options.acl.as_deref().map(ObjectCannedAcl::from),
            storage_class: options.storage_class.as_deref().map(StorageClass::from),
            encryption,
            encryption_key,
            retries: Retries::new(options.random.clone()),
            retry_for: options.retry_for,
        }
    }

    /// Is the bucket there, and open to us?
    pub(super) async fn head_bucket(&self) -> Outcome<()> {
        let send = || self.client.head_bucket().bucket(&self.bucket).send();
        self.small("look for the bucket", send).await.map(|_| ()).map_err(Failure::of_the_bucket)
    }

    /// What is known of an object. `None` may also be that there is no bucket: an answer to HEAD has no word on what it
    /// is that is not there. Where nothing is asked of the bucket afterwards, see [`Requests::look_for`].
    pub(super) async fn head(&self, name: &str) -> Outcome<Option<Found>> {
        let answer = self
            .small("head", || self.client.head_object().bucket(&self.bucket).key(name).send())
            .await;
        match answer {
            Ok((found, _)) => Ok(Some(Found {
                meta: meta(found.content_length(), found.last_modified(), found.e_tag()),
                etag: found.e_tag.unwrap_or_default(),
            })),
            Err(failure) if failure.is(Cause::NoSuchKey) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What is known of an object; `None` only if the bucket is there and it is not.
    pub(super) async fn look_for(&self, name: &str) -> Outcome<Option<Found>> {
        let found = self.head(name).await?;
        if found.is_none() {
            self.head_bucket().await?;
        }
        Ok(found)
    }

    /// Opens an object, or the part of it that `range`, the value of a header, names.
    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<String>,
        if_match: Option<String>,
    ) -> Outcome<GetObjectOutput> {
        let send = || {
            let request = self.client.get_object().bucket(&self.bucket).key(name);
            request.set_range(range.clone()).set_if_match(if_match.clone()).send()
        };
        self.small("read", send).await.map(|(answer, _)| answer)
    }

    /// Writes an object whole, and tells its ETag. If the condition fails and the failure is uncertain, that may be
    /// the doing of an earlier try.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: &Bytes,
        condition: &Condition,
    ) -> Outcome<String> {
        let send = || {
            let request = self.client.put_object().bucket(&self.bucket).key(name);
            with_attributes!(self, request)
                .set_if_none_match(condition.if_none_match())
                .set_if_match(condition.if_match())
                .body(ByteStream::from(bytes.clone()))
                .send()
        };
        let for_one = sending(bytes.len() as u64);
        let (answer, _) = self.patient("put", for_one, send).await?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    pub(super) async fn delete(&self, name: &str) -> Outcome<()> {
        self.delete_telling(name, None).await.map(|_| ())
    }

    /// Deletes an object, if it is still this one, and tells what may have become of the tries before the one that was
    /// answered.
    pub(super) async fn delete_telling(
        &self,
        name: &str,
        if_match: Option<String>,
    ) -> Outcome<Doubt> {
        let send = || {
            let request = self.client.delete_object().bucket(&self.bucket).key(name);
            request.set_if_match(if_match.clone()).send()
        };
        match self.small("delete", send).await {
            Ok((_, doubt)) => Ok(doubt),
            Err(failure) if failure.is(Cause::NoSuchKey) => Ok(failure.doubt),
            Err(failure) => Err(failure),
        }
    }

    /// Deletes objects, in no order.
    pub(super) async fn delete_all(&self, names: &[String]) -> Outcome<()> {
        if let [name] = names {
            return self.delete(name).await;
        }
        for names in names.chunks(MOST_DELETED) {
            let name = |name: &String| {
                let object = ObjectIdentifier::builder().key(name).build();
                object.expect("it has its one member that must be there")
            };
            let all = Delete::builder().set_objects(Some(names.iter().map(name).collect()));
            let all = all.quiet(true).build().expect("it has its one member that must be there");
            self.small("delete", || async {
                let request = self.client.delete_objects().bucket(&self.bucket);
                let answer = request.delete(all.clone()).send().await.map_err(Tried::of)?;
                // Each has an answer of its own.
                let mut failed = answer.errors().iter();
                let failed = failed.find(|failed| failed.code() != Some("NoSuchKey"));
                failed.map_or(Ok(()), |failed| Err(Tried::of_one_deletion(failed)))
            })
            .await?;
        }
        Ok(())
    }

    /// A page of the objects whose names begin with `prefix` and come after `after`, in the order of their bytes.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        delimiter: Option<&str>,
        limit: usize,
    ) -> Outcome<ListedPage> {
        let limit = i32::try_from(limit.clamp(1, PAGE)).unwrap_or(i32::MAX);
        let mut token: Option<String> = None;
        let (answer, more) = loop {
            let send = || {
                let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
                request
                    .set_start_after(after.map(ToOwned::to_owned))
                    .set_delimiter(delimiter.map(ToOwned::to_owned))
                    .set_continuation_token(token.clone())
                    .max_keys(limit)
                    .send()
            };
            let (answer, _) = self.small("list", send).await?;
            let more = answer.is_truncated().unwrap_or(false);
            // A page of nothing that is not the last: who passes over what it does not show may answer so.
            let is_empty = answer.contents().is_empty() && answer.common_prefixes().is_empty();
            match answer.next_continuation_token() {
                Some(next) if more && is_empty && token.as_deref() != Some(next) => {
                    token = Some(next.to_owned());
                }
                _ => break (answer, more),
            }
        };
        let prefixes = answer.common_prefixes.unwrap_or_default();
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let meta = meta(object.size, object.last_modified.as_ref(), object.e_tag.as_deref());
            Some((object.key?, meta))
        });
        Ok(ListedPage {
            objects: objects.collect(),
            prefixes: prefixes.into_iter().filter_map(|prefix| prefix.prefix).collect(),
            more,
        })
    }

    /// Copies an object of at most 5 GiB, within the server.
    pub(super) async fn copy(
        &self,
        from: &Source,
        size: u64,
        to: &str,
        condition: &Condition,
    ) -> Outcome<()> {
        let send = || {
            let request = self.client.copy_object().bucket(&self.bucket).key(to);
            with_attributes!(self, request)
                .copy_source(self.source(from))
                .copy_source_if_match(&from.etag)
                .set_if_none_match(condition.if_none_match())
                .set_if_match(condition.if_match())
                .metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace)
                .send()
        };
        self.patient("copy", copying(size), send).await.map(|_| ())
    }

    pub(super) async fn create_upload(&self, name: &str) -> Outcome<String> {
        let send = || {
            let request = self.client.create_multipart_upload().bucket(&self.bucket).key(name);
            with_attributes!(self, request).send()
        };
        let (answer, _) = self.small("begin an upload", send).await?;
        Ok(answer.upload_id.unwrap_or_default())
    }

    pub(super) async fn upload_part(
        &self,
        name: &str,
        id: &str,
        number: i32,
        bytes: &Bytes,
    ) -> Outcome<CompletedPart> {
        let send = || {
            let request = self.client.upload_part().bucket(&self.bucket).key(name).upload_id(id);
            request.part_number(number).body(ByteStream::from(bytes.clone())).send()
        };
        let for_one = sending(bytes.len() as u64);
        let (answer, _) = self.patient("upload a part", for_one, send).await?;
        Ok(part(number, answer.e_tag))
    }

    /// Makes bytes of an object, from the first to the one before the end, a part, within the server.
    pub(super) async fn copy_part(
        &self,
        name: &str,
        id: &str,
        number: i32,
        from: &Source,
        range: &std::ops::Range<u64>,
    ) -> Outcome<CompletedPart> {
        let last = range.end.saturating_sub(1);
        let send = || {
            let request = self.client.upload_part_copy().bucket(&self.bucket).key(name);
            request
                .upload_id(id)
                .part_number(number)
                .copy_source(self.source(from))
                .copy_source_if_match(&from.etag)
                .copy_source_range(format!("bytes={}-{last}", range.start))
                .send()
        };
        let for_one = copying(range.end - range.start);
        let (answer, _) = self.patient("copy a part", for_one, send).await?;
        let etag = answer.copy_part_result.and_then(|result| result.e_tag);
        Ok(part(number, etag))
    }

    /// Makes the parts an object. Where a try before it may have been done, a caller that is told of `NoSuchUpload`
    /// looks whether the object is there.
    pub(super) async fn complete(
        &self,
        name: &str,
        id: &str,
        parts: &[CompletedPart],
        condition: &Condition,
    ) -> Outcome<String> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let send = || {
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(name);
            request
                .upload_id(id)
                .multipart_upload(parts.clone())
                .set_if_none_match(condition.if_none_match())
                .set_if_match(condition.if_match())
                .send()
        };
        let for_one = Duration::from_mins(5);
        let (answer, _) = self.patient("complete an upload", for_one, send).await?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    /// Gives an upload up. One that is not there counts as given up.
    pub(super) async fn abort(&self, name: &str, id: &str) -> Outcome<()> {
        let send = || {
            let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(name);
            request.upload_id(id).send()
        };
        match self.small("abort an upload", send).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(Cause::NoSuchUpload) || failure.is(Cause::NoSuchKey) => {
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// A page of the uploads that are open of objects whose names begin with `prefix`, behind the last of the page
    /// before it, and whether there is more.
    pub(super) async fn list_uploads(
        &self,
        prefix: &str,
        after: Option<&OpenUpload>,
    ) -> Outcome<(Vec<OpenUpload>, bool)> {
        let send = || {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
            request
                .set_key_marker(after.map(|after| after.name.clone()))
                .set_upload_id_marker(after.map(|after| after.id.clone()))
                .send()
        };
        let (answer, _) = self.small("list uploads", send).await?;
        let more = answer.is_truncated().unwrap_or(false);
        let uploads = answer.uploads.unwrap_or_default().into_iter().filter_map(|upload| {
            let begun = upload.initiated.as_ref().and_then(time);
            Some(OpenUpload { name: upload.key?, id: upload.upload_id?, begun })
        });
        Ok((uploads.collect(), more))
    }

    /// An address that is good for so long, for requests of one method.
    pub(super) async fn presign(
        &self,
        name: &str,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Outcome<String> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::here("sign", Cause::Other, error.to_string());
        let until = PresigningConfig::expires_in(expires_in).map_err(|error| failed(&error))?;
        let signed = match method {
            SignedMethod::Get => {
                let request = self.public.get_object().bucket(&self.bucket).key(name);
                request.presigned(until).await.map_err(Tried::of)
            }
            SignedMethod::Head => {
                let request = self.public.head_object().bucket(&self.bucket).key(name);
                request.presigned(until).await.map_err(Tried::of)
            }
        };
        let signed = signed.map_err(|tried| failed(&tried.source))?;
        Ok(signed.uri().to_owned())
    }

    /// What was sent, by operation.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, RequestCounts> {
        self.retries.counts()
    }

    /// Sends what should be answered at once.
    async fn small<T, E, F>(
        &self,
        operation: &'static str,
        mut send: impl FnMut() -> F,
    ) -> Outcome<(T, Doubt)>
    where
        F: Future<Output = Result<T, E>>,
        Tried: From<E>,
    {
        self.patient(operation, Duration::from_secs(10), &mut send).await
    }

    /// Sends what should be answered within a time.
    async fn patient<T, E, F>(
        &self,
        operation: &'static str,
        for_one: Duration,
        mut send: impl FnMut() -> F,
    ) -> Outcome<(T, Doubt)>
    where
        F: Future<Output = Result<T, E>>,
        Tried: From<E>,
    {
        let send = || {
            let sent = send();
            async { sent.await.map_err(Tried::from) }
        };
        let patience = Patience { for_one, for_all: self.retry_for };
        self.retries.run(operation, patience, send).await
    }

    /// The object as the header of a copy has it.
    fn source(&self, from: &Source) -> String {
        format!("{}/{}", encoded(&self.bucket), encoded(&from.name))
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Tried
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        Self::of(error)
    }
}

/// How long to wait where so many bytes go over the wire.
fn sending(size: u64) -> Duration {
    // 256 KiB a second.
    Duration::from_secs(15 + size / (256 << 10))
}

/// How long to wait where the server copies so many bytes.
fn copying(size: u64) -> Duration {
    // 4 MiB a second.
    Duration::from_secs(60 + size / (4 << 20))
}

fn part(number: i32, etag: Option<String>) -> CompletedPart {
    CompletedPart::builder().part_number(number).set_e_tag(etag).build()
}

fn meta(size: Option<i64>, modified: Option<&DateTime>, etag: Option<&str>) -> Meta {
    let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    let mut version = DefaultHasher::new();
    // Some servers leave the quotes out in listings.
    etag.map(|etag| etag.trim_matches('"')).hash(&mut version);
    Meta { size, modified: modified.and_then(time), version: version.finish() }
}

fn time(at: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*at).ok()
}
