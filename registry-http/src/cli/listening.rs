//! Where it listens: sockets that systemd hands over, a unix socket, or a port.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the place of a socket before anything is served"
)]

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use registry_http::config::{Address, UnixSocket};
use registry_http::serve::Socket;
use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener, UnixSocket as Unbound};
use tracing::{info, warn};

use super::Failure;
use super::said::Said;

/// Where it is to listen, unless systemd hands over sockets.
#[derive(Debug)]
pub(super) enum Place {
    /// At a port.
    Port(Said<Address>),
    /// At a unix socket.
    Socket(Said<UnixSocket>),
}

/// Where it listens.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) sockets: Vec<Socket>,
    pub(super) at: At,
    /// Removed when this is dropped.
    pub(super) file: Option<SocketFile>,
}

/// The same, to be shown: the first of the sockets.
#[derive(Debug)]
pub(super) enum At {
    Port(SocketAddr),
    Socket(PathBuf),
}

/// Listens. Sockets of systemd take the place of what is configured.
pub(super) async fn listen(place: &Place) -> Result<Listening, Failure> {
    if let Some(handed_over) = handed_over()? {
        return Ok(handed_over);
    }
    match place {
        Place::Port(address) => at_port(address).await,
        Place::Socket(socket) => at_socket(socket),
    }
}

/// The sockets that systemd opened for this process (sd_listen_fds(3)); `None` if it did not.
fn handed_over() -> Result<Option<Listening>, Failure> {
    // Without a process's number they are of nobody; `ListenFd` looks whether it is ours.
    if env::var_os("LISTEN_PID").is_none_or(|pid| pid.is_empty()) {
        return Ok(None);
    }
    let mut descriptors = ListenFd::from_env();
    let mut sockets = Vec::new();
    let mut at = None;
    for number in 0..descriptors.len() {
        let (socket, place) = take(&mut descriptors, number).map_err(|error| {
            let what = format!(
                "socket {number} of those that systemd handed over: {error}; expected one that listens, of TCP or a \
                 unix stream (ListenStream=)"
            );
            Failure::new(what)
        })?;
        sockets.push(socket);
        at.get_or_insert(place);
    }
    let Some(at) = at else { return Ok(None) };
    info!(sockets = sockets.len(), "sockets were handed over; http.addr and --addr do not count");
    Ok(Some(Listening { sockets, at, file: None }))
}

fn take(descriptors: &mut ListenFd, number: usize) -> io::Result<(Socket, At)> {
    if let Ok(Some(listener)) = descriptors.take_tcp_listener(number) {
        listener.set_nonblocking(true)?;
        let at = At::Port(listener.local_addr()?);
        return Ok((Socket::Tcp(TcpListener::from_std(listener)?), at));
    }
    let listener = descriptors.take_unix_listener(number)?;
    let listener = listener.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?.as_pathname().unwrap_or(Path::new("@")).to_owned();
    Ok((Socket::Unix(UnixListener::from_std(listener)?), At::Socket(at)))
}

async fn at_port(wanted: &Said<Address>) -> Result<Listening, Failure> {
    let listen = async {
        let listener = match (wanted.value.known(), wanted.value.name()) {
            (Some(addresses), _) => TcpListener::bind(addresses.as_slice()).await?,
            (None, name) => TcpListener::bind(name.expect("it is known, or a name")).await?,
        };
        let at = At::Port(listener.local_addr()?);
        Ok(Listening { sockets: vec![Socket::Tcp(listener)], at, file: None })
    };
    listen.await.map_err(|error: io::Error| {
        Failure::new(format!(
            "cannot listen on {}: {error}; expected a free port at an address of this machine (see {})",
            wanted.value, wanted.by
        ))
    })
}

/// Order: bound → its permissions → it listens. So nobody connects whom they would have kept out. A socket that was left
/// behind is replaced if nobody listens there; anything else that stands there stays.
fn at_socket(wanted: &Said<UnixSocket>) -> Result<Listening, Failure> {
    let path = &wanted.value.path;
    let listen = || {
        if is_left_behind(path)? {
            warn!(path = %path.display(), "a socket that nobody listens at is replaced");
            fs::remove_file(path)?;
        }
        let socket = Unbound::new_stream()?;
        socket.bind(path)?;
        let file = SocketFile::of(path)?;
        if let Some(mode) = wanted.value.mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        let sockets = vec![Socket::Unix(socket.listen(1024)?)];
        Ok(Listening { sockets, at: At::Socket(path.clone()), file: Some(file) })
    };
    listen().map_err(|error: io::Error| {
        Failure::new(format!(
            "cannot listen at {}: {error}; expected a place for a socket at which nobody listens (see {})",
            path.display(),
            wanted.by
        ))
    })
}

/// Whether there is a socket at which nobody listens. Anything else that is there is an error.
fn is_left_behind(path: &Path) -> io::Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something that is no socket",
        ));
    }
    let Err(error) = UnixStream::connect(path) else {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
    };
    match Errno::from_io_error(&error) {
        // Another one may have come in its place meanwhile.
        Some(Errno::CONNREFUSED) => Ok(fs::symlink_metadata(path)?.ino() == found.ino()),
        Some(Errno::NOENT) => Ok(false),
        _ => Err(error),
    }
}

/// The file of a unix socket, which goes when the program ends by itself.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // By now it may be somebody else's, or gone.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
