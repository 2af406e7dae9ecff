//! What a value without quotes stands for: YAML 1.1, as Go's yaml.v2 reads it, which Distribution uses.

/// Nothing at all.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `true` and `false`, and YAML 1.1's other words for them.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

/// A whole number: decimal, `0x…`, `0b…`, and octal as `0o…` or with a leading zero. `_` between digits is passed
/// over.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    // A second sign would be taken by the parser of the standard library.
    let digit_first = digits.starts_with(|first: char| first.is_ascii_hexdigit());
    digit_first.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_yaml_1_1_are_booleans() {
        for text in ["true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "tRUE", "1", "0", "yEs", "enabled"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_have_the_bases_of_go() {
        for (text, number) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            ("0x10", Some(16)),
            ("0X1f", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("-017", Some(-15)),
            ("10_000", Some(10_000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("08", None),
            ("0x", None),
            ("0x-1", None),
            ("--1", None),
            ("1e3", None),
            ("1.0", None),
            ("ten", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn nothing_has_five_spellings() {
        assert!(["", "~", "null", "Null", "NULL"].into_iter().all(is_null));
        assert!(!["nil", "none", "NuLL", " "].into_iter().any(is_null));
    }
}
