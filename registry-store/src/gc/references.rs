//! [`Document`]: all that a stored manifest may refer to, whatever its type.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::digest::{Algorithm, Digest};
use crate::media_type::MediaType;

/// A manifest as far as a collector has to know it.
///
/// Read more liberally than any reader reads it: what any of them might take for a reference is one here. Each object in
/// the document that has a member `digest` (a descriptor) or `blobSum` (schema 1) counts, wherever it stands; in a
/// document of a type that we do not know, each text that is a digest.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// What it refers to, in no order, perhaps several times.
    pub(crate) references: Vec<Reference>,
    /// It says itself that it is a manifest, of whatever type.
    pub(crate) is_manifest: bool,
    /// It is of schema 1: then its digest may be of other bytes than those that are stored, which have signatures.
    pub(crate) is_schema1: bool,
}

/// How a manifest refers to content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The content.
    pub(crate) digest: Digest,
    /// What it is to the manifest.
    pub(crate) role: Role,
}

/// What content is to a manifest that refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// What the manifest is about. It need not exist, and is not kept by it.
    Subject,
    /// A manifest, by its media type.
    Manifest,
    /// What an index lists, of a type that is not known: a manifest if it is a JSON object.
    Listed,
    /// Without a media type, or one that sounds like a manifest's: a manifest if it looks like one.
    Unknown,
    /// Anything else.
    Blob,
}

impl Document {
    /// Reads one; `None` if it is not one JSON object.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut found = Found::default();
        let mut document = serde_json::Deserializer::from_slice(bytes);
        let place = Place::Top;
        let value = Reader { found: &mut found, place }.deserialize(&mut document).ok()?;
        document.end().ok()?;
        matches!(value, Value::Object).then(|| found.document())
    }
}

/// Everything in a text that looks like a digest, for what cannot be read otherwise.
pub(crate) fn digests_in_text(text: &[u8]) -> Vec<Digest> {
    let mut digests = Vec::new();
    for algorithm in Algorithm::ALL {
        let (mark, length) = (format!("{algorithm}:"), algorithm.size() * 2);
        for at in 0..text.len().saturating_sub(mark.len()) {
            let Some(rest) = text[at..].strip_prefix(mark.as_bytes()) else { continue };
            let hex = rest.get(..length).and_then(|hex| std::str::from_utf8(hex).ok());
            digests.extend(hex.and_then(|hex| Digest::from_hex(algorithm, hex).ok()));
        }
    }
    digests
}

/// What was met in a document.
#[derive(Default)]
struct Found {
    references: Vec<Reference>,
    /// Text that is a digest, wherever it stands.
    digests: Vec<Digest>,
    media_type: Option<String>,
    schema: Option<i64>,
    /// A member of the types that we know is there.
    has_shape: bool,
}

impl Found {
    fn document(self) -> Document {
        let media_type = self.media_type.and_then(|text| text.parse::<MediaType>().ok());
        let is_schema1 = self.schema == Some(1);
        let is_known = match &media_type {
            Some(media_type) => media_type.is_manifest(),
            None => self.has_shape && matches!(self.schema, Some(1 | 2)),
        };
        let mut references = self.references;
        let is_manifest = is_known
            || matches!(self.schema, Some(1 | 2))
                && !(media_type.is_none() && references.is_empty() && self.digests.is_empty());
        if !is_known {
            let is_subject = |it: &Reference| it.role == Role::Subject;
            let subjects: Vec<Digest> =
                references.iter().filter(|it| is_subject(it)).map(|it| it.digest).collect();
            let others = self.digests.into_iter().filter(|digest| !subjects.contains(digest));
            references.extend(others.map(|digest| Reference { digest, role: Role::Blob }));
        }
        Document { references, is_manifest, is_schema1 }
    }
}

/// Where in a document a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Subject,
    /// In what an index lists.
    Listed,
    Elsewhere,
}

/// Reads a value, and notes what it refers to. Only what is noted is held.
struct Reader<'f> {
    found: &'f mut Found,
    place: Place,
}

/// What a value is to the object it is a member of.
enum Value {
    Object,
    /// Text that may be a digest or a media type.
    Text(String),
    Number(i64),
    Other,
}

/// Longer than any digest and any media type.
const LONGEST: usize = 300;

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if text.len() > LONGEST {
            return Ok(Value::Other);
        }
        self.found.digests.extend(text.parse::<Digest>());
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Self { found, place } = self;
        let place = if place == Place::Listed { Place::Listed } else { Place::Elsewhere };
        while items.next_element_seed(Reader { found, place })?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Self { found, place } = self;
        let (mut digests, mut blobs, mut media_type) = (Vec::new(), Vec::new(), None);
        while let Some(mut name) = members.next_key::<String>()? {
            // Go's readers do not tell cases apart.
            name.make_ascii_lowercase();
            let inner = match (place, name.as_str()) {
                (Place::Top, "subject") => Place::Subject,
                (Place::Top, "manifests") => Place::Listed,
                _ => Place::Elsewhere,
            };
            let value = members.next_value_seed(Reader { found, place: inner })?;
            match (name.as_str(), value) {
                ("digest", Value::Text(text)) => digests.extend(text.parse::<Digest>()),
                ("blobsum", Value::Text(text)) => blobs.extend(text.parse::<Digest>()),
                ("mediatype", Value::Text(text)) => media_type = Some(text),
                ("schemaversion", Value::Number(number)) if place == Place::Top => {
                    found.schema = Some(number);
                }
                ("config" | "layers" | "manifests" | "fslayers", _) if place == Place::Top => {
                    found.has_shape = true;
                }
                _ => {}
            }
        }
        let role = match (place, media_type.as_deref()) {
            (Place::Subject, _) => Role::Subject,
            (_, Some(text)) if is_manifest(text) => Role::Manifest,
            (Place::Listed, _) => Role::Listed,
            (_, None | Some("")) => Role::Unknown,
            (_, Some(text)) if text.contains("manifest") || text.contains("index") => Role::Unknown,
            (_, Some(_)) => Role::Blob,
        };
        let blobs = blobs.into_iter().map(|digest| Reference { digest, role: Role::Blob });
        let described = digests.into_iter().map(|digest| Reference { digest, role });
        found.references.extend(described.chain(blobs));
        if place == Place::Top {
            found.media_type = media_type;
        }
        Ok(Value::Object)
    }
}

fn is_manifest(media_type: &str) -> bool {
    media_type.parse::<MediaType>().is_ok_and(|media_type| media_type.is_manifest())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(content: &str) -> Digest {
        Digest::sha256(content.as_bytes())
    }

    /// What a document refers to; `$a` in it is the digest of `a`.
    fn references(document: &str) -> Vec<(Digest, Role)> {
        let document = filled(document);
        let read = Document::read(document.as_bytes()).unwrap();
        let mut found: Vec<_> =
            read.references.iter().map(|found| (found.digest, found.role)).collect();
        found.sort_by_key(|(digest, _)| *digest);
        found.dedup();
        found
    }

    fn filled(document: &str) -> String {
        ["a", "b", "c", "d"].iter().fold(document.to_owned(), |text, name| {
            text.replace(&format!("${name}"), &digest(name).to_string())
        })
    }

    fn are(expected: &[(&str, Role)]) -> Vec<(Digest, Role)> {
        let mut expected: Vec<_> =
            expected.iter().map(|(name, role)| (digest(name), *role)).collect();
        expected.sort_by_key(|(digest, _)| *digest);
        expected
    }

    #[test]
    fn an_image_refers_to_its_config_layers_and_subject_and_not_to_what_it_mentions() {
        let image = r#"{"schemaVersion": 2, "config": {"mediaType": "application/x", "digest": "$a"},
            "layers": [{"mediaType": "application/y", "digest": "$b"}],
            "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "$c"},
            "annotations": {"org.opencontainers.image.base.digest": "$d"}}"#;
        let expected = are(&[("a", Role::Blob), ("b", Role::Blob), ("c", Role::Subject)]);
        assert_eq!(references(image), expected);
    }

    #[test]
    fn an_index_refers_to_manifests_and_to_what_may_be_one() {
        let index = r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "$a"},
                          {"digest": "$b"}, {"mediaType": "application/vnd.cncf.layer", "digest": "$c"}]}"#;
        let expected = are(&[("a", Role::Manifest), ("b", Role::Listed), ("c", Role::Listed)]);
        assert_eq!(references(index), expected);
    }

    #[test]
    fn a_media_type_that_only_sounds_like_that_of_a_manifest_does_not_make_one() {
        let image = r#"{"schemaVersion": 2, "config": {"mediaType": "", "digest": "$a"},
            "layers": [{"mediaType": "application/vnd.x.index.v1.tar+gzip", "digest": "$b"},
                       {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "$c"}]}"#;
        let expected = are(&[("a", Role::Unknown), ("b", Role::Unknown), ("c", Role::Manifest)]);
        assert_eq!(references(image), expected);
    }

    #[test]
    fn schema_1_refers_to_its_layers() {
        let signed = r#"{"schemaVersion": 1, "fsLayers": [{"blobSum": "$a"}, {"blobSum": "$b"}]}"#;
        assert_eq!(references(signed), are(&[("a", Role::Blob), ("b", Role::Blob)]));
        assert!(Document::read(filled(signed).as_bytes()).unwrap().is_schema1);
    }

    #[test]
    fn of_an_unknown_type_every_digest_counts_wherever_it_stands() {
        let artifact = r#"{"mediaType": "application/vnd.example.new", "blobs": [[{"Digest": "$a",
            "mediaType": "text/x"}]], "parts": {"$b": "not a value", "first": "$b"}, "list": ["$c"],
            "subject": {"digest": "$d"}}"#;
        let blobs = [("a", Role::Blob), ("b", Role::Blob), ("c", Role::Blob)];
        let expected = are(&[&blobs[..], &[("d", Role::Subject)]].concat());
        assert_eq!(references(artifact), expected);
    }

    #[test]
    fn what_is_no_json_object_is_no_document() {
        for text in ["", "{", "[]", "\"x\"", "{} {}", "\0\0\0"] {
            assert!(Document::read(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(!Document::read(b"{\"architecture\": \"amd64\"}").unwrap().is_manifest);
        let bare = br#"{"schemaVersion": 2, "mediaType": "application/vnd.example.new"}"#;
        assert!(
            Document::read(bare).unwrap().is_manifest,
            "it says so, though it refers to nothing"
        );
    }

    #[test]
    fn digests_are_found_in_broken_text() {
        let text =
            filled("{\"layers\":[{\"digest\":\"$a\"},{\"digest\":\"$b\",\"size\":\0\0sha256:12 $c");
        let mut found = digests_in_text(text.as_bytes());
        found.sort();
        let mut expected = vec![digest("a"), digest("b"), digest("c")];
        expected.sort();
        assert_eq!(found, expected);
        let long = Digest::of(Algorithm::Sha512, b"a");
        assert_eq!(digests_in_text(format!("x{long}x").as_bytes()), [long]);
    }
}
