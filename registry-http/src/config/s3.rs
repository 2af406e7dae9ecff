//! [`S3`]: Distribution's `storage.s3`, all keys of 2.x and 3.x.

use serde::Deserialize;

use super::node::Node;
use super::problem::Problem;
use super::scalar;
use super::secret::Secret;

/// The smallest part of a multipart upload that S3 takes, but for the last.
const MIN_PART: u64 = 5 << 20;

/// The largest.
const MAX_PART: u64 = 5 << 30;

/// How a bucket is reached, and how objects are written to it. What the file does not say has Distribution's default,
/// or is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name; never empty.
    pub bucket: String,
    /// Its region, such as `us-east-1`. `None`: as the usual chain has it.
    pub region: Option<String>,
    /// Where to find S3, if not at AWS: a URL, or a host.
    pub region_endpoint: Option<String>,
    /// Another host for the addresses that clients are sent to. 3.1.
    pub redirect_endpoint: Option<String>,
    /// `endpoint/bucket/key` in place of `bucket.endpoint/key`. `None`: not said; 2.8 does it whenever there is a
    /// `regionendpoint`, 3.x does not. 3.x.
    pub force_path_style: Option<bool>,
    /// Keys that are given here. `None`: the usual chain has them.
    pub credentials: Option<Credentials>,
    /// What all keys begin with, without slashes at its ends; may be empty.
    pub root_directory: String,
    /// Ask for encryption at rest.
    pub encrypt: bool,
    /// With this key of KMS. Means something with `encrypt` only.
    pub key_id: Option<String>,
    /// Over TLS. Default: true.
    pub secure: bool,
    /// Do not look who the server is.
    pub skip_verify: bool,
    /// Signatures of version 4. Default: true.
    pub v4_auth: bool,
    /// Bytes of a part, 5 MiB to 5 GiB. Default: 10 MiB.
    pub chunk_size: u64,
    /// Bytes of a part that is copied, 5 MiB to 5 GiB. Default: 32 MiB.
    pub multipart_copy_chunk_size: u64,
    /// How many parts are copied at once, at least 1. Default: 100.
    pub multipart_copy_max_concurrency: u64,
    /// Objects larger than so many bytes are copied in parts. Default: 32 MiB.
    pub multipart_copy_threshold_size: u64,
    /// The class of objects. Default: `STANDARD`; `NONE` sends no header.
    pub storage_class: String,
    /// The ACL of objects. Default: `private`.
    pub object_acl: String,
    /// What requests say they come from. `None`: the client's own.
    pub user_agent: Option<String>,
    /// AWS's accelerated endpoint. 3.x.
    pub accelerate: bool,
    /// AWS's endpoint with IPv6. 3.x.
    pub use_dual_stack: bool,
    /// AWS's endpoint with FIPS. 3.1.
    pub use_fips_endpoint: bool,
    /// What of the client is logged, in the words of Distribution. 3.x.
    pub log_level: Option<String>,
}

/// A pair of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its name.
    pub access_key: Secret,
    /// The key itself.
    pub secret_key: Secret,
    /// What goes with keys that are lent for a while.
    pub session_token: Option<Secret>,
}

/// As it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    accelerate: Option<Switch>,
    accesskey: Option<Secret>,
    bucket: Option<String>,
    chunksize: Option<Number>,
    encrypt: Option<Switch>,
    forcepathstyle: Option<Switch>,
    keyid: Option<String>,
    loglevel: Option<String>,
    multipartcopychunksize: Option<Number>,
    multipartcopymaxconcurrency: Option<Number>,
    multipartcopythresholdsize: Option<Number>,
    objectacl: Option<String>,
    redirectendpoint: Option<String>,
    region: Option<String>,
    regionendpoint: Option<String>,
    rootdirectory: Option<String>,
    secretkey: Option<Secret>,
    secure: Option<Switch>,
    sessiontoken: Option<Secret>,
    skipverify: Option<Switch>,
    storageclass: Option<String>,
    usedualstack: Option<Switch>,
    usefipsendpoint: Option<Switch>,
    useragent: Option<String>,
    v4auth: Option<Switch>,
}

const STORAGE_CLASSES: &[&str] = &[
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

impl Section {
    /// The settings, if they fit together; `key` is the section's, `node` what it was read from.
    pub(super) fn resolve(self, key: &str, node: &Node) -> Result<S3, Problem> {
        let problem = |name: &str, what: String| {
            let origin = node.entry(name).map_or(&node.origin, |entry| &entry.node.origin);
            Problem::new(origin, format!("{key}.{name}"), what)
        };
        let within = |name: &str, number: Option<Number>, default: u64, least: u64, most: u64| {
            let number = number.map_or(default, |number| number.0);
            if (least..=most).contains(&number) {
                return Ok(number);
            }
            Err(problem(name, format!("expected a number from {least} to {most}, found {number}")))
        };
        let one_of = |name: &str, word: Option<String>, default: &str, words: &[&str]| {
            let word = said(word).unwrap_or_else(|| default.to_owned());
            if words.contains(&word.as_str()) {
                return Ok(word);
            }
            let words = words.join(", ");
            Err(problem(name, format!("expected one of {words}, found `{word:.80}`")))
        };
        let bucket = said(self.bucket).ok_or_else(|| {
            problem("bucket", "expected the name of a bucket, found nothing".into())
        })?;
        // An empty one says nothing: charts write both so where the usual chain is meant.
        let given = |key: Option<Secret>| key.filter(|key| !key.reveal().is_empty());
        let credentials = match (given(self.accesskey), given(self.secretkey)) {
            (Some(access_key), Some(secret_key)) => Some(Credentials {
                access_key,
                secret_key,
                session_token: given(self.sessiontoken),
            }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(problem(
                    "secretkey",
                    "expected one with the accesskey, found nothing".into(),
                ));
            }
            (None, Some(_)) => {
                return Err(problem(
                    "accesskey",
                    "expected one with the secretkey, found nothing".into(),
                ));
            }
        };
        let on = |switch: Option<Switch>, default| switch.map_or(default, |switch| switch.0);
        Ok(S3 {
            bucket,
            region: said(self.region),
            region_endpoint: said(self.regionendpoint),
            redirect_endpoint: said(self.redirectendpoint),
            force_path_style: self.forcepathstyle.map(|switch| switch.0),
            credentials,
            root_directory: self.rootdirectory.unwrap_or_default().trim_matches('/').to_owned(),
            encrypt: on(self.encrypt, false),
            key_id: said(self.keyid),
            secure: on(self.secure, true),
            skip_verify: on(self.skipverify, false),
            v4_auth: on(self.v4auth, true),
            chunk_size: within("chunksize", self.chunksize, 10 << 20, MIN_PART, MAX_PART)?,
            multipart_copy_chunk_size: within(
                "multipartcopychunksize",
                self.multipartcopychunksize,
                32 << 20,
                MIN_PART,
                MAX_PART,
            )?,
            multipart_copy_max_concurrency: within(
                "multipartcopymaxconcurrency",
                self.multipartcopymaxconcurrency,
                100,
                1,
                u64::from(u32::MAX),
            )?,
            multipart_copy_threshold_size: within(
                "multipartcopythresholdsize",
                self.multipartcopythresholdsize,
                32 << 20,
                0,
                MAX_PART,
            )?,
            storage_class: one_of("storageclass", self.storageclass, "STANDARD", STORAGE_CLASSES)?,
            object_acl: one_of("objectacl", self.objectacl, "private", ACLS)?,
            user_agent: said(self.useragent),
            accelerate: on(self.accelerate, false),
            use_dual_stack: on(self.usedualstack, false),
            use_fips_endpoint: on(self.usefipsendpoint, false),
            log_level: said(self.loglevel),
        })
    }
}

/// An empty string says nothing, as in Distribution.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// True or false, as YAML's words or, since values may be strings here, as Go's `ParseBool` reads them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Switch(bool);

impl TryFrom<String> for Switch {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let value = match text.as_str() {
            "1" | "t" | "T" => Some(true),
            "0" | "f" | "F" => Some(false),
            word => scalar::boolean(word),
        };
        value.map(Self).ok_or_else(|| format!("expected true or false, found `{text:.80}`"))
    }
}

/// A whole number, in quotes or without.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Number(u64);

impl TryFrom<String> for Number {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = scalar::integer(&text).and_then(|number| number.try_into().ok());
        number.map(Self).ok_or_else(|| format!("expected a whole number, found `{text:.80}`"))
    }
}
