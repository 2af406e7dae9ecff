//! What cannot work ends at once, with one line that says what was expected.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use registry_tests::registry_process::program;
use tempfile::TempDir;

/// Runs it to its end and returns its status and the one line it prints.
pub(crate) fn failure(command: &mut Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing was started\n{line}");
    assert_eq!(line.lines().count(), 1, "expected one line, found:\n{line}");
    assert!(line.starts_with("registry: "), "{line}");
    let status = output.status.code().expect("it ends by itself");
    assert_ne!(status, 0, "{line}");
    (status, line)
}

fn registry(flags: &[&str], root: &Path) -> Command {
    let mut command = Command::new(program());
    command.env_remove("RUST_LOG").args(flags).arg("--root").arg(root);
    command
}

fn on_a_free_port(root: &Path) -> Command {
    registry(&["--addr", "127.0.0.1:0"], root)
}

#[track_caller]
pub(crate) fn says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "expected {part:?} in {line:?}");
    }
}

#[test]
fn a_taken_port() {
    let root = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, line) = failure(&mut registry(&["--addr", &address], root.path()));
    assert_eq!(status, 1);
    says(&line, &[&address, "in use", "expected a free port", "--addr"]);
}

#[test]
fn an_address_of_another_machine() {
    let root = TempDir::new().unwrap();
    // TEST-NET-1 (RFC 5737): no machine has it.
    let (status, line) = failure(&mut registry(&["--addr", "192.0.2.1:5000"], root.path()));
    assert_eq!(status, 1);
    says(&line, &["192.0.2.1:5000", "expected", "address of this machine"]);
}

#[test]
fn an_address_that_cannot_be_had_leaves_no_data_directory_behind() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [taken.local_addr().unwrap().to_string(), "192.0.2.1:5000".to_owned()] {
        let (status, line) = failure(&mut registry(&["--addr", &address], &root));
        assert_eq!(status, 1);
        says(&line, &["cannot listen on", &address]);
        assert!(!root.exists(), "{line}");
    }
}

#[test]
fn an_address_that_is_none() {
    let root = TempDir::new().unwrap();
    for address in ["5000", "localhost", "127.0.0.1", "127.0.0.1:65536", ""] {
        let (status, line) = failure(&mut registry(&["--addr", address], root.path()));
        assert_eq!(status, 2, "{address:?}");
        says(&line, &["--addr", "expected an address and a port", "127.0.0.1:5000"]);
    }
}

#[test]
fn a_limit_that_is_none() {
    let root = TempDir::new().unwrap();
    for (flag, values) in [
        ("--max-connections", &["-1", "x", "", "1.5"][..]),
        ("--head-timeout", &["1m", "-1", "604801"]),
        ("--idle-timeout", &["1m", "0", "604801"]),
        ("--max-head-size", &["64k", "0", "1023", "16777217"]),
    ] {
        for value in values {
            let said = format!("{flag}={value}");
            let (status, line) = failure(&mut registry(&[&said], root.path()));
            assert_eq!(status, 2, "{said}");
            says(&line, &[flag, value]);
        }
    }
}

#[test]
fn an_unknown_flag() {
    let root = TempDir::new().unwrap();
    let (status, line) = failure(&mut registry(&["--port", "5000"], root.path()));
    assert_eq!(status, 2);
    says(&line, &["--port", "--help"]);
}

#[test]
fn an_unknown_command() {
    let (status, line) = failure(Command::new(program()).arg("server"));
    assert_eq!(status, 2);
    says(&line, &["'server'", "serve", "--help"]);
}

#[test]
fn a_command_that_is_missing() {
    let (status, line) = failure(Command::new(program()).arg("referrers"));
    assert_eq!(status, 2);
    says(
        &line,
        &["'registry referrers'", "needs a command: rebuild;", "registry referrers --help"],
    );
}

#[test]
fn flags_before_the_command() {
    for (command, right) in [
        (&["serve"][..], "registry serve --root"),
        (&["referrers", "rebuild"], "registry referrers rebuild --root"),
    ] {
        let mut given = Command::new(program());
        let (status, line) = failure(given.args(["--root", "data"]).args(command));
        assert_eq!(status, 2);
        says(&line, &["'--root <DIRECTORY>'", "flags go behind the command", right]);
    }
}

#[test]
fn a_filter_for_the_log_that_is_none() {
    let root = TempDir::new().unwrap();
    let (status, line) = failure(on_a_free_port(root.path()).env("RUST_LOG", "a=b=c"));
    assert_eq!(status, 2);
    says(&line, &["RUST_LOG=a=b=c", "expected"]);
}

#[test]
fn a_file_in_place_of_the_data_directory() {
    let above = TempDir::new().unwrap();
    let file = above.path().join("file");
    fs::write(&file, "mine").unwrap();
    for root in [file.clone(), file.join("below")] {
        let (status, line) = failure(&mut on_a_free_port(&root));
        assert_eq!(status, 1);
        says(&line, &[root.to_str().unwrap(), "expected a directory", "--root"]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_data_directory_that_cannot_be_made() {
    let root = Path::new("/proc/no-directory-can-be-made-here");
    let (status, line) = failure(&mut on_a_free_port(root));
    assert_eq!(status, 1);
    says(&line, &[root.to_str().unwrap(), "expected", "--root"]);
}

#[test]
fn an_empty_path_for_the_data_directory() {
    let (status, line) = failure(&mut on_a_free_port(Path::new("")));
    assert_eq!(status, 2);
    says(&line, &["a value is required for '--root <DIRECTORY>'", "--help"]);
}

#[test]
fn a_data_directory_that_may_not_be_written() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("data");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o555)).unwrap();
    let mut command = on_a_free_port(&root);
    if fs::metadata(&root).unwrap().uid() == 0 {
        // No permission binds the superuser: be nobody, with a program that nobody may start.
        fs::set_permissions(above.path(), Permissions::from_mode(0o755)).unwrap();
        let copy = above.path().join("registry");
        fs::copy(program(), &copy).unwrap();
        command = Command::new(copy);
        command.env_remove("RUST_LOG").args(["--addr", "127.0.0.1:0", "--root"]).arg(&root);
        command.uid(65534).gid(65534).current_dir("/");
    }
    let (status, line) = failure(&mut command);
    assert_eq!(status, 1);
    says(&line, &[root.to_str().unwrap(), "may read and write", "--read-only"]);
}

#[test]
fn a_file_without_a_secret() {
    let above = TempDir::new().unwrap();
    let (empty, missing) = (above.path().join("empty"), above.path().join("missing"));
    fs::write(&empty, "\n").unwrap();
    for (file, found) in [
        (empty.as_path(), "is empty"),
        (missing.as_path(), "No such file"),
        (above.path(), "Is a directory"),
    ] {
        // A secret in the environment is not taken in its place: that would be another than was meant.
        let root = above.path().join("data");
        let mut command = on_a_free_port(&root);
        command.env("REGISTRY_HTTP_SECRET", "x").arg("--secret-file").arg(file);
        let (status, line) = failure(&mut command);
        assert_eq!(status, 1);
        says(&line, &[file.to_str().unwrap(), found, "expected", "--secret-file"]);
        assert!(!root.exists(), "nothing was made");
    }
}

#[test]
fn nothing_to_read_where_only_reading_is_asked_for() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("missing");
    let (status, line) = failure(on_a_free_port(&root).arg("--read-only"));
    assert_eq!(status, 1);
    says(&line, &[root.to_str().unwrap(), "expected a directory", "--root"]);
    assert!(!root.exists(), "and none is made");
}
