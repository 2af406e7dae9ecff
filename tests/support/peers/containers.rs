//! [`Containers`]: what skopeo, podman and buildah have in common.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::peers::program::{Said, run, run_well, without_environment};

/// One of the programs that are built on the libraries of `github.com/containers`. It reads no configuration but
/// its own, and runs and keeps its images in a directory that goes when this does. Only what it remembers of where blobs are
/// is shared, below `/var/lib/containers/cache`: every registry of a test has a port of its own.
#[derive(Debug)]
pub struct Containers {
    program: &'static str,
    flags: &'static [&'static str],
    home: TempDir,
}

impl Containers {
    /// The program of the package of the same name, with flags that go before every command.
    pub(super) fn new(program: &'static str, flags: &'static [&'static str]) -> Self {
        let this = Self {
            program,
            flags,
            home: TempDir::new().expect("a temporary directory can be made"),
        };
        this.configure();
        this
    }

    /// A path of its own, where nothing is yet.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs it, whatever comes of it.
    pub fn try_run(&self, arguments: &[&str]) -> Said {
        run(&mut self.command(arguments), self.program)
    }

    /// Runs it, expects success, and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        run_well(&mut self.command(arguments), self.program).output
    }

    /// The same, where it prints one line.
    pub fn line(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.run(arguments)).trim().to_owned()
    }

    /// Runs it, expects success, and returns the requests it made, as `POST http://127.0.0.1:…`.
    pub fn requests(&self, arguments: &[&str]) -> Vec<String> {
        let mut flags =
            vec![if self.program == "skopeo" { "--debug" } else { "--log-level=debug" }];
        flags.extend(arguments);
        let said = run_well(&mut self.command(&flags), self.program);
        let quoted = said.errors.lines().filter_map(|line| line.split("msg=\"").nth(1));
        let requests = quoted.filter(|said| said.contains(" http://"));
        requests.map(|said| said.trim_end_matches('"').to_owned()).collect()
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let home = self.home.path();
        let mut command = Command::new(self.program);
        without_environment(&mut command)
            .current_dir(home)
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path(".config/containers/registries.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .args(self.flags)
            .args(arguments);
        command
    }

    /// Every file that would else be looked for in `/etc`, and every directory that would else be in `/var` or `/run`.
    fn configure(&self) {
        let path = |name: &str| self.path(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            path("images"),
            path("run"),
        );
        let containers = format!(
            "[engine]\nruntime = \"crun\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
             tmp_dir = \"{}\"\nvolume_path = \"{}\"\n\
             [network]\nnetwork_config_dir = \"{}\"\n",
            path("tmp"),
            path("volumes"),
            path("networks"),
        );
        // Of these skopeo knows no variable.
        let user = self.path(".config/containers");
        fs::create_dir_all(&user).expect("the directory can be written");
        for (file, content) in [
            (self.path("storage.conf"), storage.as_str()),
            (self.path("containers.conf"), &containers),
            (user.join("registries.conf"), ""),
            (user.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#),
        ] {
            fs::write(file, content).expect("the directory can be written");
        }
    }
}
