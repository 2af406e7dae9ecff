//! [`Context`]: a directory that docker and buildah make an image of.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A build context.
#[derive(Debug)]
pub struct Context {
    directory: TempDir,
}

impl Context {
    /// Of these instructions, upon an image with nothing in it but `/bin/busybox`, which runs as `/bin/sh` too.
    pub fn new(instructions: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let this = Self { directory };
        fs::copy(busybox(), this.path().join("busybox")).expect("the directory can be written");
        let beginning = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n";
        this.file("Dockerfile", format!("{beginning}{instructions}").as_bytes());
        this
    }

    /// Puts a file into it.
    pub fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).expect("the directory can be written");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A program that runs in an image that has nothing else.
fn busybox() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join("busybox"))
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("expected the program busybox (apt-get install busybox-static)"))
}
