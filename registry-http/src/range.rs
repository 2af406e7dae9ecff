//! Ranges of bytes, as headers have them: those of a download (RFC 9110 §14) and those of an upload.

use std::ops::Range;

use http::HeaderMap;
use http::header::CONTENT_RANGE;
use registry_store::backend::ReadRange;

use crate::headers;
use crate::refusal::Refusal;

/// What a download's `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: there is no range, or one that may be ignored (several ranges, another unit, not readable).
    All,
    /// These bytes.
    Part(ReadRange),
    /// A range that ends before it starts. RFC 9110 lets it be ignored; the official conformance suite wants
    /// it refused.
    Backwards,
}

impl Wanted {
    /// Reads the value of a `Range` header.
    pub(crate) fn parse(text: &str) -> Self {
        let Some((unit, ranges)) = text.split_once('=') else {
            return Self::All;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::All;
        }
        let Some((first, last)) = ranges.trim().split_once('-') else {
            return Self::All;
        };
        match (number(first), number(last)) {
            (Some(start), Some(last)) if last < start => Self::Backwards,
            (Some(start), Some(last)) => {
                Self::Part(ReadRange::Bounded { start, end: last.saturating_add(1) })
            }
            (Some(start), None) if last.is_empty() => Self::Part(ReadRange::From(start)),
            (None, Some(length)) if first.is_empty() => Self::Part(ReadRange::Suffix(length)),
            _ => Self::All,
        }
    }
}

/// A `Content-Range` of a download that is answered in part: `bytes 0-9/100`. The range is not empty.
pub(crate) fn satisfied(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// A `Content-Range` of a download of which not one byte exists.
pub(crate) fn unsatisfied(size: u64) -> String {
    format!("bytes */{size}")
}

/// The `Range` of an upload session of so many bytes. An empty one has `0-0` too: so Docker has it, and
/// there is no way to write nothing.
pub(crate) fn stored(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}

/// Which part of an upload the body is, if the client says so; checked against `Content-Length`.
pub(crate) fn of_body(sent: &HeaderMap) -> Result<Option<ContentRange>, Refusal> {
    let mut values = sent.get_all(CONTENT_RANGE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    if let Some(other) = values.find(|other| *other != value) {
        let other = String::from_utf8_lossy(other.as_bytes());
        return Err(ContentRange::strange(&format!("{text}, {other}")));
    }
    let range = ContentRange::parse(&text)?;
    match headers::content_length(sent) {
        Some(found) if found != range.length() => {
            Err(Refusal::ContentLength { expected: range.length(), found })
        }
        _ => Ok(Some(range)),
    }
}

/// Which part of an upload a request's body is; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte.
    pub(crate) start: u64,
    /// The last byte.
    pub(crate) end: u64,
}

impl ContentRange {
    /// Reads `0-9`, as the OCI distribution-spec has it, and `bytes 0-9/*`, as RFC 9110.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let strange = || Self::strange(text);
        // RFC 9110 §5.5: no other white space is around a header's value.
        let range = text.trim_matches([' ', '\t']);
        let range = range.strip_prefix("bytes").unwrap_or(range);
        let range = range.trim_start_matches([' ', '=']);
        let (range, whole) = range.split_once('/').unwrap_or((range, "*"));
        let (start, end) = range.split_once('-').ok_or_else(strange)?;
        let (start, end) = (number(start).ok_or_else(strange)?, number(end).ok_or_else(strange)?);
        let whole = match whole {
            "*" => None,
            whole => Some(number(whole).ok_or_else(strange)?),
        };
        if end < start {
            return Err(Refusal::ContentRangeBackwards { start, end });
        }
        // RFC 9110 §14.4: what ends beyond the whole must not be put together with the rest.
        if whole.is_some_and(|whole| whole <= end) {
            return Err(strange());
        }
        Ok(Self { start, end })
    }

    fn strange(text: &str) -> Refusal {
        Refusal::ContentRange { found: text.chars().take(80).collect() }
    }

    /// The number of bytes.
    pub(crate) const fn length(&self) -> u64 {
        (self.end - self.start).saturating_add(1)
    }
}

/// Digits and nothing else; a number too great to hold is as good as the greatest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CONTENT_LENGTH;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_selects_the_bytes_it_names(a in 0u64..200, b in 0u64..200, size in 1u64..150) {
            let wanted = Wanted::parse(&format!("bytes={a}-{b}"));
            match wanted {
                Wanted::Backwards => prop_assert!(b < a),
                Wanted::Part(range) => match range.within(size) {
                    Some(found) => prop_assert_eq!(found, a..(b + 1).min(size)),
                    None => prop_assert!(a >= size),
                },
                Wanted::All => prop_assert!(false, "a range was ignored"),
            }
        }

        #[test]
        fn no_text_makes_a_range_panic(text in "(bytes)?[=0-9, -]{0,30}") {
            let _ = Wanted::parse(&text);
            let _ = ContentRange::parse(&text);
        }

        #[test]
        fn a_content_range_survives_its_text_form(start in 0..u64::MAX - 1000, length in 1u64..1000) {
            let range = ContentRange { start, end: start + length - 1 };
            for text in [
                format!("{}-{}", range.start, range.end),
                format!("bytes {}-{}/*", range.start, range.end),
                format!("bytes {}-{}/{}", range.start, range.end, range.end + 1),
                format!("bytes={}-{}", range.start, range.end),
            ] {
                prop_assert_eq!(ContentRange::parse(&text).unwrap(), range);
            }
        }
    }

    #[test]
    fn the_three_forms_of_a_range() {
        let part = |text| match Wanted::parse(text) {
            Wanted::Part(range) => range.within(100),
            other => panic!("{text} gave {other:?}"),
        };
        assert_eq!(part("bytes=0-0"), Some(0..1));
        assert_eq!(part("bytes=10-19"), Some(10..20));
        assert_eq!(part("bytes=90-"), Some(90..100));
        assert_eq!(part("bytes=-7"), Some(93..100));
        assert_eq!(part("bytes=-700"), Some(0..100));
        assert_eq!(part("bytes=50-700"), Some(50..100));
        assert_eq!(part("Bytes= 50-99999999999999999999999"), Some(50..100));
        assert_eq!(part("bytes=100-"), None);
        assert_eq!(part("bytes=-0"), None);
    }

    #[test]
    fn what_may_be_ignored_is_ignored() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "bytes=0-1,",
            "lines=0-1",
            "bytes=1",
            "bytes=--1",
            "bytes=+1-2",
        ] {
            assert_eq!(Wanted::parse(text), Wanted::All, "{text}");
        }
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_told_apart() {
        assert_eq!(Wanted::parse("bytes=500-0"), Wanted::Backwards);
        assert!(matches!(
            ContentRange::parse("5-4"),
            Err(Refusal::ContentRangeBackwards { start: 5, end: 4 })
        ));
    }

    #[test]
    fn a_content_range_needs_both_ends() {
        for text in [
            "",
            "-",
            "5-",
            "-5",
            "0--1",
            "a-b",
            "5",
            "bytes */10",
            "0x1-2",
            "1 - 2",
            "0-9/9",
            "0-9/x",
        ] {
            assert!(
                matches!(ContentRange::parse(text), Err(Refusal::ContentRange { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_content_range_between_spaces_that_http_does_not_know_is_refused() {
        assert_eq!(ContentRange::parse("\t 0-1 ").unwrap(), ContentRange { start: 0, end: 1 });
        for text in ["\u{a0}0-1", "0-1\u{2003}", "\u{b}0-1"] {
            let found = ContentRange::parse(text);
            assert!(matches!(found, Err(Refusal::ContentRange { .. })), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn a_content_range_that_cannot_be_read_is_not_told_to_be_backwards() {
        for text in ["5-4/x", "bytes 5-4/", "5-4/*x"] {
            let found = ContentRange::parse(text);
            assert!(matches!(found, Err(Refusal::ContentRange { .. })), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn an_empty_session_and_one_of_a_byte_look_the_same() {
        assert_eq!(stored(0), "0-0");
        assert_eq!(stored(1), "0-0");
        assert_eq!(stored(10), "0-9");
    }

    #[test]
    fn a_content_range_must_be_as_long_as_the_body() {
        let mut sent = HeaderMap::new();
        sent.insert(CONTENT_RANGE, HeaderValue::from_static("0-9"));
        assert_eq!(of_body(&sent).unwrap(), Some(ContentRange { start: 0, end: 9 }));
        sent.insert(CONTENT_LENGTH, HeaderValue::from_static("9"));
        assert!(matches!(of_body(&sent), Err(Refusal::ContentLength { expected: 10, found: 9 })));
    }

    #[test]
    fn of_two_content_ranges_neither_is_believed_unless_they_are_the_same() {
        let mut sent = HeaderMap::new();
        sent.append(CONTENT_RANGE, HeaderValue::from_static("0-9"));
        sent.append(CONTENT_RANGE, HeaderValue::from_static("0-9"));
        assert_eq!(of_body(&sent).unwrap(), Some(ContentRange { start: 0, end: 9 }));
        sent.append(CONTENT_RANGE, HeaderValue::from_static("10-19"));
        assert!(matches!(of_body(&sent), Err(Refusal::ContentRange { .. })));
    }
}
