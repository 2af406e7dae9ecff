//! The files of real deployments in `real/`, and those that were made beside them.
//!
//! What becomes of each stands in it: `#= name=value` is in force, `#~ line: …` is told of, `#! line: …` refuses to
//! start. Nothing else may be told of, and no file may show the secrets in it.
#![expect(clippy::disallowed_methods, reason = "reads the files of a folder")]

use std::fs;
use std::path::{Path, PathBuf};

use super::{read, summary};

/// What the secrets in the files hold.
const SECRET: &str = "hunter2";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/real");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.collect();
    assert!(files.len() >= 14, "{files:?}");
    files
}

fn noted<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim).collect()
}

#[test]
fn each_does_what_stands_in_it() {
    for file in files() {
        let (name, text) = (file.display(), fs::read_to_string(&file).unwrap());
        let place = |line: &String| line.strip_prefix("c.yml:").unwrap_or(line).to_owned();
        match read(&text, &[]) {
            Err(problem) => assert_eq!(noted(&text, "#!"), [place(&problem.to_string())], "{name}"),
            Ok(loaded) => {
                let warnings = loaded.warnings.iter().map(ToString::to_string);
                let warnings: Vec<String> = warnings.map(|line| place(&line)).collect();
                assert_eq!(noted(&text, "#~"), warnings, "{name}");
                let summary = summary(&loaded);
                let expected = noted(&text, "#=");
                assert!(!expected.is_empty(), "{name}");
                for word in expected.iter().flat_map(|line| line.split(' ')) {
                    assert!(summary.iter().any(|it| it == word), "{name}: {word}: {summary:?}");
                }
            }
        }
    }
}

#[test]
fn none_shows_its_secrets() {
    let mut with_secrets = 0;
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        with_secrets += usize::from(text.contains(SECRET));
        let shown = match read(&text, &[]) {
            Err(problem) => format!("{problem} {problem:?}"),
            Ok(loaded) => format!("{loaded:?} {:?}", loaded.configuration.options()),
        };
        assert!(!shown.to_lowercase().contains(SECRET), "{}: {shown}", file.display());
    }
    assert!(with_secrets >= 5);
}
