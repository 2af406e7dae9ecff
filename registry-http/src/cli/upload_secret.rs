//! Where the secret comes from that upload addresses are signed with: a file, or else the environment.
#![expect(clippy::disallowed_methods, reason = "reads a file before anything is served")]

use std::env;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use registry_http::UploadSecret;

use super::Failure;

/// Distribution's own variable for its `http.secret`. Empty is as if it were not set, as there.
const VARIABLE: &str = "REGISTRY_HTTP_SECRET";

/// The secret in `file`, if one is named; else that of the environment, if there is one.
pub(super) fn find(file: Option<&Path>) -> Result<Option<UploadSecret>, Failure> {
    match file {
        Some(file) => in_file(file).map(Some),
        None => {
            let text = env::var_os(VARIABLE).unwrap_or_default();
            Ok(UploadSecret::new(without_newline(&text.into_vec())))
        }
    }
}

fn in_file(file: &Path) -> Result<UploadSecret, Failure> {
    let shown = file.display();
    let text = fs::read(file).map_err(|error| {
        Failure::new(format!(
            "cannot read the secret in {shown}: {error}; expected a file that this user may read (see \
             --secret-file)"
        ))
    })?;
    UploadSecret::new(without_newline(&text)).ok_or_else(|| {
        Failure::new(format!(
            "the file {shown} is empty; expected the secret that Distribution has as http.secret (see \
             --secret-file)"
        ))
    })
}

/// Editors end a file with a newline that is not part of what it says.
fn without_newline(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    &text[..end.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newlines_at_the_end_are_not_part_of_a_secret() {
        for (text, meant) in [
            ("shared", "shared"),
            ("shared\n", "shared"),
            ("shared\r\n\n", "shared"),
            (" two\nlines \n", " two\nlines "),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_newline(text.as_bytes()), meant.as_bytes(), "{text:?}");
        }
    }
}
