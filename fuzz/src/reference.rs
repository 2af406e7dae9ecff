//! Tags, references, upload ids and media types: the other values that come from a client as text.

use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;
use registry_store::media_type::MediaType;
use registry_store::name::RepositoryName;
use registry_store::reference::{MAX_TAG_LENGTH, Reference, Tag};
use registry_store::upload_id::UploadId;

/// The bytes are a list of texts, one a line.
pub fn reference(data: &[u8]) {
    for text in data.split(|&b| b == b'\n').flat_map(std::str::from_utf8) {
        is_tag_or_digest(text);
        is_safe_as_tag(text);
        is_one_text_per_upload_id(text);
        is_media_type_without_parameters(text);
    }
}

fn is_tag_or_digest(text: &str) {
    let (tag, digest) = (text.parse::<Tag>(), text.parse::<Digest>());
    assert!(tag.is_err() || digest.is_err(), "nothing is both: {text:?}");
    match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text, "what parses prints the same");
            match reference {
                Reference::Tag(found) => assert_eq!(tag, Ok(found)),
                Reference::Digest(found) => assert_eq!(digest, Ok(found)),
            }
        }
        Err(error) => {
            assert!(tag.is_err() && digest.is_err(), "one of them parses: {text:?}");
            assert!(error.found.len() <= 4 * 160, "a message is of bounded length");
        }
    }
}

fn is_safe_as_tag(text: &str) {
    let Ok(tag) = text.parse::<Tag>() else { return };
    assert!((1..=MAX_TAG_LENGTH).contains(&text.len()));
    assert!(!text.starts_with('.') && !text.contains('/'), "{text:?}");
    let name: RepositoryName = "a".parse().expect("it is a name");
    let link = RepositoryLayout::new(&name).tag_current_link(&tag).to_string();
    assert!(link.ends_with(&format!("/tags/{text}/current/link")), "{link}");
}

fn is_one_text_per_upload_id(text: &str) {
    if let Ok(id) = text.parse::<UploadId>() {
        assert_eq!(id.to_string(), text, "what parses prints the same");
        assert_eq!(text.len(), 36);
    }
}

fn is_media_type_without_parameters(text: &str) {
    if let Ok(media_type) = text.parse::<MediaType>() {
        let printed = media_type.to_string();
        assert!(text.contains(&printed), "{text:?} gives {printed:?}");
        assert!(!printed.contains([';', ' ', ',']), "{printed:?}");
        assert_eq!(printed.parse(), Ok(media_type), "what is printed parses the same");
    }
}
