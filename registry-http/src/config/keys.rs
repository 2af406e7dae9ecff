//! Every key that Distribution knows, of 2.x and 3.x, and the few of our own, and what becomes of each here.

use super::nearest::nearest;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does what it says.
    InForce,
    /// It has no effect, which takes nothing from anybody: told of once. The text says what holds in its place.
    PassedOver(&'static str),
    /// Without it access would be wider, content less sure, or the mode another: the registry does not start. The
    /// text says what is missing.
    Refused(&'static str),
}

/// Which values of a key ask for nothing that is not so anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// None: that the key is there asks for something.
    Never,
    /// Nothing, an empty string, list or section, and these words.
    Values(&'static [&'static str]),
    /// A list each of whose elements says `disabled: true`, and an empty one.
    Disabled,
    /// As `Values(&[])`, or any if `validation` is switched off as a whole.
    Unvalidated,
    /// A section that says `enabled: false`, and an empty one.
    NotEnabled,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// As in `storage.delete.enabled`; `*` is any name. It covers all that lies below it, but for rows of their own.
    pub(super) key: &'static str,
    pub(super) fate: Fate,
    pub(super) idle: Idle,
}

const fn in_force(key: &'static str) -> Known {
    Known { key, fate: Fate::InForce, idle: Idle::Never }
}

const fn passed_over(key: &'static str, idle: Idle, instead: &'static str) -> Known {
    Known { key, fate: Fate::PassedOver(instead), idle }
}

const fn refused(key: &'static str, idle: Idle, missing: &'static str) -> Known {
    Known { key, fate: Fate::Refused(missing), idle }
}

const EMPTY: Idle = Idle::Values(&[]);
const NO_AUTH: &str =
    "there is no such kind of authentication here: expected htpasswd, token, silly or none";
const NO_ACME: &str = "certificates are not fetched from Let's Encrypt: expected http.tls.certificate and key, files that \
                       another program may renew while it serves";
const NO_DRIVER: &str = "there is no such storage driver here: expected filesystem, inmemory or s3";
const NO_MIDDLEWARE: &str =
    "there is no middleware: what it guards or changes would be served as it is";
const NO_URLS: &str = "the URLs of layers are not looked at: any could be pushed";

/// The table. A key that is implemented moves to `in_force`, and into a type beside this file.
const TABLE: &[Known] = &[
    in_force("version"),
    in_force("log.level"),
    in_force("loglevel"),
    in_force("log.formatter"),
    in_force("log.fields"),
    passed_over("log.hooks", Idle::Disabled, "nothing but the log is told of errors"),
    passed_over("log.reportcaller", Idle::Values(&["false"]), "the log names modules, not callers"),
    in_force("log.accesslog.disabled"),
    in_force("storage.filesystem.rootdirectory"),
    in_force("storage.filesystem.maxthreads"),
    in_force("storage.inmemory"),
    in_force("storage.s3.accelerate"),
    in_force("storage.s3.accesskey"),
    in_force("storage.s3.bucket"),
    in_force("storage.s3.chunksize"),
    in_force("storage.s3.encrypt"),
    in_force("storage.s3.forcepathstyle"),
    in_force("storage.s3.keyid"),
    passed_over(
        "storage.s3.loglevel",
        Idle::Values(&["off"]),
        "RUST_LOG chooses what is logged of the client, such as aws_smithy_runtime=debug,info",
    ),
    in_force("storage.s3.multipartcopychunksize"),
    in_force("storage.s3.multipartcopymaxconcurrency"),
    in_force("storage.s3.multipartcopythresholdsize"),
    in_force("storage.s3.objectacl"),
    in_force("storage.s3.redirectendpoint"),
    in_force("storage.s3.region"),
    in_force("storage.s3.regionendpoint"),
    in_force("storage.s3.rootdirectory"),
    in_force("storage.s3.secretkey"),
    in_force("storage.s3.secure"),
    in_force("storage.s3.sessiontoken"),
    in_force("storage.s3.skipverify"),
    in_force("storage.s3.storageclass"),
    in_force("storage.s3.usedualstack"),
    in_force("storage.s3.usefipsendpoint"),
    passed_over("storage.s3.useragent", EMPTY, "requests say that they come from AWS's SDK"),
    in_force("storage.s3.v4auth"),
    refused("storage.azure", Idle::Never, NO_DRIVER),
    refused("storage.gcs", Idle::Never, NO_DRIVER),
    refused("storage.oss", Idle::Never, NO_DRIVER),
    refused("storage.swift", Idle::Never, NO_DRIVER),
    in_force("storage.delete.enabled"),
    in_force("storage.redirect.disable"),
    // Ours.
    in_force("storage.redirect.minimumsize"),
    in_force("storage.redirect.expiry"),
    in_force("storage.maintenance.uploadpurging.enabled"),
    in_force("storage.maintenance.uploadpurging.age"),
    in_force("storage.maintenance.uploadpurging.interval"),
    in_force("storage.maintenance.uploadpurging.dryrun"),
    in_force("storage.maintenance.readonly.enabled"),
    passed_over("storage.cache", EMPTY, "nothing is cached: every answer is looked up"),
    passed_over("storage.tag", EMPTY, "tags are looked up with a bound of our own"),
    // `none` is a word that switches authentication off; every other name is a kind of it.
    in_force("auth.none"),
    in_force("auth.htpasswd.path"),
    in_force("auth.htpasswd.realm"),
    in_force("auth.silly.realm"),
    in_force("auth.silly.service"),
    in_force("auth.token.autoredirect"),
    in_force("auth.token.autoredirectpath"),
    in_force("auth.token.issuer"),
    in_force("auth.token.jwks"),
    in_force("auth.token.realm"),
    in_force("auth.token.rootcertbundle"),
    in_force("auth.token.service"),
    in_force("auth.token.signingalgorithms"),
    refused("auth.*", Idle::Never, NO_AUTH),
    // Ours.
    in_force("access.anonymous"),
    in_force("access.certificates"),
    in_force("access.rules"),
    in_force("access.tokens.issuer"),
    in_force("access.tokens.key"),
    in_force("access.tokens.lifetime"),
    in_force("access.tokens.path"),
    in_force("access.tokens.realm"),
    in_force("access.tokens.refreshlifetime"),
    in_force("access.tokens.service"),
    refused("middleware.*", Idle::Disabled, NO_MIDDLEWARE),
    in_force("http.addr"),
    in_force("http.net"),
    // Ours.
    in_force("http.socketmode"),
    in_force("http.prefix"),
    in_force("http.host"),
    in_force("http.secret"),
    in_force("http.relativeurls"),
    in_force("http.draintimeout"),
    in_force("http.tls.certificate"),
    in_force("http.tls.key"),
    in_force("http.tls.clientcas"),
    in_force("http.tls.clientauth"),
    in_force("http.tls.minimumtls"),
    in_force("http.tls.ciphersuites"),
    refused("http.tls.letsencrypt.*", EMPTY, NO_ACME),
    refused("http.letsencrypt", EMPTY, NO_ACME),
    in_force("http.headers"),
    in_force("http.http2.disabled"),
    in_force("http.h2c.enabled"),
    in_force("http.debug.addr"),
    in_force("http.debug.prometheus.enabled"),
    in_force("http.debug.prometheus.path"),
    in_force("notifications.endpoints"),
    in_force("notifications.events.includereferences"),
    // Ours.
    in_force("notifications.queue.directory"),
    in_force("notifications.queue.maxbytes"),
    in_force("notifications.queue.maxevents"),
    passed_over("redis", EMPTY, "nothing is cached"),
    in_force("health.storagedriver.enabled"),
    in_force("health.storagedriver.interval"),
    in_force("health.storagedriver.threshold"),
    in_force("health.file"),
    in_force("health.http"),
    in_force("health.tcp"),
    // Ours: what Harbor's collector asks of its registryctl.
    in_force("registryctl.addr"),
    in_force("registryctl.secretfile"),
    refused(
        "proxy.remoteurl",
        EMPTY,
        "it is no pull-through cache yet: it would serve what it has, and take pushes",
    ),
    // Without `remoteurl` they mean nothing to Distribution either.
    passed_over("proxy.*", EMPTY, "it is no pull-through cache"),
    in_force("catalog.maxentries"),
    in_force("tags.maxtags"),
    passed_over(
        "validation.disabled",
        Idle::Values(&["false"]),
        "what is pushed is always validated",
    ),
    passed_over(
        "validation.enabled",
        Idle::Values(&["true"]),
        "what is pushed is always validated",
    ),
    refused("validation.manifests.urls.allow", Idle::Unvalidated, NO_URLS),
    refused("validation.manifests.urls.deny", Idle::Unvalidated, NO_URLS),
    passed_over(
        "validation.manifests.indexes",
        EMPTY,
        "an index has to have all its images, as with `platforms: all`",
    ),
    refused(
        "policy.repository.classes",
        EMPTY,
        "classes of repositories are not told apart: every kind could be pushed",
    ),
    passed_over("compatibility", EMPTY, "manifests of schema 1 are not taken"),
    passed_over("reporting", EMPTY, "errors are reported to nobody"),
    passed_over("profiling", EMPTY, "there is no profiler"),
    // GitLab's fork keeps tags in a database and not where a registry looks for them.
    refused(
        "database",
        Idle::NotEnabled,
        "metadata is read from the storage alone: what the database has would be missing",
    ),
    passed_over("gc", EMPTY, "nothing is collected while it serves"),
];

/// Distribution's second name for a driver.
const ALIASES: &[(&str, &str)] = &[("storage.s3aws", "storage.s3")];

/// What a path of the configuration is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A row's own.
    Row(&'static Known),
    /// A section: there are rows below it.
    Section,
    /// Nothing that is known.
    Unknown,
}

/// What stands at a path, such as `["storage", "delete"]`. A name of the path counts before `*`.
pub(super) fn place(path: &[&str]) -> Place {
    // A name with a point in it is one name, which no row but `*` has: what stands below `auth` is refused by any.
    let path: Vec<String> = path.iter().map(|name| name.replace('.', "\0")).collect();
    let key = named(&path.join("."));
    let path: Vec<&str> = key.split('.').collect();
    let exact = TABLE.iter().find(|row| row.key == key);
    let is_named_section = || {
        let below =
            |row: &Known| row.key.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.'));
        TABLE.iter().any(below)
    };
    match exact {
        Some(row) => return Place::Row(row),
        None if is_named_section() => return Place::Section,
        None => {}
    }
    if let Some(row) = TABLE.iter().find(|row| begins(row.key, &path) == Some(0)) {
        return Place::Row(row);
    }
    let is_section = TABLE.iter().any(|row| begins(row.key, &path).is_some());
    if is_section { Place::Section } else { Place::Unknown }
}

/// Whether a name at the top of the configuration is known.
pub(super) fn is_section(name: &str) -> bool {
    !matches!(place(&[name]), Place::Unknown)
}

/// The key that was probably meant by the last name of a path whose others are known.
pub(super) fn meant(path: &[&str]) -> Option<&'static str> {
    let (last, section) = path.split_last()?;
    let section = named(&section.join("."));
    let names = TABLE.iter().filter_map(|row| {
        let below = match section.as_str() {
            "" => row.key,
            section => row.key.strip_prefix(section)?.strip_prefix('.')?,
        };
        below.split('.').next().filter(|name| *name != "*")
    });
    nearest(last, names)
}

/// Whether a path is that of a key that does what it says.
pub(super) fn is_in_force(path: &[&str]) -> bool {
    let is_exact = |row: &Known| row.key.split('.').count() == path.len();
    matches!(place(path), Place::Row(row) if row.fate == Fate::InForce && is_exact(row))
}

/// The rows.
pub(super) fn all() -> &'static [Known] {
    TABLE
}

/// A path by the names that the table has.
fn named(key: &str) -> String {
    let alias = ALIASES.iter().find_map(|(alias, name)| {
        let rest = key.strip_prefix(alias)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{name}{rest}"))
    });
    alias.unwrap_or_else(|| key.to_owned())
}

/// The other name of a key of the table, if it has one.
pub(super) fn second_name(key: &str) -> Option<String> {
    ALIASES.iter().find_map(|(alias, name)| {
        let rest = key.strip_prefix(name)?;
        rest.starts_with('.').then(|| format!("{alias}{rest}"))
    })
}

/// How many names `key` has behind `path`; none if it does not begin with it.
fn begins(key: &str, path: &[&str]) -> Option<usize> {
    let mut names = key.split('.');
    for name in path {
        let known = names.next()?;
        if known != *name && known != "*" {
            return None;
        }
    }
    Some(names.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(path: &[&str]) -> Option<Fate> {
        match place(path) {
            Place::Row(row) => Some(row.fate),
            Place::Section | Place::Unknown => None,
        }
    }

    #[test]
    fn a_key_stands_once_and_none_lies_below_another() {
        for (at, row) in TABLE.iter().enumerate() {
            for other in &TABLE[at + 1..] {
                assert_ne!(row.key, other.key);
                assert!(
                    !other.key.starts_with(&format!("{}.", row.key)),
                    "{} {}",
                    row.key,
                    other.key
                );
            }
        }
    }

    #[test]
    fn a_name_counts_before_a_star() {
        assert_eq!(fate(&["auth", "none"]), Some(Fate::InForce));
        assert!(matches!(place(&["auth", "htpasswd"]), Place::Section));
        assert_eq!(fate(&["auth", "htpasswd", "path"]), Some(Fate::InForce));
        assert!(matches!(fate(&["auth", "ldap"]), Some(Fate::Refused(_))));
        assert!(matches!(fate(&["proxy", "remoteurl"]), Some(Fate::Refused(_))));
        assert!(matches!(fate(&["proxy", "ttl"]), Some(Fate::PassedOver(_))));
    }

    #[test]
    fn sections_and_unknown_names_are_told_apart() {
        for path in [&["storage"][..], &["storage", "s3"], &["storage", "s3aws"], &["auth"]] {
            assert!(matches!(place(path), Place::Section), "{path:?}");
        }
        for path in [&["storages"][..], &["storage", "s4"], &["storage", "delete", "x"], &["htp"]] {
            assert!(matches!(place(path), Place::Unknown), "{path:?}");
        }
        assert!(matches!(place(&["storage.delete.enabled"]), Place::Unknown));
        assert_eq!(fate(&["storage", "s3aws", "bucket"]), Some(Fate::InForce));
    }

    #[test]
    fn the_nearest_name_of_the_same_section_is_meant() {
        assert_eq!(meant(&["storage", "filesytem"]), Some("filesystem"));
        assert_eq!(meant(&["storage", "s3aws", "buket"]), Some("bucket"));
        assert_eq!(meant(&["htpp"]), Some("http"));
        assert_eq!(meant(&["storage", "addr"]), None);
        assert_eq!(meant(&["auht"]), Some("auth"));
    }
}
