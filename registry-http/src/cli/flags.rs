//! [`Flags`]: what `serve` is told on the command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use registry_http::Options;
use registry_http::config::Address;
use registry_http::serve::Limits;

const A_WEEK: i64 = 7 * 24 * 3600;

/// What is said in few words, with a file and without. Flags win over the environment, which wins over the file.
#[derive(Args, Debug)]
pub(super) struct Flags {
    /// Address and port to listen on; port 0 takes a free one, no address listens on every interface, as :5000
    /// [default: 127.0.0.1:5000, or http.addr]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(super) addr: Option<Address>,

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

    /// How many connections there may be; for one more the one that is idle for longest is closed, and while none is
    /// idle it waits. 0 is as many as the system lets
    /// [default: half as many as files may be open, and 10000 at most]
    #[arg(long, value_name = "NUMBER")]
    pub(super) max_connections: Option<usize>,

    /// How long a connection may be without a request, of which the whole head has to be there; 0 is as long as
    /// something of it comes [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=A_WEEK))]
    pub(super) head_timeout: Option<u32>,

    /// How long a transfer may stand still, in either direction; one that moves may take as long as it does
    /// [default: 60 for what a client sends, 300 for what it reads]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=A_WEEK))]
    pub(super) idle_timeout: Option<u32>,

    /// How long the head of a request may be: its line and its headers [default: 131072]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=16 << 20))]
    pub(super) max_head_size: Option<u32>,
}

impl Flags {
    /// Where it listens if nothing says otherwise.
    pub(super) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

    /// Where the data is if nothing says otherwise.
    pub(super) const ROOT: &str = "registry-data";

    /// Puts the limits that were said in force.
    pub(super) fn bound(&self, limits: &mut Limits, options: &mut Options) {
        if let Some(most) = self.max_connections {
            limits.connections = (most > 0).then_some(most);
        }
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        if let Some(head) = self.head_timeout {
            limits.head = (head > 0).then(|| seconds(head));
        }
        if let Some(idle) = self.idle_timeout.map(seconds) {
            limits.idle = Some(idle);
            options.body_idle_timeout = idle;
        }
        if let Some(size) = self.max_head_size {
            limits.head_size = size;
            limits.read_buffer = limits.read_buffer.max(size as usize);
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.to_owned().try_into()
}
