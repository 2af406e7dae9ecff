//! [`Flags`]: what `serve` is told on the command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

/// What is said in few words, with a file and without. Flags win over the environment, which wins over the file.
#[derive(Args, Debug)]
pub(super) struct Flags {
    /// Address and port to listen on; port 0 takes a free one, 0.0.0.0 listens on every interface
    /// [default: 127.0.0.1:5000, or http.addr]
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub(super) addr: Option<SocketAddr>,

    /// Directory that keeps the data; made if it is not there
    /// [default: registry-data, or storage.filesystem.rootdirectory]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) root: Option<PathBuf>,

    /// Serve what is there, and refuse pushes and deletes
    #[arg(long)]
    pub(super) read_only: bool,

    /// File with the http.secret of a Distribution that serves the same data: then either finishes what the other
    /// began to upload. Without the flag it is http.secret of the configuration, or REGISTRY_HTTP_SECRET
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
}

impl Flags {
    /// Where it listens if nothing says otherwise.
    pub(super) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

    /// Where the data is if nothing says otherwise.
    pub(super) const ROOT: &str = "registry-data";
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:5000, 0.0.0.0:5000 or [::1]:5000"
            .to_owned()
    })
}
