//! The three ways in which S3 writes a time.

use std::time::{Duration, SystemTime};

use time::format_description::{BorrowedFormatItem, parse_borrowed};
use time::{OffsetDateTime, PrimitiveDateTime};

/// As in HTTP's headers: `Fri, 24 May 2013 00:00:00 GMT`.
pub(super) fn http(time: SystemTime) -> String {
    format(
        time,
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT",
    )
}

/// As in documents: `2013-05-24T00:00:00.000Z`.
pub(super) fn iso(time: SystemTime) -> String {
    format(time, "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z")
}

/// As in signatures: `20130524T000000Z`.
pub(super) fn basic(time: SystemTime) -> String {
    format(time, BASIC)
}

/// The time that [`basic`] wrote.
pub(super) fn parse_basic(text: &str) -> Option<SystemTime> {
    let time = PrimitiveDateTime::parse(text, &items(BASIC)).ok()?.assume_utc();
    let seconds = u64::try_from(time.unix_timestamp()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

const BASIC: &str = "[year][month][day]T[hour][minute][second]Z";

fn format(time: SystemTime, description: &str) -> String {
    OffsetDateTime::from(time)
        .format(&items(description))
        .expect("a date and a time are all it needs")
}

fn items(description: &str) -> Vec<BorrowedFormatItem<'_>> {
    parse_borrowed::<2>(description).expect("a description of the source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_three_ways() {
        let time = parse_basic("20130524T000102Z").unwrap() + Duration::from_millis(7);
        assert_eq!(http(time), "Fri, 24 May 2013 00:01:02 GMT");
        assert_eq!(iso(time), "2013-05-24T00:01:02.007Z");
        assert_eq!(basic(time), "20130524T000102Z");
        assert_eq!(parse_basic("2013-05-24"), None);
    }
}
