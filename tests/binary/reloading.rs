//! The configuration, read again at SIGHUP: what is in force at once, what waits for a restart, and what changes nothing.

use std::fs;
use std::io::Write as _;

use registry_tests::plain_http::{answer, connect, request, send};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use serde_json::Value;

use crate::configuring::Place;
use crate::failures::says;
use crate::operating::beside;

const MEMORY: &str = "version: 0.1\nhttp: {addr: '127.0.0.1:0', debug: {addr: '127.0.0.1:0'}}\n";

/// A configuration in memory with these lines behind it.
fn place(more: &str) -> Place {
    Place::new(&format!("{MEMORY}{more}"))
}

/// Writes other lines in their place, and has them read. Returns the line of the log that says what came of it.
fn say(registry: &mut RegistryProcess, place: &Place, more: &str) -> String {
    fs::write(place.file(), format!("{MEMORY}{more}")).unwrap();
    read_again(registry)
}

fn read_again(registry: &mut RegistryProcess) -> String {
    registry.signal(Signal::HUP);
    registry.log_line("SIGHUP: configuration: ")
}

/// The same. Returns the keys that are said to need a restart.
fn waiting(registry: &mut RegistryProcess) -> String {
    registry.signal(Signal::HUP);
    let told = registry.log_line("after a restart: ");
    says(&told, &["WARN"]);
    registry.log_line("SIGHUP: configuration: ");
    told.rsplit("after a restart: ").next().unwrap().to_owned()
}

#[test]
fn the_level_of_the_log_changes_while_it_serves() {
    const STORAGE: &str = "storage: inmemory\n";
    let place = place(&format!("{STORAGE}log: {{level: info}}\n"));
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let ask = |registry: &RegistryProcess, name: &str| {
        let target = format!("/v2/{name}/tags/list");
        assert_eq!(request(registry.address(), "GET", &target).status, 404);
    };
    ask(&registry, "before");
    let told = say(&mut registry, &place, &format!("{STORAGE}log: {{level: debug}}\n"));
    says(&told, &["INFO", "in force: log.level"]);
    ask(&registry, "meanwhile");
    registry.log_line("/v2/meanwhile/tags/list");
    says(&say(&mut registry, &place, STORAGE), &["in force: log.level"]);
    ask(&registry, "behind");
    says(&read_again(&mut registry), &["nothing to put in force"]);
    registry.signal(Signal::TERM);
    let log = registry.ended();
    assert!(!log.contains("/v2/before/") && !log.contains("/v2/behind/"), "{log}");
}

#[test]
fn whether_anything_can_be_written_goes_by_what_was_said_last() {
    let storage = |enabled: &str| {
        format!("storage: {{inmemory: {{}}, maintenance: {{readonly: {{enabled: {enabled}}}}}}}\n")
    };
    let place = place(&storage("false"));
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let debug = beside(&mut registry, "the debug server");
    let begins = |registry: &RegistryProcess| {
        request(registry.address(), "POST", "/v2/app/blobs/uploads/").status
    };
    let order = |enabled: bool| {
        let order = format!("{{\"enabled\":{enabled}}}");
        send(debug, "POST", "/debug/readonly", "application/json", order.as_bytes()).status
    };
    assert_eq!(begins(&registry), 202);
    let told = say(&mut registry, &place, &storage("true"));
    says(&told, &["in force: storage.maintenance.readonly.enabled"]);
    assert_eq!(begins(&registry), 405);
    assert_eq!((order(false), begins(&registry)), (200, 202));
    // What is read again as it was says nothing new, so a SIGHUP for certificates undoes no order.
    says(&read_again(&mut registry), &["nothing to put in force"]);
    assert_eq!(begins(&registry), 202);
    assert_eq!((order(true), begins(&registry)), (200, 405));
    say(&mut registry, &place, &storage("false"));
    assert_eq!(begins(&registry), 202);
}

#[test]
fn what_was_opened_for_reading_waits_for_a_restart() {
    let readonly = "maintenance: {readonly: {enabled: true}}";
    let place = Place::usual();
    RegistryProcess::greeted(&mut place.serve());
    let text = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), text.replace("http:", &format!("  {readonly}\nhttp:"))).unwrap();
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    fs::write(place.file(), text).unwrap();
    assert_eq!(waiting(&mut registry), "storage.maintenance.readonly.enabled");
    assert_eq!(request(registry.address(), "POST", "/v2/app/blobs/uploads/").status, 405);
}

/// `ann` with the password `secret`, by libxcrypt.
const USERS: &str = "ann:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";
const ANN: &str = "Basic YW5uOnNlY3JldA==";

/// A configuration with `ann`, and this for `access`.
fn accounts(access: &str) -> String {
    format!(
        "storage: inmemory\nauth: {{htpasswd: {{realm: r, path: htpasswd}}}}\naccess:\n{access}"
    )
}

fn ask(registry: &RegistryProcess, target: &str, authorization: &str) -> (u16, Value) {
    let mut stream = connect(registry.address());
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: r\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let answer = answer(&mut stream, true);
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[test]
fn rules_are_replaced_as_a_whole_and_cut_what_tokens_let_do_that_were_made_before() {
    let one = |place: &str| {
        accounts(&format!(
            "  tokens: {{key: key.pem}}\n  rules:\n    - {{who: 'user:ann', where: {place}, may: R}}\n"
        ))
    };
    let place = place(&one("app"));
    fs::write(place.file().with_file_name("htpasswd"), USERS).unwrap();
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let fetch = |registry: &RegistryProcess| {
        let both = "/token?service=registry&scope=repository:app:pull%20repository:zoo:pull";
        let (status, answer) = ask(registry, both, ANN);
        assert_eq!(status, 200);
        (format!("Bearer {}", answer["token"].as_str().unwrap()), answer["scope"].clone())
    };
    // Neither is there, which only who may pull it is told.
    let statuses = |registry: &RegistryProcess, by: &str| {
        ["/v2/app/tags/list", "/v2/zoo/tags/list"].map(|target| ask(registry, target, by).0)
    };
    let (token, scope) = fetch(&registry);
    assert_eq!(scope, "repository:app:pull");
    assert_eq!((statuses(&registry, &token), statuses(&registry, ANN)), ([404, 403], [404, 403]));

    says(&say(&mut registry, &place, &one("zoo")), &["INFO", "in force: access.rules"]);
    // What the token does not hold the user has to fetch, and what it holds is allowed no more.
    assert_eq!((statuses(&registry, &token), statuses(&registry, ANN)), ([403, 401], [403, 404]));
    let (token, scope) = fetch(&registry);
    assert_eq!(scope, "repository:zoo:pull");
    assert_eq!(statuses(&registry, &token), [403, 404]);

    // A mistake in one rule leaves all of them as they were.
    let more = "    - {who: 'user:ann', where: app, may: RX}\n";
    let told = say(&mut registry, &place, &format!("{}{more}", one("app")));
    says(&told, &["ERROR", "what was in force stays", "config.yml:9: access.rules[1].may"]);
    assert_eq!(statuses(&registry, ANN), [403, 404]);

    // Without any of them everybody who is known could do everything: that is for a restart.
    let without = accounts("").replace("access:\n", "");
    fs::write(place.file(), format!("{MEMORY}{without}")).unwrap();
    assert_eq!(waiting(&mut registry), "access.rules, access.tokens.key");
    assert_eq!(statuses(&registry, ANN), [403, 404]);
    // So are rules about people who are known otherwise by then.
    let others = one("app").replace("path: htpasswd", "path: others");
    fs::write(place.file(), format!("{MEMORY}{others}")).unwrap();
    assert_eq!(waiting(&mut registry), "auth.htpasswd.path, access.rules");
    assert_eq!(statuses(&registry, ANN), [403, 404]);
    say(&mut registry, &place, &one("app"));
    assert_eq!(statuses(&registry, ANN), [404, 403]);
}

#[test]
fn keys_that_need_a_restart_are_named_in_one_line_and_secrets_are_not_shown() {
    let place = place("storage: inmemory\n");
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let more = "storage: {inmemory: {}, delete: {enabled: true}}\n\
                notifications: {endpoints: [{name: n, url: 'http://127.0.0.1:1/hunter2', \
                headers: {Authorization: [hunter2]}}]}\nloglevel: debug\n";
    let secret = MEMORY.replace("http: {", "http: {secret: hunter2, ");
    fs::write(place.file(), format!("{secret}{more}")).unwrap();
    let keys = "storage.delete.enabled, http.secret, notifications.endpoints";
    assert_eq!(waiting(&mut registry), keys);
    // They wait until there is a restart, whatever else changes.
    assert_eq!(waiting(&mut registry), keys);
    registry.signal(Signal::TERM);
    let log = registry.ended();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_file_that_cannot_be_read_or_understood_changes_nothing() {
    let readonly = "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}\n";
    let place = place("storage: inmemory\n");
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    for (more, parts) in [
        (format!("{readonly}log: {{level: loud}}\n"), "config.yml:4: log.level: expected error"),
        (format!("{readonly}log: [\n"), "config.yml:"),
        (format!("{readonly}middleware: {{registry: [{{name: x}}]}}\n"), "middleware"),
    ] {
        let told = say(&mut registry, &place, &more);
        says(&told, &["ERROR", "what was in force stays", parts]);
    }
    fs::remove_file(place.file()).unwrap();
    says(&read_again(&mut registry), &["ERROR", "cannot read the configuration"]);
    assert_eq!(request(registry.address(), "POST", "/v2/app/blobs/uploads/").status, 202);
    say(&mut registry, &place, readonly);
    assert_eq!(request(registry.address(), "POST", "/v2/app/blobs/uploads/").status, 405);
}

#[test]
fn variables_count_before_the_file_as_at_the_start() {
    let place = place("storage: inmemory\n");
    let mut command = place.serve();
    command.env("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "false");
    let mut registry = RegistryProcess::greeted(&mut command);
    let readonly = "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}\n";
    says(&say(&mut registry, &place, readonly), &["nothing to put in force"]);
    assert_eq!(request(registry.address(), "POST", "/v2/app/blobs/uploads/").status, 202);
}
