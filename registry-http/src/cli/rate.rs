//! [`bytes_per_second`]: how fast, as a person writes it.

use std::num::NonZeroU64;

/// What a number of bytes may be given in.
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A number of bytes, such as `50MB`.
pub(super) fn bytes_per_second(text: &str) -> Result<NonZeroU64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(*factor));
    bytes.and_then(NonZeroU64::new).ok_or_else(|| {
        "expected bytes a second, such as 50MB or 64MiB, at least 1 (kB, MB, GB, KiB, MiB, GiB)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_whole_number_with_or_without_a_unit() {
        let bytes = |text| bytes_per_second(text).ok().map(NonZeroU64::get);
        assert_eq!(bytes("50MB"), Some(50_000_000));
        assert_eq!(bytes("1KiB"), Some(1024));
        assert_eq!(bytes("12"), Some(12));
        for wrong in
            ["", "MB", "0", "0MB", "-1", "1.5MB", "50 MB", "50mb", "50M", "99999999999GB", "5é"]
        {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
