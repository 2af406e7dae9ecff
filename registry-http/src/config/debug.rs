//! `http.debug` and `registryctl`: the servers that are for operators, not for clients.

use std::path::PathBuf;

use serde::Deserialize;

use super::address::Address;
use super::node::Node;
use super::problem::Problem;
use super::said::said;

/// `http.debug`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Debug {
    /// `addr`. `None`: there is no such server.
    pub address: Option<Address>,
    /// `prometheus.path`, where `prometheus.enabled` says so. Default: `/metrics`.
    pub metrics: Option<String>,
}

/// `registryctl`, which is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registryctl {
    /// `addr`. `None`: there is no such server.
    pub address: Option<Address>,
    /// `secretfile`. `None`: the secret is in the variable that Harbor gives it in.
    pub secret_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DebugSection {
    addr: Option<String>,
    prometheus: PrometheusSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PrometheusSection {
    enabled: Option<bool>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RegistryctlSection {
    addr: Option<String>,
    secretfile: Option<PathBuf>,
}

impl DebugSection {
    pub(super) fn resolve(self, document: &Node) -> Result<Debug, Problem> {
        const PATH: &str = "http.debug.prometheus.path";
        let path = said(self.prometheus.path).unwrap_or_else(|| "/metrics".to_owned());
        if !path.starts_with('/') || path.starts_with("/debug/") {
            let what = "expected a path such as /metrics, and none below /debug/, found another";
            return Err(problem(document, PATH, what));
        }
        Ok(Debug {
            address: address(self.addr, document, "http.debug.addr")?,
            metrics: (self.prometheus.enabled == Some(true)).then_some(path),
        })
    }
}

impl RegistryctlSection {
    pub(super) fn resolve(self, document: &Node) -> Result<Registryctl, Problem> {
        Ok(Registryctl {
            address: address(self.addr, document, "registryctl.addr")?,
            secret_file: self.secretfile.filter(|path| !path.as_os_str().is_empty()),
        })
    }
}

fn address(text: Option<String>, document: &Node, key: &str) -> Result<Option<Address>, Problem> {
    said(text).map(Address::try_from).transpose().map_err(|what| problem(document, key, &what))
}

fn problem(document: &Node, key: &str, what: &str) -> Problem {
    let entry = document.find(key).expect("it was read from there");
    Problem::new(&entry.node.origin, key, what)
}
