//! [`Links`]: the addresses that answers point at.

use std::fmt;

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry_store::digest::Digest;
use registry_store::name::RepositoryName;
use registry_store::reference::Tag;
use registry_store::upload_status::UploadStatus;

#[cfg(feature = "auth")]
use crate::auth::issuer::TokenService;
use crate::endpoint::{OFFSET, ReferrersQuery, STATE, TIP};
use crate::options::{Locations, Options};
use crate::origin::{asked, origin};
use crate::upload_secret::UploadSecret;
use crate::upload_state;

/// Makes the addresses that answers point at.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Scheme and host, if locations are to have them.
    origin: String,
    /// What stands before `/v2/`.
    prefix: String,
    /// What the addresses of upload sessions are signed with.
    secret: Option<UploadSecret>,
}

impl Links {
    /// As the options ask for, in answer to this request.
    pub(crate) fn new(options: &Options, head: &Parts) -> Self {
        let (origin, prefix) = match &options.locations {
            Locations::Relative => (String::new(), options.path_prefix.clone()),
            Locations::FromRequest => {
                (origin(head).unwrap_or_default(), options.path_prefix.clone())
            }
            Locations::Under(base) => {
                let (origin, path) = split(base);
                (origin.to_owned(), format!("{path}{}", options.path_prefix))
            }
            Locations::At(base) => {
                let (origin, path) = split(base);
                (origin.to_owned(), path.to_owned())
            }
        };
        Self { origin, prefix, secret: options.upload_secret.clone() }
    }

    /// With a host, if there is any to be known: for those who have not made the request. What proxies add counts
    /// only where the options say so: without a proxy it is the client's word.
    pub(crate) fn absolute(options: &Options, head: &Parts) -> Self {
        let links = Self::new(options, head);
        match options.locations {
            Locations::Relative => Self { origin: asked(head).unwrap_or_default(), ..links },
            Locations::FromRequest | Locations::Under(_) | Locations::At(_) => links,
        }
    }

    /// Where the client of this request gets tokens: by the address that it came by, whatever the options are, so that it
    /// does not send its password in clear where a proxy speaks TLS. What proxies add is believed: if it is the client's
    /// own word, it misleads nobody else.
    #[cfg(feature = "auth")]
    pub(crate) fn tokens(options: &Options, head: &Parts, service: &TokenService) -> String {
        let links = Self::new(options, head);
        let links = match options.locations {
            Locations::Relative => Self { origin: origin(head).unwrap_or_default(), ..links },
            Locations::FromRequest | Locations::Under(_) | Locations::At(_) => links,
        };
        format!("{links}{}", service.path)
    }

    /// Where a blob can be pulled from.
    pub(crate) fn blob(&self, name: &RepositoryName, digest: &Digest) -> String {
        format!("{self}/v2/{name}/blobs/{digest}")
    }

    /// Where a manifest can be pulled from.
    pub(crate) fn manifest(&self, name: &RepositoryName, digest: &Digest) -> String {
        format!("{self}/v2/{name}/manifests/{digest}")
    }

    /// Where an upload session goes on. With a secret the offset is in Distribution's parameter, which it needs;
    /// it passes over ours.
    pub(crate) fn upload(&self, name: &RepositoryName, status: &UploadStatus) -> String {
        let mut url = match &self.secret {
            Some(secret) => {
                let state = upload_state::issue(secret, name, status);
                format!("{self}/v2/{name}/blobs/uploads/{}?{STATE}={}", status.id, encode(&state))
            }
            None => {
                let UploadStatus { id, tip, .. } = status;
                format!("{self}/v2/{name}/blobs/uploads/{id}?{OFFSET}={}", tip.offset)
            }
        };
        if let Some(token) = &status.tip.token {
            url.push_str(&format!("&{TIP}={}", encode(token)));
        }
        url
    }

    /// The `Link` to the catalog's next page, which begins after `last`.
    pub(crate) fn next_catalog(&self, limit: usize, last: &RepositoryName) -> String {
        let last = encode(last.as_str());
        self.next(&format!("/v2/_catalog?last={last}&n={limit}"))
    }

    /// The `Link` to the next page of tags.
    pub(crate) fn next_tags(&self, name: &RepositoryName, limit: usize, last: &Tag) -> String {
        let last = encode(last.as_str());
        self.next(&format!("/v2/{name}/tags/list?last={last}&n={limit}"))
    }

    /// The `Link` to the page of referrers that comes after `last`.
    pub(crate) fn next_referrers(
        &self,
        name: &RepositoryName,
        query: &ReferrersQuery,
        last: &Digest,
    ) -> String {
        let mut next = format!("/v2/{name}/referrers/{}?last={last}", query.subject);
        if let Some(artifact_type) = &query.artifact_type {
            next.push_str(&format!("&artifactType={}", encode(artifact_type)));
        }
        if let Some(limit) = query.limit {
            next.push_str(&format!("&n={limit}"));
        }
        self.next(&next)
    }

    /// RFC 8288 (which follows 5988), always relative: the client asks where it has asked before.
    fn next(&self, path: &str) -> String {
        format!("<{}{path}>; rel=\"next\"", self.prefix)
    }
}

/// What stands before `/v2/` in a location.
impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, RESERVED)
}

/// Scheme and host, and the path behind them, of an address or of a path alone.
fn split(base: &str) -> (&str, &str) {
    let host = base.find("://").map_or(0, |scheme| scheme + 3);
    let path = base[host..].find('/').map_or(base.len(), |path| host + path);
    base.split_at(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Endpoint, PageQuery, UploadTarget};
    use crate::peer::OverTls;
    use crate::refusal::Refusal;
    use http::Request;
    use proptest::prelude::*;
    use registry_store::backend::Tip;
    use registry_store::digest::{Algorithm, AnyDigest};
    use registry_store::upload_id::UploadId;
    use std::time::UNIX_EPOCH;

    fn parse(method: &str, url: &str) -> Result<Endpoint, Refusal> {
        let request = Request::builder().method(method).uri(url);
        let (head, ()) = request.body(()).unwrap().into_parts();
        Endpoint::parse(&head.method, &head.uri, &Options::default())
    }

    fn links() -> Links {
        let (head, ()) = Request::new(()).into_parts();
        Links::new(&Options::default(), &head)
    }

    /// The address within a `Link`.
    fn target(link: &str) -> &str {
        let link = link.strip_prefix('<').unwrap();
        link.strip_suffix(">; rel=\"next\"").unwrap()
    }

    fn name() -> impl Strategy<Value = RepositoryName> {
        "[a-z0-9]{1,4}([._/-][a-z0-9]{1,4}){0,3}(/(tags|manifests|blobs|uploads|list|v2)){0,3}"
            .prop_map(|text| text.parse().unwrap())
    }

    fn tag() -> impl Strategy<Value = Tag> {
        "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|text| text.parse().unwrap())
    }

    fn digest() -> impl Strategy<Value = Digest> {
        (any::<[u8; 4]>(), any::<bool>()).prop_map(|(content, long)| {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            Digest::of(algorithm, &content)
        })
    }

    proptest! {
        #[test]
        fn the_address_of_content_leads_to_it(name in name(), digest in digest()) {
            prop_assert_eq!(
                parse("GET", &links().blob(&name, &digest)).unwrap(),
                Endpoint::GetBlob { name: name.clone(), digest }
            );
            prop_assert_eq!(
                parse("HEAD", &links().manifest(&name, &digest)).unwrap(),
                Endpoint::GetManifest { name, reference: digest.into() }
            );
        }

        #[test]
        fn the_address_of_a_session_leads_back_to_where_it_was(
            name in name(), id: [u8; 16], offset: u64, token in proptest::option::of(".{1,12}"),
            secret in ".{0,12}", digest in digest(),
        ) {
            let id = UploadId::from_random(id);
            let tip = Tip { offset, token };
            let status = UploadStatus { id, tip, started_at: UNIX_EPOCH };
            let upload_secret = UploadSecret::new(&secret);
            let (head, ()) = Request::new(()).into_parts();
            let links = Links::new(&Options { upload_secret, ..Options::default() }, &head);
            let url = links.upload(&name, &status);
            prop_assert_eq!(url.contains("?_state="), !secret.is_empty());
            let target = UploadTarget { name, id, tip: Some(status.tip) };
            prop_assert_eq!(parse("PATCH", &url).unwrap(), Endpoint::AppendUpload(target.clone()));
            prop_assert_eq!(
                parse("PUT", &format!("{url}&digest={digest}&_state=x")).unwrap(),
                Endpoint::CommitUpload(target, digest)
            );
        }

        #[test]
        fn the_link_of_a_page_leads_to_the_next(
            name in name(), last in tag(), n: usize, digest in digest(), filter in "[a-z]{1,9}/[a-z+&%.]{1,9}",
        ) {
            let page = |after: &str| PageQuery { limit: Some(n), after: Some(after.to_owned()) };
            prop_assert_eq!(
                parse("GET", target(&links().next_catalog(n, &name))).unwrap(),
                Endpoint::Catalog { page: page(name.as_str()) }
            );
            prop_assert_eq!(
                parse("GET", target(&links().next_tags(&name, n, &last))).unwrap(),
                Endpoint::ListTags { name: name.clone(), page: page(last.as_str()) }
            );
            let mut query = ReferrersQuery {
                subject: AnyDigest::Known(digest),
                artifact_type: Some(filter),
                limit: Some(n),
                after: None,
            };
            let next = links().next_referrers(&name, &query, &digest);
            query.after = Some(digest);
            prop_assert_eq!(
                parse("GET", target(&next)).unwrap(),
                Endpoint::ListReferrers { name, query }
            );
        }
    }

    #[test]
    fn locations_are_made_of_the_request_or_of_the_options() {
        let base = |locations: Locations, prefix: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/v2/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let path_prefix = prefix.to_owned();
            let options = Options { locations, path_prefix, ..Options::default() };
            Links::new(&options, &head).to_string()
        };
        let host = ("host", "one:5000");
        let proxy = [host, ("x-forwarded-proto", "https"), ("x-forwarded-host", "two, three")];
        let forwarded = [host, ("forwarded", "for=1.2.3.4;host=\"two:1\";proto=https, host=three")];
        assert_eq!(base(Locations::Relative, "", &[host]), "");
        assert_eq!(base(Locations::Relative, "/r", &[host]), "/r");
        assert_eq!(base(Locations::FromRequest, "/r", &[host]), "http://one:5000/r");
        assert_eq!(base(Locations::FromRequest, "", &proxy), "https://two");
        assert_eq!(base(Locations::FromRequest, "", &forwarded), "https://two:1");
        assert_eq!(base(Locations::FromRequest, "", &[]), "");
        for bad in ["a/b c", "user:pw@evil", "evil:65536", "evil:", "a,b", ""] {
            for name in ["host", "x-forwarded-host"] {
                let location = base(Locations::FromRequest, "", &[(name, bad)]);
                assert!(["", "http://a"].contains(&location.as_str()), "{name}: {bad}: {location}");
            }
            // The next that says one is asked.
            let quoted = format!("host=\"{bad}\";proto=https");
            let location = base(Locations::FromRequest, "", &[host, ("forwarded", &quoted)]);
            assert_eq!(location, "https://one:5000", "{bad}");
            let proxy = ("x-forwarded-host", "two");
            let location = base(Locations::FromRequest, "", &[host, proxy, ("forwarded", &quoted)]);
            assert_eq!(location, "https://two", "{bad}");
            let said = base(Locations::FromRequest, "", &[host, ("x-forwarded-host", bad)]);
            assert!(["http://one:5000", "http://a"].contains(&said.as_str()), "{bad}: {said}");
        }
        let two = [host, ("forwarded", "for=1.2.3.4;;host=two;proto=https")];
        assert_eq!(base(Locations::FromRequest, "", &two), "https://two");
        let hidden = [host, ("forwarded", "for=\"a;host=evil\";host=real")];
        assert_eq!(base(Locations::FromRequest, "", &hidden), "http://real");
        assert_eq!(
            base(Locations::Under("https://four/x".to_owned()), "/r", &[]),
            "https://four/x/r"
        );
        assert_eq!(base(Locations::At("https://four/x".to_owned()), "/r", &[]), "https://four/x");
        assert_eq!(base(Locations::At("https://four".to_owned()), "/r", &[]), "https://four");
    }

    #[test]
    fn over_tls_addresses_begin_with_https_unless_a_proxy_says_otherwise() {
        let base = |over_tls: bool, proto: Option<&str>, absolute: bool| {
            let mut request = Request::builder().uri("/v2/").header("host", "one:5000");
            if let Some(proto) = proto {
                request = request.header("x-forwarded-proto", proto);
            }
            let (mut head, ()) = request.body(()).unwrap().into_parts();
            if over_tls {
                head.extensions.insert(OverTls);
            }
            let asked = Options { locations: Locations::FromRequest, ..Options::default() };
            if absolute {
                return Links::absolute(&Options::default(), &head).to_string();
            }
            Links::new(&asked, &head).to_string()
        };
        for absolute in [false, true] {
            assert_eq!(base(true, None, absolute), "https://one:5000");
            assert_eq!(base(false, None, absolute), "http://one:5000");
        }
        assert_eq!(base(false, Some("https"), false), "https://one:5000");
        assert_eq!(base(true, Some("http"), false), "http://one:5000");
        // No other scheme is one.
        for scheme in ["javascript", "ftp", "https2", ""] {
            let location = base(false, Some(scheme), false);
            assert_eq!(location, "http://one:5000", "{scheme}");
            assert_eq!(base(true, Some(scheme), false), "https://one:5000", "{scheme}");
        }
        let request = Request::builder().uri("javascript://one:5000/v2/");
        let (head, ()) = request.body(()).unwrap().into_parts();
        for locations in [Locations::Relative, Locations::FromRequest] {
            let options = Options { locations, ..Options::default() };
            assert_eq!(Links::absolute(&options, &head).to_string(), "http://one:5000");
        }
    }

    #[test]
    fn the_next_page_is_where_the_client_asked_behind_a_path_of_its_own() {
        let under = Options {
            path_prefix: "/registry".to_owned(),
            locations: Locations::Under("https://four/x".to_owned()),
            ..Options::default()
        };
        let (head, ()) = Request::new(()).into_parts();
        let next = Links::new(&under, &head).next_catalog(5, &"a/b".parse().unwrap());
        assert_eq!(next, "</x/registry/v2/_catalog?last=a%2Fb&n=5>; rel=\"next\"");
    }
}
