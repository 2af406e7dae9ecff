//! Where the secret comes from that upload addresses are signed with: a file, or else the environment.
#![expect(clippy::disallowed_methods, reason = "reads a file before anything is served")]

use std::env;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use registry_http::UploadSecret;
use tracing::warn;

use super::Failure;

/// Distribution's own variable for its `http.secret`. Empty is as if it were not set, as there.
const VARIABLE: &str = "REGISTRY_HTTP_SECRET";

/// The secret in `file`, if one is named; else that of the environment, if there is one.
pub(super) fn find(file: Option<&Path>) -> Result<Option<UploadSecret>, Failure> {
    match file {
        Some(file) => in_file(file).map(Some),
        None => {
            let text = env::var_os(VARIABLE).unwrap_or_default().into_vec();
            let secret = without_newline(&text);
            if is_other_as_yaml(secret) {
                warn!(
                    "{VARIABLE} is taken as it is written; Distribution reads its variable as YAML, by which \
                     this one means something else (see --secret-file)"
                );
            }
            Ok(UploadSecret::new(secret))
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

/// Would YAML take the text for something else than what is written? Says so of what people write, and may of a
/// little more: quotes, comments, whitespace around, lines, marks of its own, mappings, sequences, nothing.
fn is_other_as_yaml(text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return false;
    };
    let contains = |part: &[u8; 2]| text.windows(2).any(|found| found == part);
    let is_edge = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
    is_edge(first)
        || is_edge(last)
        || b"&*!|>%@[]{},#`".contains(first)
        || *last == b':'
        || [b" #", b"\t#", b": ", b":\t"].into_iter().any(contains)
        || text.contains(&b'\n')
        || [b"- ", b"? "].iter().any(|mark| text.starts_with(*mark))
        || [&b"~"[..], b"null", b"Null", b"NULL"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_takes_for_something_else_is_known() {
        for text in [
            "\"quoted\"",
            "'quoted'",
            "ends with\"",
            " before",
            "behind ",
            "tab\t",
            "a #comment",
            "a: mapping",
            "a:",
            "&anchor",
            "*alias",
            "!tag",
            "|",
            ">",
            "%directive",
            "@",
            "`",
            "[list]",
            "{map}",
            "#comment",
            "two\nlines",
            "- item",
            "~",
            "null",
        ] {
            assert!(is_other_as_yaml(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "shared",
            "two words",
            "a#b",
            "a:b",
            "a&b*c!d",
            "-dash",
            "3f2a==",
            "it's",
            "sch\u{f6}n",
        ] {
            assert!(!is_other_as_yaml(text.as_bytes()), "{text:?}");
        }
    }

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
