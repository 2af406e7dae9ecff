//! [`Curl`]: the program that sends one request.

use std::process::Command;

use crate::peers::program::{run_well, without_environment};

const PACKAGE: &str = "curl";

/// Debian's `curl`, with flags for each request.
#[derive(Clone, Debug)]
pub struct Curl {
    flags: Vec<String>,
}

impl Curl {
    /// With these flags.
    pub fn new(flags: &[&str]) -> Self {
        Self { flags: flags.iter().map(|&flag| flag.to_owned()).collect() }
    }

    /// Sends a request, with more flags, and returns the status and the body of the answer. Panics if there is none.
    pub fn ask(&self, method: &str, url: &str, flags: &[&str]) -> (u16, String) {
        let mut command = Command::new(PACKAGE);
        without_environment(&mut command)
            .args(["--disable", "--silent", "--show-error", "--write-out", "\n%{http_code}"])
            .args(if method == "HEAD" { vec!["--head"] } else { vec!["--request", method] })
            .args(&self.flags)
            .args(flags)
            .arg(url);
        let said = run_well(&mut command, PACKAGE);
        let said = String::from_utf8_lossy(&said.output);
        let (body, status) = said.rsplit_once('\n').expect("it writes a line of its own");
        (status.parse().expect("a status is a number"), body.to_owned())
    }
}
