//! [`Settings`]: what a bench is told on its command line.

use std::env;
use std::path::PathBuf;

/// `cargo bench -p registry-benches -- [--quick] [--dir DIRECTORY] [WORD]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A short run: small content, few rounds. Its figures tell only that everything works.
    pub quick: bool,
    /// Where data is written; on the medium that is to be measured.
    pub directory: PathBuf,
    /// Only tables whose title holds this.
    pub only: Option<String>,
}

impl Settings {
    /// Those of this process; `None` if `cargo bench` did not start it (`cargo test` builds and starts benches
    /// too, and nothing is to be measured then).
    pub fn from_command_line(default_directory: &str) -> Option<Self> {
        Self::parse(env::args().skip(1), default_directory)
    }

    fn parse(arguments: impl Iterator<Item = String>, default_directory: &str) -> Option<Self> {
        let mut settings = Self { quick: false, directory: default_directory.into(), only: None };
        let mut is_bench = false;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => is_bench = true,
                "--quick" => settings.quick = true,
                "--dir" => {
                    settings.directory = arguments.next().expect("--dir DIRECTORY").into();
                }
                word => settings.only = Some(word.to_owned()),
            }
        }
        is_bench.then_some(settings)
    }

    /// Is a table of this title asked for?
    pub fn wants(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|word| title.contains(word))
    }

    /// The one for long runs, or the one for quick ones.
    pub fn choose<T>(&self, long: T, quick: T) -> T {
        if self.quick { quick } else { long }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Settings> {
        Settings::parse(line.split_whitespace().map(str::to_owned), "here")
    }

    #[test]
    fn a_bench_that_cargo_test_starts_measures_nothing() {
        assert_eq!(parse(""), None);
        assert!(parse("--bench").is_some());
    }

    #[test]
    fn a_word_chooses_tables() {
        let settings = parse("--quick --dir there push --bench").unwrap();
        assert!(settings.quick && settings.directory.ends_with("there"));
        assert!(settings.wants("a push of 1 MiB") && !settings.wants("pull"));
    }
}
