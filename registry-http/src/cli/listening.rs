//! Where it listens: sockets that systemd hands over, a unix socket, or a port.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the place of a socket before anything is served"
)]

use std::env;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use registry_http::config::{Address, UnixSocket};
use registry_http::serve::Socket;
use rustix::io::Errno;
use rustix::net::sockopt::socket_acceptconn;
use tokio::net::{TcpListener, UnixListener, UnixSocket as Unbound, UnixStream};
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

/// The sockets that systemd opened for this process (sd_listen_fds(3)).
pub(super) struct Inherited(Option<ListenFd>);

impl Inherited {
    /// Takes them out of the environment, which is safe while there is one thread, and none of them is anything else yet.
    pub(super) fn take() -> Self {
        // Without a process's number they are of nobody; `ListenFd` looks whether it is ours.
        let is_said = env::var_os("LISTEN_PID").is_some_and(|pid| !pid.is_empty());
        Self(is_said.then(ListenFd::from_env))
    }
}

/// Listens. Sockets of systemd take the place of what is configured.
pub(super) async fn listen(place: &Place, inherited: Inherited) -> Result<Listening, Failure> {
    if let Some(handed_over) = handed_over(inherited)? {
        return Ok(handed_over);
    }
    match place {
        Place::Port(address) => at_port(address).await,
        Place::Socket(socket) => at_socket(socket).await,
    }
}

/// `None` if there is no socket that was handed over.
fn handed_over(inherited: Inherited) -> Result<Option<Listening>, Failure> {
    let Some(mut descriptors) = inherited.0 else { return Ok(None) };
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
        listens(&listener)?;
        listener.set_nonblocking(true)?;
        let at = At::Port(listener.local_addr()?);
        return Ok((Socket::Tcp(TcpListener::from_std(listener)?), at));
    }
    let listener = descriptors.take_unix_listener(number)?;
    let listener = listener.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    listens(&listener)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?.as_pathname().unwrap_or(Path::new("@")).to_owned();
    Ok((Socket::Unix(UnixListener::from_std(listener)?), At::Socket(at)))
}

/// A connection, such as `Accept=yes` hands over, is no place to wait for others.
fn listens(socket: impl AsFd) -> io::Result<()> {
    if socket_acceptconn(socket)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"))
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
async fn at_socket(wanted: &Said<UnixSocket>) -> Result<Listening, Failure> {
    let path = &wanted.value.path;
    let listen = async {
        if is_left_behind(path).await? {
            warn!(path = %path.display(), "a socket that nobody listens at is replaced");
            fs::remove_file(path)?;
        }
        let (socket, file) = bound(path, wanted.value.mode)?;
        let sockets = vec![Socket::Unix(socket.listen(1024)?)];
        Ok(Listening { sockets, at: At::Socket(path.clone()), file: Some(file) })
    };
    listen.await.map_err(|error: io::Error| {
        Failure::new(format!(
            "cannot listen at {}: {error}; expected a place for a socket at which nobody listens (see {})",
            path.display(),
            wanted.by
        ))
    })
}

/// A socket with its permissions, at which nobody can connect yet.
fn bound(path: &Path, mode: Option<u32>) -> io::Result<(Unbound, SocketFile)> {
    let socket = Unbound::new_stream()?;
    socket.bind(path)?;
    if let Some(mode) = mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok((socket, SocketFile::of(path)?))
}

/// Whether there is a socket at which nobody listens. Anything else that is there is an error.
async fn is_left_behind(path: &Path) -> io::Result<bool> {
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
    let somebody = || Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
    // It does not wait: whoever listens may be too busy to accept.
    let Err(error) = UnixStream::connect(path).await else { return somebody() };
    match Errno::from_io_error(&error) {
        // Another one may have come in its place meanwhile.
        Some(Errno::CONNREFUSED) => Ok(identity(&fs::symlink_metadata(path)?) == identity(&found)),
        Some(Errno::AGAIN) => somebody(),
        Some(Errno::NOENT) => Ok(false),
        _ => Err(error),
    }
}

/// The file of a unix socket, which goes when the program ends by itself.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Of a file: its device, its number there, and when it was changed last. The number alone may be given to another once
/// it is gone.
type Identity = (u64, u64, i64, i64);

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // By now it may be somebody else's, or gone.
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| identity(&found) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_socket_has_its_permissions_before_anybody_can_connect() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("r.sock");
        let (socket, _file) = bound(&path, Some(0o600)).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
        let refused = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&refused), Some(Errno::CONNREFUSED));
        let _listening = socket.listen(1).unwrap();
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn what_stands_in_the_place_of_a_socket_is_not_removed_with_it() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("r.sock");
        let (socket, file) = bound(&path, None).unwrap();
        // Its number is free now, and on many filesystems the next one gets it.
        fs::remove_file(&path).unwrap();
        drop(socket);
        let (_socket, others) = bound(&path, None).unwrap();
        drop(file);
        assert!(path.exists());
        drop(others);
        assert!(!path.exists());
    }
}
