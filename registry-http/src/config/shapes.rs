//! What each key that is in force holds, and what it is if nothing is said: the table behind `config check` and
//! `config schema`. That it agrees with the types that read the keys is what its tests are for.

use registry_store::backend::s3::{LARGEST_PUT, SMALLEST_PART};

use super::s3::{ACLS, STORAGE_CLASSES};
use crate::endpoint::FREE;

/// What can stand at a key. Nothing at all may stand at any: then it is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `0.1`, in quotes or without.
    Version,
    /// A boolean of YAML, without quotes.
    Boolean,
    /// The same, or a word for it in quotes.
    Switch,
    /// A whole number from this one on, without quotes.
    Integer(i64),
    /// The same, between these, or one in quotes.
    Number(u64, u64),
    /// Any single value, shown as it is.
    Text,
    /// One that is not empty, and has to be there.
    Needed,
    /// One that is like this regular expression, and what else than a string it may be.
    Like(&'static str, Else),
    /// The path of a file or a directory, and not what stands in it.
    Path(Least),
    /// A list of them.
    Paths,
    /// An address and a port, or nothing.
    Address,
    /// The same, or where `net` is `unix` the path of a socket.
    Listening,
    /// Any single value, never shown.
    Secret,
    /// A span of time as Go writes it.
    Duration,
    /// The same, and longer than none.
    Span,
    /// One of these words, in upper or lower case.
    Word(&'static [&'static str]),
    /// One of these words, as it stands here, or an empty string.
    Exact(&'static [&'static str]),
    /// A list of such words, of which none is empty.
    Exacts(&'static [&'static str]),
    /// A list of names of cipher suites.
    Suites,
    /// A section of single values, under any names.
    Fields,
    /// A section of lists of single values, under any names.
    Headers,
    /// A single value, or a list of sections; all of it is shown.
    TextOrSections,
    /// A section that says all by being there.
    Choice,
    /// A list of sections, of which these keys are shown.
    Sections(&'static [&'static str]),
}

/// What a text may be in YAML besides a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Else {
    /// Nothing.
    Nothing,
    /// Any single value.
    Single,
}

/// The least that a path may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// An empty string says nothing.
    Empty,
    /// An empty string is none.
    Something,
    /// And it has to be there.
    There,
}

/// What holds if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// This value. Said in so many words it changes nothing.
    Value(&'static str),
    /// With a file Distribution's value, and the other without one.
    WithFile(&'static str, &'static str),
    /// Something that is best described.
    Told(&'static str),
    /// Nothing, of which there is nothing to tell.
    Nothing,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    /// As in `storage.delete.enabled`.
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) otherwise: Otherwise,
}

const fn row(key: &'static str, shape: Shape, otherwise: Otherwise) -> Described {
    Described { key, shape, otherwise }
}

use Otherwise::{Nothing, Told, Value, WithFile};
use Shape::{
    Address, Boolean, Choice, Duration, Exact, Exacts, Fields, Headers, Integer, Like, Listening,
    Needed, Number, Path, Paths, Secret, Sections, Span, Suites, Switch, Text, TextOrSections,
    Version, Word,
};

const LEVELS: &[&str] = &["error", "warn", "info", "debug"];
const CLIENTS: &[&str] = &[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
];
const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS384", "HS512",
];

/// What `http.prefix` may be, as `http.rs` has it: no two slashes at its beginning, and no points to go up by.
const PREFIX: Shape = Like(r#"^(/(?!\.{1,2}(/|$))[!$-.0-;=@-\[\]_a-z~]+)*/*$"#, Else::Nothing);
const HOST: Shape = Like(
    r#"^([^:]*|https?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/(?!\.{1,2}(/|$))[!$-.0-;=@-\[\]_a-z~]+)*/*)$"#,
    Else::Single,
);
const MODE: Shape = Like("^((0o)?0*[0-7]{1,3})?$", Else::Single);
const REDIRECT: Shape = Like(r"^(/[!$->@-\[\]-~]*)?$", Else::Nothing);
const METRICS: Shape = Like("^(/(?!debug/)[^\\n]*)?$", Else::Nothing);
const TOKENS: Shape = Like(FREE, Else::Nothing);
const ANY: Shape = Integer(i64::MIN);

const ENDPOINT: &[&str] = &[
    "name",
    "disabled",
    "timeout",
    "threshold",
    "backoff",
    "ignoredmediatypes",
    "ignore",
    "envelope",
];
const RULE: &[&str] = &["who", "where", "may"];
const FILE_CHECK: &[&str] = &["file", "interval"];
// Its address and headers may hold passwords.
const HTTP_CHECK: &[&str] = &["statuscode", "timeout", "interval", "threshold"];
const TCP_CHECK: &[&str] = &["addr", "timeout", "interval", "threshold"];

/// The table, in the order in which `config check` prints it.
pub(super) const TABLE: &[Described] = &[
    row("version", Version, Value("0.1")),
    row("log.level", Word(LEVELS), Told("info")),
    row("loglevel", Word(LEVELS), Nothing),
    row("log.formatter", Exact(&["text", "json", "logstash"]), Value("text")),
    row("log.fields", Fields, Value("{}")),
    row("log.accesslog.disabled", Boolean, WithFile("false", "true")),
    row(
        "storage.filesystem.rootdirectory",
        Path(Least::Something),
        WithFile("/var/lib/registry", "registry-data"),
    ),
    row("storage.filesystem.maxthreads", ANY, Nothing),
    row("storage.inmemory", Choice, Nothing),
    row("storage.s3.bucket", Needed, Nothing),
    row("storage.s3.region", Text, Told("(by the environment)")),
    row("storage.s3.regionendpoint", Text, Told("(AWS)")),
    row("storage.s3.redirectendpoint", Text, Told("(that of the registry)")),
    row("storage.s3.forcepathstyle", Switch, Told("(true if there is an endpoint)")),
    row("storage.s3.accesskey", Secret, Told("(by the environment)")),
    row("storage.s3.secretkey", Secret, Told("(by the environment)")),
    row("storage.s3.sessiontoken", Secret, Nothing),
    row("storage.s3.rootdirectory", Text, Value("\"\"")),
    row("storage.s3.secure", Switch, Value("true")),
    row("storage.s3.skipverify", Switch, Value("false")),
    row("storage.s3.v4auth", Switch, Value("true")),
    row("storage.s3.encrypt", Switch, Value("false")),
    row("storage.s3.keyid", Text, Nothing),
    row("storage.s3.storageclass", Exact(STORAGE_CLASSES), Told("(the bucket's)")),
    row("storage.s3.objectacl", Exact(ACLS), Told("(the bucket's)")),
    row("storage.s3.chunksize", Number(SMALLEST_PART, LARGEST_PUT), Value("10485760")),
    row("storage.s3.multipartcopythresholdsize", Number(0, LARGEST_PUT), Value("268435456")),
    row(
        "storage.s3.multipartcopychunksize",
        Number(SMALLEST_PART, LARGEST_PUT),
        Value("134217728"),
    ),
    row("storage.s3.multipartcopymaxconcurrency", Number(1, u32::MAX as u64), Value("16")),
    row("storage.s3.accelerate", Switch, Value("false")),
    row("storage.s3.usedualstack", Switch, Value("false")),
    row("storage.s3.usefipsendpoint", Switch, Value("false")),
    row("storage.delete.enabled", Boolean, WithFile("false", "true")),
    row("storage.redirect.disable", Boolean, Value("false")),
    row("storage.redirect.minimumsize", Integer(0), Value("65536")),
    row("storage.redirect.expiry", Duration, Value("6h")),
    row("storage.maintenance.uploadpurging.enabled", Boolean, Value("true")),
    row("storage.maintenance.uploadpurging.age", Span, Value("168h")),
    row("storage.maintenance.uploadpurging.interval", Span, Value("24h")),
    row("storage.maintenance.uploadpurging.dryrun", Boolean, Value("false")),
    row("storage.maintenance.readonly.enabled", Boolean, Value("false")),
    row("auth.none", Choice, Told("")),
    row("auth.htpasswd.path", Path(Least::There), Nothing),
    row("auth.htpasswd.realm", Needed, Nothing),
    row("auth.silly.realm", Needed, Nothing),
    row("auth.silly.service", Needed, Nothing),
    row("auth.token.realm", Needed, Nothing),
    row("auth.token.service", Needed, Nothing),
    row("auth.token.issuer", Needed, Nothing),
    row("auth.token.rootcertbundle", Path(Least::Empty), Told("(none)")),
    row("auth.token.jwks", Path(Least::Empty), Told("(none)")),
    row("auth.token.signingalgorithms", Exacts(ALGORITHMS), Told("(all but HS)")),
    row("auth.token.autoredirect", Boolean, Value("false")),
    row("auth.token.autoredirectpath", REDIRECT, Value("/auth/token")),
    row("access.anonymous", TextOrSections, Told("(may do nothing, where there is `access`)")),
    row("access.rules", Sections(RULE), Value("[]")),
    row("access.certificates", Boolean, Value("false")),
    row("access.tokens.key", Path(Least::There), Told("(no token service)")),
    row("access.tokens.issuer", Text, Value("registry")),
    row("access.tokens.service", Text, Value("registry")),
    row("access.tokens.path", TOKENS, Value("/token")),
    row("access.tokens.realm", Text, Told("(made of each request)")),
    row("access.tokens.lifetime", Duration, Value("5m")),
    row("access.tokens.refreshlifetime", Duration, Value("720h")),
    row("http.addr", Listening, Told("127.0.0.1:5000")),
    row("http.net", Exact(&["tcp", "unix"]), Value("tcp")),
    row("http.socketmode", MODE, Told("(by the umask)")),
    row("http.host", HOST, Value("\"\"")),
    row("http.prefix", PREFIX, Value("\"\"")),
    row("http.relativeurls", Boolean, WithFile("false", "true")),
    row("http.secret", Secret, Told("(none)")),
    row("http.headers", Headers, Value("{}")),
    row("http.draintimeout", Duration, Told("(as long as requests take)")),
    row("http.http2.disabled", Boolean, Value("false")),
    row("http.h2c.enabled", Boolean, Value("true")),
    row("http.tls.certificate", Path(Least::Empty), Told("(none)")),
    row("http.tls.key", Path(Least::Empty), Told("(none)")),
    row("http.tls.minimumtls", Exact(&["tls1.2", "tls1.3"]), Value("tls1.2")),
    row("http.tls.ciphersuites", Suites, Told("(all that are safe)")),
    row("http.tls.clientcas", Paths, Value("[]")),
    row(
        "http.tls.clientauth",
        Exact(CLIENTS),
        Told("(require-and-verify-client-cert if there are clientcas)"),
    ),
    row("http.debug.addr", Address, Told("(none)")),
    row("http.debug.prometheus.enabled", Boolean, Value("false")),
    row("http.debug.prometheus.path", METRICS, Value("/metrics")),
    row("health.storagedriver.enabled", Boolean, Value("false")),
    row("health.storagedriver.interval", Duration, Value("10s")),
    row("health.storagedriver.threshold", ANY, Value("0")),
    row("health.file", Sections(FILE_CHECK), Value("[]")),
    row("health.http", Sections(HTTP_CHECK), Value("[]")),
    row("health.tcp", Sections(TCP_CHECK), Value("[]")),
    row("registryctl.addr", Address, Told("(none)")),
    row("registryctl.secretfile", Path(Least::Empty), Told("(the variable JOBSERVICE_SECRET)")),
    row("notifications.endpoints", Sections(ENDPOINT), Value("[]")),
    row("notifications.events.includereferences", Boolean, Value("false")),
    row("notifications.queue.directory", Path(Least::Empty), Told("(by where the data is)")),
    row("notifications.queue.maxbytes", Integer(1), Value("33554432")),
    row("notifications.queue.maxevents", Integer(1), Value("50000")),
    row("catalog.maxentries", ANY, Value("1000")),
    row("tags.maxtags", ANY, Value("1000")),
];
