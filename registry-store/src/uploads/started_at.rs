//! When a session began, as Distribution writes it: RFC 3339, UTC, whole seconds, no newline.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The text for an instant, 20 bytes long. A clock outside of the years 0 to 9999 is taken for the epoch.
pub(super) fn format(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

/// The instant a text stands for. Any RFC 3339 is taken, with an offset or fractions of a second too.
pub(crate) fn parse(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?;
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_survives_its_text_form_to_the_second(seconds in 0u64..200_000_000_000, nanos in 0u32..1_000_000_000) {
            let text = format(UNIX_EPOCH + Duration::new(seconds, nanos));
            prop_assert_eq!(text.len(), 20);
            prop_assert_eq!(parse(text.as_bytes()), Some(UNIX_EPOCH + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn offsets_and_fractions_are_taken() {
        let expected = Some(UNIX_EPOCH + Duration::from_secs(1_787_056_496));
        assert_eq!(parse(b"2026-08-18T12:34:56Z"), expected);
        assert_eq!(parse(b"2026-08-18T14:34:56+02:00"), expected);
        assert!(parse(b"2026-08-18T12:34:56.123456789Z").is_some());
    }

    #[test]
    fn other_text_is_no_instant() {
        for text in [&b""[..], b"yesterday", b"2026-08-18", b"\xff"] {
            assert_eq!(parse(text), None);
        }
    }
}
