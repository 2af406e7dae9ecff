//! What is wrong with a configuration is one line: where it stands, which key, what was expected and what found.

use super::{read, read_variables, refuses, summary};
use crate::config::keys::{self, Fate};

const GOOD: &str = "version: 0.1\nstorage: {filesystem: {}}\n";

#[test]
fn a_mistake_is_told_with_its_place() {
    for (more, line) in [
        (
            "storage: {}",
            "c.yml:3: storage: expected the key once in its section, found it at c.yml:2 too",
        ),
        ("http: :5000", "c.yml:3: http: expected a section, found a single value"),
        (
            "http: {addr: 5000}",
            "c.yml:3: http.addr: expected an address and a port, such as :5000 or 127.0.0.1:5000, found `5000`",
        ),
        ("http: {addr: [a]}", "c.yml:3: http.addr: expected a single value, found a list"),
        (
            "http: {prefix: registry}",
            "c.yml:3: http.prefix: expected a path such as /registry/, found `registry`",
        ),
        (
            "http: {host: 'a b:5000'}",
            "c.yml:3: http.host: expected an address such as https://registry.example.com, found another form",
        ),
        (
            "http: {host: 'https://u:hunter2@x'}",
            "c.yml:3: http.host: expected an address such as https://registry.example.com, found another form",
        ),
        (
            "http: {relativeurls: 'true'}",
            "c.yml:3: http.relativeurls: expected true or false, without quotes, found the string \"true\"",
        ),
        (
            "http: {secret: {a: hunter2}}",
            "c.yml:3: http.secret: expected a single value, found a section",
        ),
        (
            "http: {net: unix}",
            "c.yml:3: http.net: expected the path of a socket in http.addr, found none",
        ),
        (
            "log:\n  level: loud",
            "c.yml:4: log.level: expected error, warn, info or debug, found `loud`",
        ),
        (
            "loglevel: warning",
            "c.yml:3: loglevel: expected error, warn, info or debug, found `warning`",
        ),
        (
            "catalog: {maxentries: many}",
            "c.yml:3: catalog.maxentries: expected a whole number, found `many`",
        ),
        ("tags: {maxtags: 1.5}", "c.yml:3: tags.maxtags: expected a whole number, found `1.5`"),
        (
            "proxy: {remoteurl: 'https://u:hunter2@x'}",
            "c.yml:3: proxy.remoteurl: refused, because it is no pull-through cache yet: it would serve what it has, and take pushes",
        ),
        ("proxy: https://x", "c.yml:3: proxy: expected a section, found a single value"),
        (
            "middleware: {storage: [{name: cloudfront}]}",
            "c.yml:3: middleware.storage: refused, because there is no middleware: what it guards or changes would be served as it is",
        ),
        (
            "validation: {manifests: {urls: {deny: [x]}}}",
            "c.yml:3: validation.manifests.urls.deny: refused, because the URLs of layers are not looked at: any could be pushed",
        ),
        (
            "validation: {enabled: true, disabled: true, manifests: {urls: {allow: [x]}}}",
            "c.yml:3: validation.manifests.urls.allow: refused, because the URLs of layers are not looked at: any could be pushed",
        ),
        (
            "policy: {repository: {classes: [image]}}",
            "c.yml:3: policy.repository.classes: refused, because classes of repositories are not told apart: every kind could be pushed",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /x}}}",
            "c.yml:3: http.tls.letsencrypt.cachefile: refused, because certificates are not fetched from Let's Encrypt: expected http.tls.certificate and key, files that another program may renew while it serves",
        ),
        (
            "http: {tls: {clientcas: [/x]}}",
            "c.yml:3: http.tls.clientcas: refused, because there is no TLS without http.tls.certificate: anybody could connect",
        ),
        (
            "auth: htpasswd",
            "c.yml:3: auth.htpasswd.realm: expected text, without which nobody can be let in, found none",
        ),
        (
            "auth: {silly:}",
            "c.yml:3: auth.silly.realm: expected text, without which nobody can be let in, found none",
        ),
        ("auth: [htpasswd]", "c.yml:3: auth: expected a section, found a list"),
        (
            "auth: {htpasswd: {realm: r, path: ''}}",
            "c.yml:3: auth.htpasswd.path: expected text, without which nobody can be let in, found none",
        ),
        (
            "auth: {ldap: {realm: r}}",
            "c.yml:3: auth.ldap: refused, because there is no such kind of authentication here: expected htpasswd, token, \
             silly or none",
        ),
        (
            "auth:\n  htpasswd: {realm: r, path: p}\n  silly: {realm: r, service: s}",
            "c.yml:5: auth: expected exactly one kind, htpasswd, token or silly, found both `htpasswd` (c.yml:4) and `silly`",
        ),
        (
            "auth: {none: {}, htpasswd: {realm: r, path: p}}",
            "c.yml:3: auth: expected exactly one kind, htpasswd, token or silly, found both `none` (c.yml:3) and `htpasswd`",
        ),
        (
            "auth: {token: {realm: r, service: s, issuer: i}}",
            "c.yml:3: auth.token.rootcertbundle: expected the path of a file of certificates, or one of keys as `jwks`, \
             found neither",
        ),
        (
            "auth: {token: {realm: r, service: s, issuer: i, jwks: j, autoredirectpath: x}}",
            "c.yml:3: auth.token.autoredirectpath: expected a path such as /auth/token, found `x`",
        ),
        (
            "auth: {token: {realm: r, service: s, issuer: i, jwks: j, signingalgorithms: [ES256, none]}}",
            "c.yml:3: auth.token.signingalgorithms: expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
             ES384, ES512, EdDSA, HS256, HS384, HS512, found `none`",
        ),
    ] {
        refuses(&format!("{GOOD}{more}\n"), &[], line);
    }
}

#[test]
fn a_mistake_in_what_is_stored_where_is_told_with_its_place() {
    for (storage, line) in [
        (
            "",
            "c.yml:2: storage: expected exactly one storage driver, filesystem, inmemory or s3, found none",
        ),
        (
            " {filesytem: {}}",
            "c.yml:2: storage: expected exactly one storage driver, filesystem, inmemory or s3, found none",
        ),
        (
            " {filesystem: , inmemory: }",
            "c.yml:2: storage: expected exactly one storage driver, filesystem, inmemory or s3, found both `filesystem` (c.yml:2) and `inmemory`",
        ),
        (
            " {gcs: {bucket: b}}",
            "c.yml:2: storage.gcs: refused, because there is no such storage driver here: expected filesystem, inmemory or s3",
        ),
        (
            " azure",
            "c.yml:2: storage.azure: refused, because there is no such storage driver here: expected filesystem, inmemory or s3",
        ),
        (
            " {filesystem: {rootdirectory: ''}}",
            "c.yml:2: storage.filesystem.rootdirectory: expected the path of a directory, found an empty one",
        ),
        (
            " {filesystem: /data}",
            "c.yml:2: storage.filesystem: expected a section, found a single value",
        ),
        (
            " {filesystem: {maxthreads: few}}",
            "c.yml:2: storage.filesystem.maxthreads: expected a whole number, found `few`",
        ),
        (
            " {filesystem: , delete: {enabled: 'true'}}",
            "c.yml:2: storage.delete.enabled: expected true or false, without quotes, found the string \"true\"",
        ),
        (
            " {filesystem: , delete: true}",
            "c.yml:2: storage.delete: expected a section, found a single value",
        ),
        (
            " {filesystem: , redirect: {disable: 1}}",
            "c.yml:2: storage.redirect.disable: expected true or false, without quotes, found `1`",
        ),
        (
            " {filesystem: , redirect: {minimumsize: 64k}}",
            "c.yml:2: storage.redirect.minimumsize: expected a whole number, found `64k`",
        ),
        (
            " {filesystem: , redirect: {minimumsize: -1}}",
            "c.yml:2: storage.redirect.minimumsize: expected a number of bytes, found one below 0",
        ),
        (
            " {filesystem: , redirect: {expiry: 20}}",
            "c.yml:2: storage.redirect.expiry: expected a duration such as 168h, 10s or 1h30m, found `20`",
        ),
        (
            " {filesystem: , redirect: {expiry: 169h}}",
            "c.yml:2: storage.redirect.expiry: expected a duration from 1s to 168h, for which S3 signs, found another",
        ),
        (
            " {filesystem: , redirect: {expiry: 0s}}",
            "c.yml:2: storage.redirect.expiry: expected a duration from 1s to 168h, for which S3 signs, found another",
        ),
        (
            " {filesystem: , maintenance: {readonly: true}}",
            "c.yml:2: storage.maintenance.readonly: expected a section, found a single value",
        ),
        (
            " {filesystem: , maintenance: {readonly: {enabled: 'yes'}}}",
            "c.yml:2: storage.maintenance.readonly.enabled: expected true or false, without quotes, found the string \"yes\"",
        ),
        (
            " {filesystem: , maintenance: {uploadpurging: {age: 7d}}}",
            "c.yml:2: storage.maintenance.uploadpurging.age: expected a duration such as 168h, 10s or 1h30m, found `7d`",
        ),
        (
            " {filesystem: , maintenance: {uploadpurging: {interval: 0s}}}",
            "c.yml:2: storage.maintenance.uploadpurging.interval: expected more than no time at all, found 0",
        ),
    ] {
        refuses(&format!("version: 0.1\nstorage:{storage}\n"), &[], line);
    }
}

#[test]
fn a_configuration_says_of_which_version_it_is() {
    const EXPECTED: &str = "expected `version: 0.1`, which every configuration begins with, found";
    refuses("", &[], &format!("c.yml:1: version: {EXPECTED} none"));
    refuses("version:", &[], &format!("c.yml:1: version: {EXPECTED} none"));
    refuses("storage: filesystem", &[], &format!("c.yml:1: version: {EXPECTED} none"));
    refuses("version: 0.2", &[], &format!("c.yml:1: version: {EXPECTED} `0.2`"));
    refuses("version: 0.10", &[], &format!("c.yml:1: version: {EXPECTED} `0.10`"));
    refuses("just words", &[], "c.yml:1: expected a section, found a single value");
}

#[test]
fn what_a_variable_says_is_told_by_its_name() {
    for (name, value, line) in [
        (
            "REGISTRY_AUTH",
            "htpasswd",
            "auth.htpasswd.realm: expected text, without which nobody can be let in, found none",
        ),
        (
            "REGISTRY_AUTH_HTPASSWD_PATH",
            "/hunter2",
            "auth.htpasswd.realm: expected text, without which nobody can be let in, found none",
        ),
        (
            "REGISTRY_AUTH_TOKEN_REALM",
            "x",
            "auth.token.service: expected text, without which nobody can be let in, found none",
        ),
        (
            "REGISTRY_HTTP_TLS_CERTIFICATE",
            "/x",
            "http.tls.certificate: expected http.tls.key with it, found none",
        ),
        (
            "REGISTRY_PROXY_REMOTEURL",
            "https://u:hunter2@x",
            "proxy.remoteurl: refused, because it is no pull-through cache yet: it would serve what it has, and take pushes",
        ),
        (
            "REGISTRY_PROXY",
            "https://u:hunter2@x",
            "proxy: expected a section, found a single value",
        ),
        (
            "REGISTRY_MIDDLEWARE_STORAGE_0_NAME",
            "redirect",
            "middleware.storage: refused, because there is no middleware: what it guards or changes would be served as it is",
        ),
        (
            "REGISTRY_STORAGE_GCS_BUCKET",
            "b",
            "storage.gcs: refused, because there is no such storage driver here: expected filesystem, inmemory or s3",
        ),
        (
            "REGISTRY_STORAGE_INMEMORY",
            "",
            "storage: expected exactly one storage driver, filesystem, inmemory or s3, found both `filesystem` (c.yml:2) and `inmemory`",
        ),
        (
            "REGISTRY_STORAGE_DELETE_ENABLED",
            "\"true\"",
            "storage.delete.enabled: expected true or false, without quotes, found another value",
        ),
        (
            "REGISTRY_HTTP_ADDR",
            "hunter",
            "http.addr: expected an address and a port, such as :5000 or 127.0.0.1:5000, found another value",
        ),
        (
            "REGISTRY_HTTP_SECRET",
            "{a: hunter2}",
            "http.secret: expected a single value, found a section",
        ),
    ] {
        refuses(GOOD, &[(name, value)], &format!("{name}: {line}"));
    }
}

#[test]
fn variables_win_over_the_file_and_both_are_remembered() {
    let text = format!("{GOOD}http: {{addr: ':1', secret: x}}\n");
    let variables = [
        ("REGISTRY_HTTP_ADDR", ":2"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data"),
        ("REGISTRY_HTTP_ADRR", "x"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:80"),
    ];
    let loaded = read(&text, &variables).unwrap();
    let summary = summary(&loaded);
    for word in ["addr=:2", "readonly=true", "driver=filesystem:/data", "secret=yes"] {
        assert!(summary.iter().any(|it| it == word), "{word}: {summary:?}");
    }
    let origin = |key| loaded.origin(key).map(ToString::to_string);
    assert_eq!(origin("http.addr").as_deref(), Some("REGISTRY_HTTP_ADDR"));
    assert_eq!(origin("http.secret").as_deref(), Some("c.yml:3"));
    assert_eq!(origin("http.prefix"), None);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "REGISTRY_PORT: passed over: it names no key of the configuration",
            "REGISTRY_HTTP_ADRR: http.adrr: passed over: there is no such key; is `addr` meant?",
        ]
    );
}

#[test]
fn without_a_file_what_no_variable_says_is_as_this_program_has_it() {
    let words = |variables: &[(&str, &str)]| summary(&read_variables(variables).unwrap()).join(" ");
    let defaults = words(&[]);
    for word in ["driver=-", "addr=-", "delete=true", "readonly=false", "locations=relative"] {
        assert!(defaults.contains(word), "{word}: {defaults}");
    }
    assert!(words(&[("REGISTRY_STORAGE_DELETE_ENABLED", "false")]).contains("delete=false"));
    assert!(words(&[("REGISTRY_STORAGE", "inmemory")]).contains("driver=memory"));
    let line = read_variables(&[("REGISTRY_AUTH", "htpasswd")]).unwrap_err().to_string();
    assert!(line.starts_with("REGISTRY_AUTH: auth.htpasswd.realm: expected"), "{line}");
}

#[test]
fn every_key_that_is_in_force_is_one_that_a_type_asks_for() {
    let in_force = keys::all().iter().filter(|row| row.fate == Fate::InForce);
    for row in
        in_force.filter(|row| !matches!(row.key, "version" | "auth.none" | "storage.inmemory"))
    {
        // No key of these takes what it is given, and each may come from a variable.
        let variable = format!("REGISTRY_{}", row.key.replace('.', "_").to_uppercase());
        let value = match row.key {
            "auth.token.signingalgorithms" => "{x: y}",
            "access.anonymous" | "access.rules" | "notifications.endpoints" => "x",
            _ => "[[x]]",
        };
        let problem = read(GOOD, &[(&variable, value)]).expect_err(row.key);
        assert_eq!(problem.key().trim_end_matches("[0]"), row.key, "{problem}");
    }
}

/// What would start a registry that is open, or loses uploads, where the configuration asks for neither.
#[test]
fn what_is_asked_of_access_or_of_uploads_is_never_passed_over() {
    let told =
        |text: &str, variables: &[(&str, &str)]| read(text, variables).expect_err(text).to_string();
    // A point in a name below `auth`.
    assert!(told(&format!("{GOOD}auth: ./htpasswd.txt\n"), &[]).contains("refused"));
    assert!(told(&format!("{GOOD}auth: {{token.v2: {{realm: x}}}}\n"), &[]).contains("refused"));
    assert!(told(GOOD, &[("REGISTRY_AUTH", "htpasswd.file")]).contains("refused"));
    // `<<` with something that is no section.
    for merged in ["htpasswd", "[htpasswd]", "[[{htpasswd: {}}]]"] {
        let line = told(&format!("{GOOD}auth: {{<<: {merged}}}\n"), &[]);
        assert!(line.contains("behind `<<`"), "{line}");
    }
    // A password where a name was expected.
    let line = told(GOOD, &[("REGISTRY_AUTH", "admin:hunter2")]);
    assert!(line.contains("refused") && !line.contains("hunter2"), "{line}");
    // A variable that was not filled in.
    for (section, name) in [
        ("auth: {htpasswd: {realm: r, path: p}}", "REGISTRY_AUTH"),
        ("http: {tls: {certificate: c, key: k}}", "REGISTRY_HTTP_TLS_CERTIFICATE"),
    ] {
        let line = told(&format!("{GOOD}{section}\n"), &[(name, " ")]);
        assert!(line.contains("empty variable"), "{line}");
    }
    let read_only = "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}";
    let read_only = format!("version: 0.1\n{read_only}\n");
    let name = "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED";
    assert!(told(&read_only, &[(name, "")]).contains("empty variable"));
    assert!(!read(&read_only, &[(name, "false")]).unwrap().configuration.storage.read_only);
    // A number of hours without its unit would be nanoseconds.
    let purging = "{uploadpurging: {enabled: true, age: 168, interval: 24h}}";
    let storage = format!("storage: {{inmemory: {{}}, maintenance: {purging}}}");
    assert!(told(&format!("version: 0.1\n{storage}\n"), &[]).contains("expected a duration"));
}

#[test]
fn the_version_is_the_file_s_alone() {
    let read = read(GOOD, &[("REGISTRY_VERSION", "2.8.3")]).unwrap();
    assert_eq!(read.warnings.len(), 1, "{:?}", read.warnings);
}

#[test]
fn a_value_that_may_be_a_secret_by_mistake_is_not_shown() {
    for (name, value) in [
        ("REGISTRY_HTTP_ADDR", "hunter2"),
        ("REGISTRY_HTTP_PREFIX", "hunter2"),
        ("REGISTRY_HTTP_NET", "hunter2"),
        ("REGISTRY_HTTP_SOCKETMODE", "hunter2"),
        ("REGISTRY_LOG_LEVEL", "hunter2"),
        ("REGISTRY_LOG_FORMATTER", "hunter2"),
        ("REGISTRY_CATALOG_MAXENTRIES", "hunter2"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "hunter2"),
        ("REGISTRY_STORAGE_REDIRECT_EXPIRY", "hunter2"),
        ("REGISTRY_HTTP_SECRET", "[hunter2"),
        ("REGISTRY_HTTP_SECRET", "%hunter2"),
    ] {
        let line = read(GOOD, &[(name, value)]).unwrap_err().to_string();
        assert!(line.starts_with(&format!("{name}: ")), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
        let is_yaml = value.starts_with('h');
        assert!(is_yaml || line.ends_with("it cannot be parsed"), "{line}");
    }
    let line = read(&format!("{GOOD}http: {{addr: 'https://u:hunter2@h'}}\n"), &[]).unwrap_err();
    assert!(!line.to_string().contains("hunter2"), "{line}");
}

#[test]
fn the_content_of_a_file_in_the_place_of_its_path_is_refused_and_not_shown() {
    let pem = "\"-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----\"";
    let htpasswd = "'ann:$2y$05$hunter2'";
    for (text, key) in [
        ("auth: {htpasswd: {realm: r, path: VALUE}}", "auth.htpasswd.path"),
        ("auth: {token: {realm: r, service: s, issuer: i, jwks: VALUE}}", "auth.token.jwks"),
        (
            "auth: {token: {realm: r, service: s, issuer: i, rootcertbundle: VALUE}}",
            "auth.token.rootcertbundle",
        ),
        ("http: {tls: {certificate: VALUE, key: k}}", "http.tls.certificate"),
        ("http: {tls: {certificate: c, key: VALUE}}", "http.tls.key"),
        ("http: {tls: {certificate: c, key: k, clientcas: [a, VALUE]}}", "http.tls.clientcas"),
        ("http: {net: unix, addr: VALUE}", "http.addr"),
        ("http: {addr: VALUE}", "http.addr"),
        ("health: {file: [{file: VALUE}]}", "health.file[0].file"),
        ("registryctl: {secretfile: VALUE}", "registryctl.secretfile"),
        ("notifications: {queue: {directory: VALUE}}", "notifications.queue.directory"),
    ] {
        for value in [pem, htpasswd, "'{\"keys\": \"hunter2\"}'", "\"hunter2\\t\""] {
            let text = format!("{GOOD}{}\n", text.replace("VALUE", value));
            let line = format!("c.yml:3: {key}: expected the path of a file, found its content");
            refuses(&text, &[], &line);
        }
    }
    let name = "REGISTRY_HTTP_TLS_KEY";
    let line = read(GOOD, &[(name, pem)]).unwrap_err().to_string();
    assert_eq!(
        line,
        format!("{name}: http.tls.key: expected the path of a file, found its content")
    );
    let text = format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {pem}}}}}\n");
    assert!(read(&text, &[]).unwrap_err().to_string().contains("found its content"));
}

#[test]
fn all_that_is_refused_is_told_at_once() {
    let text = format!(
        "{GOOD}proxy: {{remoteurl: 'https://a'}}\nmiddleware: {{storage: [{{name: x}}]}}\nhttp: x\nauth: {{ldap: {{}}}}\n"
    );
    let line = read(&text, &[]).unwrap_err().to_string();
    for part in [
        "c.yml:3: proxy.remoteurl: refused, ",
        "; c.yml:4: middleware.storage: refused, ",
        "; c.yml:5: http: expected a section",
        "; c.yml:6: auth.ldap: refused, ",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn an_address_of_the_configuration_leads_nowhere_else() {
    for prefix in ["//evil/", "/a//b", "/..", "/a/../b", "/./a", "a", "/a?b"] {
        let text = format!("{GOOD}http: {{prefix: '{prefix}'}}\n");
        let line = read(&text, &[]).unwrap_err().to_string();
        assert!(line.contains("http.prefix: expected a path"), "{prefix}: {line}");
    }
    for prefix in ["", "/", "/a", "/a/b/", "/a.b/..c"] {
        let text = format!("{GOOD}http: {{prefix: '{prefix}'}}\n");
        let found = read(&text, &[]).unwrap().configuration.http.prefix;
        assert_eq!(found, prefix.trim_end_matches('/'));
    }
    for host in [
        "https://h:99999",
        "https://a,b",
        "https://h:",
        "https://h//x",
        "https://h/../x",
        "https://",
    ] {
        let text = format!("{GOOD}http: {{host: '{host}'}}\n");
        let line = read(&text, &[]).unwrap_err().to_string();
        assert!(line.contains("http.host: expected an address"), "{host}: {line}");
    }
    for host in ["https://h:443", "http://[::1]:5000/", "https://h/x/y/"] {
        read(&format!("{GOOD}http: {{host: '{host}'}}\n"), &[]).unwrap();
    }
}
