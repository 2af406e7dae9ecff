//! What each key that is in force holds, and what it is if nothing is said: the table behind `config check` and
//! `config schema`. That it agrees with the types that read the keys is what its tests are for.

/// What can stand at a key. Nothing at all may stand at any: then it is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `0.1`, in quotes or without.
    Version,
    /// A boolean of YAML, without quotes.
    Boolean,
    /// The same, or a word for it in quotes.
    Switch,
    /// A whole number, without quotes.
    Integer,
    /// The same, from 0, or one in quotes.
    Number,
    /// Any single value, shown as it is.
    Text,
    /// Any single value, never shown.
    Secret,
    /// A span of time as Go writes it.
    Duration,
    /// One of these words, in upper or lower case.
    Word(&'static [&'static str]),
    /// A list of single values.
    Texts,
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
    Boolean, Choice, Duration, Fields, Headers, Integer, Number, Secret, Sections, Switch, Text,
    TextOrSections, Texts, Version, Word,
};

const LEVELS: &[&str] = &["error", "warn", "info", "debug"];
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
    row("log.formatter", Text, Value("text")),
    row("log.fields", Fields, Value("{}")),
    row("log.accesslog.disabled", Boolean, WithFile("false", "true")),
    row("storage.filesystem.rootdirectory", Text, WithFile("/var/lib/registry", "registry-data")),
    row("storage.filesystem.maxthreads", Integer, Nothing),
    row("storage.inmemory", Choice, Nothing),
    row("storage.s3.bucket", Text, Nothing),
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
    row("storage.s3.storageclass", Text, Told("(the bucket's)")),
    row("storage.s3.objectacl", Text, Told("(the bucket's)")),
    row("storage.s3.chunksize", Number, Value("10485760")),
    row("storage.s3.multipartcopythresholdsize", Number, Value("268435456")),
    row("storage.s3.multipartcopychunksize", Number, Value("134217728")),
    row("storage.s3.multipartcopymaxconcurrency", Number, Value("16")),
    row("storage.s3.accelerate", Switch, Value("false")),
    row("storage.s3.usedualstack", Switch, Value("false")),
    row("storage.s3.usefipsendpoint", Switch, Value("false")),
    row("storage.delete.enabled", Boolean, WithFile("false", "true")),
    row("storage.redirect.disable", Boolean, Value("false")),
    row("storage.redirect.minimumsize", Integer, Value("65536")),
    row("storage.redirect.expiry", Duration, Value("6h")),
    row("storage.maintenance.uploadpurging.enabled", Boolean, Value("true")),
    row("storage.maintenance.uploadpurging.age", Duration, Value("168h")),
    row("storage.maintenance.uploadpurging.interval", Duration, Value("24h")),
    row("storage.maintenance.uploadpurging.dryrun", Boolean, Value("false")),
    row("storage.maintenance.readonly.enabled", Boolean, Value("false")),
    row("auth.none", Choice, Told("")),
    row("auth.htpasswd.path", Text, Nothing),
    row("auth.htpasswd.realm", Text, Nothing),
    row("auth.silly.realm", Text, Nothing),
    row("auth.silly.service", Text, Nothing),
    row("auth.token.realm", Text, Nothing),
    row("auth.token.service", Text, Nothing),
    row("auth.token.issuer", Text, Nothing),
    row("auth.token.rootcertbundle", Text, Told("(none)")),
    row("auth.token.jwks", Text, Told("(none)")),
    row("auth.token.signingalgorithms", Texts, Told("(all but HS)")),
    row("auth.token.autoredirect", Boolean, Value("false")),
    row("auth.token.autoredirectpath", Text, Value("/auth/token")),
    row("access.anonymous", TextOrSections, Told("(may do nothing, where there is `access`)")),
    row("access.rules", Sections(RULE), Value("[]")),
    row("access.certificates", Boolean, Value("false")),
    row("access.tokens.key", Text, Told("(no token service)")),
    row("access.tokens.issuer", Text, Value("registry")),
    row("access.tokens.service", Text, Value("registry")),
    row("access.tokens.path", Text, Value("/token")),
    row("access.tokens.realm", Text, Told("(made of each request)")),
    row("access.tokens.lifetime", Duration, Value("5m")),
    row("access.tokens.refreshlifetime", Duration, Value("720h")),
    row("http.addr", Text, Told("127.0.0.1:5000")),
    row("http.net", Text, Value("tcp")),
    row("http.socketmode", Text, Told("(by the umask)")),
    row("http.host", Text, Value("\"\"")),
    row("http.prefix", Text, Value("\"\"")),
    row("http.relativeurls", Boolean, WithFile("false", "true")),
    row("http.secret", Secret, Told("(none)")),
    row("http.headers", Headers, Value("{}")),
    row("http.draintimeout", Duration, Told("(as long as requests take)")),
    row("http.http2.disabled", Boolean, Value("false")),
    row("http.h2c.enabled", Boolean, Value("true")),
    row("http.tls.certificate", Text, Told("(none)")),
    row("http.tls.key", Text, Told("(none)")),
    row("http.tls.minimumtls", Text, Value("tls1.2")),
    row("http.tls.ciphersuites", Texts, Told("(all that are safe)")),
    row("http.tls.clientcas", Texts, Value("[]")),
    row(
        "http.tls.clientauth",
        Text,
        Told("(require-and-verify-client-cert if there are clientcas)"),
    ),
    row("http.debug.addr", Text, Told("(none)")),
    row("http.debug.prometheus.enabled", Boolean, Value("false")),
    row("http.debug.prometheus.path", Text, Value("/metrics")),
    row("health.storagedriver.enabled", Boolean, Value("false")),
    row("health.storagedriver.interval", Duration, Value("10s")),
    row("health.storagedriver.threshold", Integer, Value("0")),
    row("health.file", Sections(FILE_CHECK), Value("[]")),
    row("health.http", Sections(HTTP_CHECK), Value("[]")),
    row("health.tcp", Sections(TCP_CHECK), Value("[]")),
    row("registryctl.addr", Text, Told("(none)")),
    row("registryctl.secretfile", Text, Told("(the variable JOBSERVICE_SECRET)")),
    row("notifications.endpoints", Sections(ENDPOINT), Value("[]")),
    row("notifications.events.includereferences", Boolean, Value("false")),
    row("notifications.queue.directory", Text, Told("(by where the data is)")),
    row("notifications.queue.maxbytes", Integer, Value("33554432")),
    row("notifications.queue.maxevents", Integer, Value("50000")),
    row("catalog.maxentries", Integer, Value("1000")),
    row("tags.maxtags", Integer, Value("1000")),
];
