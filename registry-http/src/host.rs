//! [`is_host`]: a name or an address, with a port or without, as it can stand in a URL.

use std::net::Ipv6Addr;

/// Whether a text is `host` or `host:port`, and nothing else: who asks for no more than that is not led elsewhere by what
/// stands before `@` or behind `/`.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text[at..].contains(']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !host.is_empty() && host.bytes().all(fine)
    };
    let is_host =
        address.map_or_else(|| is_name(host), |address| address.parse::<Ipv6Addr>().is_ok());
    is_host && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in [
            "localhost",
            "registry.example.com",
            "a_b.c-d:5000",
            "127.0.0.1:0",
            "[::1]",
            "[2001:db8::1]:65535",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ":5000",
            "a:",
            "a:65536",
            "a:+1",
            "a:b",
            "::1",
            "[::1",
            "[a]",
            "[]",
            "[::1]x",
            "a:1:2",
            "user@a",
            "user:pw@a",
            "a/b",
            "a?b",
            "a#b",
            "a,b",
            "a b",
            "a\\b",
            "a%2fb",
            "ä",
            "\"a\"",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
