//! [`Names`]: keys as names of objects in a bucket, and back.

use crate::backend::Key;

/// Keys as names of objects: below a root that they share, without a slash at the beginning, as Distribution's driver
/// has them.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Empty, or with a slash at its end.
    root: String,
}

impl Names {
    pub(super) fn below(root: &str) -> Self {
        let root = root.trim_matches('/');
        Self { root: if root.is_empty() { String::new() } else { format!("{root}/") } }
    }

    /// The name of an object.
    pub(super) fn of(&self, key: &Key) -> String {
        format!("{}{key}", self.root)
    }

    /// What the names of all objects below `key` begin with.
    pub(super) fn prefix_of(&self, key: &Key) -> String {
        format!("{}{key}/", self.root)
    }

    /// The key of an object; `None` if its name is none of ours.
    pub(super) fn key_of(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&self.root)?.parse().ok()
    }
}

/// A name as it stands in a header or an address: every byte but the unreserved ones of RFC 3986 and the slash as
/// `%` and two digits.
pub(super) fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for &byte in name.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_below_the_root_and_are_found_again() {
        let key: Key = "docker/registry".parse().unwrap();
        for (root, name) in [
            ("", "docker/registry"),
            ("/", "docker/registry"),
            ("some/where", "some/where/docker/registry"),
            ("/some/where/", "some/where/docker/registry"),
        ] {
            let names = Names::below(root);
            assert_eq!(names.of(&key), name);
            assert_eq!(names.prefix_of(&key), format!("{name}/"));
            assert_eq!(names.key_of(name), Some(key.clone()));
        }
        assert_eq!(Names::below("a").key_of("b/docker"), None);
        assert_eq!(Names::below("").key_of("docker//x"), None);
    }

    #[test]
    fn what_is_not_plain_is_encoded() {
        assert_eq!(encoded("a/b-c_d.e~f"), "a/b-c_d.e~f");
        assert_eq!(encoded("ä b+c"), "%C3%A4%20b%2Bc");
    }
}
