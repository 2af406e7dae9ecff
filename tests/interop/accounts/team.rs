//! [`Team`]: a registry over TLS with accounts that pull and accounts that push.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use registry_tests::certificates::{Authority, Wanted};
use registry_tests::image::Layout;
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

/// How accounts say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Password,
    /// A password, to the token service alone.
    Token,
    Certificate,
}

/// All with the password `secret`, by libxcrypt.
const HASH: &str = "$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW";

/// The pulling and the pushing account of a project, the pushing one of another, and who may do everything.
const ACCOUNTS: [&str; 4] = ["api", "api-push", "zoo-push", "admin"];

const CONFIGURATION: &str = "version: 0.1
storage: {filesystem: {rootdirectory: DIRECTORY/data}, delete: {enabled: true}}
http:
  addr: '127.0.0.1:0'
  tls:
    certificate: DIRECTORY/server.crt
    key: DIRECTORY/server.key
";

const RULES: &str = "access:
  anonymous: [{where: public/**, may: R}]
  rules:
    - {who: KIND:api, where: api/**, may: R}
    - {who: KIND:api-push, where: [api/**, public/**], may: RWD}
    - {who: KIND:zoo-push, where: zoo/**, may: RW}
    - {who: KIND:admin, where: '**', may: RWDS}
";

const PASSWORDS: &str = "auth: {htpasswd: {realm: the team, path: DIRECTORY/htpasswd}}\n";

const TOKENS: &str = "  tokens: {key: DIRECTORY/key.pem}
auth: {htpasswd: {realm: the team, path: DIRECTORY/htpasswd}}
";

/// Who has no certificate is nobody, and may do what everybody may.
const CLIENTS: &str = "    clientcas: [DIRECTORY/clients.crt]
    clientauth: verify-client-cert-if-given
";

/// A registry, and an image to push.
pub(super) struct Team {
    directory: TempDir,
    process: RegistryProcess,
    clients: Authority,
    pub(super) way: Way,
}

impl Team {
    pub(super) fn new(way: Way) -> Self {
        let directory = TempDir::new().unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        servers.issue(&Wanted::server()).write(directory.path(), "server");
        for (file, content) in [
            ("ca.crt", servers.certificate()),
            ("clients.crt", clients.certificate()),
            ("htpasswd", ACCOUNTS.map(|name| format!("{name}:{HASH}\n")).concat()),
        ] {
            fs::write(directory.path().join(file), content).unwrap();
        }
        Layout::create(&directory.path().join("images")).add_image("it", "amd64");
        let file = directory.path().join("config.yml");
        let text = configuration(way).replace("DIRECTORY", directory.path().to_str().unwrap());
        fs::write(&file, text).unwrap();
        let process = RegistryProcess::configured(&file, &[]);
        Self { directory, process, clients, way }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// An image of two layers, called `it`.
    pub(super) fn images(&self) -> PathBuf {
        self.directory.path().join("images")
    }

    /// What `--cert-dir` names: the authority of the server, and the certificate of this account, if it has one.
    pub(super) fn given(&self, account: Option<&str>) -> PathBuf {
        let given = self.directory.path().join(format!("given-{}", account.unwrap_or("nobody")));
        fs::create_dir_all(&given).unwrap();
        fs::copy(self.directory.path().join("ca.crt"), given.join("ca.crt")).unwrap();
        if let (Way::Certificate, Some(account)) = (self.way, account) {
            let identity = self.clients.issue(&Wanted::client(account));
            fs::write(given.join("client.cert"), identity.certificate).unwrap();
            fs::write(given.join("client.key"), identity.key).unwrap();
        }
        given
    }
}

fn configuration(way: Way) -> String {
    let (kind, rest) = match way {
        Way::Password => ("user:", PASSWORDS),
        Way::Token => ("user:", TOKENS),
        Way::Certificate => ("certificate:CN=", "  certificates: true\n"),
    };
    let tls = if way == Way::Certificate { CLIENTS } else { "" };
    format!("{CONFIGURATION}{tls}{RULES}{rest}").replace("KIND:", kind)
}
