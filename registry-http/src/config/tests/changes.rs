//! Which keys say something else when a configuration is read again.

use super::read;

/// What changes if the text `before` becomes `now`, both behind a driver.
fn changes(before: &str, now: &str) -> Vec<String> {
    let read = |text: &str| read(&format!("version: 0.1\n{text}\n"), &[]).unwrap();
    read(before).changes(&read(now))
}

const USERS: &str = "auth: {htpasswd: {realm: r, path: p}}";

#[test]
fn a_key_that_says_something_else_is_named_and_not_what_it_says() {
    for (before, now, expected) in [
        ("log: {level: info}", "log: {level: debug}", &["log.level"][..]),
        ("", "http: {secret: hunter2, addr: ':5'}", &["http.addr", "http.secret"]),
        ("http: {secret: hunter2}", "http: {secret: hunter3}", &["http.secret"]),
        ("http: {secret: hunter2}", "", &["http.secret"]),
        ("", USERS, &["auth.htpasswd.path", "auth.htpasswd.realm"]),
        ("auth: none", "auth: {none: {}}", &[]),
        (
            &format!("{USERS}\naccess: {{rules: [{{who: 'user:a', where: '**', may: R}}]}}"),
            &format!("{USERS}\naccess: {{rules: [{{who: 'user:a', where: '**', may: RW}}]}}"),
            &["access.rules"],
        ),
    ] {
        let memory = "storage: inmemory\n";
        let found = changes(&format!("{memory}{before}"), &format!("{memory}{now}"));
        assert_eq!(found, expected, "{before:?} {now:?}");
    }
}

#[test]
fn a_driver_goes_by_either_of_its_names() {
    let bucket = |driver: &str, name: &str| format!("storage: {{{driver}: {{bucket: {name}}}}}");
    assert_eq!(changes(&bucket("s3", "a"), &bucket("s3aws", "a")), [""; 0]);
    assert_eq!(changes(&bucket("s3", "a"), &bucket("s3aws", "b")), ["storage.s3aws.bucket"]);
    let found = changes("storage: inmemory", &bucket("s3", "a"));
    assert_eq!(found, ["storage.inmemory", "storage.s3.bucket"]);
}

#[test]
fn what_says_the_same_in_other_words_does_not_change_and_keys_that_do_nothing_are_passed_over() {
    for (before, now) in [
        (
            "storage: {inmemory: {}, delete: {enabled: yes}}",
            "storage: {delete: {enabled: true}, inmemory: {}}",
        ),
        ("storage: inmemory\nlog: {level: }", "storage: inmemory"),
        (
            "storage: inmemory\nlog: {fields: {a: b, c: d}}",
            "storage: inmemory\nlog: {fields: {c: d, a: b}}",
        ),
        ("storage: inmemory\nredis: {addr: x}", "storage: inmemory\nunknown: 1"),
    ] {
        assert_eq!(changes(before, now), [""; 0], "{before:?} {now:?}");
    }
}
