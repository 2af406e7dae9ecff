//! Digests, and the saved states of their hashes.

use registry_store::digest::{Algorithm, AnyDigest, Digest, Hasher};

/// The bytes are a list of texts, one a line; then content to be hashed; then a saved state.
pub fn digest(data: &[u8]) {
    let texts: Vec<&str> = data.split(|&b| b == b'\n').flat_map(std::str::from_utf8).collect();
    for text in &texts {
        is_one_text_per_digest(text);
    }
    let digests: Vec<Digest> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    for pair in digests.windows(2) {
        let texts = [pair[0].to_string(), pair[1].to_string()];
        assert_eq!(pair[0].cmp(&pair[1]), texts[0].cmp(&texts[1]), "the order is that of the text");
    }
    for algorithm in Algorithm::ALL {
        goes_on_where_it_was_saved(algorithm, data);
        restores_only_what_it_would_save(algorithm, data);
    }
}

fn is_one_text_per_digest(text: &str) {
    let any = text.parse::<AnyDigest>();
    let known = text.parse::<Digest>();
    match &any {
        Ok(digest) => assert_eq!(digest.to_string(), text, "what parses prints the same"),
        Err(_) => assert!(known.is_err(), "a digest is also one of a descriptor: {text:?}"),
    }
    let Ok(digest) = known else { return };
    assert_eq!(any, Ok(AnyDigest::Known(digest)));
    assert_eq!(digest.hex().len(), digest.algorithm().size() * 2);
    assert_eq!(Digest::from_hex(digest.algorithm(), &digest.hex()), Ok(digest));
}

/// A hash that is saved and restored anywhere ends as one that never was.
fn goes_on_where_it_was_saved(algorithm: Algorithm, content: &[u8]) {
    let at = content.first().map_or(0, |&first| usize::from(first).min(content.len()));
    let mut hasher = Hasher::new(algorithm);
    hasher.update(&content[..at]);
    let saved = hasher.save();
    let mut restored = Hasher::restore(algorithm, &saved).expect("a saved state is one");
    assert_eq!(restored.hashed(), at as u64);
    assert_eq!(restored.save(), saved, "what is restored saves the same");
    restored.update(&content[at..]);
    assert_eq!(restored.finish(), Digest::of(algorithm, content));
}

/// Any bytes are refused, or are the state that they say.
fn restores_only_what_it_would_save(algorithm: Algorithm, saved: &[u8]) {
    if let Ok(hasher) = Hasher::restore(algorithm, saved) {
        assert_eq!(hasher.save(), saved, "what is restored saves the same");
    }
}
