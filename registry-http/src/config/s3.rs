//! [`S3`]: Distribution's `storage.s3`, all keys of 2.x and 3.x.

use registry_store::backend::s3::{
    Encryption, LARGEST_PUT, S3Credentials, S3Options, SMALLEST_PART,
};
use serde::Deserialize;

use super::node::Node;
use super::problem::Problem;
use super::said::said;
use super::scalar;
use super::secret::Secret;

/// How a bucket is reached, and how objects are written to it. What is `None` was not said: then it is as
/// [`S3Options::new`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name; never empty.
    pub bucket: String,
    /// Its region, such as `us-east-1`. `None`: as the usual chain has it.
    pub region: Option<String>,
    /// Where to find S3, if not at AWS: a URL. Where the file has no scheme, `secure` chooses it.
    pub region_endpoint: Option<String>,
    /// Another one for the addresses that clients are sent to. Newer than 3.1.
    pub redirect_endpoint: Option<String>,
    /// `endpoint/bucket/key` in place of `bucket.endpoint/key`. Default: true if there is an endpoint, as in 2.8; 3.x
    /// wants it to be said, and does not reach most servers without (distribution/distribution#4528). 3.x.
    pub path_style: bool,
    /// Keys that are given here. `None`: the usual chain has them.
    pub credentials: Option<Credentials>,
    /// What all keys begin with, without slashes at its ends; may be empty.
    pub root_directory: String,
    /// `encrypt`, with the key of KMS that `keyid` names.
    pub encryption: Encryption,
    /// Bytes of a part, 5 MiB to 5 GiB.
    pub chunk_size: Option<u64>,
    /// Bytes of a part that is copied, 5 MiB to 5 GiB.
    pub multipart_copy_chunk_size: Option<u64>,
    /// How many parts are copied at once, at least 1.
    pub multipart_copy_max_concurrency: Option<usize>,
    /// Objects larger than so many bytes are copied in parts.
    pub multipart_copy_threshold_size: Option<u64>,
    /// The class of objects. `None`: the bucket's, which is what Distribution's default `STANDARD` is at AWS; `NONE`
    /// says so.
    pub storage_class: Option<String>,
    /// The canned ACL of objects. `None`: the bucket's.
    ///
    /// Distribution sends `private` if nothing is said. To an object at AWS that is what no ACL is as well, and buckets
    /// whose ACLs are disabled, as those made since 2023 are, refuse every request that has one but
    /// `bucket-owner-full-control` (distribution/distribution#3861).
    pub object_acl: Option<String>,
    /// AWS's accelerated endpoint. 3.x.
    pub accelerate: bool,
    /// AWS's endpoint with IPv6. 3.x.
    pub use_dual_stack: bool,
    /// AWS's endpoint with FIPS. 3.1.
    pub use_fips_endpoint: bool,
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

impl S3 {
    /// The same for the backend.
    pub fn options(&self) -> S3Options {
        let defaults = S3Options::new(&self.bucket);
        let credentials = self.credentials.as_ref();
        let copies = self.multipart_copy_max_concurrency;
        S3Options {
            root: self.root_directory.clone(),
            region: self.region.clone(),
            endpoint: self.region_endpoint.clone(),
            public_endpoint: self.redirect_endpoint.clone(),
            path_style: self.path_style,
            credentials: credentials.map(Credentials::for_backend),
            encryption: self.encryption.clone(),
            storage_class: self.storage_class.clone(),
            acl: self.object_acl.clone(),
            part_size: self.chunk_size.unwrap_or(defaults.part_size),
            copy_threshold: self.multipart_copy_threshold_size.unwrap_or(defaults.copy_threshold),
            copy_part_size: self.multipart_copy_chunk_size.unwrap_or(defaults.copy_part_size),
            copy_concurrency: copies.unwrap_or(defaults.copy_concurrency),
            accelerate: self.accelerate,
            dual_stack: self.use_dual_stack,
            fips: self.use_fips_endpoint,
            ..defaults
        }
    }
}

impl Credentials {
    fn for_backend(&self) -> S3Credentials {
        S3Credentials {
            access_key: self.access_key.reveal().to_owned(),
            secret_key: self.secret_key.reveal().to_owned(),
            session_token: self.session_token.as_ref().map(|token| token.reveal().to_owned()),
        }
    }
}

/// As it stands in the file. `loglevel` and `useragent` have no effect.
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
    v4auth: Option<Switch>,
}

pub(super) const STORAGE_CLASSES: &[&str] = &[
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

pub(super) const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// A section, and where it stands.
struct At<'n> {
    key: &'n str,
    node: &'n Node,
}

impl At<'_> {
    fn problem(&self, name: &str, what: impl Into<String>) -> Problem {
        let origin = self.node.entry(name).map_or(&self.node.origin, |entry| &entry.node.origin);
        Problem::new(origin, format!("{}.{name}", self.key), what)
    }

    fn within(
        &self,
        name: &str,
        number: Option<Number>,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Problem> {
        let Some(Number(number)) = number else { return Ok(None) };
        if (least..=most).contains(&number) {
            return Ok(Some(number));
        }
        let what = format!("expected a number from {least} to {most}, found {number}");
        Err(self.problem(name, what))
    }

    fn one_of(
        &self,
        name: &str,
        word: Option<String>,
        words: &[&str],
    ) -> Result<Option<String>, Problem> {
        let Some(word) = said(word) else { return Ok(None) };
        if words.contains(&word.as_str()) {
            return Ok(Some(word));
        }
        let words = words.join(", ");
        Err(self.problem(name, format!("expected one of {words}, found `{word:.80}`")))
    }

    /// Where a server is, as a URL.
    fn endpoint(
        &self,
        name: &str,
        text: Option<String>,
        secure: bool,
    ) -> Result<Option<String>, Problem> {
        let Some(text) = said(text) else { return Ok(None) };
        let (scheme, host) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), host)) => (scheme, host),
            None if secure => ("https", text.as_str()),
            None => ("http", text.as_str()),
            Some(_) => ("", ""),
        };
        let host = host.trim_end_matches('/');
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"/@?#\\\"<>^`{|}".contains(&byte);
        if !host.is_empty() && host.bytes().all(fine) {
            return Ok(Some(format!("{scheme}://{host}")));
        }
        // It may hold a password.
        let what = "expected a URL without a path, such as https://s3.example.com:9000, or the host and port of one, \
                    found another form";
        Err(self.problem(name, what))
    }
}

impl Section {
    /// The settings, if they fit together and can be followed; `key` is the section's, `node` what it was read from.
    pub(super) fn resolve(
        self,
        key: &str,
        node: &Node,
        warnings: &mut Vec<Problem>,
    ) -> Result<S3, Problem> {
        let at = At { key, node };
        let bucket = said(self.bucket)
            .ok_or_else(|| at.problem("bucket", "expected the name of a bucket, found nothing"))?;
        let secure = is_on(self.secure, true);
        let region_endpoint = at.endpoint("regionendpoint", self.regionendpoint, secure)?;
        let redirect_endpoint = at.endpoint("redirectendpoint", self.redirectendpoint, secure)?;
        if region_endpoint.is_none() && !secure {
            let what = "passed over: AWS is spoken to over TLS; a regionendpoint may be another";
            warnings.push(at.problem("secure", what));
        }
        let is_clear = region_endpoint.as_ref().is_some_and(|url| url.starts_with("http:"));
        if is_on(self.skipverify, false) && !is_clear {
            let what = "refused, because who the server is is always looked at: expected false, and a file with its \
                        authority's certificate in the variable SSL_CERT_FILE";
            return Err(at.problem("skipverify", what));
        }
        if !is_on(self.v4auth, true) {
            let what = "refused, because there are no signatures of version 2: expected true, and a server that \
                        takes those of version 4";
            return Err(at.problem("v4auth", what));
        }
        let has_endpoint = region_endpoint.is_some() || redirect_endpoint.is_some();
        let threshold = self.multipartcopythresholdsize;
        let concurrency = self.multipartcopymaxconcurrency;
        let concurrency =
            at.within("multipartcopymaxconcurrency", concurrency, 1, u32::MAX.into())?;
        let class = at.one_of("storageclass", self.storageclass, STORAGE_CLASSES)?;
        Ok(S3 {
            bucket,
            region: said(self.region),
            region_endpoint,
            redirect_endpoint,
            path_style: is_on(self.forcepathstyle, has_endpoint),
            credentials: credentials(&at, [self.accesskey, self.secretkey, self.sessiontoken])?,
            root_directory: self.rootdirectory.unwrap_or_default().trim_matches('/').to_owned(),
            encryption: encryption(&at, is_on(self.encrypt, false), said(self.keyid), warnings),
            chunk_size: at.within("chunksize", self.chunksize, SMALLEST_PART, LARGEST_PUT)?,
            multipart_copy_chunk_size: at.within(
                "multipartcopychunksize",
                self.multipartcopychunksize,
                SMALLEST_PART,
                LARGEST_PUT,
            )?,
            multipart_copy_max_concurrency: concurrency.and_then(|count| count.try_into().ok()),
            multipart_copy_threshold_size: at.within(
                "multipartcopythresholdsize",
                threshold,
                0,
                LARGEST_PUT,
            )?,
            storage_class: class.filter(|class| class != "NONE"),
            object_acl: at.one_of("objectacl", self.objectacl, ACLS)?,
            accelerate: is_on(self.accelerate, false),
            use_dual_stack: is_on(self.usedualstack, false),
            use_fips_endpoint: is_on(self.usefipsendpoint, false),
        })
    }
}

fn is_on(switch: Option<Switch>, default: bool) -> bool {
    switch.map_or(default, |switch| switch.0)
}

/// An access key, a secret key and a token. An empty one says nothing: charts write both so where the usual chain is
/// meant.
fn credentials(at: &At<'_>, keys: [Option<Secret>; 3]) -> Result<Option<Credentials>, Problem> {
    let [access_key, secret_key, session_token] =
        keys.map(|key| key.filter(|key| !key.reveal().is_empty()));
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => {
            Ok(Some(Credentials { access_key, secret_key, session_token }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(at.problem("secretkey", "expected one with the accesskey, found nothing"))
        }
        (None, Some(_)) => {
            Err(at.problem("accesskey", "expected one with the secretkey, found nothing"))
        }
    }
}

fn encryption(
    at: &At<'_>,
    encrypt: bool,
    key: Option<String>,
    warnings: &mut Vec<Problem>,
) -> Encryption {
    match (encrypt, key) {
        (true, Some(key)) => Encryption::Kms(key),
        (true, None) => Encryption::S3,
        (false, None) => Encryption::Bucket,
        (false, Some(_)) => {
            let what = "passed over, as in Distribution: it means something with `encrypt` only";
            warnings.push(at.problem("keyid", what));
            Encryption::Bucket
        }
    }
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
