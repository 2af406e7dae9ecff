//! `storage.s3`: what of it the backend is told, and what is wrong with it.

use std::time::Duration;

use registry_store::backend::s3::{Encryption, S3Options};

use super::{read, read_variables, refuses};
use crate::config::{Driver, Loaded};
use crate::options::Redirect;

const S3: &str = "version: 0.1\nstorage:\n  s3: {region: r, bucket: b";

fn loaded(more: &str) -> Loaded {
    read(&format!("{S3}{more}}}\n"), &[]).unwrap()
}

fn options_of(loaded: &Loaded) -> S3Options {
    match &loaded.configuration.storage.driver {
        Some(Driver::S3(s3)) => s3.options(),
        other => panic!("expected S3, found {other:?}"),
    }
}

fn options(more: &str) -> S3Options {
    let loaded = loaded(more);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    options_of(&loaded)
}

/// What has no effect, without its place.
fn told(more: &str) -> Vec<String> {
    let warnings = loaded(more).warnings.into_iter();
    warnings.map(|it| it.to_string().replace("c.yml:3: storage.s3.", "")).collect()
}

#[test]
fn what_is_not_said_is_as_the_backend_has_it() {
    let expected = S3Options { region: Some("r".into()), ..S3Options::new("b") };
    assert_eq!(format!("{:?}", options("")), format!("{expected:?}"));
    // So it is with what says nothing.
    let nothing = ", regionendpoint: '', accesskey: '', secretkey: '', objectacl: '', storageclass: '', keyid:, \
                   rootdirectory: /, chunksize:";
    assert_eq!(format!("{:?}", options(nothing)), format!("{expected:?}"));
}

#[test]
fn what_is_said_counts() {
    let given = options(
        ", chunksize: '0x500000', multipartcopychunksize: 33554432, multipartcopymaxconcurrency: '100', \
         multipartcopythresholdsize: 0, rootdirectory: /some/where/, storageclass: STANDARD_IA, \
         objectacl: private, accelerate: true, usedualstack: t, usefipsendpoint: yes",
    );
    assert_eq!((given.part_size, given.copy_part_size), (5 << 20, 32 << 20));
    assert_eq!((given.copy_concurrency, given.copy_threshold), (100, 0));
    assert_eq!(given.root, "some/where");
    assert_eq!(given.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(given.acl.as_deref(), Some("private"));
    assert!(given.accelerate && given.dual_stack && given.fips);
    assert_eq!(options(", storageclass: NONE").storage_class, None);
}

#[test]
fn keys_are_told_to_nobody_but_the_backend() {
    let loaded = loaded(", accesskey: hunter1, secretkey: hunter2, sessiontoken: hunter3");
    assert!(!format!("{loaded:?}").contains("hunter"), "{loaded:?}");
    let options = options_of(&loaded);
    let shown = format!("{options:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("hunter3"), "{shown}");
    let given = options.credentials.unwrap();
    assert_eq!((given.access_key.as_str(), given.secret_key.as_str()), ("hunter1", "hunter2"));
    assert_eq!(given.session_token.as_deref(), Some("hunter3"));
}

#[test]
fn an_endpoint_without_a_scheme_has_that_of_secure() {
    for (more, endpoint) in [
        (", regionendpoint: 'http://x:9000'", "http://x:9000"),
        (", regionendpoint: 'http://x:9000', secure: true", "http://x:9000"),
        (", regionendpoint: 'https://x/', secure: 'false'", "https://x"),
        (", regionendpoint: 'x:9000'", "https://x:9000"),
        (", regionendpoint: 'x:9000', secure: true", "https://x:9000"),
        (", regionendpoint: 'x:9000', secure: 'false'", "http://x:9000"),
        (", regionendpoint: '[::1]:9000', secure: off", "http://[::1]:9000"),
    ] {
        assert_eq!(options(more).endpoint.as_deref(), Some(endpoint), "{more}");
        let more = more.replace("region", "redirect");
        let more = format!(", regionendpoint: 'http://own'{more}");
        assert_eq!(options(&more).public_endpoint.as_deref(), Some(endpoint), "{more}");
    }
}

#[test]
fn the_bucket_is_in_the_path_if_there_is_an_endpoint_and_nothing_else_is_said() {
    for (more, path_style) in [
        ("", false),
        (", forcepathstyle: true", true),
        (", regionendpoint: x", true),
        (", redirectendpoint: x", true),
        (", regionendpoint: x, forcepathstyle: false", false),
        (", regionendpoint: x, forcepathstyle: 'true'", true),
    ] {
        assert_eq!(options(more).path_style, path_style, "{more}");
    }
}

#[test]
fn objects_are_encrypted_if_that_is_said_with_the_key_that_is_named() {
    for (more, encryption) in [
        (", encrypt: false", Encryption::Bucket),
        (", encrypt: true", Encryption::S3),
        (", encrypt: 'true', keyid: ''", Encryption::S3),
        (", encrypt: t, keyid: alias/k", Encryption::Kms("alias/k".into())),
    ] {
        assert_eq!(options(more).encryption, encryption, "{more}");
    }
    assert_eq!(options_of(&loaded(", keyid: k")).encryption, Encryption::Bucket);
    let line = "keyid: passed over, as in Distribution: it means something with `encrypt` only";
    assert_eq!(told(", keyid: k"), [line]);
}

#[test]
fn what_has_no_effect_is_told() {
    assert_eq!(
        told(", useragent: u, loglevel: debug, secure: false"),
        [
            "useragent: passed over: requests say that they come from AWS's SDK",
            "loglevel: passed over: RUST_LOG chooses what is logged of the client, such as \
             aws_smithy_runtime=debug,info",
            "secure: passed over: AWS is spoken to over TLS; a regionendpoint may be another",
        ]
    );
    assert_eq!(told(", useragent: '', loglevel: off, secure: true"), [""; 0]);
}

#[test]
fn what_would_make_it_less_safe_is_refused_unless_it_changes_nothing() {
    for value in ["true", "'true'", "1"] {
        refuses(
            &format!("{S3}, regionendpoint: x, skipverify: {value}}}\n"),
            &[],
            "c.yml:3: storage.s3.skipverify: refused, because who the server is is always looked at: expected false, \
             and a file with its authority's certificate in the variable SSL_CERT_FILE",
        );
    }
    refuses(
        &format!("{S3}}}\n"),
        &[("REGISTRY_STORAGE_S3_V4AUTH", "false")],
        "REGISTRY_STORAGE_S3_V4AUTH: storage.s3.v4auth: refused, because there are no signatures of version 2: expected \
         true, and a server that takes those of version 4",
    );
    for more in [
        ", skipverify: false, v4auth: true",
        // Without TLS there is nothing to look at.
        ", skipverify: true, regionendpoint: 'http://x'",
        ", skipverify: true, regionendpoint: x, secure: false",
    ] {
        options(more);
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let form = "expected a URL without a path, such as https://s3.example.com:9000, or the host and port of one, found \
                another form";
    for (more, line) in [
        ("chunksize: 1", "chunksize: expected a number from 5242880 to 5368709120, found 1"),
        ("chunksize: -1", "chunksize: expected a whole number, found `-1`"),
        (
            "multipartcopymaxconcurrency: 0",
            "multipartcopymaxconcurrency: expected a number from 1 to 4294967295, found 0",
        ),
        ("secure: maybe", "secure: expected true or false, found `maybe`"),
        ("accesskey: hunter2", "secretkey: expected one with the accesskey, found nothing"),
        ("secretkey: hunter2", "accesskey: expected one with the secretkey, found nothing"),
        (
            "objectacl: all",
            "objectacl: expected one of private, public-read, public-read-write, authenticated-read, aws-exec-read, \
             bucket-owner-read, bucket-owner-full-control, found `all`",
        ),
        ("regionendpoint: 'ftp://x'", &format!("regionendpoint: {form}")),
        ("regionendpoint: 'https://u:hunter2@x'", &format!("regionendpoint: {form}")),
        ("regionendpoint: 'https://x/bucket'", &format!("regionendpoint: {form}")),
        ("redirectendpoint: 'https://x?a=b'", &format!("redirectendpoint: {form}")),
    ] {
        refuses(&format!("{S3}, {more}}}\n"), &[], &format!("c.yml:3: storage.s3.{line}"));
    }
    refuses(
        "version: 0.1\nstorage: {s3aws: {region: r}}",
        &[],
        "c.yml:2: storage.s3aws.bucket: expected the name of a bucket, found nothing",
    );
}

#[test]
fn variables_alone_are_enough() {
    for variables in [
        &[("REGISTRY_STORAGE_S3_BUCKET", "b"), ("REGISTRY_STORAGE_S3_REGION", "r")][..],
        &[
            ("REGISTRY_STORAGE", "s3"),
            ("REGISTRY_STORAGE_S3_BUCKET", "b"),
            ("REGISTRY_STORAGE_S3_REGION", "r"),
        ],
        &[("REGISTRY_STORAGE_S3", "{bucket: b, region: r}")],
        &[("REGISTRY_STORAGE", "{s3: {bucket: b, region: r}}")],
        &[("REGISTRY_STORAGE_S3AWS_BUCKET", "b"), ("REGISTRY_STORAGE_S3AWS_REGION", "r")],
    ] {
        let loaded = read_variables(variables).unwrap();
        let given = options_of(&loaded);
        assert_eq!((given.bucket.as_str(), given.region.as_deref()), ("b", Some("r")));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn clients_are_sent_to_the_bucket_unless_that_is_switched_off() {
    let redirect = |text: &str| {
        let text = format!("{S3}}}\n  redirect: {text}\n");
        read(&text, &[]).unwrap().configuration.options().redirect
    };
    let defaults = Redirect::default();
    assert_eq!(loaded("").configuration.options().redirect, Some(defaults));
    assert_eq!(redirect("{disable: false}"), Some(defaults));
    assert_eq!(redirect("{disable: true}"), None);
    let said = Redirect { minimum_size: 0, expires_in: Duration::from_mins(20) };
    assert_eq!(redirect("{minimumsize: 0, expiry: 20m}"), Some(said));
    let longest = Redirect { expires_in: Redirect::LONGEST, ..defaults };
    assert_eq!(redirect("{expiry: 168h}"), Some(longest));
    // There is nowhere to send them to.
    let filesystem = read("version: 0.1\nstorage: {filesystem: }\n", &[]).unwrap();
    assert_eq!(filesystem.configuration.options().redirect, None);
}
