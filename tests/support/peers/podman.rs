//! [`Podman`]: the program that makes, pushes, pulls and runs images without a daemon.

use std::ops::Deref;
use std::process::Command;

use rustix::process::{Resource, getrlimit};

use crate::peers::containers::Containers;

/// podman, with nothing kept from before.
#[derive(Debug)]
pub struct Podman(Containers);

impl Podman {
    /// With a home of its own.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(Containers::new("podman", &[]))
    }

    /// What runs a container of an image, in the network of this machine, until it has ended; then the container is gone.
    pub fn container(&self, flags: &[&str], image: &str, arguments: &[&str]) -> Command {
        // It gives no more than it has, unless it may do anything.
        let files = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
        let files = format!("--ulimit=nofile={files}:{files}");
        // crun does not start where a machine has both versions of control groups.
        let run = ["run", "--rm", "--pull=never", "--runtime=runc", "--network=host"];
        let limits = ["--security-opt=apparmor=unconfined", &files, "--ulimit=nproc=1000:1000"];
        self.command(&[&run[..], &limits, flags, &[image], arguments].concat())
    }
}

impl Deref for Podman {
    type Target = Containers;

    fn deref(&self) -> &Containers {
        &self.0
    }
}
