//! [`Source`]: a file, the module it is, and every path it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use crate::token::{Token, behind_closing, tokens};

/// The files of one crate's source.
#[derive(Debug)]
pub(crate) struct Crate {
    /// What it is called in complaints: its directory.
    pub(crate) name: &'static str,
    pub(crate) sources: Vec<Source>,
    /// What each module's `pub use` makes of a name.
    reexports: BTreeMap<Vec<String>, Names>,
}

/// Names, and the paths they stand for.
type Names = BTreeMap<String, Vec<String>>;

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Below the crate's source directory, such as `backend/key.rs`.
    pub(crate) file: String,
    /// As it is.
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// Compiled for tests only, as a whole.
    pub(crate) is_test: bool,
}

/// A path as the source names it, with its beginning resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// From the root: the first is `crate` or another crate's name, or a name that could not be resolved.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
}

/// What a rule found.
pub(crate) type Complaints = Vec<String>;

/// Fails with all of them.
pub(crate) fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

impl Crate {
    /// Reads `directory` of the workspace.
    pub(crate) fn read(name: &'static str, directory: &str) -> Self {
        let directory = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory);
        let mut files = Vec::new();
        rust_files(&directory, &mut files);
        files.sort();
        assert!(!files.is_empty(), "expected Rust files in {}", directory.display());
        let read = |file: PathBuf| {
            let text = fs::read_to_string(&file).expect("a file that was just listed can be read");
            let name = file.strip_prefix(&directory).expect("it was found below the directory");
            (name.to_string_lossy().into_owned(), text)
        };
        Self::new(name, files.into_iter().map(read))
    }

    /// A crate of these files.
    pub(crate) fn new<F: Into<String>, T: Into<String>>(
        name: &'static str,
        files: impl IntoIterator<Item = (F, T)>,
    ) -> Self {
        let sources =
            files.into_iter().map(|(file, text)| Source::new(file.into(), text.into())).collect();
        let sources: Vec<Source> = sources;
        let reexports =
            sources.iter().map(|source| (source.module(), source.reexports())).collect();
        let mut this = Self { name, sources, reexports };
        this.mark_test_files();
        this
    }

    /// The files whose module is declared under `#[cfg(test)]`, and those below them.
    fn mark_test_files(&mut self) {
        let declared: Vec<Vec<String>> =
            self.sources.iter().flat_map(Source::modules_of_tests).collect();
        for source in &mut self.sources {
            let module = source.module();
            source.is_test |= declared.iter().any(|test| module.starts_with(test));
        }
    }

    /// Every path of a source, through `use`, `crate::`, `super::` and what the crate itself re-exports.
    pub(crate) fn paths(&self, source: &Source) -> Vec<Path> {
        let mut paths = source.paths();
        for path in &mut paths {
            self.follow_reexports(&mut path.segments);
        }
        paths
    }

    /// `crate::backend::Key` is `crate::backend::key::Key` where `backend` says `pub use key::Key`.
    fn follow_reexports(&self, segments: &mut Vec<String>) {
        for length in 1..segments.len() {
            if segments[0] != "crate" {
                return;
            }
            let (module, name) = (&segments[1..length], &segments[length]);
            let target = self.reexports.get(module).and_then(|names| names.get(name));
            if let Some(target) = target {
                let behind = segments.split_off(length + 1);
                segments.clone_from(target);
                segments.extend(behind);
            }
        }
    }
}

fn rust_files(directory: &FilePath, found: &mut Vec<PathBuf>) {
    let listing = fs::read_dir(directory)
        .unwrap_or_else(|error| panic_with(&format!("{}: {error}", directory.display())));
    for entry in listing {
        let path = entry.expect("a directory that was opened can be read").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[expect(clippy::panic, reason = "a test that cannot read the source has to fail")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

impl Source {
    pub(crate) fn new(file: String, text: String) -> Self {
        let tokens = tokens(&text);
        Self { file, text, tokens, is_test: false }
    }

    /// The module's path below the crate's root: `["backend", "key"]`; empty for the root itself.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.file.strip_suffix(".rs").unwrap_or(&self.file);
        let path = path.strip_suffix("mod").unwrap_or(path);
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let module: Vec<String> = segments.map(str::to_owned).collect();
        match module.first().map(String::as_str) {
            Some("lib" | "main") if module.len() == 1 => Vec::new(),
            _ => module,
        }
    }

    /// Where something is, for a complaint.
    pub(crate) fn at(&self, name: &str, line: usize) -> String {
        format!("{name}/{}:{line}", self.file)
    }

    fn modules_of_tests(&self) -> Vec<Vec<String>> {
        let declarations = self.tokens.windows(3).filter(|window| {
            window[0].in_test && window[0].is("mod") && window[1].is_word() && window[2].is(";")
        });
        let child = |window: &[Token]| [self.module(), vec![window[1].text.clone()]].concat();
        declarations.map(child).collect()
    }

    /// Every path the file names, as it names it; see [`Crate::paths`].
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut names = self.declared_modules();
        let uses = self.uses();
        for used in &uses {
            if let Some(name) = &used.name {
                names.insert(name.clone(), self.absolute(&used.path, &used.inside, &names));
            }
        }
        let resolve = |path: &[String], inside: &[String]| self.absolute(path, inside, &names);
        let mut paths: Vec<Path> = Vec::new();
        for used in &uses {
            paths.push(Path {
                segments: resolve(&used.path, &used.inside),
                line: used.line,
                in_test: used.in_test || self.is_test,
            });
        }
        for (path, token) in self.paths_in_code() {
            paths.push(Path {
                segments: resolve(&path, &token.inside),
                line: token.line,
                in_test: token.in_test || self.is_test,
            });
        }
        paths
    }

    /// What `pub use` makes of names of this module, from the crate's root.
    fn reexports(&self) -> Names {
        let modules = self.declared_modules();
        let public = self.uses().into_iter().filter(|used| used.is_public && !used.in_test);
        public
            .filter_map(|used| {
                let target = self.absolute(&used.path, &used.inside, &modules);
                Some((used.name?, target))
            })
            .collect()
    }

    /// The modules the file declares, as absolute paths.
    fn declared_modules(&self) -> Names {
        let declared = self.tokens.windows(3).filter(|window| {
            window[0].is("mod") && window[1].is_word() && (window[2].is(";") || window[2].is("{"))
        });
        let root = [vec!["crate".to_owned()], self.module()].concat();
        declared
            .filter(|window| window[0].inside.is_empty())
            .map(|window| {
                let name = window[1].text.clone();
                (name.clone(), [root.clone(), vec![name]].concat())
            })
            .collect()
    }

    /// A path from the crate's root, or from another crate's name.
    fn absolute(&self, path: &[String], inside: &[String], names: &Names) -> Vec<String> {
        let mut here = [vec!["crate".to_owned()], self.module(), inside.to_vec()].concat();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => return path.to_vec(),
            Some("self") => rest = &path[1..],
            Some("super") => {
                while let Some((first, behind)) = rest.split_first()
                    && first == "super"
                {
                    here.truncate((here.len() - 1).max(1));
                    rest = behind;
                }
            }
            Some(first) => {
                return match names.get(first) {
                    Some(target) => [target.as_slice(), &path[1..]].concat(),
                    None => path.to_vec(),
                };
            }
            None => {}
        }
        [here.as_slice(), rest].concat()
    }

    /// `a::b::c` anywhere but in a `use`.
    fn paths_in_code(&self) -> Vec<(Vec<String>, &Token)> {
        let in_use: BTreeSet<usize> =
            self.use_statements().into_iter().flat_map(|(start, end)| start..end).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let behind_sign =
                at > 0 && (self.tokens[at - 1].is("::") || self.tokens[at - 1].is("."));
            if in_use.contains(&at) || !self.tokens[at].is_word() || behind_sign {
                at += 1;
                continue;
            }
            let start = at;
            let mut path = vec![self.tokens[at].text.clone()];
            while self.tokens.get(at + 1).is_some_and(|sign| sign.is("::"))
                && self.tokens.get(at + 2).is_some_and(Token::is_word)
            {
                path.push(self.tokens[at + 2].text.clone());
                at += 2;
            }
            if path.len() > 1 {
                found.push((path, &self.tokens[start]));
            }
            at += 1;
        }
        found
    }

    /// Where each `use` begins, and where it ends.
    fn use_statements(&self) -> Vec<(usize, usize)> {
        let starts = |at: &usize| {
            // `use<'a>` in a type is no import.
            self.tokens[*at].is("use") && !self.tokens.get(at + 1).is_some_and(|next| next.is("<"))
        };
        (0..self.tokens.len())
            .filter(starts)
            .map(|at| {
                let ends = self.tokens[at..].iter().position(|token| token.is(";"));
                (at, ends.map_or(self.tokens.len(), |length| at + length))
            })
            .collect()
    }

    fn uses(&self) -> Vec<Used> {
        let mut uses = Vec::new();
        for (start, end) in self.use_statements() {
            let before = &self.tokens[..start];
            let is_public = match before.last() {
                Some(last) if last.is("pub") => true,
                Some(last) if last.is(")") => {
                    before.iter().rev().take(6).any(|token| token.is("pub"))
                }
                _ => false,
            };
            let token = &self.tokens[start];
            let mut leaves = Vec::new();
            use_tree(&self.tokens[start + 1..end], &[], &mut leaves);
            uses.extend(leaves.into_iter().map(|(path, name)| Used {
                path,
                name,
                is_public,
                line: token.line,
                in_test: token.in_test,
                inside: token.inside.clone(),
            }));
        }
        uses
    }
}

/// One leaf of a `use`.
#[derive(Debug)]
struct Used {
    path: Vec<String>,
    /// What it is called here; `None` for `*` and `_`.
    name: Option<String>,
    is_public: bool,
    line: usize,
    in_test: bool,
    inside: Vec<String>,
}

/// Takes `a::{b, c as d, e::*}` apart.
fn use_tree(tokens: &[Token], above: &[String], leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    let mut path = above.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is("{") {
            let end = behind_closing(tokens, at);
            for branch in branches(&tokens[at + 1..end - 1]) {
                use_tree(branch, &path, leaves);
            }
            return;
        }
        if token.is("*") {
            leaves.push((path, None));
            return;
        }
        if token.is("as") {
            let name = tokens.get(at + 1).map(|name| name.text.clone());
            leaves.push((path, name.filter(|name| name != "_")));
            return;
        }
        if token.is_word() && (path.is_empty() || !token.is("self")) {
            path.push(token.text.clone());
        }
        at += 1;
    }
    if !path.is_empty() {
        let name = path.last().cloned();
        leaves.push((path, name));
    }
}

/// Cuts at the commas that stand outside of brackets.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < tokens.len() {
        if tokens[at].is("{") {
            at = behind_closing(tokens, at);
        } else {
            if tokens[at].is(",") {
                found.push(&tokens[start..at]);
                start = at + 1;
            }
            at += 1;
        }
    }
    found.push(&tokens[start..]);
    found.retain(|branch| !branch.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(files: &[(&str, &str)], file: &str) -> Vec<String> {
        let made_up = Crate::new("made-up", files.iter().copied());
        let source = made_up.sources.iter().find(|source| source.file == file).unwrap();
        made_up.paths(source).into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn a_use_is_taken_apart() {
        let source = "use crate::{a::{self, B}, c::D as E}; use std::io::*; pub use f::g as _;";
        let expected = ["crate::a", "crate::a::B", "crate::c::D", "std::io", "f::g"];
        assert_eq!(resolved(&[("x.rs", source)], "x.rs"), expected);
    }

    #[test]
    fn what_a_use_calls_by_another_name_is_known_by_its_own() {
        let source =
            "use std::{fs as files, time::SystemTime}; fn a() { files::read(); SystemTime::now() }";
        let paths = resolved(&[("x.rs", source)], "x.rs");
        assert_eq!(paths[2..], ["std::fs::read", "std::time::SystemTime::now"]);
    }

    #[test]
    fn super_and_self_are_resolved_also_in_inline_modules() {
        let source = "use super::a; mod m { use super::b; } fn f() { self::c::d() }";
        let paths = resolved(&[("x/y.rs", source)], "x/y.rs");
        assert_eq!(paths, ["crate::x::a", "crate::x::y::b", "crate::x::y::c::d"]);
    }

    #[test]
    fn a_reexport_is_followed_to_where_the_thing_is() {
        let files = [
            ("b/mod.rs", "mod key; pub use key::Key; pub use crate::b::other::Thing;"),
            ("b/key.rs", "pub struct Key;"),
            ("x.rs", "use crate::b::{Key, Thing};"),
        ];
        assert_eq!(resolved(&files, "x.rs"), ["crate::b::key::Key", "crate::b::other::Thing"]);
    }

    #[test]
    fn a_file_of_tests_is_known_by_its_declaration() {
        let files = [
            ("b/mod.rs", "#[cfg(test)] mod checks; mod key;"),
            ("b/checks.rs", ""),
            ("b/key.rs", ""),
        ];
        let made_up = Crate::new("made-up", files);
        let tests: Vec<bool> = made_up.sources.iter().map(|source| source.is_test).collect();
        assert_eq!(tests, [false, true, false]);
    }
}
