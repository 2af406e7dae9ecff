//! Each outside thing has one home.
//!
//! What clippy can see by itself is in `clippy.toml` too, and fails earlier there.

use crate::source::{Complaints, Crate, Source};
use crate::token::{Kind, Token, behind_closing};

/// One thing, and the only places that may use it. Tests may use anything.
struct Monopoly {
    /// What it is, for the complaint.
    what: &'static str,
    uses: Uses,
    /// Files, or folders with a `/` at the end.
    homes: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

/// How a use looks.
enum Uses {
    /// A path that begins so.
    Path(&'static [&'static str]),
    /// A path that begins so, but not one that begins with any of these.
    PathBut(&'static str, &'static [&'static str]),
    /// `.name(`
    Method(&'static [&'static str]),
    /// A literal that holds this.
    Literal(&'static [&'static str]),
    /// A literal that is this.
    WholeLiteral(&'static [&'static str]),
    /// A [`Key`](registry_store::backend::Key) made of text.
    KeyFromText,
}

const STORE: &[Monopoly] = &[
    Monopoly {
        what: "files",
        uses: Uses::Path(&["std::fs", "std::os"]),
        homes: &["backend/fs/system.rs"],
        instead: "go through the backend; in it, through `System`",
    },
    Monopoly {
        what: "system calls",
        uses: Uses::PathBut("rustix", &["rustix::io::Errno"]),
        homes: &["backend/fs/system.rs"],
        instead: "add a method to `System`, so that tests can simulate it",
    },
    Monopoly {
        what: "error numbers of system calls",
        uses: Uses::Path(&["rustix"]),
        homes: &["backend/fs/"],
        instead: "ask the backend's `ErrorKind`",
    },
    Monopoly {
        what: "tokio's files",
        uses: Uses::Path(&["tokio::fs"]),
        homes: &[],
        instead: "run several system calls in one `spawn_blocking`; see `backend/fs/`",
    },
    Monopoly {
        what: "syncs",
        uses: Uses::Method(&["sync_data", "sync_all", "sync_directory", "sync_filesystem"]),
        homes: &["backend/fs/durable.rs", "backend/fs/system.rs"],
        instead: "ask `Durable`, which knows what was synced and what failed to be",
    },
    Monopoly {
        what: "hash functions",
        uses: Uses::Path(&["sha2"]),
        homes: &["digest/"],
        instead: "use `digest::Hasher`",
    },
    Monopoly {
        what: "keys made of text",
        uses: Uses::KeyFromText,
        homes: &["layout.rs", "backend/key.rs"],
        instead: "add a function to `layout`",
    },
    Monopoly {
        what: "keys made of a listing's names",
        uses: Uses::Method(&["child"]),
        // The walks over directories of names go down what a listing found, one component at a time.
        homes: &["layout.rs", "backend/", "catalog.rs", "purge.rs", "inventory.rs"],
        instead: "add a function to `layout`",
    },
    Monopoly {
        what: "the clock",
        uses: Uses::Path(&["std::time::SystemTime::now", "std::time::Instant::now"]),
        homes: &["options.rs", "backend/fs/system.rs"],
        instead: "ask `StoreOptions::clock`; for a timeout, tokio's clock, which tests can stop",
    },
    Monopoly {
        what: "random numbers",
        uses: Uses::Path(&["getrandom", "rand", "uuid::Uuid::new_v4"]),
        homes: &["options.rs", "backend/fs/system.rs"],
        instead: "ask `StoreOptions::random`",
    },
];

const HTTP: &[Monopoly] = &[
    Monopoly {
        what: "files",
        uses: Uses::Path(&["std::fs", "tokio::fs", "std::os", "rustix::fs"]),
        // The queues of notifications are files beside what is stored, which no backend has to know.
        homes: &[
            "serve/",
            "cli/",
            "config/",
            "auth/",
            "notifications/journal.rs",
            "notifications/slot.rs",
        ],
        instead: "the protocol knows no files: go through the store, or read it at start",
    },
    Monopoly {
        what: "statuses of failures",
        uses: Uses::PathBut(
            "http::StatusCode",
            &[
                // The type itself, and what a handler may answer when all went well.
                "http::StatusCode$",
                "http::StatusCode::OK",
                "http::StatusCode::CREATED",
                "http::StatusCode::ACCEPTED",
                "http::StatusCode::NO_CONTENT",
                "http::StatusCode::PARTIAL_CONTENT",
                "http::StatusCode::NOT_MODIFIED",
                "http::StatusCode::TEMPORARY_REDIRECT",
            ],
        ),
        // Metrics name what others have answered.
        homes: &["error.rs", "metrics/sources.rs"],
        instead: "return a `Failure`; `error.rs` decides how it looks to a client",
    },
    Monopoly {
        what: "the JSON of errors",
        uses: Uses::WholeLiteral(&["errors"]),
        homes: &["error.rs"],
        instead: "return a `Failure`",
    },
    Monopoly {
        what: "the shapes of URLs",
        uses: Uses::Literal(&["/v2", "v2/"]),
        // `cli/` prints commands for people to try.
        homes: &["endpoint.rs", "links.rs", "cli/"],
        instead: "use `Endpoint` and `Links`",
    },
    Monopoly {
        what: "the shapes of URLs, in parts",
        uses: Uses::WholeLiteral(&["v2", "_catalog", "uploads", "referrers"]),
        // An envelope of notifications is of version 2, too; metrics call routes by these names.
        homes: &["endpoint.rs", "config/notifications.rs", "route.rs"],
        instead: "use `Endpoint` and `Links`",
    },
    Monopoly {
        what: "the clock",
        uses: Uses::Path(&["std::time::SystemTime::now", "std::time::Instant::now"]),
        homes: &[],
        instead: "measure timeouts with tokio's clock, which tests can stop",
    },
    Monopoly {
        what: "random numbers",
        uses: Uses::Path(&["getrandom", "rand"]),
        homes: &[],
        instead: "the store has them",
    },
    Monopoly {
        what: "hash functions",
        uses: Uses::Path(&["sha2", "hmac"]),
        // An HMAC is made of a hash function as a type; the store has no use for one.
        homes: &["upload_secret.rs", "auth/verified.rs"],
        instead: "the store hashes content; `UploadSecret` signs",
    },
];

/// Uses outside of their homes.
fn trespasses(of: &Crate, monopolies: &[Monopoly]) -> Complaints {
    let mut complaints = Complaints::new();
    for monopoly in monopolies {
        for source in of.sources.iter().filter(|source| !monopoly.is_home(&source.file)) {
            for (line, found) in monopoly.uses.in_source(of, source) {
                complaints.push(format!(
                    "{}: `{found}`: {} may be used in {:?} only; {}",
                    source.at(of.name, line),
                    monopoly.what,
                    monopoly.homes,
                    monopoly.instead,
                ));
            }
        }
    }
    complaints
}

impl Monopoly {
    fn is_home(&self, file: &str) -> bool {
        self.homes.iter().any(|home| file == *home || home.ends_with('/') && file.starts_with(home))
    }
}

impl Uses {
    /// Line and text of each use, tests apart.
    fn in_source(&self, of: &Crate, source: &Source) -> Vec<(usize, String)> {
        match self {
            Self::Path(prefixes) => {
                paths(of, source, |path| prefixes.iter().any(|prefix| begins_with(path, prefix)))
            }
            Self::PathBut(prefix, allowed) => paths(of, source, |path| {
                begins_with(path, prefix)
                    && !allowed.iter().any(|allowed| is_or_below(path, allowed))
            }),
            Self::Method(names) => tokens(source, |tokens| {
                tokens[0].is(".")
                    && names.iter().any(|name| tokens[1].is(name))
                    && (tokens[2].is("(") || tokens[2].is("::"))
            }),
            Self::Literal(parts) => tokens(source, |tokens| {
                tokens[0].kind == Kind::Text
                    && parts.iter().any(|part| tokens[0].text.contains(part))
            }),
            Self::WholeLiteral(texts) => tokens(source, |tokens| {
                tokens[0].kind == Kind::Text && texts.contains(&tokens[0].text.as_str())
            }),
            Self::KeyFromText => [
                tokens(source, is_key_from_text),
                paths(of, source, |path| path.ends_with("Key::from_str")),
            ]
            .concat(),
        }
    }
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// As [`begins_with`]; a `$` at the end allows the path itself only.
fn is_or_below(path: &str, allowed: &str) -> bool {
    match allowed.strip_suffix('$') {
        Some(whole) => path == whole,
        None => begins_with(path, allowed),
    }
}

fn paths(of: &Crate, source: &Source, matches: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    of.paths(source)
        .into_iter()
        .filter(|path| !path.in_test)
        .map(|path| (path.line, path.segments.join("::")))
        .filter(|(_, path)| matches(path))
        .collect()
}

/// Runs of tokens for which `matches`, which sees at least three.
fn tokens(source: &Source, matches: impl Fn(&[Token]) -> bool) -> Vec<(usize, String)> {
    if source.is_test {
        return Vec::new();
    }
    let end = Token {
        kind: Kind::Sign,
        text: String::new(),
        line: 0,
        in_test: false,
        inside: Vec::new(),
    };
    let padded = [source.tokens.as_slice(), &[end.clone(), end]].concat();
    (0..source.tokens.len())
        .map(|at| &padded[at..])
        .filter(|run| !run[0].in_test && matches(run))
        .map(|run| {
            let text: Vec<&str> = run.iter().take(3).map(|token| token.text.as_str()).collect();
            (run[0].line, text.join(" "))
        })
        .collect()
}

/// `.parse::<…Key>(`, or `: Key = … .parse(` in one statement. What is inferred from further away is not seen.
fn is_key_from_text(tokens: &[Token]) -> bool {
    let is_parse = |run: &[Token]| run[0].is(".") && run[1].is("parse");
    if is_parse(tokens) && tokens.len() > 4 && tokens[2].is("::") {
        let inside = tokens[3..].iter().take_while(|token| !token.is(">"));
        return inside.last().is_some_and(|last| last.is("Key"));
    }
    if !(tokens[0].is(":") && tokens[1].is("Key") && tokens[2].is("=")) {
        return false;
    }
    let mut at = 3;
    while at + 1 < tokens.len() && !tokens[at].is(";") {
        if is_parse(&tokens[at..]) {
            return true;
        }
        let opens = ["(", "[", "{"].iter().any(|bracket| tokens[at].is(bracket));
        at = if opens { behind_closing(tokens, at) } else { at + 1 };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::assert_none;

    fn made_up(file: &'static str, text: &str) -> Crate {
        Crate::new("made-up", [(file, text)])
    }

    #[test]
    fn in_the_store_each_outside_thing_has_one_home() {
        let store = Crate::read("registry-store/src", "registry-store/src");
        assert_none(&trespasses(&store, STORE));
    }

    #[test]
    fn in_the_server_each_outside_thing_has_one_home() {
        let http = Crate::read("registry-http/src", "registry-http/src");
        assert_none(&trespasses(&http, HTTP));
    }

    #[test]
    fn every_monopoly_of_the_store_catches_a_trespass() {
        for (what, bad) in [
            ("files", "use std::fs;"),
            ("files", "fn f() { std::fs::read(\"x\"); }"),
            ("files", "use std::os::unix::fs::MetadataExt as _;"),
            ("system calls", "use rustix::fs::{linkat, CWD};"),
            ("error numbers of system calls", "use rustix::io::Errno;"),
            ("tokio's files", "use tokio::{fs as files, sync};"),
            ("syncs", "fn f(file: F) { file.sync_data() }"),
            ("syncs", "fn f(file: F) { system.sync_directory(&d) }"),
            ("hash functions", "use sha2::{Digest, Sha256};"),
            ("keys made of text", "fn f() { text.parse::<Key>() }"),
            ("keys made of text", "fn f() { text.parse::<backend::Key>() }"),
            ("keys made of text", "fn f() { let key: Key = format!(\"{a}\").parse()?; }"),
            ("keys made of text", "fn f() { Key::from_str(text) }"),
            ("keys made of a listing's names", "fn f() { key.child(name) }"),
            ("the clock", "use std::time::{Duration, SystemTime}; fn f() { SystemTime::now() }"),
            ("the clock", "fn f() { std::time::Instant::now() }"),
            ("random numbers", "fn f() { getrandom::fill(&mut b) }"),
        ] {
            let complaints = trespasses(&made_up("blobs.rs", bad), STORE);
            let caught = complaints.iter().any(|found| found.contains(&format!("`: {what} may")));
            assert!(caught, "{bad}: {complaints:?}");
        }
    }

    #[test]
    fn every_monopoly_of_the_server_catches_a_trespass() {
        for (what, bad) in [
            ("files", "use tokio::fs::File;"),
            ("statuses of failures", "use http::StatusCode; fn f() { StatusCode::NOT_FOUND }"),
            ("statuses of failures", "fn f() { http::StatusCode::from_u16(404) }"),
            ("the JSON of errors", "fn f() { json!({ \"errors\": [] }) }"),
            ("the shapes of URLs", "fn f() { format!(\"/v2/{name}\") }"),
            ("the shapes of URLs, in parts", "fn f() { segments == [\"v2\", \"x\"] }"),
            ("the clock", "use std::time::Instant; fn f() { x.unwrap_or_else(Instant::now) }"),
            ("hash functions", "use sha2::Sha256;"),
        ] {
            let complaints = trespasses(&made_up("handler/blobs.rs", bad), HTTP);
            let caught = complaints.iter().any(|found| found.contains(&format!("`: {what} may")));
            assert!(caught, "{bad}: {complaints:?}");
        }
    }

    #[test]
    fn a_home_a_test_and_a_comment_are_no_trespass() {
        assert_none(&trespasses(&made_up("backend/fs/system.rs", "use std::fs;"), STORE));
        assert_none(&trespasses(&made_up("digest/hasher.rs", "use sha2::Sha256;"), STORE));
        let in_test = "#[cfg(test)] mod tests { use std::fs; fn f() { a.parse::<Key>() } }";
        assert_none(&trespasses(&made_up("blobs.rs", in_test), STORE));
        let comment = "// std::fs::read\n/// `text.parse::<Key>()`\nfn f() {}";
        assert_none(&trespasses(&made_up("blobs.rs", comment), STORE));
    }

    #[test]
    fn what_looks_alike_is_no_trespass() {
        for good in [
            "use std::fmt; fn f() { text.parse::<Digest>() }",
            "fn f() { map.children(); KeyError::from(x) }",
            "fn f() { let tag: Tag = text.parse()?; let key: Key = layout::blob(&digest); }",
            "use tokio::time::Instant; fn f() { Instant::now() }",
        ] {
            assert_none(&trespasses(&made_up("blobs.rs", good), STORE));
        }
        let fine = "use http::StatusCode; fn f() -> StatusCode { StatusCode::CREATED }";
        assert_none(&trespasses(&made_up("handler/blobs.rs", fine), HTTP));
    }
}
