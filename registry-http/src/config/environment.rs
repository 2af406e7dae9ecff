//! The variables `REGISTRY_A_B_C`, laid over the file: each is the key `a.b.c`.

use super::check;
use super::keys::{self, Place};
use super::mistyped;
use super::node::{Entry, Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use super::scalar;
use super::yaml::{self, Quote};

/// What the name of such a variable begins with.
pub(super) const PREFIX: &str = "REGISTRY_";

/// Names the file, and no key.
pub(super) const PATH: &str = "REGISTRY_CONFIGURATION_PATH";

/// Distribution matches the names of its Go fields, one of which is not that of its key.
const FIELDS: &[(&str, &str)] = &[("EVENTCONFIG", "events")];

/// Lays `variables` over `root`, in the order of their names, so that a section is set before what lies in it.
///
/// A value is YAML. Keys are found whatever their case, and added where they are not there, with their section: so
/// that `REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED=true` works whether the file has the section or not, which it
/// does not with Distribution (distribution/distribution#1736). An element of a list goes by its index; the first
/// index that is free adds one.
pub(super) fn lay_over(
    root: &mut Node,
    mut variables: Vec<(String, String)>,
    warnings: &mut Vec<Problem>,
) -> Result<(), Problem> {
    variables.sort_by_cached_key(|(name, _)| order(name));
    let has_access = root.entry("access").is_some() || sets_access(&variables);
    let mut near = Vec::new();
    for (name, text) in &variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|_| name != PATH) else { continue };
        let origin = Origin::Environment(name.as_str().into());
        let path: Vec<&str> = path.split('_').collect();
        let top = path[0].to_lowercase();
        // The version is the file's alone, as in Distribution: images call their own version so.
        let is_named = path[0] != "VERSION" && !path.contains(&"");
        let variable = Variable { path, text, origin };
        if is_named && keys::is_section(&top) {
            variable.lay_over(root, has_access, warnings)?;
        } else if let Some(meant) = mistyped::section(&top).filter(|_| is_named) {
            near.push((variable, top, meant));
        } else {
            let what = "passed over: it names no key of the configuration";
            warnings.push(Problem::general(Some(variable.origin), what));
        }
    }
    // Once all others are laid over: they may be what protects.
    for (variable, top, meant) in near {
        let says = variable.says_of(meant);
        if says.is_some_and(|section| mistyped::would_protect(root, meant, &section)) {
            let what = check::refused(&[&top]);
            return Err(Problem::new(&variable.origin, top, what));
        }
        let what = check::unknown(&[&top]);
        warnings.push(Problem::new(&variable.origin, top, what));
    }
    Ok(())
}

/// A variable of ours.
struct Variable<'v> {
    /// The parts of its name, as they are.
    path: Vec<&'v str>,
    text: &'v str,
    origin: Origin,
}

impl Variable<'_> {
    fn key(&self) -> String {
        self.path.join(".").to_lowercase()
    }

    fn problem(&self, what: String) -> Problem {
        Problem::new(&self.origin, self.key(), what)
    }

    fn value(&self) -> Result<Node, Problem> {
        yaml::parse(self.text, &self.origin, Quote::No)
    }

    /// Sets its key, whose first name is known. `has_access` if `access` is there, or will be.
    fn lay_over(
        &self,
        root: &mut Node,
        has_access: bool,
        warnings: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        let value = self.value();
        if !has_access && self.is_foreign(value.as_ref().ok()) {
            let key = self.key();
            let path: Vec<&str> = key.split('.').collect();
            warnings.push(self.problem(check::unknown(&path)));
            return Ok(());
        }
        let value = value?;
        if let Some(found) = nothing(self.text, &value)
            && !self.may_say_nothing(found, root, warnings)?
        {
            return Ok(());
        }
        match set(root, &self.path, 0, value, &self.origin) {
            Ok(()) => spell_out(root),
            Err(Misfit::Value(what)) => warnings.push(self.problem(what)),
            Err(Misfit::Index(what)) => return Err(self.problem(what)),
        }
        Ok(())
    }

    /// Whether its key is set to nothing. Refused where something else was meant, or protection would go.
    fn may_say_nothing(
        &self,
        found: &str,
        root: &Node,
        warnings: &mut Vec<Problem>,
    ) -> Result<bool, Problem> {
        let key = self.key();
        if let Some(protected) = protects(root, &key) {
            let what = format!(
                "expected a value, found {found} over {protected}, which protects the registry; none or false takes it \
                 away"
            );
            return Err(self.problem(what));
        }
        let is_empty = self.text.trim().is_empty();
        if !is_empty && section(&key).is_some() {
            return Err(self.problem(format!("expected a value, found {found}")));
        }
        let makes_section = is_empty && makes_section(root, &key);
        if !is_empty || makes_section {
            let what = format!("nothing is set: expected a value, found {found}");
            warnings.push(self.problem(what));
        }
        Ok(!makes_section)
    }

    /// What it would say of the section `meant`, were that its first name.
    fn says_of(&self, meant: &str) -> Option<Node> {
        let value = self.value().ok().filter(|value| !value.is_null())?;
        let path = [&[meant], &self.path[1..]].concat();
        let mut root = Node::null(self.origin.clone());
        set(&mut root, &path, 0, value, &self.origin).ok()?;
        spell_out(&mut root);
        root.entry(meant).map(|entry| entry.node.clone())
    }

    /// Whether it is below `access` by its name alone: the surroundings have some, such as `REGISTRY_ACCESS_TOKEN`.
    fn is_foreign(&self, value: Option<&Node>) -> bool {
        let key = self.key();
        let path: Vec<&str> = key.split('.').collect();
        let is_ours = |name: &str| {
            let is_value = path.len() == 2;
            let meant = keys::meant(&["access", name]);
            // A part of a list: nothing else here is one.
            let is_rule = path.get(2).is_some_and(|part| part.parse::<usize>().is_ok());
            meant == Some(name)
                || is_rule && meant == Some("rules")
                || is_value && value.is_some_and(|value| mistyped::is_of_access(name, value))
        };
        path[0] == "access"
            && matches!(keys::place(&path), Place::Unknown)
            && !path.get(1).is_some_and(|name| is_ours(name))
    }
}

/// Whether one of them is of `access`, by a name that is known there, or is all of it.
fn sets_access(variables: &[(String, String)]) -> bool {
    variables.iter().any(|(name, text)| {
        let path = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
        let path: Vec<&str> = path.split('_').collect();
        let says_something = !text.trim().is_empty();
        path[0] == "access" && says_something && !matches!(keys::place(&path), Place::Unknown)
    })
}

/// Whether to set a key, though it is to nothing, would make a section that keeps somebody out, and lets nobody in. A kind of
/// `auth` that says nothing keeps it from starting instead.
fn makes_section(root: &Node, key: &str) -> bool {
    let path: Vec<&str> = key.split('.').collect();
    let is_section = matches!(keys::place(&path), Place::Section);
    let is_kind_of_auth = path.len() > 1 && path[0] == "auth";
    is_section && !is_kind_of_auth && section(key).is_some() && root.find(key).is_none()
}

/// By their parts: a section before what lies in it, and the tenth element of a list behind the ninth.
fn order(name: &str) -> Vec<Part> {
    let part = |part: &str| match part.parse() {
        Ok(index) => Part::Index(index),
        Err(_) => Part::Name(part.to_owned()),
    };
    name.split('_').map(part).collect()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Index(usize),
    Name(String),
}

/// `storage: inmemory` and `auth: htpasswd` are short for a section with that one key.
pub(super) fn spell_out(root: &mut Node) {
    let Value::Mapping(entries) = &mut root.value else { return };
    for entry in entries.iter_mut().filter(|it| matches!(it.key.as_str(), "storage" | "auth")) {
        let node = &mut entry.node;
        let Some(word) = node.scalar().filter(|_| !node.is_null()) else { continue };
        // What somebody puts into a variable of this name may be a password, and what is refused is named.
        let is_from_outside = matches!(node.origin, Origin::Environment(_));
        let is_hidden = entry.key == "auth"
            && is_from_outside
            && !["htpasswd", "token", "silly", "none"].contains(&word.text.as_str());
        let key = if is_hidden { "(hidden)".to_owned() } else { word.text.clone() };
        let inner = Entry::new(key, node.origin.clone(), Node::null(node.origin.clone()));
        node.value = Value::Mapping(vec![inner]);
    }
}

/// What was found in a variable that says nothing though it is there; none of one that says something, or says with a word
/// that there is to be nothing.
fn nothing(text: &str, value: &Node) -> Option<&'static str> {
    match text.trim() {
        "" => Some("an empty variable"),
        // A comment, a tag, the beginning of a document.
        text if value.is_null() && !scalar::is_null(text) => {
            Some("text that is nothing to YAML, unless it stands in quotes")
        }
        _ => None,
    }
}

/// Without what these say access would be wider, content less sure, or the mode another.
const PROTECTING: [&str; 8] = [
    "access",
    "auth",
    "http.tls",
    "middleware",
    "policy",
    "proxy",
    "storage.maintenance.readonly",
    "validation",
];

/// The one of these that a key is, or lies in.
fn section(key: &str) -> Option<&'static str> {
    PROTECTING.into_iter().find(|section| is_within(key, section))
}

/// What the document says that protects the registry, at this key or below it. Variables are often empty because what was
/// to fill them in was not there.
fn protects<'k>(root: &Node, key: &'k str) -> Option<&'k str> {
    let is_there = |key: &str| root.find(key).is_some_and(|entry| !entry.node.is_empty());
    if section(key).is_some() {
        return Some(key).filter(|key| is_there(key));
    }
    PROTECTING.into_iter().find(|section| is_within(section, key) && is_there(section))
}

fn is_within(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Why a variable has no place.
enum Misfit {
    /// What it would go into is no section. Passed over: Kubernetes makes such pairs of names, where a service is
    /// called `registry-http`.
    Value(String),
    /// There is no such element, and it would not be the next one.
    Index(String),
}

/// Sets what the names of `path` from `at` on lead to, below `node`.
fn set(
    node: &mut Node,
    path: &[&str],
    at: usize,
    value: Node,
    origin: &Origin,
) -> Result<(), Misfit> {
    let Some(name) = path.get(at) else {
        *node = value;
        return Ok(());
    };
    if node.is_null() {
        let is_index = name.bytes().all(|byte| byte.is_ascii_digit());
        node.value = if is_index { Value::Sequence(vec![]) } else { Value::Mapping(vec![]) };
        node.origin = origin.clone();
    }
    match &mut node.value {
        Value::Mapping(entries) => {
            let entry = entry(entries, &path[..=at], origin);
            if at + 1 == path.len() {
                entry.origin = origin.clone();
            }
            set(&mut entry.node, path, at + 1, value, origin)
        }
        Value::Sequence(items) => {
            let length = items.len();
            let index = name.parse::<usize>().ok().filter(|index| *index <= length);
            let Some(index) = index else {
                let what = "expected the index of an element";
                return Err(Misfit::Index(format!(
                    "{what}, 0 to {length}, found the name `{name:.80}`"
                )));
            };
            if index == length {
                items.push(Node::null(origin.clone()));
            }
            set(&mut items[index], path, at + 1, value, origin)
        }
        Value::Scalar(_) => Err(Misfit::Value(format!(
            "passed over: expected a section to set `{}` in, found a single value (from {})",
            name.to_lowercase(),
            node.origin
        ))),
    }
}

/// The entry of the last name of `path`, added if it is not there.
fn entry<'n>(entries: &'n mut Vec<Entry>, path: &[&str], origin: &Origin) -> &'n mut Entry {
    let path: Vec<String> = path.iter().map(|name| key_of(name)).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let name = path[path.len() - 1];
    // A name of the table has one spelling, and another beside it is nothing; headers have theirs.
    let is_known = match keys::place(&path) {
        Place::Section => true,
        Place::Row(row) => !row.key.ends_with('*') && row.key.split('.').count() == path.len(),
        Place::Unknown => false,
    };
    let at = entries.iter().position(|entry| match is_known {
        true => entry.key == name,
        false => entry.key.eq_ignore_ascii_case(name),
    });
    let at = at.unwrap_or_else(|| {
        let (key, origin) = (name.to_owned(), origin.clone());
        entries.push(Entry::new(key, origin.clone(), Node::null(origin)));
        entries.len() - 1
    });
    &mut entries[at]
}

/// The key that a name of a variable stands for.
fn key_of(name: &str) -> String {
    let field = FIELDS.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
    field.map_or_else(|| name.to_lowercase(), |(_, key)| (*key).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration as `key=value` lines, and the warnings.
    fn laid(file: &str, variables: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), String> {
        let source = Origin::File { file: "c.yml".into(), line: 1 };
        let mut root = yaml::parse(file, &source, Quote::Yes).unwrap();
        spell_out(&mut root);
        let variables = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let mut warnings = Vec::new();
        lay_over(&mut root, variables, &mut warnings).map_err(|it| it.to_string())?;
        let mut lines = Vec::new();
        list(&root, "", &mut lines);
        Ok((lines, warnings.iter().map(ToString::to_string).collect()))
    }

    fn list(node: &Node, path: &str, lines: &mut Vec<String>) {
        match &node.value {
            Value::Scalar(_) if path.is_empty() => {}
            Value::Scalar(it) => lines.push(format!("{}={}", &path[1..], it.text)),
            Value::Sequence(items) => {
                for (at, item) in items.iter().enumerate() {
                    list(item, &format!("{path}.{at}"), lines);
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    list(&entry.node, &format!("{path}.{}", entry.key), lines);
                }
            }
        }
    }

    #[test]
    fn variables_are_laid_over_the_file_as_distribution_does_and_where_it_fails() {
        const ENABLED: &str = "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED";
        let readonly = ["storage.maintenance.readonly.enabled=true"];
        for (file, variables, expected) in [
            // A value that is there, one that is not, and a section that is not.
            (
                "http: {addr: ':1'}",
                &[("REGISTRY_HTTP_ADDR", ":5000")][..],
                &["http.addr=:5000"][..],
            ),
            (
                "http: {addr: ':1'}",
                &[("REGISTRY_HTTP_SECRET", "x")],
                &["http.addr=:1", "http.secret=x"],
            ),
            (
                "",
                &[("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true")],
                &["http.debug.prometheus.enabled=true"],
            ),
            ("http:", &[("REGISTRY_HTTP_ADDR", ":1")], &["http.addr=:1"]),
            // Values are YAML: a whole section, a list, a string in quotes, nothing.
            (
                "",
                &[("REGISTRY_STORAGE_DELETE", "{enabled: true}")],
                &["storage.delete.enabled=true"],
            ),
            (
                "",
                &[("REGISTRY_STORAGE_DELETE", "{\"enabled\":true}")],
                &["storage.delete.enabled=true"],
            ),
            (
                "",
                &[("REGISTRY_POLICY_REPOSITORY_CLASSES", "[a, b]")],
                &["policy.repository.classes.0=a", "policy.repository.classes.1=b"],
            ),
            ("", &[("REGISTRY_HTTP_SECRET", "\"#x\"")], &["http.secret=#x"]),
            ("http: {secret: x}", &[("REGISTRY_HTTP_SECRET", "")], &["http.secret="]),
            (
                "",
                &[("REGISTRY_HTTP_HEADERS", "{X-Content-Type-Options: [nosniff]}")],
                &["http.headers.X-Content-Type-Options.0=nosniff"],
            ),
            // What is there keeps its spelling; what is new is in lower case.
            (
                "http: {headers: {X-A: [a]}}",
                &[("REGISTRY_HTTP_HEADERS_X-A", "[b]"), ("REGISTRY_HTTP_HEADERS_X-B", "[c]")],
                &["http.headers.X-A.0=b", "http.headers.x-b.0=c"],
            ),
            // A section that is misspelt in the file is not the one that is meant.
            (
                "storage: {maintenance: {readOnly: {enabled: false}}}",
                &[(ENABLED, "true")],
                &[
                    "storage.maintenance.readOnly.enabled=false",
                    "storage.maintenance.readonly.enabled=true",
                ],
            ),
            // The section before what lies in it, whatever order they come in.
            (
                "",
                &[("REGISTRY_STORAGE_S3_BUCKET", "b"), ("REGISTRY_STORAGE", "s3")],
                &["storage.s3.bucket=b"],
            ),
            (
                "storage: {filesystem: {}}",
                &[("REGISTRY_STORAGE", "inmemory")],
                &["storage.inmemory="],
            ),
            // Words for sections.
            ("auth: none", &[], &["auth.none="]),
            (
                "",
                &[("REGISTRY_AUTH", "htpasswd"), ("REGISTRY_AUTH_HTPASSWD_REALM", "r")],
                &["auth.htpasswd.realm=r"],
            ),
            // Issue 1736: with the section absent, present, empty, and as a whole.
            ("", &[(ENABLED, "true")], &readonly),
            (
                "storage: {maintenance: {readonly: {enabled: false}}}",
                &[(ENABLED, "true")],
                &readonly,
            ),
            ("storage: {maintenance: {readonly: {}}}", &[(ENABLED, "true")], &readonly),
            ("storage:\n  maintenance:\n    readonly:\n", &[(ENABLED, "true")], &readonly),
            ("", &[("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{\"enabled\":true}")], &readonly),
            // Elements of lists: change one, add one, begin a list.
            (
                "notifications: {endpoints: [{name: a}]}",
                &[
                    ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "b"),
                    ("REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME", "c"),
                ],
                &["notifications.endpoints.0.name=b", "notifications.endpoints.1.name=c"],
            ),
            (
                "",
                &[("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "redirect")],
                &["middleware.storage.0.name=redirect"],
            ),
            // A Go field that is not called as its key.
            (
                "",
                &[("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true")],
                &["notifications.events.includereferences=true"],
            ),
            // Not Distribution's at all.
            (
                "http: {addr: ':1'}",
                &[("REGISTRYHTTP_ADDR", ":2"), ("HTTP_ADDR", ":3"), (PATH, "c.yml")],
                &["http.addr=:1"],
            ),
        ] {
            let (lines, warnings) = laid(file, variables).unwrap();
            assert_eq!(lines, expected, "{file} {variables:?}");
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }

    #[test]
    fn the_tenth_element_of_a_list_comes_after_the_ninth() {
        let names: Vec<String> =
            (0..12).map(|at| format!("REGISTRY_NOTIFICATIONS_ENDPOINTS_{at}_NAME")).collect();
        let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(laid("", &variables).unwrap().0.len(), 12);
    }

    /// What was to fill them in was not there, or was no YAML.
    #[test]
    fn a_variable_that_says_nothing_takes_no_protection_away() {
        for (file, name, key) in [
            ("access: {rules: [{who: x}]}", "REGISTRY_ACCESS_RULES", "access.rules"),
            ("auth: {htpasswd: {path: p}}", "REGISTRY_AUTH_HTPASSWD_PATH", "auth.htpasswd.path"),
            ("auth: {htpasswd: {path: p}}", "REGISTRY_AUTH", "auth"),
            ("http: {addr: ':1', tls: {clientcas: [c]}}", "REGISTRY_HTTP", "http.tls"),
            ("http: {tls: {clientcas: [c]}}", "REGISTRY_HTTP_TLS", "http.tls"),
            (
                "storage: {maintenance: {readonly: {enabled: true}}}",
                "REGISTRY_STORAGE_MAINTENANCE",
                "storage.maintenance.readonly",
            ),
            (
                "storage: {maintenance: {readonly: {enabled: true}}}",
                "REGISTRY_STORAGE",
                "storage.maintenance.readonly",
            ),
            ("middleware: {storage: [{name: x}]}", "REGISTRY_MIDDLEWARE", "middleware"),
            (
                "policy: {repository: {classes: [image]}}",
                "REGISTRY_POLICY_REPOSITORY",
                "policy.repository",
            ),
            ("proxy: {remoteurl: 'https://a'}", "REGISTRY_PROXY_REMOTEURL", "proxy.remoteurl"),
            (
                "validation: {manifests: {urls: {deny: [x]}}}",
                "REGISTRY_VALIDATION_MANIFESTS",
                "validation.manifests",
            ),
        ] {
            for text in ["", " ", "#hunter2", "!hunter2", "---", "# a\n# b"] {
                let line = laid(file, &[(name, text)]).unwrap_err();
                assert!(line.contains(&format!(" over {key}, which protects")), "{line}");
                assert!(line.starts_with(&format!("{name}: ")), "{line}");
                assert!(!line.contains("hunter2"), "{line}");
            }
            for text in ["~", "null", " Null ", "NULL"] {
                laid(file, &[(name, text)]).unwrap();
            }
        }
        // Over nothing, an empty one is nothing; a text that is one by mistake was meant to be something.
        let (lines, warnings) = laid("", &[("REGISTRY_AUTH", "")]).unwrap();
        assert_eq!((lines.len(), warnings.len()), (0, 1));
        let line = laid("", &[("REGISTRY_AUTH", "#hunter2")]).unwrap_err();
        assert!(line.contains("in quotes") && !line.contains("hunter2"), "{line}");
    }

    #[test]
    fn a_variable_whose_text_is_nothing_by_mistake_is_told_of() {
        let (lines, warnings) = laid("", &[("REGISTRY_HTTP_SECRET", "#hunter2")]).unwrap();
        assert_eq!(lines, ["http.secret="]);
        assert_eq!(
            warnings,
            [
                "REGISTRY_HTTP_SECRET: http.secret: nothing is set: expected a value, found text that is nothing to YAML, \
              unless it stands in quotes"
            ]
        );
    }

    #[test]
    fn a_variable_that_names_no_section_is_passed_over_and_told_of() {
        // Kubernetes sets these where a service is called `registry`.
        for name in
            ["REGISTRY_PORT", "REGISTRY_PORT_5000_TCP_ADDR", "REGISTRY_", "REGISTRY_HTTP__ADDR"]
        {
            let (lines, warnings) =
                laid("http: {addr: ':1'}", &[(name, "tcp://10.0.0.1:5000")]).unwrap();
            assert_eq!(lines, ["http.addr=:1"]);
            assert_eq!(
                warnings,
                [format!("{name}: passed over: it names no key of the configuration")]
            );
        }
    }

    #[test]
    fn a_variable_below_a_single_value_is_passed_over_and_told_of() {
        let variable = ("REGISTRY_HTTP_ADDR_PORT", "hunter2");
        let (lines, warnings) = laid("http: {addr: x}", &[variable]).unwrap();
        assert_eq!(lines, ["http.addr=x"]);
        let line = "REGISTRY_HTTP_ADDR_PORT: http.addr.port: passed over: expected a section to set `port` in, \
                    found a single value (from c.yml:1)";
        assert_eq!(warnings, [line]);
    }

    #[test]
    fn a_variable_that_cannot_be_laid_over_is_one_line_without_its_value() {
        for (file, name, value, line) in [
            (
                "notifications: {endpoints: []}",
                "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME",
                "hunter2",
                "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME: notifications.endpoints.1.name: expected the index of \
                 an element, 0 to 0, found the name `1`",
            ),
            (
                "",
                "REGISTRY_HTTP_SECRET",
                "[hunter2",
                "REGISTRY_HTTP_SECRET: expected YAML, found text that is none: it cannot be parsed",
            ),
        ] {
            assert_eq!(laid(file, &[(name, value)]).unwrap_err(), line);
        }
    }
}
