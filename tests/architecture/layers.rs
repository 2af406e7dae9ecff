//! Imports point down, and there is no cycle.
//!
//! A module is a file, or a folder as a whole, directly below a crate's root. It may import from its own row and
//! from the rows above it in the table. In a row, and among the files of a folder, imports may go any way as long
//! as no two files need each other. A folder's files may take what its `mod.rs` itself defines.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Complaints, Crate, Path, Source};

/// The modules of `registry-store`, lowest first.
const STORE: &[&[&str]] = &[
    // Values.
    &[
        "digest",
        "name",
        "reference",
        "upload_id",
        "media_type",
        "descriptor",
        "page",
        "precondition",
        "manifest",
    ],
    // What an embedder chooses.
    &["options"],
    // Where bytes are kept, and under which keys.
    &["backend"],
    &["layout", "upload_status"],
    &["error"],
    // What all handles of a store share.
    &["buffers", "damage", "detach", "guard", "turns"],
    &["shared"],
    // Steps that operations are made of.
    &["ingest", "inventory", "link", "listing"],
    // Operations.
    &["blobs", "tags"],
    &["dependencies", "trial"],
    &["uploads", "mount", "manifests", "referrers", "catalog"],
    // Doors. Maintenance runs through the store's door, so it stands below it.
    &["repository", "gc", "scrub", "purge", "usage", "transfer"],
    &["store"],
];

/// The modules of `registry-http`, lowest first.
const HTTP: &[&[&str]] = &[
    // Who is at the other end of a connection, and where that says it is.
    &["peer", "host", "forwarded"],
    &["origin"],
    // What an embedder brings, and chooses.
    &["auth", "read_only", "request_id", "route", "upload_secret"],
    &["events"],
    &["options"],
    &["refusal"],
    &["body", "endpoint", "headers", "range", "upload_state"],
    &["links"],
    // How a failure looks to a client: knows every kind of failure there is.
    &["error"],
    &["handler"],
    &["trace_context"],
    &["request_span"],
    &["observe"],
    &["notifications", "metrics", "access_log", "health", "registryctl", "activity", "traces"],
    &["debug"],
    // Of a listener: a connection, and all of them.
    &["idle", "connections"],
    &["serve"],
    &["config"],
    &["testing"],
    &["cli"],
];

/// Imports that point up and may: the module, exactly what it imports, why.
const EXCEPTIONS: &[(&str, &[&str], &str)] = &[(
    "backend",
    &[
        "crate::layout",
        "crate::layout::private",
        "crate::layout::deleting",
        "crate::layout::replacing",
        "crate::layout::writers",
        "crate::layout::top",
        "crate::layout::repositories",
    ],
    "only the layout makes keys: it hands a backend the places that are the backend's own, and those in which a bucket's \
     uploads in parts lie that nobody goes on with",
)];

/// Imports that point up, or into a module without a rank.
fn upward_imports(of: &Crate, layers: &[&[&str]]) -> Complaints {
    let rank = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let mut complaints = Complaints::new();
    for source in &of.sources {
        let module = source.module();
        let Some(module) = module.first() else { continue };
        let Some(own) = rank(module) else {
            complaints.push(format!(
                "{}/{}: module `{module}` has no rank; give it one in tests/architecture/layers.rs",
                of.name, source.file
            ));
            continue;
        };
        for (path, target) in imports(of, source) {
            // What has no rank is complained of where it is, if it is a module of ours at all.
            if rank(&target).is_some_and(|other| other > own) && !is_excepted(module, &path) {
                complaints.push(format!(
                    "{}: `{module}` imports `{}`, but `{target}` stands above it; move what both need \
                     down, or change the ranks in tests/architecture/layers.rs and say why",
                    source.at(of.name, path.line),
                    path.segments.join("::"),
                ));
            }
        }
    }
    complaints
}

/// Modules that need each other, among those of the root and among those of each folder.
fn cycles(of: &Crate) -> Complaints {
    let folders: BTreeSet<Vec<String>> = of
        .sources
        .iter()
        .flat_map(|source| {
            let module = source.module();
            (0..module.len()).map(move |length| module[..length].to_vec())
        })
        .collect();
    let mut complaints = Complaints::new();
    for folder in folders {
        for cycle in strongly_connected(&siblings(of, &folder)) {
            complaints.push(format!(
                "{}: in `{}` these import each other: {}; move what they share into a module below them",
                of.name,
                ["crate"].into_iter().chain(folder.iter().map(String::as_str)).collect::<Vec<_>>().join("::"),
                cycle.join(", "),
            ));
        }
    }
    complaints
}

/// Imports by way of the crate's root, which would hide where a thing lives.
fn root_imports(of: &Crate) -> Complaints {
    let mut complaints = Complaints::new();
    for source in of.sources.iter().filter(|source| !source.module().is_empty()) {
        for path in source.paths() {
            let is_of_root = matches!(path.segments.as_slice(), [first, second, ..]
                if first == "crate" && second.starts_with(char::is_uppercase));
            if is_of_root {
                complaints.push(format!(
                    "{}: `{}` is taken from the crate's root; import it by the module it lives in",
                    source.at(of.name, path.line),
                    path.segments.join("::"),
                ));
            }
        }
    }
    complaints
}

/// What a source imports of other modules directly below the root, tests apart.
fn imports(of: &Crate, source: &Source) -> Vec<(Path, String)> {
    of.paths(source)
        .into_iter()
        .filter(|path| !path.in_test && path.segments[0] == "crate")
        .filter_map(|path| {
            let target = path.segments.get(1)?.clone();
            Some((path, target))
        })
        .collect()
}

fn is_excepted(module: &str, path: &Path) -> bool {
    let path = path.segments.join("::");
    EXCEPTIONS.iter().any(|(from, to, _)| *from == module && to.contains(&path.as_str()))
}

/// Which of the modules directly in `folder` imports which.
fn siblings(of: &Crate, folder: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let inside = |module: &[String]| module.strip_prefix(folder)?.first().cloned();
    for source in &of.sources {
        if let Some(node) = inside(&source.module()) {
            graph.entry(node).or_default();
        }
    }
    for source in of.sources.iter().filter(|source| !source.is_test) {
        let Some(from) = inside(&source.module()) else { continue };
        for (path, _) in imports(of, source) {
            let excepted = folder.is_empty() && is_excepted(&from, &path);
            if let Some(to) = inside(&path.segments[1..])
                && to != from
                && graph.contains_key(&to)
                && !excepted
            {
                graph.entry(from.clone()).or_default().insert(to);
            }
        }
    }
    graph
}

/// The sets of at least two nodes of which each can be reached from each other.
fn strongly_connected(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let mut found: BTreeSet<&String> = BTreeSet::new();
        let mut next: Vec<&String> = graph.get(from).into_iter().flatten().collect();
        while let Some(node) = next.pop() {
            if found.insert(node) {
                next.extend(graph.get(node).into_iter().flatten());
            }
        }
        found
    };
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reached(node))).collect();
    let mut cycles = BTreeSet::new();
    for (node, reachable) in &reach {
        let both_ways =
            |other: &&&String| reach.get(**other).is_some_and(|back| back.contains(node));
        let cycle: Vec<String> =
            reachable.iter().filter(both_ways).map(|other| (*other).clone()).collect();
        if !cycle.is_empty() {
            cycles.insert(cycle);
        }
    }
    cycles.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::assert_none;

    fn store() -> Crate {
        Crate::read("registry-store/src", "registry-store/src")
    }

    fn http() -> Crate {
        Crate::read("registry-http/src", "registry-http/src")
    }

    fn made_up(files: &[(&str, &str)]) -> Crate {
        Crate::new("made-up", files.iter().copied())
    }

    #[test]
    fn the_store_imports_downwards() {
        assert_none(&upward_imports(&store(), STORE));
    }

    #[test]
    fn the_server_imports_downwards() {
        assert_none(&upward_imports(&http(), HTTP));
    }

    #[test]
    fn no_modules_need_each_other() {
        assert_none(&cycles(&store()));
        assert_none(&cycles(&http()));
    }

    #[test]
    fn nothing_is_imported_through_the_root() {
        assert_none(&root_imports(&store()));
        assert_none(&root_imports(&http()));
    }

    #[test]
    fn a_module_has_one_rank() {
        for layers in [STORE, HTTP] {
            let mut modules: Vec<&&str> = layers.iter().copied().flatten().collect();
            modules.sort();
            assert!(modules.windows(2).all(|pair| pair[0] != pair[1]), "{modules:?}");
        }
    }

    #[test]
    fn an_import_that_points_up_is_caught() {
        for bad in [
            "use crate::store::Store;",
            "use crate::{name::Name, store::{self, Store}};",
            "fn f() { crate::store::open() }",
            "use super::store;",
        ] {
            let complaints = upward_imports(&made_up(&[("blobs.rs", bad)]), STORE);
            assert!(!complaints.is_empty(), "{bad}");
        }
    }

    #[test]
    fn an_import_that_points_down_or_stands_in_a_test_passes() {
        let good = "use crate::backend::Key; #[cfg(test)] mod tests { use crate::store::Store; }";
        assert_none(&upward_imports(&made_up(&[("blobs.rs", good)]), STORE));
    }

    #[test]
    fn an_exception_allows_what_it_names_and_no_more() {
        let imports = |code: &'static str| {
            let file = made_up(&[("backend/fs/walk.rs", code)]);
            upward_imports(&file, STORE).len()
        };
        assert_eq!(imports("use crate::layout; fn f() { layout::private() }"), 0);
        assert_eq!(imports("use crate::layout; fn f() { layout::blob(&digest) }"), 1);
    }

    #[test]
    fn a_module_without_a_rank_is_caught() {
        let complaints = upward_imports(&made_up(&[("helpers.rs", "")]), STORE);
        assert!(complaints[0].contains("give it one"), "{complaints:?}");
    }

    #[test]
    fn a_cycle_is_caught_between_files_and_between_the_files_of_a_folder() {
        let two = [("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { super::a::g() }")];
        assert_eq!(cycles(&made_up(&two)).len(), 1);
        let three = [
            ("x/mod.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("x/a.rs", "use super::b;"),
            ("x/b.rs", "use crate::x::c::C;"),
            ("x/c/mod.rs", "use crate::x::A;"),
        ];
        let complaints = cycles(&made_up(&three));
        assert!(complaints.len() == 1 && complaints[0].contains("a, b, c"), "{complaints:?}");
    }

    #[test]
    fn a_child_may_take_what_its_parent_defines() {
        let files = [
            ("x/mod.rs", "mod a; mod b; use a::A; pub struct X;"),
            ("x/a.rs", "use super::X;"),
            ("x/b.rs", "use crate::x::{X, a::A};"),
        ];
        assert_none(&cycles(&made_up(&files)));
    }

    #[test]
    fn an_import_through_the_root_is_caught() {
        let bad = made_up(&[("a.rs", "use crate::Store;"), ("lib.rs", "pub use store::Store;")]);
        assert_eq!(root_imports(&bad).len(), 1);
    }
}
