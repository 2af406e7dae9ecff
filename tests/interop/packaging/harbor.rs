//! What changes in a Harbor: by the override of the files of its installer, and by the values of its chart.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use registry_tests::certificates::{Authority, Wanted};
use registry_tests::image::Layout;
use registry_tests::peers::Skopeo;
use registry_tests::plain_http::request;
use registry_tests::receiver::{Connection, Mood, Receiver};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::image::Images;
use super::{of_repository, text, well};

/// A file of YAML, as a reader that no one here wrote has it.
fn yaml(path: &str) -> Value {
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
    ]);
    serde_json::from_str(&well(python.arg(of_repository(path)))).unwrap()
}

/// The paths of all that is said in a document, in which a list is one thing.
fn said(document: &Value) -> Vec<String> {
    match document {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                said(value).into_iter().map(move |below| format!("{name}.{below}"))
            })
            .map(|path| path.trim_end_matches('.').to_owned())
            .collect(),
        _ => vec![String::new()],
    }
}

#[test]
fn the_files_for_harbor_change_what_they_say_and_nothing_else() {
    for (file, keys) in [
        (
            "docker-compose.override.yml",
            [
                "services.registry.command",
                "services.registry.environment.SSL_CERT_DIR",
                "services.registry.image",
                "services.registry.user",
            ]
            .as_slice(),
        ),
        (
            "registryctl.override.yml",
            &[
                "services.registry.env_file",
                "services.registry.environment.REGISTRY_REGISTRYCTL_ADDR",
                "services.registry.networks.harbor.aliases",
                "services.registryctl.profiles",
            ],
        ),
        (
            "values.yaml",
            &[
                "registry.registry.extraEnvVars",
                "registry.registry.image.repository",
                "registry.registry.image.tag",
            ],
        ),
        (
            "registryctl.values.yaml",
            &[
                "registry.controller.image.repository",
                "registry.controller.image.tag",
                "registry.registry.extraEnvVars",
            ],
        ),
    ] {
        let mut found = said(&yaml(&format!("packaging/harbor/{file}")));
        found.sort();
        assert_eq!(found, keys, "{file}");
    }
    // A list of variables takes the place of another: nothing of it may be lost.
    let variables = |file: &str| {
        let values = yaml(&format!("packaging/harbor/{file}"));
        values["registry"]["registry"]["extraEnvVars"].as_array().unwrap().clone()
    };
    assert!(variables("registryctl.values.yaml").starts_with(&variables("values.yaml")));
}

/// A receiver of notifications over TLS whose certificate this authority signed.
fn over_tls(authority: &Authority) -> Receiver {
    let identity = authority.issue(&Wanted::server());
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Receiver::start_over(Mood::Answer(200), move |stream: TcpStream| -> Box<dyn Connection> {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    })
}

/// `harbor_registry_user` with the password `secret`, as `htpasswd -Bbn` prints it.
const PASSWD: &str =
    "harbor_registry_user:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";

#[test]
fn the_image_serves_in_the_place_of_harbor_s_registry_and_of_its_registryctl() {
    let (public, private) = (Authority::new("public"), Authority::new("private"));
    let images = Images::built(&["like-2"], &public.certificate());
    let told = [over_tls(&public), over_tls(&private)];

    // What the installer makes, and mounts. The endpoints are by name, which the container has to look up.
    let config = images.volume("config");
    let mut endpoints = String::from("notifications:\n  endpoints:\n");
    for (at, receiver) in told.iter().enumerate() {
        let port = receiver.address().port();
        endpoints += &format!("    - {{name: to-{at}, url: 'https://localhost:{port}/'}}\n");
    }
    let real = text("registry-http/src/config/tests/real/harbor-compose.yml");
    fs::write(config.join("config.yml"), format!("{real}{endpoints}")).unwrap();
    fs::write(config.join("passwd"), PASSWD).unwrap();
    let trusted = images.volume("trusted");
    fs::write(trusted.join("private.crt"), private.certificate()).unwrap();
    let storage = images.volume("storage");
    let mounts =
        [(&config, "/etc/registry"), (&trusted, "/harbor_cust_cert"), (&storage, "/storage")]
            .map(|(from, to)| format!("--volume={}:{to}", from.display()));

    // What the override says.
    let service = |file| yaml(&format!("packaging/harbor/{file}"))["services"]["registry"].clone();
    let changed = service("docker-compose.override.yml");
    let more = service("registryctl.override.yml");
    assert_eq!(more["environment"]["REGISTRY_REGISTRYCTL_ADDR"], json!(":8080"));
    let trust =
        format!("--env=SSL_CERT_DIR={}", changed["environment"]["SSL_CERT_DIR"].as_str().unwrap());
    let user = format!("--user={}", changed["user"].as_str().unwrap());
    let arguments: Vec<&str> =
        changed["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let flags = [
        &mounts.each_ref().map(String::as_str)[..],
        &[&trust, &user, "--cap-drop=ALL", "--cap-add=CHOWN,SETGID,SETUID"],
        &["--env=REGISTRY_REGISTRYCTL_ADDR=127.0.0.1:0", "--env=JOBSERVICE_SECRET=secret"],
    ]
    .concat();
    let mut container = images.serve("like-2", &flags, &arguments);

    let address = container.registry().address();
    let listens = container.registry().log_line("registryctl listens on http://");
    let ctl = listens.rsplit("http://").next().unwrap().split(' ').next().unwrap().parse().unwrap();
    let health = request(ctl, "GET", "/api/health");
    assert_eq!((health.status, health.body.as_slice()), (200, b"\"healthy\"".as_slice()));
    assert_eq!(request(address, "GET", "/").status, 200, "the chart's probes ask for it");

    let skopeo = Skopeo::new();
    Layout::create(&skopeo.path("source")).add_image("it", "amd64");
    let credentials = "--dest-creds=harbor_registry_user:secret";
    let name = format!("docker://{address}/library/app:1");
    skopeo.run(&["copy", "--dest-tls-verify=false", credentials, "oci:source:it", &name]);
    assert!(storage.join("docker/registry/v2/repositories/library/app").exists());
    // They are told only if who signed their certificates is trusted: the system's, and Harbor's own.
    for receiver in &told {
        receiver.wait_for(|sent| !sent.is_empty());
    }
}
