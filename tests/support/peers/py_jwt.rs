//! [`PyJwt`]: the library for JSON Web Tokens that token services in Python are made with.

use std::path::Path;
use std::process::Command;

use crate::peers::program::{run_well, without_environment};

const INSTALL: &str = "PyJWT and cryptography (pip3 install PyJWT cryptography)";

/// What it makes of a script of Python that can `import jwt`.
#[derive(Debug)]
pub struct PyJwt;

impl PyJwt {
    /// Runs the script in a directory, and returns the lines that it prints, each in its words.
    pub fn lines(script: &str, directory: &Path) -> Vec<Vec<String>> {
        let mut command = Command::new("python3");
        without_environment(&mut command).current_dir(directory).args(["-c", script]);
        let said = run_well(&mut command, INSTALL);
        let lines = String::from_utf8(said.output).expect("it prints text");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        lines.lines().map(words).collect()
    }
}
