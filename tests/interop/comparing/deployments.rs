//! [`Deployment`]: a configuration of a real place, and how its clients are let in.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use registry_tests::issuer::Issuer;
use serde_json::{Value, json};

/// `ann` with the password `secret`.
const USERS: &str = "ann:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";

/// How clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    Password,
    /// Tokens for this service, from this issuer.
    Token {
        service: &'static str,
        issuer: &'static str,
    },
    Silly,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Who may do everything.
    Owner,
    Nobody,
    /// Who says what is not so.
    Impostor,
    /// Who may pull from `app` alone, where there are such.
    Reader,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Deployment {
    pub(super) name: &'static str,
    file: &'static str,
    variables: &'static [(&'static str, &'static str)],
    access: Access,
    /// What stands in front of `/v2/`.
    pub(super) prefix: &'static str,
    /// It serves what was pushed before with the same configuration.
    pub(super) filled: bool,
}

macro_rules! real {
    ($name:literal) => {
        include_str!(concat!("../../../registry-http/src/config/tests/real/", $name, ".yml"))
    };
}

macro_rules! here {
    ($name:literal) => {
        include_str!(concat!("deployments/", $name, ".yml"))
    };
}

const fn open(name: &'static str, file: &'static str) -> Deployment {
    Deployment { name, file, variables: &[], access: Access::Open, prefix: "", filled: false }
}

/// All of them. Only paths and ports are others than there, and what is not here.
pub(super) fn all() -> Vec<Deployment> {
    vec![
        open("registry-2", real!("registry-2")),
        open("registry-3", here!("registry-3")),
        Deployment {
            // There is no Redis here.
            variables: &[("REGISTRY_STORAGE_CACHE_LAYERINFO", "inmemory")],
            access: Access::Password,
            ..open("harbor", real!("harbor-compose"))
        },
        Deployment {
            access: Access::Token {
                service: "container_registry",
                issuer: "omnibus-gitlab-issuer",
            },
            ..open("gitlab", real!("gitlab"))
        },
        open("helm", real!("docker-registry-helm")),
        Deployment { access: Access::Password, ..open("debian", real!("debian")) },
        Deployment {
            variables: &[
                ("REGISTRY_AUTH", "htpasswd"),
                ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
                ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
                ("REGISTRY_HTTP_SECRET", "from the environment"),
                ("REGISTRY_HTTP_RELATIVEURLS", "true"),
                ("REGISTRY_LOG_LEVEL", "info"),
            ],
            access: Access::Password,
            ..open("environment", real!("registry-2"))
        },
        Deployment { filled: true, ..open("read-only", here!("read-only")) },
        open("delete-enabled", here!("delete-enabled")),
        open("relative-urls", here!("relative-urls")),
        Deployment { prefix: "/base", ..open("prefix", here!("prefix")) },
        open("host", here!("host")),
        open("unvalidated", here!("unvalidated")),
        open("small-catalog", here!("small-catalog")),
        Deployment { access: Access::Silly, ..open("silly", here!("silly")) },
    ]
}

impl Deployment {
    /// Writes what it needs to `place`: the path of the configuration, and the variables that say where things are.
    pub(super) fn write(&self, place: &Path) -> (PathBuf, Vec<(&'static str, String)>) {
        let write = |name: &str, content: &str| {
            let path = place.join(name);
            fs::write(&path, content).expect("it can be written");
            path
        };
        let shown = |path: PathBuf| path.display().to_string();
        let mut variables: Vec<(&str, String)> =
            self.variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        variables.push(("REGISTRY_HTTP_ADDR", "127.0.0.1:0".to_owned()));
        variables.push(("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", shown(place.join("data"))));
        if self.file.contains("debug:\n") {
            variables.push(("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0".to_owned()));
        }
        match self.access {
            Access::Open | Access::Silly => {}
            Access::Password => {
                let path = shown(write("users", USERS));
                variables.push(("REGISTRY_AUTH_HTPASSWD_PATH", path));
            }
            Access::Token { .. } => {
                let path = shown(write("bundle.crt", Issuer::root().certificate));
                variables.push(("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", path));
            }
        }
        (write("config.yml", self.file), variables)
    }

    /// The header `Authorization` of somebody; none if he sends none, or there is no such person.
    pub(super) fn authorization(&self, who: Who) -> Option<String> {
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        match (self.access, who) {
            (Access::Open, _) | (_, Who::Nobody) => None,
            (Access::Password, Who::Impostor) => Some(basic("ann:wrong")),
            (Access::Password, _) => Some(basic("ann:secret")),
            (Access::Silly, _) => Some("Bearer anything".to_owned()),
            (Access::Token { service, issuer }, who) => {
                let root = Issuer::root();
                let expires = if who == Who::Impostor { 1_000_000_000_u64 } else { 32_000_000_000 };
                let claims = json!({
                    "iss": issuer, "aud": service, "sub": "ann", "jti": "1", "iat": 1_000_000_000,
                    "nbf": 1_000_000_000, "exp": expires, "access": access(who),
                });
                Some(format!("Bearer {}", root.token(&json!({"x5c": [root.x5c()]}), &claims)))
            }
        }
    }
}

fn access(who: Who) -> Value {
    let repository = |name: &str, actions: &[&str]| json!({"type": "repository", "name": name, "actions": actions});
    match who {
        Who::Reader => json!([repository("app", &["pull"])]),
        _ => json!([
            repository("app", &["pull", "push", "delete"]),
            repository("other", &["*"]),
            {"type": "registry", "name": "catalog", "actions": ["*"]},
        ]),
    }
}
