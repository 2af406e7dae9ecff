//! Distribution's `_state`: what its session addresses say of how far the session has come.
//!
//! base64url, padded, of an HMAC-SHA256 and of the JSON it is over. Taken so that a client to which Distribution
//! gave the address can go on here, on the same storage.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use registry_store::name::RepositoryName;
use registry_store::upload_id::UploadId;
use serde::Deserialize;

/// The HMAC that stands before the JSON.
///
/// It is passed over: there is no configured secret to check it with. Nothing rests on it. Whoever knows the
/// session's id may write to it, as with our own addresses, and a wrong offset is answered with 416.
const HMAC_SIZE: usize = 32;

/// The JSON, but for the time the session was started at.
#[derive(Deserialize)]
struct State {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "UUID")]
    id: String,
    #[serde(rename = "Offset")]
    offset: u64,
}

/// The offset that a `_state` holds. `None` if it cannot be read, or is of another session.
pub(crate) fn offset(text: &str, name: &RepositoryName, id: UploadId) -> Option<u64> {
    let bytes = URL_SAFE.decode(text).ok()?;
    let state: State = serde_json::from_slice(bytes.get(HMAC_SIZE..)?).ok()?;
    let is_of_this = state.name == name.as_str() && state.id.parse() == Ok(id);
    is_of_this.then_some(state.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

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
