//! Who is denied is so at once: docker takes a denial that says nothing of what was asked for as one that may pass, and tries
//! again for most of a minute. The requests that reach the registry are counted.

use std::fs;

use registry_tests::peers::{Context, Docker};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use tempfile::TempDir;

/// `api` may pull and not push. With the password `secret`, by libxcrypt.
const USERS: &str = "api:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";

const READERS: &str = "version: 0.1
storage: {filesystem: {rootdirectory: DIRECTORY/data}}
http: {addr: '127.0.0.1:0', secret: s}
auth: {htpasswd: {realm: r, path: DIRECTORY/htpasswd}}
access:
  rules: [{who: user:api, where: api/**, may: R}]
";

/// How many layers the image has.
const LAYERS: usize = 3;

#[test]
fn docker_does_not_try_a_denied_push_again() {
    let docker = Docker::start();
    let context = Context::new("COPY text /text\n");
    context.file("text", b"text");
    for more in ["", "  tokens: {key: DIRECTORY/key.pem}\n"] {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("htpasswd"), USERS).unwrap();
        let text = format!("{READERS}{more}");
        let text = text.replace("DIRECTORY", directory.path().to_str().unwrap());
        let file = directory.path().join("config.yml");
        fs::write(&file, text).unwrap();
        let process = RegistryProcess::configured(&file, &[]);
        let registry = process.address().to_string();
        docker.run(&["login", "--username=api", "--password=secret", &registry]);
        let name = format!("{registry}/api/app:1");
        docker.run(&["build", "--quiet", "--tag", &name, &context.path().display().to_string()]);
        let said = docker.try_run(&["push", &name]);
        assert!(!said.success);
        process.signal(Signal::TERM);
        let (output, _) = process.ended_with_output();
        let posts = output.matches("\"POST /v2/api/app/blobs/uploads/").count();
        assert!((1..=LAYERS).contains(&posts), "{posts} of {LAYERS} layers:\n{output}");
        let denied = output
            .lines()
            .filter(|line| line.contains("POST /v2/"))
            .all(|line| line.contains(" 403 "));
        assert!(denied, "{output}");
    }
}
