//! Secrets in files of their own: the one that upload addresses are signed with, and others.
#![expect(clippy::disallowed_methods, reason = "reads a file before anything is served")]

use std::fs;
use std::path::Path;

use registry_http::UploadSecret;

use super::Failure;

/// The secret in `file`. The one of the configuration is not looked at then.
pub(super) fn in_file(file: &Path) -> Result<UploadSecret, Failure> {
    let secret = read(file, "--secret-file")?;
    Ok(UploadSecret::new(&secret).expect("that it is not empty was looked at when it was read"))
}

/// The secret in `file`, which `by` names. Never empty.
pub(super) fn read(file: &Path, by: &str) -> Result<Vec<u8>, Failure> {
    let shown = file.display();
    let text = fs::read(file).map_err(|error| {
        Failure::new(format!(
            "cannot read the secret in {shown}: {error}; expected a file that this user may read (see {by})"
        ))
    })?;
    let secret = without_newline(&text);
    if secret.is_empty() {
        let what = format!("the file {shown} is empty; expected a secret (see {by})");
        return Err(Failure::new(what));
    }
    Ok(secret.to_owned())
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
