//! [`GoDuration`]: a span of time as Go writes it, such as `168h` or `1m30s`.

use std::time::Duration;

use serde::Deserialize;

/// A duration of Go's syntax; a number needs its unit, as Distribution asks of these keys: 168 is not
/// taken for 168 ns, by which uploads would expire at once. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct GoDuration(pub(super) Duration);

const UNITS: &[(&str, f64)] = &[
    // Longer names first: `ms` is no `m`.
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6), // U+00B5
    ("μs", 1e-6), // U+03BC
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

impl TryFrom<String> for GoDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).map(Self).ok_or_else(|| {
            format!("expected a duration such as 168h, 10s or 1h30m, found `{text:.80}`")
        })
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, behind) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &behind[unit.len()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, seconds) in [
            ("168h", 604_800.0),
            ("10s", 10.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("300ms", 0.3),
            ("+5m", 300.0),
            ("0", 0.0),
            ("0s", 0.0),
            (".5s", 0.5),
            ("250us", 0.000_25),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "-1s", "-5", "7d", "1h30", "h", "1 h", "1h 3m", "1e3s", "..s", "∞"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
