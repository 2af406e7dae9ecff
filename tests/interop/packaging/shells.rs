//! Completions and pages of the manual, as bash and man take them.

use std::fs;
use std::process::Command;

use registry_tests::registry_process::program;
use tempfile::TempDir;

use super::well;

fn printed(arguments: &[&str]) -> String {
    well(Command::new(program()).args(arguments))
}

/// Prints what bash would offer in the place of the last word.
const OFFER: &str = r#"
set -eu
. "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMPREPLY=()
COMP_POINT=${#COMP_LINE}
function=$(complete -p registry | sed 's/.*-F \([^ ]*\).*/\1/')
"$function" registry "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_commands_and_flags() {
    let place = TempDir::new().unwrap();
    let script = place.path().join("registry.bash");
    fs::write(&script, printed(&["completions", "bash"])).unwrap();
    for (words, offered) in [
        (["garb"].as_slice(), "garbage-collect"),
        (&["garbage-collect", "--delete"], "--delete-untagged"),
        (&["config", "ch"], "check"),
        (&["serve", "--ad"], "--addr"),
        (&["completions", "z"], "zsh"),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", OFFER, "bash"]).arg(&script).arg("registry").args(words);
        assert_eq!(well(&mut bash).trim(), offered, "{words:?}");
    }
}

#[test]
fn man_shows_every_page_without_a_warning() {
    let place = TempDir::new().unwrap();
    for command in [
        [].as_slice(),
        &["serve"],
        &["referrers"],
        &["referrers", "rebuild"],
        &["scrub"],
        &["garbage-collect"],
        &["config"],
        &["config", "check"],
        &["config", "schema"],
        &["completions"],
        &["man"],
    ] {
        let path = place.path().join("page.1");
        fs::write(&path, printed(&[&["man"], command].concat())).unwrap();
        // At a terminal that has ASCII alone, too.
        let mut man = Command::new("man");
        man.args(["--warnings=w", "--local-file"]).arg(&path);
        let shown = well(man.env("LC_ALL", "C").env("MANWIDTH", "100").env("MANPAGER", "cat"));
        let name = [&["registry"], command].concat().join("-");
        assert!(shown.starts_with(&format!("{name}(1)")), "{shown}");
        assert!(!shown.contains("warning"), "{shown}");
    }
}
