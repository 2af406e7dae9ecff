//! Who is at the other end of a connection: the extensions that a listener puts into each request.
//!
//! The listener of the feature `serve` does. A server of one's own may put them there as well, for what looks at them:
//! authorizers, events, and the addresses in answers ([`OverTls`]).

use std::fmt;
use std::net::SocketAddr;

/// Where a connection comes from. The extension is there in every request that came through our listener.
///
/// It is the other end of the connection: the client, or the last proxy that speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A process of this machine, by a unix socket; it has no address.
    Unix,
}

/// `192.0.2.1:41234`, `[2001:db8::1]:41234`, or `@`, as Go writes a unix socket without a name.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("@"),
        }
    }
}

/// The connection has TLS, which ends here. The extension is there in every request of such a connection; without it
/// addresses that are made of a request begin with `http`, unless a proxy says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverTls;

/// The certificate of a client, **verified**: it leads to one of the authorities that were configured, was valid when
/// the connection began, is meant for clients, and the client has its key.
///
/// The extension is there only then. Where a certificate is asked for and need not lead to an authority, none is told
/// of: anybody can write a name into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of its subject (the last, if it has several), which is mostly taken for a user's name.
    pub common_name: Option<String>,
    /// What it is called otherwise (RFC 5280 §4.2.1.6): names of hosts, in the order of the certificate.
    pub dns_names: Vec<String>,
    /// Addresses of mail.
    pub emails: Vec<String>,
    /// URIs, such as `spiffe://cluster/ns/team/sa/builder`.
    pub uris: Vec<String>,
    /// Its serial number, in lower-case hexadecimal digits, two for each byte. Unique for one authority.
    pub serial: String,
    /// SHA-256 of the whole certificate (DER), in 64 lower-case hexadecimal digits.
    pub fingerprint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_written_as_go_writes_it() {
        let peers = ["192.0.2.1:80", "[2001:db8::1]:80"];
        for text in peers {
            assert_eq!(Peer::Tcp(text.parse().unwrap()).to_string(), text);
        }
        assert_eq!(Peer::Unix.to_string(), "@");
    }
}
