//! How files open, and what code and tests do not do.

use crate::source::{Complaints, Crate};
use crate::token::Token;

/// Files that do not open with a sentence that says what they are.
fn without_opening(of: &Crate) -> Complaints {
    let mute = of.sources.iter().filter(|source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().is_empty())
    });
    mute.map(|source| {
        format!(
            "{}: a file opens with `//! ` and the sentence that says which question it answers",
            source.at(of.name, 1)
        )
    })
    .collect()
}

/// `unwrap()` outside of tests.
fn unwraps(of: &Crate) -> Complaints {
    let mut complaints = Complaints::new();
    for source in of.sources.iter().filter(|source| !source.is_test) {
        for run in source.tokens.windows(3) {
            if !run[0].in_test && run[0].is(".") && run[1].is("unwrap") && run[2].is("(") {
                complaints.push(format!(
                    "{}: return an error, or say with `expect` why it cannot fail",
                    source.at(of.name, run[1].line)
                ));
            }
        }
    }
    complaints
}

/// Tests whose names are not sentences, that are switched off, or that wait by the clock.
fn bad_tests(of: &Crate) -> Complaints {
    let mut complaints = Complaints::new();
    for source in &of.sources {
        for run in source.tokens.windows(4) {
            let complaint = match run {
                [word, name, ..] if word.is("fn") && name.text.starts_with("test_") => {
                    "a test's name is a sentence that is true when it passes; drop `test_`"
                }
                [sign, open, word, _] if sign.is("#") && open.is("[") && word.is("ignore") => {
                    "a test that does not run proves nothing; a feature can gate what needs a program"
                }
                [module, sign, name, _] if is_sleep(module, sign, name) => {
                    "nothing waits by sleeping; wait for the thing itself"
                }
                _ => continue,
            };
            complaints.push(format!("{}: {complaint}", source.at(of.name, run[0].line)));
        }
    }
    complaints
}

/// `thread::sleep`
fn is_sleep(module: &Token, sign: &Token, name: &Token) -> bool {
    module.is("thread") && sign.is("::") && name.is("sleep")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::assert_none;

    fn shipped() -> Vec<Crate> {
        ["registry-store/src", "registry-http/src"].map(|name| Crate::read(name, name)).into()
    }

    fn everything() -> Vec<Crate> {
        ["registry-store", "registry-http", "tests", "benches", "fuzz"]
            .map(|name| Crate::read(name, name))
            .into()
    }

    fn made_up(text: &str) -> Crate {
        Crate::new("made-up", [("blobs.rs", text)])
    }

    #[test]
    fn every_file_says_what_it_is() {
        everything().iter().for_each(|of| assert_none(&without_opening(of)));
    }

    #[test]
    fn nothing_is_unwrapped() {
        shipped().iter().for_each(|of| assert_none(&unwraps(of)));
    }

    #[test]
    fn tests_are_sentences_that_run_and_do_not_sleep() {
        everything().iter().for_each(|of| assert_none(&bad_tests(of)));
    }

    #[test]
    fn a_file_without_an_opening_is_caught() {
        for bad in ["", "use std::fmt;", "//!\n", "// a comment", "\n//! late"] {
            assert_eq!(without_opening(&made_up(bad)).len(), 1, "{bad:?}");
        }
        assert_none(&without_opening(&made_up("//! Blobs.\n")));
    }

    #[test]
    fn an_unwrap_is_caught_outside_of_tests_only() {
        assert_eq!(unwraps(&made_up("fn f() { x.unwrap() }")).len(), 1);
        assert_none(&unwraps(&made_up("fn f() { x.unwrap_or(1) } #[test] fn t() { x.unwrap() }")));
    }

    #[test]
    fn a_bad_test_is_caught() {
        for bad in [
            "#[test] fn test_it() {}",
            "#[test] #[ignore] fn it_works() {}",
            "#[test] #[ignore = \"slow\"] fn it_works() {}",
            "#[test] fn it_works() { std::thread::sleep(SECOND) }",
            "#[test] fn it_works() { thread::sleep(SECOND) }",
        ] {
            assert_eq!(bad_tests(&made_up(bad)).len(), 1, "{bad}");
        }
        assert_none(&bad_tests(&made_up("#[test] fn it_works() { tested(1) }")));
    }
}
