//! Accounts of a team, over TLS: each may do what its rules say, by a password, through the token service and by a
//! certificate; who may only read is refused the rest.

mod by_curl;
mod by_docker;
mod by_podman;
mod by_skopeo;
mod nobody;
mod team;

/// `in_each_way! { one_test another_test }` runs functions that take a [`Way`](team::Way).
macro_rules! in_each_way {
    ($($test:ident)*) => {
        mod by_password {
            $(#[test]
            fn $test() {
                super::$test(crate::accounts::team::Way::Password);
            })*
        }

        mod through_the_token_service {
            $(#[test]
            fn $test() {
                super::$test(crate::accounts::team::Way::Token);
            })*
        }

        mod by_certificate {
            $(#[test]
            fn $test() {
                super::$test(crate::accounts::team::Way::Certificate);
            })*
        }
    };
}

use in_each_way;
