//! [`AccessLog`]: a line for each request that has ended.
//!
//! Of the address a line has the path and those parameters that hold nothing secret; of the headers, `Referer` without its
//! parameters, and `User-Agent`. What says who somebody is is not in it, but for the name that the authorizer found.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::Version;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::observe::{Exchange, Observer};
use crate::route::Route;

/// How a line looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The combined format of Apache, which is Distribution's:
    /// `192.0.2.1 - alice [27/Nov/2026:02:36:50 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "docker/28.0"`.
    Combined,
    /// An object of JSON under the names of Distribution's log: `http.request.method`, `http.response.status` and so on.
    /// It has these fields too, where no other has their name.
    Json(Map<String, Value>),
}

/// Where a line goes, without a newline. It must not block.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

/// See the [module](self).
pub struct AccessLog {
    form: Form,
    sink: Sink,
}

impl AccessLog {
    /// Lines of this form.
    pub fn new(form: Form, sink: Sink) -> Self {
        Self { form, sink }
    }
}

impl Observer for AccessLog {
    fn began(&self, _: Option<Route>) {}

    fn ended(&self, exchange: &Exchange) {
        (self.sink)(match &self.form {
            Form::Combined => combined(exchange),
            Form::Json(fields) => json(exchange, fields),
        });
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("form", &self.form).finish_non_exhaustive()
    }
}

fn combined(it: &Exchange) -> String {
    let time = moment(it.began);
    let host = it.peer.as_deref().map_or("-", host);
    let user = it.actor.as_deref().map_or_else(|| "-".to_owned(), word);
    format!(
        "{host} - {user} [{time}] \"{} {} {}\" {} {} \"{}\" \"{}\"",
        it.method,
        escaped(&it.shown()),
        protocol(it.version),
        it.status,
        it.sent,
        escaped(&referer(it).unwrap_or_default()),
        escaped(it.user_agent.as_deref().unwrap_or_default()),
    )
}

/// As Apache writes it, in UTC.
fn moment(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let month = time.month().to_string();
    let (hour, minute, second) = time.to_hms();
    format!(
        "{:02}/{}/{:04}:{hour:02}:{minute:02}:{second:02} +0000",
        time.day(),
        month.get(..3).unwrap_or(&month),
        time.year()
    )
}

/// Without its port, as in Distribution.
fn host(peer: &str) -> &str {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A name in which nobody sees the end of a field.
fn word(name: &str) -> String {
    escaped(name).replace(' ', "\\x20")
}

/// Nothing in it ends the quotes, or the line.
fn escaped(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '"' | '\\' => told.extend(['\\', it]),
            it if it.is_control() => told.push_str(&format!("\\x{:02x}", it as u32)),
            it => told.push(it),
        }
    }
    told
}

fn referer(it: &Exchange) -> Option<String> {
    let text = it.referer.as_deref()?;
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let behind = without_user(text);
    Some(match text.split_once("://") {
        Some((scheme, _)) if behind.len() < text.len() => format!("{scheme}://{behind}"),
        _ => behind.to_owned(),
    })
}

/// What stands before an `@` may be a password, whatever else it looks like.
fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, behind)| behind)
}

fn protocol(version: Version) -> String {
    // As Go writes it.
    match version {
        Version::HTTP_2 => "HTTP/2.0".to_owned(),
        other => format!("{other:?}"),
    }
}

fn json(it: &Exchange, fields: &Map<String, Value>) -> String {
    let mut line = fields.clone();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            line.insert(name.to_owned(), value);
        }
    };
    let time = OffsetDateTime::from(it.began + it.took);
    say("time", time.format(&Rfc3339).unwrap_or_default().into());
    say("level", "info".into());
    say("msg", if it.is_whole { "response completed" } else { "response broken off" }.into());
    say("http.request.id", it.id.0.clone().into());
    say("http.request.method", it.method.as_str().into());
    say("http.request.uri", it.shown().into());
    say("http.request.proto", protocol(it.version).into());
    say("http.request.host", it.host.as_deref().map(without_user).into());
    let forwarded_for = it.forwarded_for.map(|address| address.to_string());
    say("http.request.remoteaddr", forwarded_for.or_else(|| it.peer.clone()).into());
    say("http.request.useragent", it.user_agent.clone().into());
    say("http.request.referer", referer(it).into());
    say("http.request.read", it.received.into());
    say("http.response.status", it.status.into());
    say("http.response.written", it.sent.into());
    say("http.response.contenttype", it.content_type.clone().into());
    say("http.response.duration", format!("{:?}", it.took).into());
    say("auth.user.name", it.actor.clone().into());
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Method, Uri};

    use super::*;
    use crate::request_id::RequestId;

    fn exchange() -> Exchange {
        Exchange {
            route: Some(Route::Blob),
            id: RequestId("5a0b".to_owned()),
            began: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            took: Duration::from_millis(1500),
            method: Method::GET,
            uri: Uri::from_static("/v2/app/tags/list?n=5&last=v1&_state=hunter2&token=hunter2"),
            version: Version::HTTP_11,
            host: Some("registry.example.com".to_owned()),
            peer: Some("[2001:db8::1]:41234".to_owned()),
            forwarded_for: None,
            user_agent: Some("do\"ck\ner".to_owned()),
            referer: Some("https://me:hunter2@example.com/page?key=hunter2#hunter2".to_owned()),
            actor: Some("alice b".to_owned()),
            status: 200,
            content_type: Some("application/json".to_owned()),
            received: 7,
            sent: 42,
            is_whole: true,
        }
    }

    #[test]
    fn a_combined_line_is_apaches_and_nothing_in_it_ends_a_field() {
        assert_eq!(
            combined(&exchange()),
            "2001:db8::1 - alice\\x20b [09/Sep/2001:01:46:40 +0000] \
             \"GET /v2/app/tags/list?n=5&last=v1&_state=***&token=*** HTTP/1.1\" 200 42 \
             \"https://example.com/page\" \"do\\\"ck\\x0aer\""
        );
        let unknown = Exchange { peer: None, actor: None, referer: None, ..exchange() };
        assert!(combined(&unknown).starts_with("- - - ["), "{}", combined(&unknown));
    }

    #[test]
    fn what_stands_before_an_at_is_in_no_line() {
        for (referer, expected) in [
            ("//me:hunter2@example.com/x", "example.com/x"),
            ("me:hunter2@example.com", "example.com"),
            ("https://hunter2@me:hunter2@example.com/x", "https://example.com/x"),
            ("example.com/x", "example.com/x"),
        ] {
            let (referer, host) = (Some(referer.to_owned()), Some("me:hunter2@x:5000".to_owned()));
            let exchange = Exchange { referer, host, ..exchange() };
            let line: Value = serde_json::from_str(&json(&exchange, &Map::new())).unwrap();
            assert_eq!(line["http.request.referer"], expected);
            assert_eq!(line["http.request.host"], "x:5000");
            let line = combined(&exchange);
            assert!(line.contains(&format!("\"{expected}\"")), "{line}");
        }
    }

    #[test]
    fn json_tells_for_whom_a_proxy_says_that_it_asks_and_a_combined_line_who_asks() {
        let forwarded_for = Some("192.0.2.7".parse().unwrap());
        let exchange = Exchange { forwarded_for, ..exchange() };
        let line: Value = serde_json::from_str(&json(&exchange, &Map::new())).unwrap();
        assert_eq!(line["http.request.remoteaddr"], "192.0.2.7");
        assert!(combined(&exchange).starts_with("2001:db8::1 - "));
    }

    #[test]
    fn a_line_of_json_has_distributions_names_and_the_fields_of_the_configuration() {
        let fields = Map::from_iter([
            ("service".to_owned(), "registry".into()),
            ("http.response.status".to_owned(), "taken".into()),
        ]);
        let line: Value = serde_json::from_str(&json(&exchange(), &fields)).unwrap();
        assert_eq!(line["service"], "registry");
        assert_eq!(line["http.response.status"], 200);
        assert_eq!(line["http.request.id"], "5a0b");
        assert_eq!(line["http.request.uri"], exchange().shown());
        assert_eq!(line["http.response.written"], 42);
        assert_eq!(line["http.response.duration"], "1.5s");
        assert_eq!(line["time"], "2001-09-09T01:46:41.5Z");
        assert_eq!(line["auth.user.name"], "alice b");
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
}
