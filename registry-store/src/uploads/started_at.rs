//! When a session began, as Distribution writes it: RFC 3339, UTC, whole seconds, no newline.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The text for an instant, 20 bytes long. One outside of the years 1970 to 9999 is taken for the epoch.
pub(super) fn format(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let at =
        i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).expect("the form has room for these years")
}

/// The instant a text stands for. Any RFC 3339 is taken, with an offset or fractions of a second too.
pub(crate) fn parse(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?;
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn a_clock_that_is_far_off_is_taken_for_the_epoch() {
        let (before, behind) = (Duration::from_secs(1), Duration::from_secs(400_000_000_000));
        for at in [UNIX_EPOCH - before, UNIX_EPOCH + behind] {
            assert_eq!(format(at), "1970-01-01T00:00:00Z");
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
