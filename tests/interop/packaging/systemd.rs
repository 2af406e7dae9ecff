//! The units of systemd.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use registry_tests::child::Server;
use registry_tests::plain_http::{request, send};
use registry_tests::registry_process::{RegistryProcess, program, without_variables};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{text, well};

/// A unit, as it is where this registry is installed. The page of the manual comes with a package.
fn unit(name: &str) -> String {
    text(&format!("packaging/systemd/{name}"))
        .replace("/usr/bin/registry", program().to_str().unwrap())
        .replace("Documentation=man:registry(1)\n", "")
}

/// The value of a key that stands in a unit once.
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut found = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = found.next().unwrap();
    assert_eq!(found.next(), None, "{key}");
    value
}

#[test]
fn systemd_takes_the_units_and_finds_the_service_well_confined() {
    let place = TempDir::new().unwrap();
    let [service, socket] = ["registry.service", "registry.socket"].map(|name| {
        let path = place.path().join(name);
        fs::write(&path, unit(name)).unwrap();
        path
    });
    let said = well(Command::new("systemd-analyze").arg("verify").args([&socket, &service]));
    assert!(!said.contains("registry."), "{said}");
    // Of 100, and what is not confined at all has 96. The socket runs nothing.
    let mut security = Command::new("systemd-analyze");
    well(security.args(["security", "--offline=true", "--threshold=20"]).arg(&service));
}

/// By the boot it is told whether the bytes of uploads are still there; where it is not, each answer waits for a sync.
#[test]
fn the_service_sees_which_boot_it_is() {
    for line in unit("registry.service").lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let hides = match key {
            "ProcSubset" => value == "pid",
            "InaccessiblePaths" | "TemporaryFileSystem" => value.contains("/proc"),
            "RootDirectory" | "RootImage" => true,
            _ => false,
        };
        assert!(!hides, "{line}");
    }
}

/// The program where `/proc` is as `ProcSubset=pid` of systemd has it, and some containers.
fn start_in_confinement(root: &Path) -> RegistryProcess {
    let mount = "mount -t proc -o subset=pid proc /proc && ! test -e /proc/sys && \
                 exec \"$2\" --addr 127.0.0.1:0 --root \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", mount, "sh"]).arg(root).arg(program());
    RegistryProcess::greeted(&mut command)
}

#[test]
fn an_upload_goes_on_after_a_restart_where_the_boot_is_hidden() {
    let place = TempDir::new().unwrap();
    let server = start_in_confinement(place.path());
    let opened = request(server.address(), "POST", "/v2/app/blobs/uploads/");
    let target = opened.header("location").unwrap().to_owned();
    let binary = "application/octet-stream";
    let added = send(server.address(), "PATCH", &target, binary, &[7; 100_000]);
    assert_eq!(added.status, 202);
    let target = added.header("location").unwrap().to_owned();
    server.signal(Signal::KILL);
    server.ended();

    let server = start_in_confinement(place.path());
    let found = request(server.address(), "GET", &target);
    assert_eq!((found.status, found.header("range")), (204, Some("0-99999")));
}

/// What the service's comment says of a unix socket is said to it, under the umask that the service has.
#[test]
fn a_proxy_may_connect_to_the_unix_socket_that_the_service_tells_how_to_make() {
    let place = TempDir::new().unwrap();
    let socket = place.path().join("registry.sock");
    let service = unit("registry.service");
    let words: Vec<&str> =
        service.split([' ', ',', '\n']).map(|it| it.trim_end_matches('.')).collect();
    let said = words.windows(2).filter_map(|it| Some((it[0].strip_prefix("http.")?, it[1])));
    let settings: Vec<_> = said.map(|(key, value)| format!("{key}: {value}")).collect();
    let settings =
        settings.join(", ").replace("/run/registry/registry.sock", socket.to_str().unwrap());
    let config = place.path().join("config.yml");
    let text = format!("version: 0.1\nstorage: inmemory\nhttp: {{{settings}}}\n");
    fs::write(&config, text).unwrap();

    let mut command = Command::new("sh");
    let umask = format!("umask {} && exec \"$0\" serve \"$1\"", value(&service, "UMask"));
    without_variables(&mut command).args(["-c", &umask]).arg(program()).arg(&config);
    let mut server = Server::start(&mut command);
    server.output_line(&format!("listens on http+unix:{}", socket.display()));
    assert_eq!(fs::symlink_metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
}

#[test]
fn the_socket_stands_at_the_port_of_the_packed_configuration() {
    let port = value(&unit("registry.socket"), "ListenStream").to_owned();
    assert!(text("packaging/systemd/config.yml").contains(&format!("  addr: {port}\n")));
}

#[test]
fn the_service_answers_at_the_socket_of_systemd_when_somebody_asks() {
    let place = TempDir::new().unwrap();
    let config = place.path().join("config.yml");
    let data = place.path().join("data");
    let packed = text("packaging/systemd/config.yml");
    fs::write(&config, packed.replace("/var/lib/registry", data.to_str().unwrap())).unwrap();
    let service = unit("registry.service");
    let command = value(&service, "ExecStart");
    let command = command.replace("/etc/registry/config.yml", config.to_str().unwrap());

    // The program that does it takes no port that is free, and tells none.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let listens = unit("registry.socket").replace("127.0.0.1:5000", &free.to_string());
    let address: SocketAddr = value(&listens, "ListenStream").parse().unwrap();
    let mut activate = Command::new("systemd-socket-activate");
    without_variables(&mut activate).arg(format!("--listen={address}"));
    let mut server = Server::start(activate.args(command.split(' ')));
    server.log_line("Listening on");
    assert!(!data.exists(), "nothing runs until somebody asks");

    assert_eq!(request(address, "GET", "/v2/").status, 200);
    server.output_line(&format!("listens on http://{address}"));
    let opened = request(address, "POST", "/v2/app/blobs/uploads/");
    assert_eq!(opened.status, 202);
    // The process that was to wait for it has become the registry.
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}
