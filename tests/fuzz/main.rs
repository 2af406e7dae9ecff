//! The fuzz targets over their corpora and over inputs made from those: the same every time, and bounded.
//!
//! A find of the fuzzer becomes a file of the corpus, named after what it shows, and so a test for ever.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own to the fuzzer")]
mod targets;

mod inputs;

use std::fs;
use std::path::Path;

use inputs::Inputs;
use targets::{TARGETS, Target};

/// Inputs made for each target. A second or two each, without optimisation.
const MADE: usize = 3000;
/// The same, of those that are lists.
const MADE_LISTS: usize = 500;
/// The same, of those that take a store through many steps.
const MADE_SEQUENCES: usize = 60;

/// The files of a target's corpus, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = fs::read_dir(&directory).expect("every target has a corpus");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a directory that was opened can be read").path();
            let bytes = fs::read(&path).expect("a file that was just listed can be read");
            let name = path.file_name().expect("a file has a name");
            (name.to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "expected a corpus in {}", directory.display());
    files
}

/// Runs a target, and says on which input it failed.
fn check(name: &str, target: Target, input: &[u8], origin: &str) {
    let outcome = std::panic::catch_unwind(|| target(input));
    assert!(
        outcome.is_ok(),
        "{name} failed on {origin}; as a file of fuzz/corpus/{name} it is:\n{}",
        input.escape_ascii()
    );
}

fn over_its_corpus(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    for (file, input) in corpus(name) {
        check(name, target, &input, &file);
    }
}

fn over_made_inputs(name: &str, count: usize) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let corpus: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, input)| input).collect();
    for (number, input) in Inputs::from(corpus).take(count).enumerate() {
        check(name, target, &input, &format!("made input {number}"));
    }
}

#[test]
fn every_target_has_a_corpus_and_a_shell_for_the_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let files = |directory: &str| {
        let entries = fs::read_dir(fuzz.join(directory)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let targets = TARGETS.map(|(name, _)| name);
    assert_eq!(files("fuzz_targets"), targets);
    assert_eq!(files("corpus"), targets);
}

#[test]
fn a_broken_promise_is_told_with_its_input() {
    let refuse: Target = |data| assert!(data != b"\n");
    let outcome = std::panic::catch_unwind(|| check("made-up", refuse, b"\n", "x"));
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("made-up failed on x") && message.ends_with("\\n"), "{message}");
}

#[test]
fn digests_keep_their_promises_over_the_corpus() {
    over_its_corpus("digest");
}

#[test]
fn digests_keep_their_promises_over_made_inputs() {
    over_made_inputs("digest", MADE);
}

#[test]
fn endpoints_keep_their_promises_over_the_corpus() {
    over_its_corpus("endpoint");
}

#[test]
fn endpoints_keep_their_promises_over_made_inputs() {
    over_made_inputs("endpoint", MADE);
}

#[test]
fn manifests_keep_their_promises_over_the_corpus() {
    over_its_corpus("manifest");
}

#[test]
fn manifests_keep_their_promises_over_made_inputs() {
    over_made_inputs("manifest", MADE);
}

#[test]
fn names_keep_their_promises_over_the_corpus() {
    over_its_corpus("name");
}

#[test]
fn names_keep_their_promises_over_made_inputs() {
    over_made_inputs("name", MADE);
}

#[test]
fn operations_keep_their_promises_over_the_corpus() {
    over_its_corpus("operations");
}

#[test]
fn operations_keep_their_promises_over_made_inputs() {
    over_made_inputs("operations", MADE_SEQUENCES);
}

#[test]
fn ranges_keep_their_promises_over_the_corpus() {
    over_its_corpus("range");
}

#[test]
fn ranges_keep_their_promises_over_made_inputs() {
    over_made_inputs("range", MADE_LISTS);
}

#[test]
fn records_keep_their_promises_over_the_corpus() {
    over_its_corpus("record");
}

#[test]
fn records_keep_their_promises_over_made_inputs() {
    over_made_inputs("record", MADE);
}

#[test]
fn references_keep_their_promises_over_the_corpus() {
    over_its_corpus("reference");
}

#[test]
fn references_keep_their_promises_over_made_inputs() {
    over_made_inputs("reference", MADE);
}

#[test]
fn requests_keep_their_promises_over_the_corpus() {
    over_its_corpus("requests");
}

#[test]
fn requests_keep_their_promises_over_made_inputs() {
    over_made_inputs("requests", MADE_SEQUENCES);
}

#[test]
fn the_corpora_reach_what_is_accepted_and_what_is_refused() {
    use registry_store::digest::{Algorithm, Hasher};
    use registry_store::manifest::Manifest;
    use registry_store::name::RepositoryName;

    let accepted = |name: &str, accepts: &dyn Fn(&[u8]) -> bool| {
        let corpus = corpus(name);
        let accepted = corpus.iter().filter(|(_, input)| accepts(input)).count();
        assert!(accepted >= 2 && accepted < corpus.len(), "{name}: {accepted} of {}", corpus.len());
    };
    accepted("manifest", &|input| Manifest::parse(None, input.to_vec().into()).is_ok());
    accepted("digest", &|input| {
        Algorithm::ALL.iter().any(|algorithm| Hasher::restore(*algorithm, input).is_ok())
    });
    accepted("name", &|input| {
        let text = str::from_utf8(input).unwrap();
        text.lines().all(|line| line.parse::<RepositoryName>().is_ok())
    });
}
