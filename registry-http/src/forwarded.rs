//! [`parameter`]: what a proxy says in `Forwarded` (RFC 7239).

use std::borrow::Cow;

/// A parameter of the first element of the header, such as `host`, without its quotes; none if it is not there, or what
/// stands before it is not what it has to be.
pub(crate) fn parameter<'h>(header: &'h str, name: &str) -> Option<Cow<'h, str>> {
    let mut rest = header;
    loop {
        // There may be nothing between two semicolons.
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, behind) = rest.split_once('=')?;
        let (value, behind) = value(behind)?;
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = behind.trim_start().strip_prefix(';')?;
    }
}

/// A token, or a string in quotes, and what stands behind it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, behind) = text.split_at(end);
        let token = token.trim_end();
        // Quotes are around the whole of it.
        return (!token.contains(['"', '='])).then_some((Cow::Borrowed(token), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_of_the_first_element_is_found_and_none_within_another() {
        for (header, host) in [
            ("host=a", Some("a")),
            ("for=1.2.3.4; Host=a ;proto=https", Some("a")),
            ("host=\"a:1\";proto=https, host=b", Some("a:1")),
            ("for=\"a;host=evil\";host=real", Some("real")),
            ("for=\"a,host=evil\";host=real", Some("real")),
            ("for=\"\\\";host=evil\";host=real", Some("real")),
            ("host=\"a\\\"b\"", Some("a\"b")),
            ("host=", Some("")),
            ("for=a, host=b", None),
            ("for=\"a", None),
            ("for=\"a\\", None),
            ("for=\"a\"b;host=c", None),
            ("for=a\"b;host=c", None),
            ("for;host=a", None),
            // There may be nothing between semicolons (RFC 7239 section 4).
            ("for=1.2.3.4;;host=a;proto=https", Some("a")),
            (";host=a", Some("a")),
            (" ; ;\thost=a", Some("a")),
            ("for=\"a\"; ;host=b;", Some("b")),
            ("for=a;;", None),
            ("for=a;,host=b", None),
            ("", None),
        ] {
            assert_eq!(parameter(header, "host").as_deref(), host, "{header}");
        }
    }
}
