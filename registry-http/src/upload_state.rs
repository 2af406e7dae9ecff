//! Distribution's `_state`: what its session addresses say of how far the session has come.
//!
//! base64url, padded, of an HMAC-SHA256 and of the JSON it is over. Taken, and issued where there is a secret, so
//! that a client to which one program gave the address can go on at the other, on the same storage.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use registry_store::name::RepositoryName;
use registry_store::upload_id::UploadId;
use registry_store::upload_status::UploadStatus;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::upload_secret::UploadSecret;

/// The HMAC that stands before the JSON.
///
/// We write it for Distribution's sake, which refuses an address without it, and do not read it: nothing rests on
/// it. Whoever knows the session's id may write to it, as with addresses that are not signed, and a wrong offset is
/// answered with 416. To refuse would break uploads while a secret is being changed, or where one program has
/// another.
const HMAC_SIZE: usize = 32;

/// The JSON, its members in the order in which Distribution writes them.
#[derive(Serialize, Deserialize)]
struct State<'s> {
    #[serde(rename = "Name")]
    name: Cow<'s, str>,
    #[serde(rename = "UUID")]
    id: Cow<'s, str>,
    #[serde(rename = "Offset")]
    offset: u64,
    /// Distribution parses it and does nothing with it; of what it hands us it is not read at all.
    #[serde(rename = "StartedAt", skip_deserializing)]
    started_at: String,
}

/// The offset that a `_state` holds. `None` if it cannot be read, or is of another session.
pub(crate) fn offset(text: &str, name: &RepositoryName, id: UploadId) -> Option<u64> {
    let bytes = URL_SAFE.decode(text).ok()?;
    // A member that is passed over is not looked at, so that text which is none would go through in it.
    let json = std::str::from_utf8(bytes.get(HMAC_SIZE..)?).ok()?;
    let state: State<'_> = serde_json::from_str(json).ok()?;
    let is_of_this = state.name == name.as_str() && state.id.parse() == Ok(id);
    is_of_this.then_some(state.offset)
}

/// The `_state` of a session of `name`.
pub(crate) fn issue(secret: &UploadSecret, name: &RepositoryName, status: &UploadStatus) -> String {
    let state = State {
        name: name.as_str().into(),
        id: status.id.to_string().into(),
        offset: status.tip.offset,
        started_at: rfc_3339(status.started_at),
    };
    let json = serde_json::to_vec(&state).expect("text and a number can be written as JSON");
    URL_SAFE.encode([secret.sign(&json).as_slice(), &json].concat())
}

/// In UTC, with as many digits of a second as it has. An instant outside of the years 1970 to 9999, which a damaged
/// session may claim, is taken for the epoch.
fn rfc_3339(at: SystemTime) -> String {
    let nanos = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let at = i128::try_from(nanos).ok();
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).expect("the form has room for these years")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;
    use registry_store::backend::Tip;

    const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

    fn read(json: &str) -> Option<u64> {
        let mut bytes = vec![0xff; HMAC_SIZE];
        bytes.extend_from_slice(json.as_bytes());
        offset(&URL_SAFE.encode(bytes), &"a/b".parse().unwrap(), ID.parse().unwrap())
    }

    fn state(name: &str, id: &str, offset: &str) -> String {
        let started = "2026-01-02T03:04:05.678901234Z";
        format!(r#"{{"Name":"{name}","UUID":"{id}","Offset":{offset},"StartedAt":"{started}"}}"#)
    }

    fn status(id: UploadId, offset: u64, started_at: Duration) -> UploadStatus {
        let tip = Tip { offset, token: None };
        UploadStatus { id, tip, started_at: UNIX_EPOCH + started_at }
    }

    proptest! {
        #[test]
        fn what_is_issued_is_read_back_with_every_secret(
            secret in prop::collection::vec(any::<u8>(), 1..100), id: [u8; 16], at: u64,
            started_at in 0u64..200_000_000_000, nanos in 0u32..1_000_000_000,
            name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}",
        ) {
            let (id, name) = (UploadId::from_random(id), name.parse().unwrap());
            let status = status(id, at, Duration::new(started_at, nanos));
            let issued = issue(&UploadSecret::new(secret).unwrap(), &name, &status);
            prop_assert_eq!(offset(&issued, &name, id), Some(at));
        }
    }

    #[test]
    fn a_state_that_is_no_text_is_not_read() {
        let state = |passed_over: &[u8]| {
            let begin = format!(r#"{{"Name":"a/b","UUID":"{ID}","Offset":5,"Other":""#);
            let bytes = [&[0; HMAC_SIZE], begin.as_bytes(), passed_over, br#""}"#].concat();
            offset(&URL_SAFE.encode(bytes), &"a/b".parse().unwrap(), ID.parse().unwrap())
        };
        assert_eq!(state(b"x"), Some(5));
        assert_eq!(state(b"\xff"), None);
    }

    /// The text was made by Python's `hmac` and `base64`.
    #[test]
    fn what_is_issued_is_what_distribution_would_issue() {
        const EXPECTED: &str = "VxBXyqwpzl7YL-u6b0gOxOPKrQ89jTXCHcOFqacO1sR7Ik5hbWUiOiJhL2IiLCJVVUlEIjoiNmIzYzlhOTMt\
            YWY1ZC00NzNmLWE0ZmYtOTcxMDAyMjE4NWNkIiwiT2Zmc2V0IjoxMjM0NTY3ODkwMSwiU3RhcnRlZEF0Ijoi\
            MjAyNi0wMS0wMlQwMzowNDowNVoifQ==";
        let started_at = Duration::from_secs(1_767_323_045);
        let status = status(ID.parse().unwrap(), 12_345_678_901, started_at);
        let secret = UploadSecret::new("shared").unwrap();
        assert_eq!(issue(&secret, &"a/b".parse().unwrap(), &status), EXPECTED);
    }

    #[test]
    fn the_time_is_written_as_go_does() {
        let text = |seconds, nanos| rfc_3339(UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(text(1_767_323_045, 0), "2026-01-02T03:04:05Z");
        assert_eq!(text(1_767_323_045, 678_901_234), "2026-01-02T03:04:05.678901234Z");
        assert_eq!(text(1_767_323_045, 120_000_000), "2026-01-02T03:04:05.12Z");
        assert_eq!(text(400_000_000_000, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc_3339(UNIX_EPOCH - Duration::from_nanos(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn the_offset_is_read_whatever_the_hmac() {
        assert_eq!(read(&state("a/b", ID, "0")), Some(0));
        assert_eq!(read(&state("a/b", ID, "12345678901")), Some(12_345_678_901));
    }

    #[test]
    fn a_state_of_another_session_says_nothing_of_this_one() {
        assert_eq!(read(&state("a", ID, "5")), None);
        assert_eq!(read(&state("a/b", "00000000-af5d-473f-a4ff-9710022185cd", "5")), None);
    }

    #[test]
    fn what_is_no_state_says_nothing() {
        for json in ["", "{}", "null", &state("a/b", ID, "-1"), &state("a/b", ID, "1.5")] {
            assert_eq!(read(json), None, "{json}");
        }
        let (name, id) = ("a/b".parse().unwrap(), ID.parse().unwrap());
        for text in ["x", "AAAA", "/+==", "\u{e9}"] {
            assert_eq!(offset(text, &name, id), None, "{text}");
        }
    }
}
