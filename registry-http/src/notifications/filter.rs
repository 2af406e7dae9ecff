//! [`Filter`]: of which events an endpoint is told.

use super::note::Note;

/// What an endpoint is not told of: an event is left out if either list has it, whether or not the other is empty. (In
/// Distribution 2.8 and 3.0 the actions count only beside a media type.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Media types of targets, as they are written in the event; blobs are `application/octet-stream`.
    pub media_types: Vec<String>,
    /// `pull`, `push`, `mount`, `delete`.
    pub actions: Vec<String>,
}

impl Filter {
    pub(super) fn leaves_out(&self, note: &Note) -> bool {
        self.media_types.contains(&note.media_type) || self.actions.contains(&note.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_works_without_the_other_and_both_together() {
        const INDEX: &str = "application/vnd.oci.image.index.v1+json";
        const BLOB: &str = "application/octet-stream";
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        for (media_types, actions, event, left_out) in [
            (&[][..], &[][..], ("pull", BLOB), false),
            (&[BLOB], &[], ("pull", BLOB), true),
            (&[BLOB], &[], ("push", BLOB), true),
            (&[BLOB], &[], ("push", INDEX), false),
            (&[], &["pull"], ("pull", BLOB), true),
            (&[], &["pull"], ("pull", INDEX), true),
            (&[], &["pull"], ("push", BLOB), false),
            (&[BLOB], &["pull", "mount"], ("push", INDEX), false),
            (&[BLOB], &["pull", "mount"], ("mount", INDEX), true),
            (&[BLOB], &["pull", "mount"], ("push", BLOB), true),
            // What is deleted has no media type.
            (&[BLOB, INDEX], &["pull"], ("delete", ""), false),
            (&[], &["delete"], ("delete", ""), true),
        ] {
            let filter = Filter { media_types: list(media_types), actions: list(actions) };
            let (action, media_type) = event;
            let (action, media_type) = (action.to_owned(), media_type.to_owned());
            let note = Note { action, media_type, ..Note::default() };
            assert_eq!(filter.leaves_out(&note), left_out, "{filter:?} {event:?}");
        }
    }
}
