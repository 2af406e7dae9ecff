//! [`Haproxy`]: a load balancer in front of several replicas.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;

use crate::child::Server;
use crate::peers::program::{start_on, without_environment};

const PACKAGE: &str = "haproxy";

/// Debian's `haproxy`. Killed when it is dropped.
///
/// Each request goes to the next replica, also those of one connection. A replica that refuses a connection is passed
/// over; a request that has been sent, or a part of it, is never sent again: its client is told 502, or finds its
/// connection cut where the replica's was. No replica's health is checked, and a body may take ten minutes between two
/// of its pieces.
#[derive(Debug)]
pub struct Haproxy {
    address: SocketAddr,
    _server: Server,
    _config: TempDir,
}

impl Haproxy {
    /// On a free port of this machine.
    pub fn in_front_of(replicas: &[SocketAddr]) -> Self {
        let config = TempDir::new().expect("a temporary directory can be made");
        let file = config.path().join("haproxy.cfg");
        fs::write(&file, configuration(replicas)).expect("the directory can be written");
        // It would not choose a port by itself. Who connects before it is up waits.
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut command = Command::new(PACKAGE);
        without_environment(&mut command).args(["-db", "-V", "-f"]).arg(&file);
        let mut server = start_on(listener, &mut command, PACKAGE);
        server.output_line("as the polling mechanism");
        Self { address, _server: server, _config: config }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Connections to replicas are not kept: one that its replica closed in the meantime would fail a request that another
/// could have answered.
fn configuration(replicas: &[SocketAddr]) -> String {
    let mut lines = format!(
        "global\n maxconn 1000\n\
         defaults\n mode http\n timeout connect 10s\n timeout client 10m\n timeout server 10m\n\
         frontend all\n bind fd@0\n default_backend replicas\n\
         backend replicas\n balance roundrobin\n option http-server-close\n\
         \x20retry-on conn-failure\n option redispatch 1\n retries {}\n",
        2 * replicas.len(),
    );
    for (number, replica) in replicas.iter().enumerate() {
        writeln!(lines, " server replica-{number} {replica}").expect("a string takes all text");
    }
    lines
}
