//! [`Http`]: Distribution's `http`, but for its `debug`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use super::address::Address;
use super::debug::DebugSection;
use super::go_duration::GoDuration;
use super::node::Node;
use super::origin::Origin;
use super::problem::Problem;
use super::secret::Secret;
use super::tls;
use crate::host::is_host;
use crate::options::Locations;
use crate::serve::tls::TlsOptions;

/// `http`.
#[derive(Clone, Debug)]
pub struct Http {
    /// `addr`, where `net` is `tcp`. `None`: not said.
    pub address: Option<Address>,
    /// `addr`, where `net` is `unix`.
    pub socket: Option<UnixSocket>,
    /// `secret`, if it is not empty.
    pub secret: Option<Secret>,
    /// `prefix`, without a slash at its end.
    pub prefix: String,
    /// `host` and `relativeurls`.
    pub locations: Locations,
    /// `headers`, which answers have beside their own.
    pub headers: HeaderMap,
    /// `draintimeout`: how long requests in flight are waited for at the end. `None`, which 0 is too: as long as they
    /// take.
    pub drain: Option<Duration>,
    /// HTTP/2 is spoken without TLS, with whoever begins with it: unless `h2c.enabled` is false or `http2.disabled` true.
    pub h2c: bool,
    /// `tls`, if there is a `certificate`.
    pub tls: Option<TlsOptions>,
}

/// A unix socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where it is.
    pub path: PathBuf,
    /// `socketmode`: who may connect, as the permissions of a file; to connect takes that to write. `None`: 0777 less the
    /// umask. Ours.
    pub mode: Option<u32>,
}

/// The file as it stands.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    addr: Option<String>,
    net: Option<String>,
    socketmode: Option<String>,
    prefix: Option<String>,
    host: Option<String>,
    secret: Option<Secret>,
    relativeurls: Option<bool>,
    draintimeout: Option<GoDuration>,
    headers: BTreeMap<String, Option<Vec<String>>>,
    http2: Http2Section,
    h2c: H2cSection,
    tls: tls::Section,
    pub(super) debug: DebugSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http2Section {
    disabled: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct H2cSection {
    enabled: Option<bool>,
}

/// The document, for where something stands.
struct At<'n>(&'n Node);

impl At<'_> {
    fn origin(&self, name: &str) -> Origin {
        let entry = self.0.find(&format!("http.{name}"));
        entry.expect("it was read from there").node.origin.clone()
    }

    fn problem(&self, name: &str, what: impl Into<String>) -> Problem {
        Problem::new(&self.origin(name), format!("http.{name}"), what)
    }
}

impl Section {
    pub(super) fn resolve(
        self,
        document: &Node,
        file: Option<&Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Http, Problem> {
        let at = At(document);
        let is_unix = is_unix(&at, said(self.net).as_deref())?;
        let mode = mode(&at, said(self.socketmode), is_unix, warnings)?;
        let (address, socket) = match (is_unix, said(self.addr)) {
            (false, address) => (self::address(&at, address)?, None),
            (true, Some(path)) => (None, Some(UnixSocket { path: path.into(), mode })),
            (true, None) => {
                let what = "expected the path of a socket in http.addr, found none";
                return Err(at.problem("net", what));
            }
        };
        let http2 = !self.http2.disabled.unwrap_or(false);
        if !http2 && self.h2c.enabled == Some(true) {
            let what = "passed over: there is no HTTP/2 while http.http2.disabled is true";
            warnings.push(at.problem("h2c.enabled", what));
        }
        Ok(Http {
            address,
            socket,
            secret: self.secret.filter(|secret| !secret.reveal().is_empty()),
            prefix: prefix(&at, &self.prefix.unwrap_or_default())?,
            // Distribution's default makes whole addresses of what the client or its proxy asked for; ours makes paths.
            locations: match host(&at, said(self.host), warnings)? {
                Some(base) => Locations::At(base),
                None if self.relativeurls.unwrap_or(file.is_none()) => Locations::Relative,
                None => Locations::FromRequest,
            },
            headers: headers(document, self.headers, warnings)?,
            drain: self.draintimeout.map(|limit| limit.0).filter(|limit| !limit.is_zero()),
            h2c: http2 && self.h2c.enabled.unwrap_or(true),
            tls: self.tls.resolve(document, http2, warnings)?,
        })
    }
}

fn is_unix(at: &At<'_>, net: Option<&str>) -> Result<bool, Problem> {
    match net {
        None | Some("tcp") => Ok(false),
        Some("unix") => Ok(true),
        Some(other) => Err(at.problem("net", format!("expected tcp or unix, found `{other:.80}`"))),
    }
}

fn mode(
    at: &At<'_>,
    mode: Option<String>,
    is_unix: bool,
    warnings: &mut Vec<Problem>,
) -> Result<Option<u32>, Problem> {
    let Some(text) = mode else { return Ok(None) };
    let digits = text.strip_prefix("0o").unwrap_or(&text);
    let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    let Some(mode) = mode else {
        let what = format!("expected permissions such as 0660, found `{text:.80}`");
        return Err(at.problem("socketmode", what));
    };
    if !is_unix {
        warnings.push(at.problem("socketmode", "passed over: it is for `net: unix`"));
    }
    Ok(Some(mode))
}

fn address(at: &At<'_>, address: Option<String>) -> Result<Option<Address>, Problem> {
    address.map(Address::try_from).transpose().map_err(|what| at.problem("addr", what))
}

fn prefix(at: &At<'_>, prefix: &str) -> Result<String, Problem> {
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() || is_path(prefix) {
        return Ok(prefix.to_owned());
    }
    Err(at.problem("prefix", format!("expected a path such as /registry/, found `{prefix:.80}`")))
}

fn host(
    at: &At<'_>,
    host: Option<String>,
    warnings: &mut Vec<Problem>,
) -> Result<Option<String>, Problem> {
    let Some(host) = host else { return Ok(None) };
    match base(&host) {
        Ok(base) => Ok(Some(base)),
        // Without a scheme Distribution passes it over, and says nothing.
        Err(what) if !host.contains(':') => {
            warnings.push(at.problem("host", format!("passed over: {what}")));
            Ok(None)
        }
        Err(what) => Err(at.problem("host", what)),
    }
}

/// What says where a body ends and how it is to be read, which is not to be said twice.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn headers(
    document: &Node,
    said: BTreeMap<String, Option<Vec<String>>>,
    warnings: &mut Vec<Problem>,
) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    let section = document.find("http.headers").map_or(&[][..], |entry| entry.node.entries());
    let origins: BTreeMap<&str, &Origin> =
        section.iter().map(|entry| (entry.key.as_str(), &entry.node.origin)).collect();
    for (name, values) in said {
        let origin = origins[name.as_str()];
        let problem = |what: String| Problem::new(origin, format!("http.headers.{name}"), what);
        let Ok(key) = HeaderName::try_from(name.as_str()) else {
            return Err(problem("expected the name of a header, found another form".to_owned()));
        };
        if FRAMING.contains(&key) {
            let what = "passed over: it would say where an answer ends, which the answer does";
            warnings.push(problem(what.to_owned()));
            continue;
        }
        for value in values.unwrap_or_default() {
            let Ok(value) = HeaderValue::try_from(value) else {
                let what =
                    "expected the value of a header, found one with a line break or the like";
                return Err(problem(what.to_owned()));
            };
            if headers.try_append(key.clone(), value).is_err() {
                return Err(problem("expected fewer headers, found too many".to_owned()));
            }
        }
    }
    Ok(headers)
}

/// An address that locations can be put behind, without a slash at its end.
fn base(host: &str) -> Result<String, String> {
    let behind = host.strip_prefix("http://").or_else(|| host.strip_prefix("https://"));
    let good = behind.is_some_and(|behind| {
        let (authority, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        is_host(authority)
            && (path.trim_end_matches('/').is_empty() || is_path(path.trim_end_matches('/')))
    });
    if good {
        return Ok(host.trim_end_matches('/').to_owned());
    }
    Err("expected an address such as https://registry.example.com, found another form".to_owned())
}

/// What can stand in front of `/v2/` and in a header as it is. Two slashes at its beginning would be a host's, and clients
/// go up at two points.
fn is_path(path: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(fine);
    path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment))
}

/// An empty string says nothing, as in Distribution.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
