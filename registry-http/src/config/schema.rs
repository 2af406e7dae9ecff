//! The JSON Schema of the configuration, made of the tables that it is read by.

use serde_json::{Map, Value, json};

use super::keys::{self, Fate, Idle, Known};
use super::shapes::{self, Described, Else, Least, Otherwise, Shape};
use crate::serve::tls::CipherSuite;

/// A schema of draft 2020-12 for `config.yml`, as YAML 1.1 reads it. It takes whatever the registry starts with, unknown
/// keys and what is passed over among it, which is `deprecated` and says what holds instead. It refuses most of what keeps
/// the registry from starting and lies in one key: not what depends on others, nor what stands in the elements of a list,
/// nor all that is asked of an address or of a span of time. `config check` knows all of it.
pub fn schema() -> Value {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.yml of a registry",
        "description": "Distribution's configuration, 2.x and 3.x, and the keys of this registry",
        "type": "object",
        "required": ["version", "storage"],
        "properties": {},
    });
    for known in keys::all() {
        let described = shapes::TABLE.iter().find(|row| row.key == known.key);
        place(&mut root, known.key, of(known, described));
    }
    let properties = &mut root["properties"];
    let storage = &mut properties["storage"];
    let moved = "#/properties/storage/anyOf/1/properties/s3";
    storage["properties"]["s3aws"] = json!({"$ref": moved});
    let driver = |name: &str| json!({"required": [name]});
    storage["oneOf"] = json!(["filesystem", "inmemory", "s3", "s3aws"].map(driver));
    storage["type"] = json!("object");
    let s3 = &mut storage["properties"]["s3"];
    s3["required"] = json!(["bucket"]);
    s3["type"] = json!("object");
    let storage = storage.take();
    properties["storage"] = json!({"anyOf": [{"enum": ["filesystem", "inmemory"]}, storage]});
    let auth = &mut properties["auth"];
    auth["maxProperties"] = json!(1);
    // That it is there is all that counts.
    auth["properties"]["none"] = json!({});
    for (kind, needs) in [
        ("htpasswd", &["realm", "path"][..]),
        ("silly", &["realm", "service"]),
        ("token", &["realm", "service", "issuer"]),
    ] {
        auth["properties"][kind]["required"] = json!(needs);
        auth["properties"][kind]["type"] = json!("object");
    }
    let auth = auth.take();
    properties["auth"] = json!({"anyOf": [{"enum": ["none", null]}, auth]});
    let tokens = &mut properties["access"]["properties"]["tokens"];
    tokens["required"] = json!(["key"]);
    tokens["type"] = json!("object");
    listening(&mut properties["http"]);
    versions(&mut properties["http"]["properties"]["tls"]);
    root
}

/// An address, or the path of a socket.
fn listening(http: &mut Value) {
    http["if"] = json!({"required": ["net"], "properties": {"net": {"const": "unix"}}});
    let path = shape(Shape::Path(Least::There));
    http["then"] = json!({"required": ["addr"], "properties": {"addr": path}});
    http["else"] = json!({"properties": {"addr": shape(Shape::Address)}});
}

/// What TLS is spoken with is looked at where there is any, and suites where there is a choice.
fn versions(tls: &mut Value) {
    let has_certificate = json!({
        "type": "object",
        "required": ["certificate"],
        "properties": {"certificate": {"not": {"enum": [null, ""]}}},
    });
    let is_chosen = json!({"properties": {"minimumtls": {"not": {"const": "tls1.3"}}}});
    let minimum = tls["properties"]["minimumtls"].take();
    let suites = tls["properties"]["ciphersuites"].take();
    tls["properties"]["minimumtls"] = shape(Shape::Text);
    tls["properties"]["minimumtls"]["default"] = minimum["default"].clone();
    tls["properties"]["ciphersuites"] = texts();
    tls["allOf"] = json!([
        {"if": has_certificate, "then": {"properties": {"minimumtls": minimum}}},
        {
            "if": {"allOf": [has_certificate, is_chosen]},
            "then": {"properties": {"ciphersuites": suites}},
        },
    ]);
}

/// Puts the schema of a key where its sections are, which are made.
fn place(root: &mut Value, key: &str, schema: Value) {
    let (sections, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut at = root;
    for name in sections.split('.').filter(|name| !name.is_empty()) {
        at = &mut at["properties"][name];
        if at.is_null() {
            // A section that holds nothing is one without keys.
            *at = json!({"type": ["object", "null"], "properties": {}});
        }
    }
    match last {
        "*" => at["additionalProperties"] = schema,
        name => at["properties"][name] = schema,
    }
}

fn of(known: &Known, described: Option<&Described>) -> Value {
    match known.fate {
        Fate::InForce => described.map_or_else(|| json!({}), in_force),
        Fate::PassedOver(instead) => {
            json!({"description": format!("Passed over: {instead}"), "deprecated": true})
        }
        Fate::Refused(missing) => {
            let mut schema = idle(known.idle);
            schema.insert("description".to_owned(), json!(format!("Refused, because {missing}")));
            Value::Object(schema)
        }
    }
}

/// What a refused key may hold all the same, as it asks for nothing.
fn idle(idle: Idle) -> Map<String, Value> {
    let schema = match idle {
        Idle::Never => json!({"not": {}}),
        Idle::Values(words) => {
            let words = words.iter().map(|word| match *word {
                "true" => json!(true),
                "false" => json!(false),
                word => json!(word),
            });
            json!({"enum": nothing().into_iter().chain(words).collect::<Vec<_>>()})
        }
        Idle::Disabled => json!({"anyOf": [
            {"enum": nothing()},
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["disabled"],
                    "properties": {"disabled": {"const": true}},
                },
            },
        ]}),
        // That lies in another key.
        Idle::Unvalidated => json!({}),
        Idle::NotEnabled => json!({"anyOf": [
            {"enum": nothing()},
            {
                "type": "object",
                "required": ["enabled"],
                "properties": {"enabled": {"const": false}},
            },
        ]}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn nothing() -> Vec<Value> {
    vec![json!(null), json!(""), json!([]), json!({})]
}

fn in_force(row: &Described) -> Value {
    let mut schema = shape(row.shape);
    let default = match row.otherwise {
        Otherwise::Value(text) | Otherwise::WithFile(text, _) => value(row.shape, text),
        Otherwise::Told(_) | Otherwise::Nothing => None,
    };
    if let Some(default) = default {
        schema["default"] = default;
    }
    schema
}

/// A default as it would stand in JSON.
fn value(shape: Shape, text: &str) -> Option<Value> {
    Some(match shape {
        Shape::Boolean | Shape::Switch => json!(text == "true"),
        Shape::Integer(_) | Shape::Number(..) => json!(text.parse::<i64>().ok()?),
        Shape::Text
        | Shape::Needed
        | Shape::Like(..)
        | Shape::Path(_)
        | Shape::Address
        | Shape::Listening
        | Shape::Exact(_)
        | Shape::Duration
        | Shape::Span
        | Shape::Version => json!(text.trim_matches('"')),
        Shape::Sections(_) | Shape::Paths => json!([]),
        Shape::Fields | Shape::Headers => json!({}),
        Shape::Secret
        | Shape::Word(_)
        | Shape::Exacts(_)
        | Shape::Suites
        | Shape::TextOrSections
        | Shape::Choice => return None,
    })
}

const SINGLE: [&str; 5] = ["string", "number", "boolean", "integer", "null"];

fn shape(shape: Shape) -> Value {
    const SWITCHES: &str =
        "^(0|1|[tTfF]|[yYnN]|[tT]rue|TRUE|[fF]alse|FALSE|[yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF)$";
    const SPAN: &str = "(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$";
    const ADDRESS: &str = "^(([^:/@\\[\\]\\s]*|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,}|)$";
    match shape {
        Shape::Version => json!({"enum": [0.1, "0.1"]}),
        Shape::Boolean => json!({"type": ["boolean", "null"]}),
        Shape::Switch => json!({"anyOf": [
            {"type": ["boolean", "null"]},
            {"enum": [0, 1]},
            {"type": "string", "pattern": SWITCHES},
        ]}),
        Shape::Integer(i64::MIN) => json!({"type": ["integer", "null"]}),
        Shape::Integer(least) => json!({"type": ["integer", "null"], "minimum": least}),
        Shape::Number(least, most) => json!({"anyOf": [
            {"type": ["integer", "null"], "minimum": least, "maximum": most},
            {"type": "string", "pattern": "^\\+?[0-9][0-9A-Fa-f_xXbBoO]*$"},
        ]}),
        Shape::Text => json!({"type": SINGLE}),
        Shape::Needed => json!({
            "type": ["string", "number", "boolean", "integer"],
            "pattern": "^[^\\x00-\\x1f\\x7f]+$",
        }),
        Shape::Like(pattern, Else::Single) => json!({"type": SINGLE, "pattern": pattern}),
        Shape::Like(pattern, Else::Nothing) => {
            json!({"type": ["string", "null"], "pattern": pattern})
        }
        Shape::Path(least) => path(least),
        Shape::Paths => json!({"type": ["array", "null"], "items": path(Least::Empty)}),
        Shape::Address => json!({"type": ["string", "null"], "pattern": ADDRESS}),
        Shape::Listening => json!({"type": SINGLE}),
        Shape::Secret => json!({"type": SINGLE, "writeOnly": true}),
        Shape::Duration => json!({"anyOf": [
            {"enum": [null, 0, "0"]},
            {"type": "string", "pattern": format!("^\\+?{SPAN}")},
        ]}),
        // Some digit of it is not zero.
        Shape::Span => json!({
            "type": ["string", "null"],
            "pattern": format!("^(?=.*[1-9])\\+?{SPAN}"),
        }),
        Shape::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| any_case(word)).collect();
            json!({"type": ["string", "null"], "pattern": format!("^({})$", words.join("|"))})
        }
        Shape::Exact(words) => {
            let words = words.iter().map(|word| json!(word));
            let words: Vec<Value> = [json!(null), json!("")].into_iter().chain(words).collect();
            json!({"enum": words})
        }
        Shape::Exacts(words) => json!({"type": ["array", "null"], "items": {"enum": words}}),
        Shape::Suites => {
            json!({"type": ["array", "null"], "items": {"enum": CipherSuite::names()}})
        }
        Shape::TextOrSections => json!({"anyOf": [
            {"type": SINGLE},
            {"type": "array", "items": {"type": ["object", "null"]}},
        ]}),
        Shape::Fields => json!({
            "type": ["object", "null"],
            "additionalProperties": {"type": SINGLE},
        }),
        Shape::Headers => json!({
            "type": ["object", "null"],
            "additionalProperties": {"type": ["array", "null"], "items": {"type": SINGLE}},
        }),
        Shape::Choice => json!({"type": ["object", "null"]}),
        Shape::Sections(_) => {
            json!({"type": ["array", "null"], "items": {"type": ["object", "null"]}})
        }
    }
}

/// A path, in one line, and nothing that a file begins with.
fn path(least: Least) -> Value {
    let mut types = vec!["string", "number", "boolean", "integer"];
    if least != Least::There {
        types.push("null");
    }
    let some = if least == Least::Empty { "*" } else { "+" };
    let pattern = format!("^(?!.*-----BEGIN)(?!\\s*\\{{)[^\\x00-\\x1f\\x7f]{some}$");
    json!({"type": types, "pattern": pattern})
}

fn texts() -> Value {
    json!({"type": ["array", "null"], "items": {"type": SINGLE}})
}

/// A pattern for a word in letters of any case.
fn any_case(word: &str) -> String {
    word.chars().map(|it| format!("[{it}{}]", it.to_ascii_uppercase())).collect()
}
