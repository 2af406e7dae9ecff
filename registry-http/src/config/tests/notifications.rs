//! `notifications`: what endpoints come to, by file and by variables.

use std::time::Duration;

use http::header::AUTHORIZATION;

use super::{read, refuses};
use crate::notifications::{Endpoint, Envelope};

const HEAD: &str = "version: 0.1\nstorage: {inmemory: }\n";

fn endpoints(text: &str, variables: &[(&str, &str)]) -> (Vec<Endpoint>, Vec<String>) {
    let loaded = read(&format!("{HEAD}{text}"), variables).unwrap();
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    (loaded.configuration.notifications.endpoints, warnings)
}

#[test]
fn every_key_of_an_endpoint_counts() {
    let (endpoints, warnings) = endpoints(
        "notifications:\n  endpoints:\n    - name: harbor\n      url: http://core/service/notifications\n      \
         headers: {Authorization: [Bearer hunter2], X-Many: [a, b]}\n      timeout: 3000ms\n      \
         threshold: 5\n      backoff: 2s\n      ignoredmediatypes: [application/octet-stream]\n      \
         ignore: {mediatypes: [a/b], actions: [pull]}\n      envelope: v2\n    - {name: plain, url: 'https://h/x'}\n",
        &[],
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    let harbor = &endpoints[0];
    assert_eq!((harbor.name.as_str(), harbor.threshold), ("harbor", 5));
    assert_eq!((harbor.timeout, harbor.backoff), (Duration::from_secs(3), Duration::from_secs(2)));
    assert_eq!(harbor.headers[AUTHORIZATION], "Bearer hunter2");
    assert_eq!(harbor.headers.get_all("x-many").iter().count(), 2);
    assert_eq!(harbor.ignore.media_types, ["application/octet-stream", "a/b"]);
    assert_eq!(harbor.ignore.actions, ["pull"]);
    assert_eq!(harbor.envelope, Envelope::V2);

    let plain = &endpoints[1];
    assert_eq!((plain.threshold, plain.envelope), (10, Envelope::V1), "Distribution's defaults");
    assert_eq!((plain.timeout, plain.backoff), (Duration::from_secs(1), Duration::from_secs(1)));
}

#[test]
fn variables_reach_endpoints_by_index_and_events_by_the_name_of_their_field() {
    let text = format!("{HEAD}notifications: {{endpoints: [{{name: a, url: 'http://a'}}]}}");
    let variables = [
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT", "5s"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS", "[pull, mount]"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS", "{Authorization: [hunter2]}"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL", "http://b"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME", "b"),
        ("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true"),
        ("REGISTRY_NOTIFICATIONS_QUEUE_DIRECTORY", "/queues"),
        ("REGISTRY_NOTIFICATIONS_QUEUE_MAXEVENTS", "7"),
    ];
    let loaded = read(&text, &variables).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let notifications = loaded.configuration.notifications;
    assert!(notifications.include_references);
    assert_eq!(notifications.queues.directory.as_deref(), Some("/queues".as_ref()));
    assert_eq!(notifications.queues.events, 7);
    let [a, b] = notifications.endpoints.as_slice() else { panic!("expected two endpoints") };
    assert_eq!((a.timeout, a.ignore.actions.len()), (Duration::from_secs(5), 2));
    assert_eq!(a.headers[AUTHORIZATION], "hunter2");
    assert_eq!(b.name, "b");
}

#[test]
fn one_that_is_disabled_is_none_and_needs_nothing() {
    let (endpoints, warnings) =
        endpoints("notifications: {endpoints: [{disabled: true}, {url: 'http://a'}]}", &[]);
    assert_eq!((endpoints.len(), warnings.len()), (1, 0));
}

#[test]
fn keys_that_there_are_none_of_are_told_of() {
    let (_, warnings) = endpoints(
        "notifications: {endpoints: [{url: 'http://a', timeuot: 1s, ignore: {action: [pull]}}]}",
        &[],
    );
    assert_eq!(
        warnings,
        [
            "c.yml:3: notifications.endpoints[0].timeuot: passed over: there is no such key; is `timeout` meant?",
            "c.yml:3: notifications.endpoints[0].ignore.action: passed over: there is no such key; is `actions` meant?",
        ]
    );
}

#[test]
fn what_cannot_be_used_is_refused_without_a_word_of_what_may_be_secret() {
    for (endpoint, line) in [
        (
            "{name: a}",
            "c.yml:3: notifications.endpoints[0].url: expected an address such as \
             https://receiver.example.com/events, found none or another form",
        ),
        (
            "{url: 'ftp://u:hunter2@h'}",
            "c.yml:3: notifications.endpoints[0].url: expected an address such as \
             https://receiver.example.com/events, found none or another form",
        ),
        (
            "{url: 'http://h', headers: {A: [\"hunter2\\n\"]}}",
            "c.yml:3: notifications.endpoints[0].headers: expected a header's name and values that can be sent, \
             found another form",
        ),
        (
            "{url: 'http://h', envelope: v3}",
            "c.yml:3: notifications.endpoints[0].envelope: expected v1 or v2, found `v3`",
        ),
        (
            "{url: 'http://h', timeout: 1}",
            "c.yml:3: notifications.endpoints[0].timeout: expected a duration such as 168h, 10s or 1h30m, found `1`",
        ),
    ] {
        refuses(&format!("{HEAD}notifications: {{endpoints: [{endpoint}]}}"), &[], line);
    }
    refuses(
        &format!("{HEAD}notifications: {{queue: {{maxbytes: 0}}}}"),
        &[],
        "c.yml:3: notifications.queue.maxbytes: expected a number above 0, found another",
    );
}

#[test]
fn addresses_and_headers_are_not_shown() {
    let text = format!(
        "{HEAD}notifications: {{endpoints: [{{url: 'http://u:hunter2@h/hunter2', headers: {{A: [hunter2]}}}}]}}"
    );
    let shown = format!("{:?}", read(&text, &[]).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
