//! A bucket in place of a directory: from a configuration, from variables alone, and what does not start.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_tests::backends::{BUCKET, ServedBucket};
use registry_tests::documents::{descriptor_of, image, image_document, manifest};
use registry_tests::plain_http::{Answer, request, send};
use registry_tests::registry_process::RegistryProcess;
use registry_tests::s3::faults::Fault;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::{Credentials, Listing, S3Options};
use registry_tests::s3::server::S3Server;
use tempfile::TempDir;

use crate::configuring::Place;
use crate::failures::{failure, says};
use crate::listening::push;
use crate::operating::{address_in, figure};

/// More than is sent through the registry.
const LARGE: &[u8] = &[b'x'; 64 * 1024];

/// A configuration of `storage.s3`, with `more` in that section and the other lines behind it.
pub(crate) fn configuration(endpoint: &str, more: &str, lines: &str) -> Place {
    let Credentials { access_key, secret_key, .. } = Credentials::default();
    Place::new(&format!(
        "version: 0.1\n\
         http: {{addr: '127.0.0.1:0', relativeurls: true}}\n\
         storage:\n  \
           s3: {{bucket: {BUCKET}, region: us-east-1, regionendpoint: '{endpoint}', accesskey: '{access_key}', \
                 secretkey: '{secret_key}'{more}}}\n{lines}"
    ))
}

pub(crate) fn served() -> ServedBucket {
    ServedBucket::new(S3Options::default())
}

/// The same as a configuration, in variables.
fn say(command: &mut Command, endpoint: &str) {
    let Credentials { access_key, secret_key, .. } = Credentials::default();
    for (name, value) in [
        ("BUCKET", BUCKET),
        ("REGION", "us-east-1"),
        ("REGIONENDPOINT", endpoint),
        ("ACCESSKEY", &access_key),
        ("SECRETKEY", &secret_key),
    ] {
        command.env(format!("REGISTRY_STORAGE_S3_{name}"), value);
    }
}

fn blob(digest: &Digest) -> String {
    format!("/v2/kept/blobs/{digest}")
}

/// A pull as a client does it that goes where it is sent.
fn pull(registry: SocketAddr, path: &str) -> Answer {
    let answer = request(registry, "GET", path);
    if answer.status != 307 {
        return answer;
    }
    let location = answer.header("location").unwrap().strip_prefix("http://").unwrap();
    let (host, path) = location.split_at(location.find('/').unwrap());
    request(host.parse().unwrap(), "GET", path)
}

#[test]
fn what_is_pushed_is_kept_in_the_bucket_and_is_there_after_a_restart() {
    let bucket = served();
    let place = configuration(&bucket.server.endpoint(), ", rootdirectory: /some/where", "");
    let (small, large, pushed) = {
        let registry = RegistryProcess::greeted(&mut place.serve());
        let greeting = registry.greeting().lines().nth(1).unwrap();
        let expected = format!(
            "data in the bucket: {BUCKET} at {}, region us-east-1, below some/where/",
            bucket.server.endpoint()
        );
        assert_eq!(greeting, expected);
        let small = push(registry.address(), "kept", b"content");
        let large = push(registry.address(), "kept", LARGE);
        push(registry.address(), "kept", b"{}");
        let pushed = image(b"{}", &[LARGE]);
        let sent = send(
            registry.address(),
            "PUT",
            "/v2/kept/manifests/v1",
            pushed.media_type().as_str(),
            pushed.bytes(),
        );
        assert_eq!(sent.status, 201);
        // Deletion is off, as with Distribution.
        assert_eq!(request(registry.address(), "DELETE", &blob(&small)).status, 405);
        (small, large, pushed)
    };
    let object = format!("some/where/{}", layout::blob(&large));
    assert_eq!(bucket.s3.read(BUCKET, &object).unwrap(), LARGE);

    let registry = RegistryProcess::greeted(&mut place.serve());
    let get = |path: &str| request(registry.address(), "GET", path);
    assert_eq!(get("/v2/kept/manifests/v1").body, pushed.bytes().as_ref());
    assert_eq!(get(&blob(&small)).body, b"content");
    assert_eq!(get(&blob(&large)).status, 307);
    assert_eq!(pull(registry.address(), &blob(&large)).body, LARGE);
}

#[test]
fn variables_alone_are_enough() {
    let bucket = served();
    let place = Place::new("");
    let mut command = place.registry();
    say(&mut command, &bucket.server.endpoint());
    command.env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let registry = RegistryProcess::greeted(&mut command);
    let digest = push(registry.address(), "kept", LARGE);
    assert_eq!(pull(registry.address(), &blob(&digest)).body, LARGE);
    // As this program has it.
    assert_eq!(request(registry.address(), "DELETE", &blob(&digest)).status, 202);
    assert_eq!(request(registry.address(), "GET", &blob(&digest)).status, 404);
    assert!(!place.data().exists());
}

#[test]
fn variables_win_over_the_file() {
    let (bucket, other) = (served(), served());
    let place = configuration(&bucket.server.endpoint(), "", "");
    let mut command = place.serve();
    command.env("REGISTRY_STORAGE_S3_REGIONENDPOINT", other.server.endpoint());
    let registry = RegistryProcess::greeted(&mut command);
    push(registry.address(), "kept", b"content");
    assert!(bucket.s3.objects(BUCKET).is_empty() && !other.s3.objects(BUCKET).is_empty());
}

#[test]
fn clients_are_sent_where_the_configuration_says_if_at_all() {
    let bucket = served();
    let digest = push_to(&bucket, LARGE);
    let get = |more: &str, lines: &str| {
        let place = configuration(&bucket.server.endpoint(), more, lines);
        let registry = RegistryProcess::greeted(&mut place.serve());
        request(registry.address(), "GET", &blob(&digest))
    };
    let s3 = bucket.s3.clone();
    let public = registry_tests::aside::wait_for(async move { S3Server::start(&s3).await });
    let more = format!(", redirectendpoint: '{}', secure: false", public.address());
    let answer = get(&more, "  redirect: {expiry: 20m}\n");
    assert_eq!(answer.status, 307);
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(&public.endpoint()), "{location}");
    assert!(location.contains("X-Amz-Expires=1200"), "{location}");
    assert_eq!(get("", "  redirect: {disable: true}\n").body, LARGE);
    assert_eq!(get("", "  redirect: {minimumsize: 65537}\n").body, LARGE);
}

fn push_to(bucket: &ServedBucket, content: &[u8]) -> Digest {
    let place = configuration(&bucket.server.endpoint(), "", "");
    push(RegistryProcess::greeted(&mut place.serve()).address(), "kept", content)
}

#[test]
fn deletion_is_as_the_configuration_says() {
    let bucket = served();
    let lines = "  delete: {enabled: true}\n";
    let place = configuration(&bucket.server.endpoint(), "", lines);
    let registry = RegistryProcess::greeted(&mut place.serve());
    let digest = push(registry.address(), "kept", b"content");
    assert_eq!(request(registry.address(), "DELETE", &blob(&digest)).status, 202);
    assert_eq!(request(registry.address(), "GET", &blob(&digest)).status, 404);
}

#[test]
fn a_registry_that_is_read_only_writes_nothing() {
    let bucket = served();
    let digest = push_to(&bucket, b"content");
    let lines = "  maintenance: {readonly: {enabled: true}}\n";
    let by_file = configuration(&bucket.server.endpoint(), "", lines);
    let by_flag = configuration(&bucket.server.endpoint(), "", "");
    for command in [&mut by_file.serve(), by_flag.serve().arg("--read-only")] {
        bucket.s3.forget_requests();
        let registry = RegistryProcess::greeted(command);
        assert_eq!(pull(registry.address(), &blob(&digest)).body, b"content");
        assert_eq!(request(registry.address(), "POST", "/v2/kept/blobs/uploads/").status, 405);
        let reads = [Operation::HeadBucket, Operation::HeadObject, Operation::GetObject];
        let asked = bucket.s3.requests();
        let other = asked.iter().find(|request| !reads.contains(&request.operation));
        assert!(other.is_none(), "{other:?}");
    }
}

#[test]
fn what_was_said_of_objects_is_sent_with_them_and_nothing_else() {
    let bucket = served();
    push_to(&bucket, b"content");
    let kept = |name: &str| {
        let objects = bucket.s3.objects(BUCKET).into_values();
        let mut found: Vec<_> =
            objects.map(|object| object.attributes.get(name).cloned()).collect();
        found.dedup();
        found
    };
    for name in ["x-amz-acl", "x-amz-storage-class", "x-amz-server-side-encryption"] {
        assert_eq!(kept(name), [None], "{name}");
    }
    for object in bucket.s3.objects(BUCKET).into_keys() {
        bucket.s3.remove(BUCKET, &object);
    }
    let more = ", objectacl: private, storageclass: STANDARD_IA, encrypt: true, keyid: k";
    let place = configuration(&bucket.server.endpoint(), more, "");
    push(RegistryProcess::greeted(&mut place.serve()).address(), "kept", b"content");
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "k"),
    ] {
        assert_eq!(kept(name), [Some(value.to_owned())], "{name}");
    }
}

#[test]
fn referrers_that_distribution_stored_are_recorded_in_a_bucket_too() {
    let bucket = served();
    let subject = image(b"{}", &[]);
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    let signature = store(&bucket, "app", &manifest(&document));
    let place = configuration(&bucket.server.endpoint(), "", "");
    let mut by_file = place.registry();
    by_file.args(["referrers", "rebuild", "--config"]).arg(place.file());
    let mut by_variables = place.registry();
    say(by_variables.args(["referrers", "rebuild", "app"]), &bucket.server.endpoint());
    for (command, recorded) in [(&mut by_file, 1), (&mut by_variables, 0)] {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        let total = format!(
            "total: repositories: 1, manifests read: 1, referrers recorded: {recorded}, recorded already: {}",
            1 - recorded
        );
        assert!(said.lines().last().unwrap().starts_with(&total), "{said}");
    }
    let registry = RegistryProcess::greeted(&mut place.serve());
    let list = format!("/v2/app/referrers/{}", subject.digest(Algorithm::Sha256));
    let listed = request(registry.address(), "GET", &list);
    assert!(String::from_utf8(listed.body).unwrap().contains(&signature.to_string()));
}

/// Stores a manifest as Distribution does.
fn store(bucket: &ServedBucket, repository: &str, manifest: &Manifest) -> Digest {
    let keys = RepositoryLayout::new(&repository.parse().unwrap());
    let digest = manifest.digest(Algorithm::Sha256);
    bucket.s3.put(BUCKET, layout::blob(&digest).as_str(), manifest.bytes().to_vec());
    bucket.s3.put(BUCKET, keys.revision_link(&digest).as_str(), digest.to_string());
    digest
}

#[test]
fn a_bucket_that_cannot_be_had_is_one_line() {
    let bucket = served();
    let endpoint = bucket.server.endpoint();
    let place = configuration(&endpoint, "", "");
    for (variable, value, parts) in [
        (
            "BUCKET",
            "another",
            ["another at http://", "404", "expected a bucket that is there", "S3_BUCKET"],
        ),
        ("SECRETKEY", "hunter2", ["403", "expected keys that may", "storage.s3.bucket", ".yml:4"]),
        ("ACCESSKEY", "nobody", ["403", "expected keys that may", "storage.s3.bucket", ".yml:4"]),
    ] {
        let mut command = place.serve();
        command.env(format!("REGISTRY_STORAGE_S3_{variable}"), value);
        let (status, line) = failure(&mut command);
        assert_eq!(status, 1);
        says(&line, &["cannot open the bucket"]);
        says(&line, &parts);
        assert!(!line.contains("hunter2") && line.len() < 400, "{line}");
    }
}

#[test]
fn a_server_whose_listings_cannot_be_relied_on_is_refused() {
    let listing = Listing { ordered: false, ..Listing::default() };
    let bucket = ServedBucket::new(S3Options { listing, ..S3Options::default() });
    let place = configuration(&bucket.server.endpoint(), "", "");
    let (status, line) = failure(&mut place.serve());
    assert_eq!(status, 1);
    says(&line, &["cannot open the bucket", "listings are in the order of bytes", "another order"]);
    assert!(bucket.s3.objects(BUCKET).is_empty(), "nothing is left there");
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_but_not_for_ever() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let place = configuration(&endpoint, ", secure: false", "");
    let output = place.serve().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    says(lines[0], &["WARN", "waiting for the bucket", &endpoint, "does not answer yet"]);
    says(lines[1], &["registry: cannot open the bucket", &endpoint, "Connection refused"]);
    assert!(lines[1].len() < 400, "{log}");
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_line() {
    for (more, parts) in [
        (", skipverify: true", ["storage.s3.skipverify: refused", "SSL_CERT_FILE"]),
        (", v4auth: false", ["storage.s3.v4auth: refused", "version 4"]),
        (", chunksize: 5", ["storage.s3.chunksize: expected", "found 5"]),
    ] {
        let place = configuration("s3.example.com", more, "");
        let (status, line) = failure(&mut place.serve());
        assert_eq!(status, 1);
        says(&line, &["config.yml:4: "]);
        says(&line, &parts);
    }
    let place = configuration("s3.example.com", "", "");
    let (status, line) = failure(place.serve().args(["--root", "x"]));
    assert_eq!(status, 2);
    says(&line, &["--root: expected storage.filesystem", "storage.s3", "config.yml:4"]);
}

/// Without keys in the configuration they are looked for where AWS's programs look.
#[test]
fn keys_that_are_not_said_are_found_in_the_environment_in_a_profile_and_at_the_container() {
    let credentials =
        Credentials { session_token: Some("token".to_owned()), ..Credentials::default() };
    let Credentials { access_key, secret_key, .. } = credentials.clone();
    let credentials = Some(credentials);
    let bucket = ServedBucket::new(S3Options { credentials, ..S3Options::default() });
    let home = TempDir::new().unwrap();
    let profile = home.path().join("credentials");
    let keys = format!(
        "aws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\naws_session_token = token\n"
    );
    fs::write(&profile, format!("[registry]\n{keys}")).unwrap();
    let (profile, container) = (profile.display().to_string(), container(&access_key, &secret_key));
    for variables in [
        vec![
            ("AWS_ACCESS_KEY_ID", &*access_key),
            ("AWS_SECRET_ACCESS_KEY", &*secret_key),
            ("AWS_SESSION_TOKEN", "token"),
        ],
        vec![("AWS_SHARED_CREDENTIALS_FILE", &*profile), ("AWS_PROFILE", "registry")],
        vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*container)],
    ] {
        let place = Place::new(&format!(
            "version: 0.1\n\
             http: {{addr: '127.0.0.1:0', relativeurls: true}}\n\
             storage: {{s3: {{bucket: {BUCKET}, region: us-east-1, regionendpoint: '{}'}}}}\n",
            bucket.server.endpoint()
        ));
        let mut command = place.serve();
        for name in
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"]
        {
            command.env_remove(name);
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(variables);
        let registry = RegistryProcess::greeted(&mut command);
        push(registry.address(), "kept", b"hello");
    }
}

/// The address of what gives keys to those who ask, as a container's platform does.
fn container(access_key: &str, secret_key: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let keys = format!(
        "{{\"AccessKeyId\":\"{access_key}\",\"SecretAccessKey\":\"{secret_key}\",\"Token\":\"token\",\
          \"Expiration\":\"2100-01-01T00:00:00Z\"}}"
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).is_err() {
                    break;
                }
                asked.push(byte[0]);
            }
            let length = keys.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{keys}"
            );
        }
    });
    format!("http://{address}/keys")
}

#[test]
fn metrics_tell_what_is_sent_to_the_bucket_and_what_was_sent_again() {
    let bucket = served();
    let place = configuration(&bucket.server.endpoint(), "", "");
    let mut command = place.serve();
    command.env("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0");
    command.env("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true");
    let mut registry = RegistryProcess::greeted(&mut command);
    let debug = address_in(&registry.log_line("the debug server listens on"));
    let count = |name: &str| figure(debug, &format!("{name}{{operation=\"put\"}}")).unwrap_or(0.0);
    let counts = || {
        ["requests", "retries", "throttled", "failures"]
            .map(|it| count(&format!("registry_s3_{it}_total")))
    };
    let before = counts();
    bucket.s3.faults().nth(Operation::PutObject, 1, Fault::LoseRequest);
    push(registry.address(), "kept", b"content");
    let [sent, retries, throttled, failures] = counts();
    assert_eq!(retries - before[1], 1.0);
    // The blob and its link, at least, and what was sent again.
    assert!(sent - before[0] >= 3.0, "{sent} after {}", before[0]);
    assert_eq!((throttled, failures), (before[2], before[3]));
    let metrics = String::from_utf8(request(debug, "GET", "/metrics").body).unwrap();
    for name in ["requests", "retries", "throttled", "failures"] {
        assert!(metrics.contains(&format!("# TYPE registry_s3_{name}_total counter\n")), "{name}");
    }
}
