//! [`Note`]: an event as it waits in a queue.

use std::sync::Arc;

use http::Extensions;
use registry_store::options::Random;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Builder;

use crate::events::{Action, Event, Target};
use crate::request_id::RequestId;

/// All that either envelope says of an event, but for what a manifest refers to. Its JSON is what queues keep on disk:
/// a field may be added, with a default, and none may change its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    pub(super) id: String,
    /// RFC 3339, in UTC.
    pub(super) timestamp: String,
    pub(super) action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) from_repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) tag: String,
    /// It is a manifest that can be read: it may refer to others.
    pub(super) is_manifest: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) request_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) request_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    pub(super) method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) actor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) source_address: String,
    pub(super) source_instance: String,
}

/// The most bytes of a `User-Agent` that an event keeps. Those of clients have some 100.
const USER_AGENT: usize = 512;
/// The most bytes of a `Host`: those of the longest name there can be (RFC 1035 §2.3.4).
const HOST: usize = 255;

/// Finds a client's address in a request's extensions.
pub(super) type AddressOf = fn(&Extensions) -> Option<String>;

/// What makes notes of events: what a registry says of itself in each.
pub(super) struct Notes {
    pub(super) source_address: String,
    pub(super) source_instance: String,
    pub(super) address_of: AddressOf,
    pub(super) random: Arc<dyn Random>,
}

impl Notes {
    pub(super) fn of(&self, event: Event) -> Note {
        let time = OffsetDateTime::from(event.time);
        let (action, from) = match event.action {
            Action::Pull => ("pull", None),
            Action::Push => ("push", None),
            Action::Mount { from } => ("mount", from),
            Action::Delete => ("delete", None),
        };
        let is_delete = action == "delete";
        let mut note = Note {
            id: uuid(&*self.random),
            // It has no form outside of the years 0 to 9999.
            timestamp: time.format(&Rfc3339).unwrap_or_default(),
            action: action.to_owned(),
            repository: event.repository.to_string(),
            from_repository: from.map_or_else(String::new, |from| from.to_string()),
            // Distribution gives no address of what has gone.
            url: event.url.filter(|_| !is_delete).unwrap_or_default(),
            request_id: event
                .request
                .extensions
                .get::<RequestId>()
                .map_or_else(String::new, |id| id.0.clone()),
            request_address: (self.address_of)(&event.request.extensions).unwrap_or_default(),
            host: cut(event.request.host, HOST),
            method: event.request.method.to_string(),
            user_agent: cut(event.request.user_agent, USER_AGENT),
            actor: event.actor.name().unwrap_or_default().to_owned(),
            source_address: self.source_address.clone(),
            source_instance: self.source_instance.clone(),
            ..Note::default()
        };
        note.aim(&event.target, is_delete);
        note
    }
}

impl Note {
    /// Of a blob or manifest that has gone, Distribution says the digest alone.
    fn aim(&mut self, target: &Target, is_delete: bool) {
        match target {
            Target::Blob { digest, size } => {
                self.digest = digest.to_string();
                self.size = size.unwrap_or(0);
                if !is_delete {
                    "application/octet-stream".clone_into(&mut self.media_type);
                }
            }
            Target::Manifest { digest, size, media_type, tag } => {
                self.digest = digest.to_string();
                self.size = size.unwrap_or(0);
                self.media_type = media_type.as_ref().map_or_else(String::new, ToString::to_string);
                self.tag = tag.as_ref().map_or_else(String::new, ToString::to_string);
                self.is_manifest = !is_delete;
            }
            Target::Tag(tag) => self.tag = tag.to_string(),
        }
    }
}

/// So many bytes of it, or one character less. Whoever may pull chooses them: they are not to take the room of others'
/// events.
fn cut(text: Option<String>, most: usize) -> String {
    let mut text = text.unwrap_or_default();
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// A UUID of version 4, made of chance.
pub(super) fn uuid(random: &dyn Random) -> String {
    Builder::from_random_bytes(random.bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::Method;

    use super::*;
    use crate::auth::Actor;
    use crate::events::RequestInfo;

    /// Counts.
    #[derive(Debug)]
    struct Sevens;

    impl Random for Sevens {
        fn bytes(&self) -> [u8; 16] {
            [0x77; 16]
        }
    }

    fn notes() -> Notes {
        Notes {
            source_address: "host:5000".to_owned(),
            source_instance: "i".to_owned(),
            address_of: |extensions| extensions.get::<u16>().map(|port| format!("10.0.0.1:{port}")),
            random: Arc::new(Sevens),
        }
    }

    fn event(action: Action, target: Target) -> Event {
        let mut extensions = Extensions::new();
        extensions.insert(RequestId("r1".to_owned()));
        extensions.insert(42_u16);
        Event {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            action,
            repository: "library/app".parse().unwrap(),
            target,
            url: Some("http://h/x".to_owned()),
            actor: Actor::named("ann"),
            request: RequestInfo {
                method: Method::PUT,
                host: Some("h".to_owned()),
                user_agent: Some("curl".to_owned()),
                extensions,
            },
        }
    }

    fn noted(action: Action, target: Target) -> Note {
        notes().of(event(action, target))
    }

    fn digest() -> registry_store::digest::Digest {
        format!("sha256:{}", "a".repeat(64)).parse().unwrap()
    }

    #[test]
    fn a_note_has_all_that_an_event_and_its_request_say() {
        let from = Some("other".parse().unwrap());
        let note = noted(Action::Mount { from }, Target::Blob { digest: digest(), size: Some(7) });
        let expected = Note {
            id: "77777777-7777-4777-b777-777777777777".to_owned(),
            timestamp: "1970-01-01T00:00:01.5Z".to_owned(),
            action: "mount".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            digest: digest().to_string(),
            size: 7,
            repository: "library/app".to_owned(),
            from_repository: "other".to_owned(),
            url: "http://h/x".to_owned(),
            tag: String::new(),
            is_manifest: false,
            request_id: "r1".to_owned(),
            request_address: "10.0.0.1:42".to_owned(),
            host: "h".to_owned(),
            method: "PUT".to_owned(),
            user_agent: "curl".to_owned(),
            actor: "ann".to_owned(),
            source_address: "host:5000".to_owned(),
            source_instance: "i".to_owned(),
        };
        assert_eq!(note, expected);
        let kept = serde_json::to_string(&note).unwrap();
        assert_eq!(serde_json::from_str::<Note>(&kept).unwrap(), note);
    }

    #[test]
    fn of_what_is_deleted_the_digest_or_the_tag_is_said_and_no_more() {
        let blob = noted(Action::Delete, Target::Blob { digest: digest(), size: None });
        let target = Target::Manifest { digest: digest(), size: None, media_type: None, tag: None };
        let manifest = noted(Action::Delete, target);
        for note in [blob, manifest] {
            assert_eq!(note.digest, digest().to_string());
            let rest = (note.media_type, note.url, note.tag, note.size, note.is_manifest);
            assert_eq!(rest, (String::new(), String::new(), String::new(), 0, false));
        }
        let tag = noted(Action::Delete, Target::Tag("v1".parse().unwrap()));
        assert_eq!((tag.digest.as_str(), tag.tag.as_str()), ("", "v1"));
    }

    #[test]
    fn what_a_client_says_of_itself_takes_little_room() {
        assert_eq!(cut(None, 3), "");
        assert_eq!(cut(Some("abc".to_owned()), 3), "abc");
        assert_eq!(cut(Some("abcd".to_owned()), 3), "abc");
        assert_eq!(cut(Some("abé".to_owned()), 3), "ab", "no half characters");
        let mut event = event(Action::Pull, Target::Blob { digest: digest(), size: Some(7) });
        event.request.user_agent = Some("x".repeat(100_000));
        event.request.host = Some("y".repeat(100_000));
        let note = notes().of(event);
        assert_eq!((note.user_agent.len(), note.host.len()), (512, 255));
    }
}
