//! [`of`]: in which directories the queues of endpoints are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry_store::digest::Digest;

use super::endpoint::Endpoint;

/// What may be in the name of a directory.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A directory for each endpoint, by its name. Where that does not say who it is, as it is empty or another's too, by its
/// address as well: never by its place among the others, or one that is removed would leave its events to the next.
/// No two are alike.
pub(super) fn of(endpoints: &[Endpoint]) -> Vec<String> {
    let written = |endpoint: &Endpoint| -> String {
        let name = utf8_percent_encode(&endpoint.name, NAME).to_string();
        name.chars().take(200).collect()
    };
    let mut names: Vec<String> = Vec::new();
    for endpoint in endpoints {
        let mut name = written(endpoint);
        if name.is_empty() || endpoints.iter().filter(|it| written(it) == name).count() > 1 {
            // The address is secret, and long enough a secret where it is one.
            let hash = Digest::sha256(endpoint.address.uri().to_string().as_bytes()).hex();
            name = format!("{name}%-{hash:.16}");
        }
        let numbered = (1..).map(|at| match at {
            1 => name.clone(),
            at => format!("{name}%{at}%"),
        });
        names.extend(numbered.filter(|name| !names.contains(name)).take(1).collect::<Vec<_>>());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::endpoint::Address;

    #[test]
    fn every_endpoint_has_a_directory_of_its_own_whatever_it_is_called() {
        let address = Address::parse("http://h.example").unwrap();
        let long = "é".repeat(200);
        let names = ["a", "../../a", "", "b", ".", "b", "A b", &long];
        let endpoints: Vec<Endpoint> =
            names.iter().map(|name| Endpoint::new(*name, address.clone())).collect();
        let found = of(&endpoints);
        let hash = found[2].strip_prefix("%-").unwrap();
        assert_eq!(hash.len(), 16);
        let (one, two) = (format!("b%-{hash}"), format!("b%-{hash}%2%"));
        assert_eq!(found[..7], ["a", "%2E%2E%2F%2E%2E%2Fa", &found[2], &one, "%2E", &two, "A%20b"]);
        assert_eq!(found[7].len(), 200);
    }

    #[test]
    fn an_endpoint_that_is_removed_does_not_leave_its_events_to_another_of_its_name() {
        let endpoint = |name: &str, at: &str| {
            Endpoint::new(name, Address::parse(&format!("http://h.example/{at}")).unwrap())
        };
        for name in ["", "a"] {
            let all = ["1", "2", "3"].map(|at| endpoint(name, at));
            let before = of(&all);
            assert_eq!(of(&all[1..]), before[1..]);
        }
        let [one, other] = ["1", "2"].map(|at| endpoint("", at));
        assert_ne!(of(&[one]), of(&[other]));
    }
}
