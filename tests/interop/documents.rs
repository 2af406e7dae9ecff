//! What `README.md` and `docs/` tell people to type, word for word: it does what they say.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use registry_tests::image::Layout;
use registry_tests::registry_process::{program, without_variables};
use tempfile::TempDir;

use crate::packaging::{text, well};

const PAGES: [&str; 3] = ["README.md", "docs/from-distribution.md", "docs/under-harbor.md"];

/// The blocks of the README that are for a shell, in their order: the heading, and what becomes of each.
const README: [(&str, Fate); 7] = [
    ("Two commands", Fate::Followed),
    ("Accounts for a team", Fate::Followed),
    ("Accounts for a team", Fate::Followed),
    ("On S3", Fate::Not("it is for a bucket of AWS's")),
    ("On S3", Fate::Followed),
    ("On S3", Fate::Followed),
    ("Try it", Fate::Followed),
];

/// And `console`, wherever it stands: `docker build`, `docker compose` and `helm` fetch images, and need a Harbor.
const NOT_FOR_A_SHELL: [&str; 5] = ["yaml", "rust", "text", "console", ""];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Followed,
    /// Why not.
    Not(&'static str),
}

/// A block of a page.
struct Block {
    heading: String,
    language: String,
    content: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in text(page).lines() {
        open = match (line.strip_prefix("```"), open) {
            (Some(_), Some(block)) => {
                blocks.push(block);
                None
            }
            (Some(language), None) => Some(Block {
                heading: heading.clone(),
                language: language.to_owned(),
                content: String::new(),
            }),
            (None, Some(mut block)) => {
                block.content.extend([line, "\n"]);
                Some(block)
            }
            (None, None) => {
                if let Some(found) = line.strip_prefix("## ") {
                    found.clone_into(&mut heading);
                }
                None
            }
        };
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}

/// The blocks of a page that are for a shell.
fn commands(page: &str) -> Vec<Block> {
    blocks(page).into_iter().filter(|block| block.language == "sh").collect()
}

/// Types it into a shell in this directory. Ports are free ones, and images from elsewhere are ours.
fn typed(script: &str, place: &Path) -> String {
    let mut script = script.to_owned();
    for port in ["5000", "9000", "3900", "3901"] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for before in ["127.0.0.1:", "-H 127.0.0.1 -p "] {
            script = script.replace(&format!("{before}{port}"), &format!("{before}{free}"));
        }
    }
    // Whatever becomes of it, what it started ends with it.
    let script =
        format!("set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let policy = place.join(".config/containers");
    fs::create_dir_all(&policy).unwrap();
    let anything = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
    fs::write(policy.join("policy.json"), anything).unwrap();
    let path = std::env::var("PATH").unwrap();
    let here = program().parent().unwrap().display();
    let mut shell = Command::new("timeout");
    shell.args(["120", "bash", "-c", &script]).current_dir(place);
    for own in ["HOME", "XDG_RUNTIME_DIR", "TMPDIR"] {
        shell.env(own, place);
    }
    well(shell.env("PATH", format!("{here}:{path}")))
}

/// Follows a page of `docs/`, all of its blocks in one shell.
fn follow(page: &str, place: &Path) -> String {
    let all: String = commands(page).into_iter().map(|block| block.content).collect();
    typed(&all, place)
}

/// Follows these blocks of the README, by their numbers.
fn follow_readme(numbers: &[usize], and_then: &str) -> String {
    let (place, images) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    Layout::create(images.path()).add_image("it", "amd64");
    let blocks = commands("README.md");
    let mut script = include_str!("typed.sh").to_owned();
    // Without a configuration it is the variables that say where it listens.
    script += "export REGISTRY_HTTP_ADDR=127.0.0.1:5000\n";
    for &number in numbers {
        assert_eq!(README[number], (blocks[number].heading.as_str(), Fate::Followed));
        for line in blocks[number].content.lines() {
            match line.strip_suffix("# is refused") {
                Some(line) => script.extend(["refused ", line, "\n"]),
                None => script.extend([line, "\n"]),
            }
        }
    }
    let ours = format!("oci:{}:it", images.path().display());
    for elsewhere in ["docker://docker.io/library/busybox", "docker://alpine"] {
        script = script.replace(elsewhere, &ours);
    }
    typed(&format!("{script}{and_then}"), place.path())
}

fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}

#[test]
fn every_block_is_of_a_kind_that_is_known_and_those_of_the_readme_are_listed() {
    let listed: Vec<&str> = README.iter().map(|(heading, _)| *heading).collect();
    let found: Vec<String> = commands("README.md").into_iter().map(|it| it.heading).collect();
    assert_eq!(found, listed);
    assert!(README.iter().all(|(_, fate)| *fate != Fate::Not("")));
    for page in PAGES {
        for Block { language, heading, .. } in blocks(page) {
            let is_known = language == "sh" || NOT_FOR_A_SHELL.contains(&language.as_str());
            assert!(is_known, "{page}, {heading}: {language}");
        }
    }
}

const TRIED: [&str; 3] = [
    "/library/alpine\",",
    "{\"repositories\":[\"library/alpine\"]}",
    "{\"name\":\"library/alpine\",\"tags\":[\"latest\"]}",
];

#[test]
fn a_registry_that_one_command_starts_can_be_tried() {
    says(&follow_readme(&[0, 6], "ls registry-data"), &[TRIED[0], TRIED[1], TRIED[2], "docker\n"]);
}

#[test]
fn one_that_keeps_its_data_with_moto_can_be_tried() {
    says(&follow_readme(&[4, 6], "! ls registry-data 2>/dev/null"), &TRIED);
}

#[test]
fn one_that_keeps_its_data_with_garage_can_be_tried() {
    says(&follow_readme(&[5, 6], "! ls registry-data 2>/dev/null"), &TRIED);
}

#[test]
fn the_accounts_of_a_team_may_do_what_the_page_says() {
    let check = "registry config check config.yml\nstat --format=%a key.pem\nls data\n";
    let said = follow_readme(&[1, 2], check);
    says(
        &said,
        &[
            "Login Succeeded!\n",
            "/xxl-api/web\",",
            "requested access to the resource is denied",
            "access.tokens.key: ./key.pem  # config.yml:12\n",
            "600\n_rs\ndocker\n",
        ],
    );
    assert_eq!(said.matches("Login Succeeded!").count(), 2, "{said}");
    assert!(!said.contains("secret-of-") && !said.contains("$2y$"), "{said}");
}

#[test]
fn every_configuration_of_a_page_is_taken_and_nothing_of_it_passed_over() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("config.yml");
    let mut seen = 0;
    for page in PAGES {
        for block in blocks(page).into_iter().filter(|block| block.language == "yaml") {
            let Block { heading, content, .. } = block;
            fs::write(&file, format!("version: 0.1\nstorage: inmemory\n{content}")).unwrap();
            let mut check = Command::new(program());
            let checked =
                without_variables(&mut check).args(["config", "check"]).arg(&file).output();
            let checked = checked.unwrap();
            let told = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success() && told.is_empty(), "{page}, {heading}: {told}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_page_for_those_who_come_from_distribution_can_be_followed() {
    let place = TempDir::new().unwrap();
    let said = follow("docs/from-distribution.md", place.path());
    says(
        &said,
        &[
            "storage.delete.enabled: true  # REGISTRY_STORAGE_DELETE_ENABLED\n",
            "http.secret: (hidden)  # config.yml:12\n",
            "a layer",
            "another layer",
        ],
    );
}

#[test]
fn the_page_for_those_who_have_harbor_can_be_followed() {
    let place = TempDir::new().unwrap();
    let config = place.path().join("common/config/registry");
    fs::create_dir_all(&config).unwrap();
    let real = text("registry-http/src/config/tests/real/harbor-compose.yml");
    fs::write(config.join("config.yml"), real).unwrap();
    let said = follow("docs/under-harbor.md", place.path());
    says(&said, &["auth.htpasswd.realm: harbor-registry-basic-realm", "{\"repositories\":[]}"]);
    assert!(!said.contains("hunter2"), "{said}");
}
