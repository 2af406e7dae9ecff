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

const MINIMAL: &str = "version: 0.1\nstorage: inmemory\n";

/// What it is told of a name that is refused.
fn mistyped(name: &str, meant: &str) -> String {
    format!(
        "{name}: refused, because there is no such key, and access could be wider than is meant; is `{meant}` meant?"
    )
}

#[test]
fn a_section_that_keeps_somebody_out_and_is_mistyped_keeps_it_from_starting() {
    for (name, meant, text) in [
        ("acces", "access", "{rules: []}"),
        ("acess", "access", "{anonymous: R}"),
        ("Access", "access", "{certificates: true}"),
        ("accses", "access", "{tokens: {key: k}}"),
        ("acces", "access", "{rule: [{who: x}]}"),
        ("auht", "auth", "{x: y}"),
        ("atuh", "auth", "htpasswd"),
        ("AUTH", "auth", "{htpasswd: {path: p}}"),
        ("htpp", "http", "{x: y}"),
        ("https", "http", "{tls: {clientcas: [c]}}"),
    ] {
        let text = format!("{MINIMAL}{name}: {text}\n");
        refuses(&text, &[], &format!("c.yml:3: {}", mistyped(name, meant)));
    }
    // A section that is there and protects nothing is not the one that is meant.
    for (text, name, meant) in [
        ("http: {addr: ':1'}\nhtpp: {tls: {clientcas: [c]}}", "htpp", "http"),
        ("auth:\nauht: {x: y}", "auht", "auth"),
        ("access: {}\nacces: {rules: []}", "acces", "access"),
    ] {
        refuses(&format!("{MINIMAL}{text}\n"), &[], &format!("c.yml:4: {}", mistyped(name, meant)));
    }
    let text = format!("{MINIMAL}htpp: {{addr: ':1', tls: {{clientcas: [c]}}}}\n");
    let line = format!("c.yml:3: {}", mistyped("htpp", "http"));
    refuses(&text, &[("REGISTRY_HTTP_ADDR", ":1")], &line);
}

#[test]
fn a_variable_of_such_a_section_that_is_mistyped_keeps_it_from_starting() {
    for (variable, value, name, meant) in [
        ("REGISTRY_ACCES_RULES", "[]", "acces", "access"),
        ("REGISTRY_ACCESSS_ANONYMOUS", "R", "accesss", "access"),
        ("REGISTRY_ACCES", "{rules: []}", "acces", "access"),
        ("REGISTRY_AUHT_HTPASSWD_PATH", "/p", "auht", "auth"),
        ("REGISTRY_AUHT", "htpasswd", "auht", "auth"),
        ("REGISTRY_AUTHS", "{token: {realm: r}}", "auths", "auth"),
        ("REGISTRY_HTPP_TLS_CLIENTCAS", "[c]", "htpp", "http"),
        ("REGISTRY_HTTPS_TLS_CERTIFICATE", "/c", "https", "http"),
    ] {
        for text in [MINIMAL, "version: 0.1\nstorage: inmemory\nhttp: {addr: ':1'}\n"] {
            let line = read(text, &[(variable, value)]).unwrap_err().to_string();
            assert_eq!(line, format!("{variable}: {}", mistyped(name, meant)));
        }
    }
    for (variable, value, meant) in [
        ("REGISTRY_ACCESS_RULE", "[{who: x}]", "; is `rules` meant?"),
        ("REGISTRY_ACCESS_RULE_0_WHO", "ci", "; is `rules` meant?"),
        ("REGISTRY_ACCESS_ANONYMUS", "R", "; is `anonymous` meant?"),
        ("REGISTRY_ACCESS_CERTIFICATE", "true", "; is `certificates` meant?"),
    ] {
        let line = read(MINIMAL, &[(variable, value)]).unwrap_err().to_string();
        assert!(
            line.starts_with(&format!("{variable}: access.")) && line.ends_with(meant),
            "{line}"
        );
    }
    // Where there is `access`, everything that is said of it counts, in whatever order.
    let own = ("REGISTRY_ACCESS_RULES", "[]");
    let foreign = ("REGISTRY_ACCESS_DENY", "x");
    let told = "REGISTRY_ACCESS_DENY: access.deny: refused, because there is no such key, and access could be wider than \
                is meant";
    refuses(MINIMAL, &[foreign, own], told);
    refuses(&format!("{USERS}access: {{anonymous: R}}\n"), &[foreign], told);
}

/// Whatever it is, Distribution passes it over, and nothing is taken away by that.
#[test]
fn what_only_looks_like_a_section_that_protects_is_told_of() {
    let warned = |text: &str, variables: &[(&str, &str)], name: &str| {
        let loaded =
            read(text, variables).unwrap_or_else(|it| panic!("{text} {variables:?}: {it}"));
        assert!(loaded.configuration.access.is_none(), "{text} {variables:?}");
        let mut warnings = loaded.warnings.iter().map(ToString::to_string);
        assert!(warnings.any(|it| it.contains(name) && it.contains("passed over")), "{name}");
    };
    for (text, name) in [
        ("x-auth: &auth {htpasswd: {realm: r, path: p}}\nauth: *auth", "x-auth"),
        ("x-auth: {htpasswd: {realm: r, path: p}}", "x-auth"),
        ("X-http: &http {addr: ':1'}\nhttp: *http", "X-http"),
        (".auth: {x: y}", ".auth"),
        ("_auth: {x: y}", "_auth"),
        ("x-common: {a: b}", "x-common"),
        // An anchor that is used, as a whole or in part.
        ("auths: &a {fields: {a: b}}\nlog: *a", "auths"),
        ("https: {log: &l {level: info}}\nlog: *l", "https"),
        // What is meant is there.
        ("auth: none\noauth: {client: c}", "oauth"),
        ("http: {addr: ':1'}\nhttps: {port: 443}", "https"),
        // No file of Distribution's can have meant `access`.
        ("accesslog: {disabled: true}", "accesslog"),
        ("access_log: off", "access_log"),
        ("acces:", "acces"),
        ("accesses: {token: hunter2, certificate: /c}", "accesses"),
    ] {
        warned(&format!("{MINIMAL}{text}\n"), &[], name);
    }
    for (variable, value) in [
        ("REGISTRY_ACCESSLOG_DISABLED", "true"),
        ("REGISTRY_HTTPS", "true"),
        ("REGISTRY_HTTPS_URL", "https://registry.example.com"),
        ("REGISTRY_HTTPS_ADDR", ":443"),
        ("REGISTRY_OAUTH_CLIENT", "c"),
        ("REGISTRY_AUTHZ_URL", "https://authz.example.com"),
        ("REGISTRY_AUTHZ", "[hunter2"),
        ("REGISTRY_ACCESS_TOKEN", "hunter2"),
        ("REGISTRY_ACCESS_TOKEN", "[hunter2"),
        ("REGISTRY_ACCESS_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_OAUTH_TOKEN", "hunter2"),
        ("REGISTRY_OAUTH_TOKEN_URL", "https://auth.example.com"),
        ("REGISTRY_OAUTH_TOKEN", ""),
        ("REGISTRY_HTTPS_TLS", "true"),
        ("REGISTRY_ACCESS_CERTIFICATE", "/c"),
        ("REGISTRY_ACCESS_KEY_ID", "k"),
        // As Kubernetes has it in every container beside a service of that name.
        ("REGISTRY_HTTPS_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_HTTPS_PORT", "tcp://10.0.0.1:443"),
        ("REGISTRY_AUTHZ_PORT_443_TCP_PROTO", "tcp"),
    ] {
        warned(MINIMAL, &[(variable, value)], variable);
    }
    // What is there protects, whatever else is said.
    let users = format!("{USERS}auht: {{htpasswd: {{realm: r, path: p}}}}\n");
    warned(&users, &[("REGISTRY_AUHT_HTPASSWD_PATH", "/p")], "REGISTRY_AUHT");
}

#[test]
fn a_variable_that_was_not_filled_in_takes_no_rule_away() {
    let text = format!("{USERS}access: {{anonymous: R}}\n");
    let line = read(&text, &[("REGISTRY_ACCESS", "")]).unwrap_err().to_string();
    assert!(line.contains("empty variable"), "{line}");
}

#[test]
fn a_variable_that_was_not_filled_in_makes_no_section() {
    for (variable, key) in
        [("REGISTRY_ACCESS", "access"), ("REGISTRY_ACCESS_TOKENS", "access.tokens")]
    {
        let loaded = read(USERS, &[(variable, " ")]).unwrap();
        assert!(loaded.configuration.access.is_none(), "{variable}");
        let told = "nothing is set: expected a value, found an empty variable";
        assert_eq!(
            loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!("{variable}: {key}: {told}")]
        );
    }
    // A kind of `auth` was meant, and there would be none.
    for variable in ["REGISTRY_AUTH_HTPASSWD", "REGISTRY_AUTH_TOKEN"] {
        assert!(read(MINIMAL, &[(variable, "")]).is_err(), "{variable}");
    }
    assert!(read(MINIMAL, &[("REGISTRY_AUTH", "")]).unwrap().configuration.access.is_none());
    // Nobody else has such a key, and whoever sets it wants rules: there are none.
    let loaded = read(USERS, &[("REGISTRY_ACCESS_RULES", "")]).unwrap();
    assert!(loaded.configuration.access.unwrap().policy.rules().is_empty());
    // Where a file says it, or a variable that there is to be nothing, there is no rule.
    for (text, variables) in [
        ("access:\n", &[][..]),
        ("", &[("REGISTRY_ACCESS", "null")]),
        ("access:\n", &[("REGISTRY_ACCESS", "")]),
    ] {
        let loaded = read(&format!("{USERS}{text}"), variables).unwrap();
        assert!(loaded.configuration.access.unwrap().policy.rules().is_empty());
    }
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
