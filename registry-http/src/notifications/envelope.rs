//! [`Envelope`]: the document that an endpoint is sent, in both of Distribution's forms.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Serializer, Value};

use super::note::Note;

/// Which of Distribution's documents an endpoint gets. They differ in their media type, and in that the second says
/// what is empty of a target: its media type, digest and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// `application/vnd.docker.distribution.events.v1+json`, as Distribution 2.8 sends it. The default, as many take no
    /// other: GitLab knows this media type alone.
    #[default]
    V1,
    /// `application/vnd.docker.distribution.events.v2+json`, as Distribution 3 sends it.
    V2,
}

impl Envelope {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V1 => "application/vnd.docker.distribution.events.v1+json",
            Self::V2 => "application/vnd.docker.distribution.events.v2+json",
        }
    }

    /// One event in it, indented by three spaces as Distribution does. `references` are descriptors.
    pub(super) fn around(self, note: &Note, references: &[Value]) -> Vec<u8> {
        let body = Body { events: [EventBody::of(note, references, self)] };
        let mut bytes = Vec::with_capacity(1024);
        let format = PrettyFormatter::with_indent(b"   ");
        body.serialize(&mut Serializer::with_formatter(&mut bytes, format))
            .expect("text and numbers have a form in JSON, and a vector takes all");
        bytes
    }

    /// The fields of a descriptor that its version of Distribution knows.
    pub(super) fn descriptor_fields(self) -> &'static [&'static str] {
        match self {
            Self::V1 => &["mediaType", "size", "digest", "urls", "annotations", "platform"],
            Self::V2 => &[
                "mediaType",
                "size",
                "digest",
                "urls",
                "annotations",
                "data",
                "platform",
                "artifactType",
            ],
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    events: [EventBody<'a>; 1],
}

#[derive(Serialize)]
struct EventBody<'a> {
    id: &'a str,
    timestamp: &'a str,
    action: &'a str,
    target: TargetBody<'a>,
    request: RequestBody<'a>,
    actor: ActorBody<'a>,
    source: SourceBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// The size again, as in versions before 2.
    #[serde(skip_serializing_if = "is_zero")]
    length: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    repository: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    from_repository: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tag: &'a str,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    references: &'a [Value],
}

#[derive(Serialize)]
struct RequestBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    addr: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    method: &'a str,
    useragent: &'a str,
}

#[derive(Serialize)]
struct ActorBody<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

#[derive(Serialize)]
struct SourceBody<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    addr: &'a str,
    #[serde(rename = "instanceID", skip_serializing_if = "str::is_empty")]
    instance_id: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a> EventBody<'a> {
    fn of(note: &'a Note, references: &'a [Value], envelope: Envelope) -> Self {
        let says_empty = envelope == Envelope::V2;
        let said = |text: &'a str| (says_empty || !text.is_empty()).then_some(text);
        Self {
            id: &note.id,
            timestamp: &note.timestamp,
            action: &note.action,
            target: TargetBody {
                media_type: said(&note.media_type),
                size: (says_empty || note.size > 0).then_some(note.size),
                digest: said(&note.digest),
                length: note.size,
                repository: &note.repository,
                from_repository: &note.from_repository,
                url: &note.url,
                tag: &note.tag,
                references,
            },
            request: RequestBody {
                id: &note.request_id,
                addr: &note.request_address,
                host: &note.host,
                method: &note.method,
                useragent: &note.user_agent,
            },
            actor: ActorBody { name: &note.actor },
            source: SourceBody { addr: &note.source_address, instance_id: &note.source_instance },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(envelope: Envelope, note: &Note, references: &[Value]) -> String {
        String::from_utf8(envelope.around(note, references)).unwrap()
    }

    fn push() -> Note {
        Note {
            id: "320678d8-ca14-430f-8bb6-4ca139cd83f7".to_owned(),
            timestamp: "2026-03-09T14:44:26.402973972Z".to_owned(),
            action: "push".to_owned(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: "sha256:fea8".to_owned(),
            size: 708,
            repository: "library/app".to_owned(),
            url: "http://192.168.100.227:5000/v2/library/app/manifests/sha256:fea8".to_owned(),
            tag: "latest".to_owned(),
            is_manifest: true,
            request_id: "6df24a34".to_owned(),
            request_address: "192.168.64.11:42961".to_owned(),
            host: "192.168.100.227:5000".to_owned(),
            method: "PUT".to_owned(),
            user_agent: "curl/8.5.0".to_owned(),
            actor: "ann".to_owned(),
            source_address: "xtal.local:5000".to_owned(),
            source_instance: "a53db899".to_owned(),
            ..Note::default()
        }
    }

    #[test]
    fn a_push_is_written_as_distribution_2_writes_it() {
        assert_eq!(
            text(Envelope::V1, &push(), &[json!({"digest": "sha256:0"})]),
            r#"{
   "events": [
      {
         "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
         "timestamp": "2026-03-09T14:44:26.402973972Z",
         "action": "push",
         "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 708,
            "digest": "sha256:fea8",
            "length": 708,
            "repository": "library/app",
            "url": "http://192.168.100.227:5000/v2/library/app/manifests/sha256:fea8",
            "tag": "latest",
            "references": [
               {
                  "digest": "sha256:0"
               }
            ]
         },
         "request": {
            "id": "6df24a34",
            "addr": "192.168.64.11:42961",
            "host": "192.168.100.227:5000",
            "method": "PUT",
            "useragent": "curl/8.5.0"
         },
         "actor": {
            "name": "ann"
         },
         "source": {
            "addr": "xtal.local:5000",
            "instanceID": "a53db899"
         }
      }
   ]
}"#
        );
    }

    /// What is empty of both, in one line.
    fn nearly_empty(envelope: Envelope, note: &Note) -> String {
        text(envelope, note, &[]).lines().map(str::trim).collect()
    }

    #[test]
    fn what_is_empty_is_left_out_of_the_first_and_said_in_the_second() {
        let tag = Note {
            id: "i".to_owned(),
            timestamp: "t".to_owned(),
            action: "delete".to_owned(),
            repository: "app".to_owned(),
            tag: "v1".to_owned(),
            method: "DELETE".to_owned(),
            ..Note::default()
        };
        assert_eq!(
            nearly_empty(Envelope::V1, &tag),
            r#"{"events": [{"id": "i","timestamp": "t","action": "delete","target": {"repository": "app","tag": "v1"},"request": {"id": "","method": "DELETE","useragent": ""},"actor": {},"source": {}}]}"#
        );
        assert_eq!(
            nearly_empty(Envelope::V2, &tag),
            r#"{"events": [{"id": "i","timestamp": "t","action": "delete","target": {"mediaType": "","size": 0,"digest": "","repository": "app","tag": "v1"},"request": {"id": "","method": "DELETE","useragent": ""},"actor": {},"source": {}}]}"#
        );
    }

    #[test]
    fn a_mount_says_where_it_came_from_in_both() {
        let mount = Note { from_repository: "other".to_owned(), size: 0, ..push() };
        for envelope in [Envelope::V1, Envelope::V2] {
            let said = text(envelope, &mount, &[]);
            assert!(said.contains("\"fromRepository\": \"other\""), "{said}");
            assert!(!said.contains("length"), "{said}");
        }
    }

    #[test]
    fn the_first_is_what_is_sent_unless_the_second_is_asked_for() {
        assert_eq!(Envelope::default(), Envelope::V1);
        assert_eq!(
            [Envelope::V1, Envelope::V2].map(Envelope::media_type),
            [
                "application/vnd.docker.distribution.events.v1+json",
                "application/vnd.docker.distribution.events.v2+json",
            ]
        );
    }
}
