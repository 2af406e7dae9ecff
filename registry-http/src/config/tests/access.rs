//! `access`: who may do what.

use super::{read, refuses};
use crate::config::AccessControl;

const USERS: &str = "version: 0.1\nstorage: inmemory\nauth: {htpasswd: {realm: r, path: /p}}\n";

fn access(text: &str) -> Option<AccessControl> {
    read(&format!("{USERS}{text}\n"), &[]).unwrap().configuration.access
}

/// The rules, as words.
fn rules(text: &str) -> Vec<String> {
    let list = |items: Vec<String>| items.join("+");
    let access = access(text).unwrap();
    let rules = access.policy.rules().iter().map(|rule| {
        let who = list(rule.who.iter().map(ToString::to_string).collect());
        let places = list(rule.places.iter().map(ToString::to_string).collect());
        format!("{who} {places} {}", rule.may)
    });
    rules.collect()
}

#[test]
fn without_it_whoever_is_known_may_do_everything() {
    assert_eq!(access(""), None);
}

#[test]
fn rules_are_of_whom_where_and_what() {
    assert_eq!(rules("access: {anonymous: R}"), ["everybody ** R"]);
    assert_eq!(
        rules("access: {anonymous: [{where: public/**, may: R}, {where: [a, b], may: RS}]}"),
        ["everybody public/** R", "everybody a+b RS"]
    );
    let text = "access:\n  rules:\n  - {who: user:ann, where: app/**, may: RW}\n  - who: ['*', user:bob]\n    where: '**'\n    may: R";
    assert_eq!(rules(text), ["user:ann app/** RW", "*+user:bob ** R"]);
    assert_eq!(rules("access: {anonymous: , rules: }"), Vec::<String>::new());
}

#[test]
fn certificates_and_subjects_count_where_they_can_be_known() {
    let tokens = "version: 0.1\nstorage: inmemory\nauth: {token: {realm: r, service: s, issuer: i, jwks: /j}}\n";
    let subject = "access: {rules: [{who: subject:ci, where: '**', may: R}]}\n";
    assert!(read(&format!("{tokens}{subject}"), &[]).unwrap().configuration.access.is_some());
    refuses(
        &format!("{USERS}{subject}"),
        &[],
        "c.yml:4: access.rules[0].who: expected auth.token with such a rule, found none: it would mean nobody",
    );
}

#[test]
fn tokens_of_our_own_have_defaults_and_need_a_key() {
    let tokens = access("access: {anonymous: R, tokens: {key: /k}}").unwrap().tokens.unwrap();
    assert_eq!((tokens.issuer.as_str(), tokens.service.as_str()), ("registry", "registry"));
    assert_eq!((tokens.path.as_str(), tokens.realm), ("/token", None));
    assert_eq!((tokens.lifetime.as_secs(), tokens.refresh_lifetime.as_secs()), (300, 2_592_000));
    let text = "access: {anonymous: R, tokens: {key: /k, path: /auth/token, realm: 'https://r/t', lifetime: 1h, \
                refreshlifetime: 2h, issuer: i, service: s}}";
    let tokens = access(text).unwrap().tokens.unwrap();
    assert_eq!((tokens.issuer.as_str(), tokens.service.as_str()), ("i", "s"));
    assert_eq!(tokens.realm.as_deref(), Some("https://r/t"));
    assert_eq!((tokens.lifetime.as_secs(), tokens.refresh_lifetime.as_secs()), (3600, 7200));
}

#[test]
fn a_mistake_in_a_rule_is_told_with_its_line() {
    for (text, line) in [
        (
            "access:\n  rules:\n  - {who: user:ann, where: app, may: R}\n  - {who: user:ann, where: app, may: RX}",
            "c.yml:7: access.rules[1].may: expected letters of RWDSM (R pull, W push, D delete, S search, M manage), each \
             once, found `RX`",
        ),
        (
            "access:\n  rules:\n  - who: user:ann\n    where: [a, b*]\n    may: R",
            "c.yml:7: access.rules[0].where: expected the name of a repository, one with /** behind it for all that are \
             below, or ** for all, found `b*`",
        ),
        (
            "access: {rules: [{who: user:ann, were: a, may: R}]}",
            "c.yml:4: access.rules[0].were: expected who, where, may, found another key; is `where` meant?",
        ),
        (
            "access: {rules: [{who: user:ann, may: R}]}",
            "c.yml:4: access.rules[0].where: expected it, found none",
        ),
        (
            "access: {rules: [R]}",
            "c.yml:4: access.rules[0]: expected {who, where, may}, found a single value",
        ),
        (
            "access: {rules: R}",
            "c.yml:4: access.rules: expected a list of {who: …, where: …, may: …}, found a single value",
        ),
        (
            "access: {anonymous: {where: a}}",
            "c.yml:4: access.anonymous: expected letters such as R, or a list of {where: …, may: …}, found a section",
        ),
        (
            "access: {certificates: true, anonymous: R}",
            "c.yml:4: access.certificates: expected http.tls.clientcas with it, found none: no certificate could be \
             verified",
        ),
        (
            "access: {rules: [{who: 'certificate:CN=x', where: '**', may: R}]}",
            "c.yml:4: access.rules[0].who: expected access.certificates: true with such a rule, found none: it would mean \
             nobody",
        ),
        (
            "access: {anonymous: R, tokens: {}}",
            "c.yml:4: access.tokens.key: expected the path of a file for the private key, found none",
        ),
        (
            "access: {anonymous: R, tokens: {key: k, path: /v2/token}}",
            "c.yml:4: access.tokens.path: expected a path such as /token that is none of the API's, found another",
        ),
        (
            "access: {anonymous: R, tokens: {key: k, lifetime: 30s}}",
            "c.yml:4: access.tokens.lifetime: expected a minute at least, found less",
        ),
        (
            "access:\n  anonymous: R\n  tokens: {key: k, refreshlifetime: 9000h,\n    lifetime: 24h1s}",
            "c.yml:7: access.tokens.lifetime: expected 24 hours at most, found more",
        ),
        (
            "access: {anonymous: R, tokens: {key: k, realm: registry.example.com/token}}",
            "c.yml:4: access.tokens.realm: expected an address such as https://registry.example.com/token, found another form",
        ),
        (
            "access: {anonymous: R, certificates: true}\nhttp: {tls: {certificate: c, key: k, clientcas: [a], clientauth: \
             require-any-client-cert}}",
            "c.yml:4: access.certificates: expected http.tls.clientauth to be verify-client-cert-if-given or \
             require-and-verify-client-cert with it, found one by which no certificate is verified",
        ),
        (
            "access:\n  anonymous: R\n  rule: [{who: user:a, where: b, may: R}]",
            "c.yml:6: access.rule: refused, because there is no such key, and access could be wider than is meant; is \
             `rules` meant?",
        ),
        (
            "access: {anonymous: R,\n  tokens: {key: k, lifetimes: 1h}}",
            "c.yml:5: access.tokens.lifetimes: refused, because there is no such key, and access could be wider than is \
             meant; is `lifetime` meant?",
        ),
        (
            "access: {anonymous: R, deny: all}",
            "c.yml:4: access.deny: refused, because there is no such key, and access could be wider than is meant",
        ),
    ] {
        refuses(&format!("{USERS}{text}\n"), &[], line);
    }
    let of = |auth: &str, text: &str| {
        read(&format!("version: 0.1\nstorage: inmemory\n{auth}\n{text}\n"), &[])
    };
    for (auth, text) in [
        ("auth: {silly: {realm: r, service: s}}", "access: {anonymous: R}"),
        ("auth: none", "access: {anonymous: R, tokens: {key: k}}"),
        ("auth: none", "access: {rules: [{who: '*', where: '**', may: R}]}"),
    ] {
        assert!(of(auth, text).is_err(), "{auth} {text}");
    }
}

#[test]
fn rules_without_an_effect_are_told_of() {
    let warned = |text: &str| {
        let warnings = read(&format!("{USERS}{text}\n"), &[]).unwrap().warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warned("access: {}"), "c.yml:4: access: there is no rule: nobody may do anything");
    assert_eq!(warned("access: {rules: [{who: user:a, where: a/**, may: RS}]}"), "");
    let without = "W without R has no effect: who pushes asks to pull as well";
    for (rules, warning) in [
        ("[{who: user:a, where: b, may: W}]", format!("c.yml:5: access.rules[0].may: {without}")),
        (
            "\n  - {who: user:a, where: a, may: R}\n  - {who: [user:a, user:b], where: a, may: W}",
            format!("c.yml:7: access.rules[1].may: {without}"),
        ),
        ("[{who: user:a, where: b/c, may: W}, {who: '*', where: b/**, may: R}]", String::new()),
        (
            "[{who: user:a, where: b/**, may: W}, {who: 'user:*', where: '**', may: R}]",
            String::new(),
        ),
        (
            "[{who: user:a, where: b/**, may: W}, {who: user:a, where: b, may: R}]",
            format!("c.yml:5: access.rules[0].may: {without}"),
        ),
    ] {
        assert_eq!(warned(&format!("access:\n  rules: {rules}")), warning, "{rules}");
    }
}

#[test]
fn what_is_more_than_clients_know_or_anybody_means_for_everybody_is_told_of() {
    let warned = |text: &str| {
        let warnings = read(&format!("{USERS}{text}\n"), &[]).unwrap().warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let docker = "c.yml:4: access.anonymous: without access.tokens docker asks for a password before it pulls anything; \
                  skopeo and podman do not";
    let all = "c.yml:4: access.anonymous: W and D let everybody push and delete who can reach it, without saying who he is";
    assert_eq!(warned("access: {anonymous: R}"), [docker]);
    assert_eq!(warned("access: {anonymous: R, tokens: {key: k}}"), Vec::<String>::new());
    for may in ["RW", "RD"] {
        assert_eq!(warned(&format!("access: {{anonymous: {may}, tokens: {{key: k}}}}")), [all]);
    }
    let of_nobody = read("version: 0.1\nstorage: inmemory\naccess: {anonymous: R}\n", &[]).unwrap();
    assert!(of_nobody.warnings.is_empty());
}

#[test]
fn a_section_that_keeps_somebody_out_and_is_mistyped_keeps_it_from_starting() {
    for (name, meant) in [
        ("acces", "access"),
        ("acess", "access"),
        ("Access", "access"),
        ("accses", "access"),
        ("auht", "auth"),
        ("atuh", "auth"),
        ("AUTH", "auth"),
        ("htpp", "http"),
        ("https", "http"),
    ] {
        let told = format!(
            "{name}: refused, because there is no such key, and access could be wider than is meant; is `{meant}` meant?"
        );
        let text = format!("version: 0.1\nstorage: inmemory\n{name}: {{x: y}}\n");
        refuses(&text, &[], &format!("c.yml:3: {told}"));
        let variable = format!("REGISTRY_{}_X", name.to_uppercase());
        if !["access", "auth"].contains(&name.to_lowercase().as_str()) {
            let line = read("version: 0.1\nstorage: inmemory\n", &[(&variable, "y")]);
            assert_eq!(line.unwrap_err().to_string(), format!("{variable}: {told}"));
        }
    }
    // As Kubernetes has it in every container beside a service of that name.
    let service = [
        ("REGISTRY_HTTPS_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_HTTPS_PORT", "tcp://10.0.0.1:443"),
    ];
    assert_eq!(read("version: 0.1\nstorage: inmemory\n", &service).unwrap().warnings.len(), 2);
    assert!(read("version: 0.1\nstorage: inmemory\nx-common: {a: b}\n", &[]).is_ok());
}

#[test]
fn a_variable_that_was_not_filled_in_takes_no_rule_away() {
    let text = format!("{USERS}access: {{anonymous: R}}\n");
    let line = read(&text, &[("REGISTRY_ACCESS", "")]).unwrap_err().to_string();
    assert!(line.contains("empty variable"), "{line}");
}

#[test]
fn a_key_that_stands_in_the_place_of_its_path_is_refused_and_never_shown() {
    let of_line = "-----BEGIN PRIVATE KEY----- aHVudGVyMg== -----END PRIVATE KEY-----";
    let block =
        "|\n      -----BEGIN PRIVATE KEY-----\n      aHVudGVyMg==\n      -----END PRIVATE KEY-----";
    let quoted = format!("'{of_line}'");
    for value in [block, &quoted, of_line, "|\n      aHVudGVyMg==\n", r#""a\tb""#] {
        let text = format!("{USERS}access:\n  anonymous: R\n  tokens:\n    key: {value}\n");
        let line = read(&text, &[]).unwrap_err().to_string();
        let at = if value.starts_with('|') { 8 } else { 7 };
        let told = "access.tokens.key: expected the path of a file, found its content";
        assert_eq!(line, format!("c.yml:{at}: {told}"));
    }
    let text = format!("{USERS}access: {{anonymous: R, tokens: {{issuer: i}}}}\n");
    for value in [of_line.to_owned(), of_line.replace(' ', "\n")] {
        for variable in ["REGISTRY_ACCESS_TOKENS_KEY", "REGISTRY_ACCESS_TOKENS"] {
            let line = read(&text, &[(variable, &value)]).unwrap_err().to_string();
            assert!(!line.contains("BEGIN") && !line.contains("aHVudGVyMg"), "{line}");
        }
    }
}
