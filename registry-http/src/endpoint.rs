//! URLs taken apart. [`links`](crate::links) builds them.
//!
//! Repository names hold slashes, so a path is read from its right end. Every part is percent-decoded once
//! and then parsed strictly: a slash, a `..` or a NUL that was encoded fails the grammar of what it stands in.

use std::borrow::Cow;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;
use registry_store::backend::Tip;
use registry_store::digest::{Algorithm, AnyDigest, Digest};
use registry_store::name::{NameError, RepositoryName};
use registry_store::reference::{Reference, Tag};
use registry_store::upload_id::UploadId;

#[cfg(feature = "auth")]
use crate::auth::issuer::TokenService;
use crate::options::Options;
use crate::refusal::{Allow, Refusal};
use crate::route::Route;
use crate::upload_state;

/// What a request line asks for. GET stands for HEAD too.
///
/// The numbers are those of the table "Endpoints" in the OCI distribution-spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Which methods a path knows.
    Options { allow: Allow },
    /// `GET /`: is the process alive? (as Distribution)
    Root,
    /// `GET /v2/`: is this a registry? (end-1)
    Base,
    /// `GET /v2/_catalog` (as Distribution)
    Catalog { page: PageQuery },
    /// `GET /v2/<name>/tags/list` (end-8a, end-8b)
    ListTags { name: RepositoryName, page: PageQuery },
    /// `GET /v2/<name>/referrers/<digest>` (end-12a, end-12b)
    ListReferrers { name: RepositoryName, query: ReferrersQuery },
    /// `GET /v2/<name>/blobs/<digest>` (end-2)
    GetBlob { name: RepositoryName, digest: Digest },
    /// `DELETE /v2/<name>/blobs/<digest>` (end-10)
    DeleteBlob { name: RepositoryName, digest: Digest },
    /// `GET /v2/<name>/manifests/<reference>` (end-3)
    GetManifest { name: RepositoryName, reference: Reference },
    /// `PUT /v2/<name>/manifests/<reference>` (end-7a, end-7b)
    PutManifest {
        name: RepositoryName,
        reference: Reference,
        /// The tags given as parameters, which go with a digest only.
        tags: Vec<Tag>,
    },
    /// `DELETE /v2/<name>/manifests/<reference>` (end-9)
    DeleteManifest { name: RepositoryName, reference: Reference },
    /// `POST /v2/<name>/blobs/uploads/` (end-4a, end-4b, end-4c, end-11)
    StartUpload { name: RepositoryName, start: StartUpload },
    /// `GET` of an upload session (end-13)
    UploadStatus(UploadTarget),
    /// `PATCH` of an upload session (end-5)
    AppendUpload(UploadTarget),
    /// `PUT` of an upload session (end-6)
    CommitUpload(UploadTarget, Digest),
    /// `DELETE` of an upload session (end-14)
    CancelUpload(UploadTarget),
}

/// How an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StartUpload {
    /// With a session, whose bytes are hashed with this.
    Session(Algorithm),
    /// With all of its bytes.
    Whole(Digest),
    /// With a blob that is here already; with a session if it is not.
    Mount {
        digest: Digest,
        /// `None` if the client named no repository.
        from: Option<RepositoryName>,
    },
}

/// An upload session and what its address says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadTarget {
    pub(crate) name: RepositoryName,
    pub(crate) id: UploadId,
    /// How far the session had come when the address was handed out, if the client kept that.
    pub(crate) tip: Option<Tip>,
}

/// Which page of a listing is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// `n`: at most so many.
    pub(crate) limit: Option<usize>,
    /// `last`: only what comes after this, which need not exist.
    pub(crate) after: Option<String>,
}

/// Which page of which referrers is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferrersQuery {
    /// Need not be of an algorithm that is known.
    pub(crate) subject: AnyDigest,
    /// As the client wrote it; need not be a media type.
    pub(crate) artifact_type: Option<String>,
    /// `n`: at most so many.
    pub(crate) limit: Option<usize>,
    /// `last`: only what comes after this.
    pub(crate) after: Option<Digest>,
}

impl Endpoint {
    /// Reads a request line.
    pub(crate) fn parse(method: &Method, uri: &Uri, options: &Options) -> Result<Self, Refusal> {
        let segments = located(uri, &options.path_prefix).ok_or(Refusal::NoSuchEndpoint)?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let resource = Resource::locate(&segments).ok_or(Refusal::NoSuchEndpoint)?;
        let allow = resource.allow(options);
        if method == Method::OPTIONS {
            return Ok(Self::Options { allow });
        }
        if !resource.methods().contains(method) {
            return Err(Refusal::Method { allow });
        }
        if !allow.has(method) {
            return Err(Refusal::Disabled { allow });
        }
        resource.endpoint(method, Query(uri.query().unwrap_or_default()), options)
    }
}

/// What an address is about, whatever the method is, and whether its parts are good or not; `None` if it is about nothing
/// that the API knows, and for `/`.
pub(crate) fn route(uri: &Uri, path_prefix: &str) -> Option<Route> {
    let segments = located(uri, path_prefix)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    Some(match Resource::locate(&segments)? {
        Resource::Root => return None,
        Resource::Base => Route::Base,
        Resource::Catalog => Route::Catalog,
        Resource::Tags { .. } => Route::Tags,
        Resource::Referrers { .. } => Route::Referrers,
        Resource::Blob { .. } => Route::Blob,
        Resource::Manifest { .. } => Route::Manifest,
        Resource::Uploads { .. } => Route::BlobUpload,
        Resource::Upload { .. } => Route::BlobUploadChunk,
    })
}

/// What the addresses of a route have in common, behind the prefix: `/v2/{name}/blobs/{digest}`.
pub(crate) const fn template(route: Route) -> &'static str {
    match route {
        Route::Base => "/v2/",
        Route::Catalog => "/v2/_catalog",
        Route::Tags => "/v2/{name}/tags/list",
        Route::Referrers => "/v2/{name}/referrers/{digest}",
        Route::Blob => "/v2/{name}/blobs/{digest}",
        Route::Manifest => "/v2/{name}/manifests/{reference}",
        Route::BlobUpload => "/v2/{name}/blobs/uploads/",
        Route::BlobUploadChunk => "/v2/{name}/blobs/uploads/{id}",
    }
}

/// An address as it may be logged: the path, and the parameters that are known to hold nothing secret; of others the name
/// alone. What stands before the path is left out.
pub(crate) fn shown(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if PLAIN.contains(&key) => pair.to_owned(),
        // What has no name is a value. Behind one in base64 there may be a `=` that belongs to it.
        Some((_, value)) if value.bytes().all(|it| it == b'=') => "***".to_owned(),
        Some((key, _)) => format!("{key}=***"),
        None if pair.is_empty() || PLAIN.contains(&pair) => pair.to_owned(),
        None => "***".to_owned(),
    });
    format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"))
}

/// Parameters that say what anybody may read. A signed state and the tip of a session are not among them.
const PLAIN: &[&str] =
    &["n", "last", "mount", "from", "digest", "digest-algorithm", "tag", "artifactType", OFFSET];

/// The decoded segments of an address behind the prefix.
fn located<'u>(uri: &'u Uri, path_prefix: &str) -> Option<Vec<Cow<'u, str>>> {
    // `/` says that the process answers: probes ask it whatever the prefix is, as of Distribution.
    let prefix = if uri.path() == "/" { "" } else { path_prefix };
    segments(uri.path().strip_prefix(prefix)?)
}

/// A path, its parts not yet parsed.
#[derive(Clone, Copy)]
enum Resource<'p> {
    Root,
    Base,
    Catalog,
    Tags { name: &'p [&'p str] },
    Referrers { name: &'p [&'p str], subject: &'p str },
    Blob { name: &'p [&'p str], digest: &'p str },
    Manifest { name: &'p [&'p str], reference: &'p str },
    Uploads { name: &'p [&'p str] },
    Upload { name: &'p [&'p str], id: &'p str },
}

impl<'p> Resource<'p> {
    fn locate(segments: &'p [&'p str]) -> Option<Self> {
        Some(match segments {
            [] => Self::Root,
            ["v2"] => Self::Base,
            ["v2", "_catalog"] => Self::Catalog,
            ["v2", name @ .., "tags", "list"] => Self::Tags { name },
            ["v2", name @ .., "referrers", subject] => Self::Referrers { name, subject },
            ["v2", name @ .., "manifests", reference] => Self::Manifest { name, reference },
            ["v2", name @ .., "blobs", "uploads"] => Self::Uploads { name },
            ["v2", name @ .., "blobs", "uploads", id] => Self::Upload { name, id },
            ["v2", name @ .., "blobs", digest] => Self::Blob { name, digest },
            _ => return None,
        })
    }

    /// What can be done to such a thing.
    fn methods(&self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const BLOB: &[Method] = &[Method::GET, Method::HEAD, Method::DELETE];
        const MANIFEST: &[Method] = &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
        const UPLOADS: &[Method] = &[Method::POST];
        const UPLOAD: &[Method] =
            &[Method::GET, Method::HEAD, Method::PATCH, Method::PUT, Method::DELETE];
        match self {
            Self::Root
            | Self::Base
            | Self::Catalog
            | Self::Tags { .. }
            | Self::Referrers { .. } => READ,
            Self::Blob { .. } => BLOB,
            Self::Manifest { .. } => MANIFEST,
            Self::Uploads { .. } => UPLOADS,
            Self::Upload { .. } => UPLOAD,
        }
    }

    /// What can be done to it here.
    fn allow(&self, options: &Options) -> Allow {
        let is_content = matches!(self, Self::Blob { .. } | Self::Manifest { .. });
        let is_upload = matches!(self, Self::Upload { .. });
        let read_only = options.is_read_only();
        let allowed = |method: &&Method| match **method {
            // To look at a session is to take it up, which may write.
            _ if is_upload && read_only => false,
            Method::GET | Method::HEAD => true,
            _ if read_only => false,
            Method::DELETE if is_content => options.delete,
            _ => true,
        };
        Allow::new(self.methods().iter().filter(allowed))
    }

    /// Parses the parts, for one of [`Resource::methods`].
    fn endpoint(
        self,
        method: &Method,
        query: Query<'_>,
        options: &Options,
    ) -> Result<Endpoint, Refusal> {
        match self {
            Self::Root => Ok(Endpoint::Root),
            Self::Base => Ok(Endpoint::Base),
            Self::Catalog => Ok(Endpoint::Catalog { page: query.page()? }),
            Self::Tags { name } => {
                Ok(Endpoint::ListTags { name: repository_name(name)?, page: query.page()? })
            }
            Self::Referrers { name, subject } => Ok(Endpoint::ListReferrers {
                name: repository_name(name)?,
                query: ReferrersQuery {
                    subject: subject.parse()?,
                    artifact_type: query.first("artifactType").map(Cow::into_owned),
                    limit: query.limit()?,
                    after: query.parse("last")?,
                },
            }),
            Self::Blob { name, digest } => {
                let (name, digest) = (repository_name(name)?, digest.parse()?);
                Ok(match *method {
                    Method::DELETE => Endpoint::DeleteBlob { name, digest },
                    _ => Endpoint::GetBlob { name, digest },
                })
            }
            Self::Manifest { name, reference } => {
                manifest(method, repository_name(name)?, reference, query, options)
            }
            Self::Uploads { name } => Ok(Endpoint::StartUpload {
                name: repository_name(name)?,
                start: query.start_upload()?,
            }),
            Self::Upload { name, id } => {
                let (name, id) = (repository_name(name)?, id.parse()?);
                let target = UploadTarget { tip: query.tip(&name, id)?, name, id };
                Ok(match *method {
                    Method::PATCH => Endpoint::AppendUpload(target),
                    Method::PUT => {
                        let digest = query.parse("digest")?.ok_or(Refusal::DigestMissing)?;
                        Endpoint::CommitUpload(target, digest)
                    }
                    Method::DELETE => Endpoint::CancelUpload(target),
                    _ => Endpoint::UploadStatus(target),
                })
            }
        }
    }
}

fn manifest(
    method: &Method,
    name: RepositoryName,
    reference: &str,
    query: Query<'_>,
    options: &Options,
) -> Result<Endpoint, Refusal> {
    match *method {
        Method::PUT => {
            let reference = writable_reference(reference)?;
            let tags = match &reference {
                Reference::Digest(_) => query.tags(options.manifest_tags_max)?,
                Reference::Tag(_) => Vec::new(),
            };
            Ok(Endpoint::PutManifest { name, reference, tags })
        }
        Method::DELETE => {
            Ok(Endpoint::DeleteManifest { name, reference: writable_reference(reference)? })
        }
        // Nothing can have such a name, so it is not there: the official conformance suite asks for 404.
        _ => Ok(Endpoint::GetManifest {
            name,
            reference: reference.parse().map_err(Refusal::NoSuchReference)?,
        }),
    }
}

/// A reference in a request that changes something: what is wrong with it is told by what it looks like.
fn writable_reference(text: &str) -> Result<Reference, Refusal> {
    if text.contains(':') {
        Ok(Reference::Digest(text.parse()?))
    } else {
        text.parse().map(Reference::Tag).map_err(Refusal::Tag)
    }
}

fn repository_name(segments: &[&str]) -> Result<RepositoryName, Refusal> {
    let name = segments.join("/");
    // An encoded slash would make one segment look like two.
    if segments.iter().any(|segment| segment.contains('/')) {
        let found = name.chars().take(80).collect();
        return Err(NameError::Grammar { found }.into());
    }
    Ok(name.parse()?)
}

/// The decoded segments of a path; those at its end that are empty are left out.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = match path.strip_prefix('/') {
        Some(rest) => rest.trim_end_matches('/'),
        None if path.is_empty() => path,
        None => return None,
    };
    if path.is_empty() {
        return Some(Vec::new());
    }
    Some(path.split('/').map(decode).collect())
}

/// Percent-decodes once. What is not UTF-8 becomes characters that no grammar here has.
fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The part of a URL behind the question mark.
///
/// A `+` stands for itself: no value here has a space, and media types do have a plus. Parameters that are
/// not known are passed over.
#[derive(Clone, Copy)]
struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    fn all(self, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
        self.0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(move |(key, value)| decode(key) == name && !value.is_empty())
            .map(|(_, value)| decode(value))
    }

    /// The first value of a parameter; an empty one is none.
    fn first(self, name: &str) -> Option<Cow<'q, str>> {
        self.all(name).next()
    }

    fn parse<T>(self, name: &str) -> Result<Option<T>, Refusal>
    where
        T: std::str::FromStr<Err: Into<Refusal>>,
    {
        self.first(name).map(|value| value.parse().map_err(Into::into)).transpose()
    }

    fn page(self) -> Result<PageQuery, Refusal> {
        Ok(PageQuery { limit: self.limit()?, after: self.first("last").map(Cow::into_owned) })
    }

    /// `n`. A number too great to hold is as good as the greatest.
    fn limit(self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.first("n") else {
            return Ok(None);
        };
        if text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Some(text.parse().unwrap_or(usize::MAX)))
        } else {
            let found = text.chars().take(40).collect();
            Err(Refusal::PageNumber { found })
        }
    }

    fn tags(self, limit: usize) -> Result<Vec<Tag>, Refusal> {
        let mut tags = Vec::new();
        for text in self.all("tag") {
            let tag = text.parse().map_err(Refusal::Tag)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            if tags.len() > limit {
                return Err(Refusal::TooManyTags { limit });
            }
        }
        Ok(tags)
    }

    fn start_upload(self) -> Result<StartUpload, Refusal> {
        let algorithm = self.parse::<Algorithm>("digest-algorithm")?;
        if let Some(mount) = self.first("mount") {
            return Ok(self.mount(&mount, algorithm));
        }
        Ok(match self.parse("digest")? {
            Some(digest) => StartUpload::Whole(digest),
            None => StartUpload::Session(algorithm.unwrap_or(Algorithm::Sha256)),
        })
    }

    /// A mount that cannot be is no error, but the beginning of an upload (end-11).
    fn mount(self, digest: &str, algorithm: Option<Algorithm>) -> StartUpload {
        let session = StartUpload::Session(algorithm.unwrap_or(Algorithm::Sha256));
        let Ok(digest) = digest.parse() else {
            return session;
        };
        match self.first("from").map(|from| from.parse()).transpose() {
            Ok(from) => StartUpload::Mount { digest, from },
            Err(_) => session,
        }
    }

    /// What a session's address says of how far it has come: ours, or else Distribution's.
    fn tip(self, name: &RepositoryName, id: UploadId) -> Result<Option<Tip>, Refusal> {
        let token = self.first(TIP).map(Cow::into_owned);
        if let Some(offset) = self.first(OFFSET) {
            let digits = offset.bytes().all(|b| b.is_ascii_digit());
            return match offset.parse() {
                Ok(offset) if digits => Ok(Some(Tip { offset, token })),
                _ => Err(Refusal::UploadAddress),
            };
        }
        let Some(state) = self.first(STATE) else {
            return Ok(None);
        };
        let offset = upload_state::offset(&state, name, id).ok_or(Refusal::UploadState)?;
        Ok(Some(Tip { offset, token }))
    }
}

/// The parameters of a session's address that are ours.
pub(crate) const OFFSET: &str = "_offset";
pub(crate) const TIP: &str = "_tip";
/// The one that is Distribution's.
pub(crate) const STATE: &str = "_state";

/// Whether a request is for the token service, whatever its method.
#[cfg(feature = "auth")]
pub(crate) fn token_service<'o>(uri: &Uri, options: &'o Options) -> Option<&'o TokenService> {
    let service = options.tokens.as_deref()?;
    let path = uri.path().strip_prefix(options.path_prefix.as_str())?;
    (path == service.path).then_some(service)
}

/// Whether something of our own can be at a path: it does not hide anything of the API.
#[cfg(feature = "cli")]
pub(crate) fn is_free(path: &str) -> bool {
    path != "/" && path != "/v2" && !path.starts_with("/v2/")
}

/// The same as a regular expression, of paths that need no escapes; nothing at all is one too.
#[cfg(feature = "cli")]
pub(crate) const FREE: &str = "^(/(?!$|v2$|v2/)[A-Za-z0-9/._~-]+)?$";

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

    fn parse_with(options: &Options, method: &str, url: &str) -> Result<Endpoint, Refusal> {
        let request = Request::builder().method(method).uri(url);
        let (head, ()) = request.body(()).unwrap().into_parts();
        Endpoint::parse(&head.method, &head.uri, options)
    }

    fn parse(method: &str, url: &str) -> Result<Endpoint, Refusal> {
        parse_with(&Options::default(), method, url)
    }

    fn name() -> impl Strategy<Value = RepositoryName> {
        "[a-z0-9]{1,4}([._/-][a-z0-9]{1,4}){0,3}(/(tags|manifests|blobs|uploads|list|v2)){0,3}"
            .prop_map(|text| text.parse().unwrap())
    }

    fn tag() -> impl Strategy<Value = Tag> {
        "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn a_tag_leads_to_its_manifest(name in name(), tag in tag()) {
            let url = format!("/v2/{name}/manifests/{tag}");
            prop_assert_eq!(
                parse("DELETE", &url).unwrap(),
                Endpoint::DeleteManifest { name, reference: tag.into() }
            );
        }

        #[test]
        fn no_path_makes_it_panic(path in "/(v2/)?[a-z%0-9/._:?&=-]{0,60}", method in "GET|PUT|POST|PATCH") {
            if path.parse::<Uri>().is_ok() {
                let _ = parse(&method, &path);
            }
        }
    }

    #[test]
    fn an_address_is_about_a_kind_of_thing_and_is_shown_without_what_is_secret() {
        for (address, expected) in [
            ("/", None),
            ("/x/", None),
            ("/x/v2/", Some(Route::Base)),
            ("/v2/", None),
            ("/x/v2/_catalog", Some(Route::Catalog)),
            ("/x/v2/a/b/tags/list", Some(Route::Tags)),
            ("/x/v2/A//manifests/!", Some(Route::Manifest)),
            ("/x/v2/a/blobs/uploads/", Some(Route::BlobUpload)),
            ("/x/v2/a/blobs/uploads/1", Some(Route::BlobUploadChunk)),
            ("/x/v2/a/blobs/sha256:0", Some(Route::Blob)),
            ("/x/v2/a/referrers/sha256:0", Some(Route::Referrers)),
        ] {
            assert_eq!(route(&address.parse().unwrap(), "/x"), expected, "{address}");
        }
        for (address, expected) in [
            ("http://me:hunter2@host/v2/", "/v2/"),
            ("/v2/?_state=hunter2&n=3&_offset=4", "/v2/?_state=***&n=3&_offset=4"),
            ("/v2/?%6E=hunter2&n", "/v2/?%6E=***&n"),
            ("/v2/?hunter2", "/v2/?***"),
            ("/v2/?_state%3Dhunter2&&n=1", "/v2/?***&&n=1"),
            ("/v2/?hunter2==", "/v2/?***"),
            ("/v2/?_tip=hunter2", "/v2/?_tip=***"),
        ] {
            assert_eq!(shown(&address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn slashes_at_the_end_do_not_matter() {
        for url in ["/v2", "/v2/", "/v2//"] {
            assert_eq!(parse("GET", url).unwrap(), Endpoint::Base);
        }
        for url in ["/v2/a/b/blobs/uploads", "/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads//"] {
            assert!(matches!(parse("POST", url), Ok(Endpoint::StartUpload { .. })));
        }
        assert_eq!(parse("GET", "/").unwrap(), Endpoint::Root);
    }

    #[test]
    fn a_repository_may_be_called_like_a_part_of_the_api() {
        let Ok(Endpoint::ListTags { name, .. }) = parse("GET", "/v2/blobs/uploads/tags/list")
        else {
            panic!("not a list of tags");
        };
        assert_eq!(name.as_str(), "blobs/uploads");
    }

    #[test]
    fn an_encoded_colon_is_a_colon_and_is_decoded_once() {
        let url = format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A"));
        assert!(matches!(parse("GET", &url), Ok(Endpoint::GetBlob { .. })));
        let url = format!("/v2/a/blobs/{}", DIGEST.replace(':', "%253A"));
        assert!(matches!(parse("GET", &url), Err(Refusal::Digest(_))));
    }

    #[test]
    fn encoded_slashes_dots_and_nul_are_no_part_of_a_name() {
        for name in ["a%2Fb", "..", "%2e%2e", "a/../b", "a%00", "%ff", "A", "", "a//b", "_x"] {
            let url = format!("/v2/{name}/tags/list");
            assert!(matches!(parse("GET", &url), Err(Refusal::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_manifest_that_can_have_no_name_is_unknown_when_read_and_invalid_when_written() {
        let url = "/v2/a/manifests/.INVALID_MANIFEST_NAME";
        assert!(matches!(parse("GET", url), Err(Refusal::NoSuchReference(_))));
        assert!(matches!(parse("PUT", url), Err(Refusal::Tag(_))));
        assert!(matches!(parse("DELETE", url), Err(Refusal::Tag(_))));
        let url = "/v2/a/manifests/sha256:abc";
        assert!(matches!(parse("HEAD", url), Err(Refusal::NoSuchReference(_))));
        assert!(matches!(parse("PUT", url), Err(Refusal::Digest(_))));
        let url = "/v2/a/manifests/a%2Fb";
        assert!(matches!(parse("GET", url), Err(Refusal::NoSuchReference(_))));
    }

    #[test]
    fn a_number_of_entries_is_digits_and_may_be_too_great() {
        let limit = |n: &str| match parse("GET", &format!("/v2/_catalog?n={n}")) {
            Ok(Endpoint::Catalog { page }) => Ok(page.limit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(limit("7").unwrap(), Some(7));
        assert_eq!(limit("0").unwrap(), Some(0));
        assert_eq!(limit("").unwrap(), None);
        assert_eq!(limit("99999999999999999999999").unwrap(), Some(usize::MAX));
        for n in ["-1", "+1", "x", "1.0", "0x1"] {
            assert!(matches!(limit(n), Err(Refusal::PageNumber { .. })), "{n}");
        }
    }

    #[test]
    fn a_subject_may_be_of_an_algorithm_that_is_not_known() {
        let parse = |subject: &str| parse("GET", &format!("/v2/a/referrers/{subject}"));
        for subject in [DIGEST, "blake3:aaa", "multihash+base58:QmRZxt2b1FVZ"] {
            let Ok(Endpoint::ListReferrers { query, .. }) = parse(subject) else {
                panic!("{subject} is no subject");
            };
            assert_eq!(query.subject.to_string(), subject);
        }
        for subject in ["sha256:aaa", "sha512:aaa", "blake3", "blake3:", "BLAKE3:aaa", "latest"] {
            assert!(matches!(parse(subject), Err(Refusal::Digest(_))), "{subject}");
        }
    }

    #[test]
    fn an_upload_begins_by_what_its_parameters_ask_for() {
        let start = |query: &str| match parse("POST", &format!("/v2/a/blobs/uploads/?{query}")) {
            Ok(Endpoint::StartUpload { start, .. }) => Ok(start),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        };
        let digest: Digest = DIGEST.parse().unwrap();
        let mount = |from| StartUpload::Mount { digest, from };
        let session = StartUpload::Session(Algorithm::Sha256);
        assert_eq!(start("").unwrap(), session);
        assert_eq!(
            start("digest-algorithm=sha512").unwrap(),
            StartUpload::Session(Algorithm::Sha512)
        );
        assert_eq!(start(&format!("digest={DIGEST}")).unwrap(), StartUpload::Whole(digest));
        assert_eq!(start(&format!("mount={DIGEST}")).unwrap(), mount(None));
        assert_eq!(
            start(&format!("mount={DIGEST}&from=b%2Fc")).unwrap(),
            mount(Some("b/c".parse().unwrap()))
        );
        assert_eq!(start("mount=nonsense&from=b").unwrap(), session);
        assert_eq!(start(&format!("mount={DIGEST}&from=B")).unwrap(), session);
        assert!(matches!(start("digest=nonsense"), Err(Refusal::Digest(_))));
        assert!(matches!(start("digest-algorithm=md5"), Err(Refusal::Digest(_))));
    }

    #[test]
    fn a_session_needs_its_id_and_its_own_parameters_unchanged() {
        let url = |query: &str| format!("/v2/a/blobs/uploads/{ID}?{query}");
        assert!(matches!(
            parse("GET", &url("")),
            Ok(Endpoint::UploadStatus(UploadTarget { tip: None, .. }))
        ));
        assert!(matches!(parse("PATCH", &url("_offset=-1")), Err(Refusal::UploadAddress)));
        assert!(matches!(parse("PUT", &url("_offset=1")), Err(Refusal::DigestMissing)));
        assert!(matches!(parse("PUT", &url("digest=x")), Err(Refusal::Digest(_))));
        assert!(matches!(parse("GET", "/v2/a/blobs/uploads/no-uuid"), Err(Refusal::UploadId(_))));
    }

    #[test]
    fn a_session_of_distribution_says_in_its_state_how_far_it_has_come() {
        // {"Name":"a","UUID":"6b3c9a93-af5d-473f-a4ff-9710022185cd","Offset":5,"StartedAt":"2026-01-02T03:04:05Z"}
        pub(crate) const STATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB7Ik5hbWUiOiJhIiwiVVVJRCI6IjZiM2M5YTkzLWFmNWQt\
                             NDczZi1hNGZmLTk3MTAwMjIxODVjZCIsIk9mZnNldCI6NSwiU3RhcnRlZEF0IjoiMjAyNi0wMS0wMlQwMzowNDow\
                             NVoifQ==";
        let tip = |path: &str| match parse("PATCH", path) {
            Ok(Endpoint::AppendUpload(target)) => Ok(target.tip.map(|tip| tip.offset)),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        };
        let url = format!("/v2/a/blobs/uploads/{ID}?_state={STATE}");
        assert_eq!(tip(&url).unwrap(), Some(5));
        assert_eq!(tip(&url.replace('=', "%3D").replacen("%3D", "=", 1)).unwrap(), Some(5));
        assert_eq!(tip(&format!("{url}&_offset=7")).unwrap(), Some(7));
        assert!(matches!(tip(&url.replace("/a/", "/b/")), Err(Refusal::UploadState)));
        let other = url.replace(ID, "00000000-af5d-473f-a4ff-9710022185cd");
        assert!(matches!(tip(&other), Err(Refusal::UploadState)));
    }

    #[test]
    fn tags_go_with_a_digest_once_each_and_not_without_end() {
        let url = |tags: &str| format!("/v2/a/manifests/{DIGEST}?{tags}");
        let Ok(Endpoint::PutManifest { tags, .. }) = parse("PUT", &url("tag=b&tag=a&tag=b")) else {
            panic!("not a manifest");
        };
        let texts: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(texts, ["b", "a"]);
        assert!(matches!(parse("PUT", &url("tag=-")), Err(Refusal::Tag(_))));
        let many = |n: usize| (0..n).map(|i| format!("tag=t{i}&")).collect::<String>();
        assert!(parse("PUT", &url(&many(50))).is_ok());
        assert!(matches!(parse("PUT", &url(&many(51))), Err(Refusal::TooManyTags { limit: 50 })));
        let fewer = Options { manifest_tags_max: 2, ..Options::default() };
        assert!(parse_with(&fewer, "PUT", &url(&many(2))).is_ok());
        assert!(matches!(
            parse_with(&fewer, "PUT", &url(&many(3))),
            Err(Refusal::TooManyTags { limit: 2 })
        ));
    }

    #[test]
    fn a_method_is_unknown_or_switched_off_or_allowed() {
        let refused = |options: &Options, method: &str| match parse_with(
            options,
            method,
            &format!("/v2/a/blobs/{DIGEST}"),
        ) {
            Err(Refusal::Method { allow }) => format!("unknown, not {allow}"),
            Err(Refusal::Disabled { allow }) => format!("off, not {allow}"),
            other => format!("{other:?}"),
        };
        let all = Options::default();
        let keep = Options { delete: false, ..Options::default() };
        assert_eq!(refused(&all, "PUT"), "unknown, not GET, HEAD, DELETE, OPTIONS");
        assert_eq!(refused(&keep, "DELETE"), "off, not GET, HEAD, OPTIONS");
        let read_only = Options { read_only: true, ..Options::default() };
        assert!(matches!(
            parse_with(&read_only, "POST", "/v2/a/blobs/uploads/"),
            Err(Refusal::Disabled { .. })
        ));
        let session = format!("/v2/a/blobs/uploads/{ID}");
        assert!(parse_with(&keep, "DELETE", &session).is_ok());
        assert!(matches!(
            parse_with(&read_only, "OPTIONS", &session),
            Ok(Endpoint::Options { allow }) if allow.to_string() == "OPTIONS"
        ));
        assert!(matches!(parse_with(&read_only, "GET", &session), Err(Refusal::Disabled { .. })));
    }

    #[test]
    fn what_is_not_of_the_api_is_not_found() {
        for url in ["/v1/", "/v2/a", "/v2/a/b/c", "/v2/a/_oci/ext/discover", "/healthz"] {
            assert!(matches!(parse("GET", url), Err(Refusal::NoSuchEndpoint)), "{url}");
        }
    }

    #[test]
    fn paths_lie_behind_the_prefix() {
        let options = Options { path_prefix: "/registry".to_owned(), ..Options::default() };
        assert_eq!(parse_with(&options, "GET", "/registry/v2/").unwrap(), Endpoint::Base);
        assert_eq!(parse_with(&options, "GET", "/").unwrap(), Endpoint::Root);
        assert!(parse_with(&options, "GET", "/v2/").is_err());
        assert!(parse_with(&options, "GET", "/registryv2/").is_err());
    }
}
