//! [`State`]: what is in the buckets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::checksum::{Algorithm, Checksum, Kind};
use super::content::Content;
use super::error::S3Error;
use super::request::Request;

/// All buckets. Whoever holds it does one operation, whole.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) buckets: BTreeMap<String, Bucket>,
    /// How many writes there were.
    pub(super) writes: u64,
    /// Whether listings need to know what is gone.
    pub(super) remembers: bool,
}

/// One bucket. `String`s are ordered by their bytes, as S3 orders keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    /// By key, then by id; ids are in the order in which they were given.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
    /// What became of uploads, by id.
    pub(super) completed: BTreeMap<String, Completed>,
    /// What was replaced or deleted, for listings that lag behind.
    pub(super) gone: Vec<Gone>,
}

/// An object as it was put.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) content: Content,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) checksum: Option<Checksum>,
    /// Which write it was put by.
    pub(super) write: u64,
}

/// An object that is no more.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) key: String,
    pub(super) object: Arc<Object>,
    /// Which write took it away.
    pub(super) write: u64,
}

/// An upload in parts.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) begun: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) checksum: Option<(Algorithm, Kind)>,
    pub(super) parts: BTreeMap<u32, Part>,
}

/// A part of an upload.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    pub(super) modified: SystemTime,
    pub(super) checksum: Option<(Algorithm, String)>,
}

impl Part {
    pub(super) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

/// An upload that became an object.
#[derive(Clone, Debug)]
pub(super) struct Completed {
    pub(super) key: String,
    pub(super) parts: Vec<(u32, String)>,
    pub(super) object: Arc<Object>,
}

impl State {
    pub(super) fn bucket(&mut self, name: &str) -> Result<&mut Bucket, S3Error> {
        self.buckets.get_mut(name).ok_or_else(|| S3Error::no_such_bucket(name))
    }

    /// An object that is read, which stays as it is whatever is put meanwhile.
    pub(super) fn object(&mut self, bucket: &str, key: &str) -> Result<Arc<Object>, S3Error> {
        let object = self.bucket(bucket)?.objects.get(key).map(Arc::clone);
        object.ok_or_else(|| S3Error::no_such_key(key))
    }

    /// Puts an object, or takes one away.
    pub(super) fn write(
        &mut self,
        bucket: &str,
        key: &str,
        object: Option<Object>,
    ) -> Result<Arc<Object>, S3Error> {
        self.writes += 1;
        let (write, remembers) = (self.writes, self.remembers);
        let bucket = self.bucket(bucket)?;
        let object = object.map(|object| Arc::new(Object { write, ..object }));
        let before = match &object {
            Some(object) => bucket.objects.insert(key.to_owned(), Arc::clone(object)),
            None => bucket.objects.remove(key),
        };
        if let Some(object) = before.filter(|_| remembers) {
            bucket.gone.push(Gone { key: key.to_owned(), object, write });
        }
        Ok(object.unwrap_or_else(|| Arc::new(Object::of_nothing())))
    }
}

impl Object {
    pub(super) const fn of_nothing() -> Self {
        Self {
            content: Content::new(),
            etag: String::new(),
            modified: SystemTime::UNIX_EPOCH,
            attributes: Attributes::none(),
            checksum: None,
            write: 0,
        }
    }
}

/// What is kept of the headers that an object was put with, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(pub(super) BTreeMap<String, String>);

impl Attributes {
    const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Those of a request that puts.
    pub(super) fn of(request: &Request) -> Result<Self, S3Error> {
        let mut attributes = BTreeMap::new();
        for name in request.head.headers.keys().map(http::HeaderName::as_str) {
            if REFUSED.iter().any(|refused| name.starts_with(refused)) {
                return Err(S3Error::header_not_implemented(name));
            }
            let value = request.header(name).unwrap_or_default();
            if KEPT.contains(&name) || name.starts_with("x-amz-meta-") {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        // The encoding of the transfer is none of the object.
        if let Some(encodings) = attributes.remove("content-encoding") {
            let kept: Vec<&str> = encodings
                .split(',')
                .map(str::trim)
                .filter(|encoding| *encoding != "aws-chunked")
                .collect();
            if !kept.is_empty() {
                attributes.insert("content-encoding".to_owned(), kept.join(","));
            }
        }
        let attributes = Self(attributes);
        attributes.check()?;
        Ok(attributes)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn storage_class(&self) -> &str {
        self.get("x-amz-storage-class").unwrap_or("STANDARD")
    }

    /// Whether the ETag says nothing about the bytes.
    pub(super) fn hides_md5(&self) -> bool {
        self.get("x-amz-server-side-encryption")
            .is_some_and(|encryption| encryption.starts_with("aws:kms"))
    }

    fn check(&self) -> Result<(), S3Error> {
        let class = self.storage_class();
        if !CLASSES.contains(&class) {
            return Err(S3Error::new(
                400,
                "InvalidStorageClass",
                "The storage class you specified is not valid",
            ));
        }
        let encryption = self.get("x-amz-server-side-encryption");
        if encryption.is_some_and(|encryption| !ENCRYPTIONS.contains(&encryption)) {
            let message = "The encryption method specified is not supported";
            return Err(S3Error::new(400, "InvalidEncryptionAlgorithmError", message));
        }
        let has_key = self.get("x-amz-server-side-encryption-aws-kms-key-id").is_some();
        if has_key && !self.hides_md5() {
            let message = "Server Side Encryption with AWS KMS managed key requires HTTP header \
                           x-amz-server-side-encryption : aws:kms";
            return Err(S3Error::invalid_argument("x-amz-server-side-encryption", "", message));
        }
        Ok(())
    }
}

/// Headers that an object keeps, and `x-amz-meta-…`.
const KEPT: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-context",
    "x-amz-storage-class",
    "x-amz-tagging",
];

/// Headers that change what a write means, in ways that are not here.
const REFUSED: &[&str] = &[
    "x-amz-object-lock-",
    "x-amz-server-side-encryption-customer-",
    "x-amz-copy-source-server-side-encryption-customer-",
    "x-amz-write-offset-bytes",
    "x-amz-website-redirect-location",
];

const CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
];

const ENCRYPTIONS: &[&str] = &["AES256", "aws:kms", "aws:kms:dsse"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::request::tests::request;

    #[test]
    fn what_describes_an_object_is_kept() {
        let request = request(
            "PUT",
            "/b/k",
            &[
                ("content-type", "a/b"),
                ("content-encoding", "gzip, aws-chunked"),
                ("x-amz-meta-x", "1"),
                ("x-amz-storage-class", "GLACIER"),
                ("host", "h"),
            ],
        );
        let attributes = Attributes::of(&request).unwrap();
        let kept: Vec<String> =
            attributes.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "content-encoding=gzip",
            "content-type=a/b",
            "x-amz-meta-x=1",
            "x-amz-storage-class=GLACIER",
        ];
        assert_eq!(kept, expected);
    }

    #[test]
    fn what_would_change_a_write_and_is_not_known_is_refused() {
        for (name, value, code) in [
            ("x-amz-object-lock-mode", "GOVERNANCE", "NotImplemented"),
            ("x-amz-server-side-encryption-customer-key", "k", "NotImplemented"),
            ("x-amz-storage-class", "CHEAP", "InvalidStorageClass"),
            ("x-amz-server-side-encryption", "rot13", "InvalidEncryptionAlgorithmError"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "k", "InvalidArgument"),
        ] {
            let refused = Attributes::of(&request("PUT", "/b/k", &[(name, value)])).unwrap_err();
            assert_eq!(refused.code, code, "{name}");
        }
    }
}
