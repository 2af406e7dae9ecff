//! [`Transcript`]: an answer as fields that can be compared, without what is another each time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use registry_tests::plain_http::Answer;
use serde_json::Value;

/// What was answered to a step.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) step: String,
    /// `status`, `header <name>`, and `body` or `body <path in JSON>`.
    pub(super) fields: BTreeMap<String, String>,
}

/// Headers that say nothing of the registry.
const PASSING: [&str; 3] = ["date", "connection", "transfer-encoding"];

impl Transcript {
    pub(super) fn of(step: &str, answer: &Answer, address: SocketAddr) -> Self {
        let mut fields = BTreeMap::new();
        fields.insert("status".to_owned(), answer.status.to_string());
        let is_json =
            answer.header("content-type").is_some_and(|it| it.starts_with("application/json"));
        for line in &answer.headers {
            // The last line is the empty one that ends the head.
            let Some((name, value)) = line.split_once(':') else { continue };
            let name = name.to_ascii_lowercase();
            // The length of JSON, and of plain text, is that of what is compared below.
            let is_derived = name == "content-length" && (is_json || answer.status >= 300);
            if PASSING.contains(&name.as_str()) || is_derived {
                continue;
            }
            let value = match name.as_str() {
                "www-authenticate" => challenge(value.trim()),
                _ => usual(value.trim(), address),
            };
            fields.insert(format!("header {name}"), value);
        }
        let body = match answer.header("transfer-encoding") {
            Some("chunked") => joined(&answer.body),
            _ => answer.body.clone(),
        };
        match serde_json::from_slice::<Value>(&body) {
            Ok(value) if is_json => flat("body", &sorted(value), address, &mut fields),
            _ if body.is_empty() => {}
            _ => {
                let text = String::from_utf8_lossy(&body).replace(char::is_control, " ");
                fields.insert("body".to_owned(), usual(text.trim(), address));
            }
        }
        Self { step: step.to_owned(), fields }
    }
}

/// Without the port, ids of sessions, and what is signed.
fn usual(text: &str, address: SocketAddr) -> String {
    let text = text.replace(&address.to_string(), "ADDRESS");
    let text = match text.split_once("/blobs/uploads/") {
        Some((before, session)) if session.contains("?_") => {
            format!("{before}/blobs/uploads/ID?STATE")
        }
        Some((before, session)) if is_id(session) => format!("{before}/blobs/uploads/ID"),
        _ => text,
    };
    if is_id(&text) { "ID".to_owned() } else { text }
}

fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.chars().enumerate().all(|(at, it)| match at {
            8 | 13 | 18 | 23 => it == '-',
            _ => it.is_ascii_hexdigit(),
        })
}

/// Scopes come in any order.
fn challenge(text: &str) -> String {
    let Some((before, rest)) = text.split_once("scope=\"") else { return text.to_owned() };
    let (scopes, behind) = rest.split_once('"').unwrap_or((rest, ""));
    let mut scopes: Vec<String> = scopes
        .split(' ')
        .map(|scope| match scope.rsplit_once(':') {
            Some((resource, actions)) => {
                let mut actions: Vec<&str> = actions.split(',').collect();
                actions.sort_unstable();
                format!("{resource}:{}", actions.join(","))
            }
            None => scope.to_owned(),
        })
        .collect();
    scopes.sort_unstable();
    format!("{before}scope=\"{}\"{behind}", scopes.join(" "))
}

/// Lists come in any order: tags of 2.8, and accesses that are asked for.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        other => other,
    }
}

fn flat(path: &str, value: &Value, address: SocketAddr, fields: &mut BTreeMap<String, String>) {
    match value {
        // What a client is told that it needs has to be the same: docker goes by it.
        Value::Array(items) if path.ends_with(".detail") && items.iter().all(is_access) => {
            fields.insert(format!("{path} of accesses"), value.to_string());
        }
        // What any other says is one thing.
        _ if path.ends_with(".detail") => {
            fields.insert(path.to_owned(), usual(&value.to_string(), address));
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flat(&format!("{path}.{at}"), item, address, fields);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flat(&format!("{path}.{name}"), value, address, fields);
            }
        }
        Value::String(text) => {
            fields.insert(path.to_owned(), usual(text, address));
        }
        other => {
            fields.insert(path.to_owned(), other.to_string());
        }
    }
}

fn is_access(value: &Value) -> bool {
    value.get("Action").is_some() && value.get("Class").is_some()
}

/// A body in chunks, put together.
fn joined(mut coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = coded.windows(2).position(|it| it == b"\r\n") {
        let length = std::str::from_utf8(&coded[..end]).expect("a length is text");
        let length = usize::from_str_radix(length, 16).expect("a length is a number");
        body.extend_from_slice(&coded[end + 2..end + 2 + length]);
        coded = &coded[end + 4 + length..];
        if length == 0 {
            break;
        }
    }
    body
}
