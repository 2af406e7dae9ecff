//! Small files that say what other bytes are: links, and what is kept of upload sessions.
//!
//! Whoever wrote them, they are read in one way or refused, and what is refused is as good as not there.

mod links;
mod sessions;
mod stored;

/// The first byte says which kind of file the others are.
pub fn record(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 7 {
        0 => links::of_a_blob(bytes),
        1 => links::of_a_manifest(bytes),
        2 => links::of_a_tag(bytes),
        3 => sessions::started_at(bytes),
        4 => sessions::state_of_distribution(bytes),
        5 => stored::of_a_filesystem(bytes),
        _ => stored::of_a_bucket(bytes),
    }
}
