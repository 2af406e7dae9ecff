//! [`Address`]: where to listen, as Go writes it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

/// A host and a port: `:5000` for every interface, `0.0.0.0:5000`, `[::1]:5000`, `localhost:5000`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// A name, or an IP address without brackets; empty for every interface.
    host: String,
    port: u16,
}

impl Address {
    /// A name or an IP address that is still to be looked up, and the port; `None` if it is known already.
    pub fn name(&self) -> Option<(&str, u16)> {
        self.known().is_none().then_some((self.host.as_str(), self.port))
    }

    /// What to listen on, the first that works; `None` if the name has to be looked up.
    pub fn known(&self) -> Option<Vec<SocketAddr>> {
        if self.host.is_empty() {
            // Both families at one socket; where there is no IPv6, the other alone.
            let hosts = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            return Some(hosts.map(|host| SocketAddr::new(host, self.port)).to_vec());
        }
        let host = self.host.parse().ok()?;
        Some(vec![SocketAddr::new(host, self.port)])
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).ok_or_else(|| {
            format!("expected an address and a port, such as :5000 or 127.0.0.1:5000, found `{text:.80}`")
        })
    }
}

fn parse(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(|_| bare)?,
        None if host.contains([':', '/', '[', ']', '@']) || host.contains(char::is_whitespace) => {
            return None;
        }
        None => host,
    };
    // The parser of numbers would take a sign.
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    Some(Address { host: host.to_owned(), port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, known) in [
            (":5000", Some("[::]:5000 0.0.0.0:5000")),
            ("0.0.0.0:5000", Some("0.0.0.0:5000")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("[::]:80", Some("[::]:80")),
            ("localhost:5000", None),
            ("registry.example.com:443", None),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), text);
            let found = address
                .known()
                .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), known, "{text}");
            assert_eq!(address.name().is_some(), known.is_none(), "{text}");
        }
        for text in [
            "",
            "5000",
            "localhost",
            ":",
            ":http",
            ":+1",
            ":65536",
            "::1:5000",
            "[x]:1",
            "http://a:1",
            "a b:1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
