//! Where somebody says who may do what (the items that only then mean anything).

use std::sync::Arc;

use registry_http::{Locations, Options};
use registry_tests::server::{Protocol, whole};

use super::registry::{BOTH, Registry, is, sha256};
use crate::gate::{Gate, PASSWORD};

const KNOWN: [(&str, &str); 1] = [("authorization", PASSWORD)];

fn behind(gate: Gate) -> Options {
    Options { authorizer: Some(Arc::new(gate)), ..Options::default() }
}

#[tokio::test]
async fn item_005_the_base_is_401_with_a_challenge_where_one_has_to_log_in() {
    for protocol in BOTH {
        let mut registry = Registry::with(behind(Gate::Password), protocol).await;
        for line in ["GET /v2/", "HEAD /v2/"] {
            let refused = registry.ask(line, &[], whole("")).await;
            is(&refused, 401);
            assert_eq!(refused.header("www-authenticate"), "Basic realm=\"registry\"");
            is(&registry.ask(line, &KNOWN, whole("")).await, 200);
        }
        let wrong = registry.ask("GET /v2/", &[("authorization", "Basic bm8=")], whole("")).await;
        is(&wrong, 401);
        assert_eq!(wrong.json()["errors"][0]["code"], "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn item_034_where_one_has_to_log_in_the_location_of_an_upload_stays_below_its_repository() {
    for (locations, host) in [
        (Locations::Relative, ""),
        (Locations::Under("http://r.example".to_owned()), "http://r.example"),
    ] {
        let options = Options { locations, ..behind(Gate::Password) };
        let mut registry = Registry::with(options, Protocol::Http1).await;
        let mut line = "POST /v2/a/b/blobs/uploads/".to_owned();
        for next in ["PATCH", "GET", "PATCH", "DELETE"] {
            let answer = registry.ask(&line, &KNOWN, whole("")).await;
            assert!(answer.status.is_success(), "{line}: {answer:?}");
            let location = answer.header("location");
            let expected = format!("{host}/v2/a/b/blobs/uploads/");
            assert!(location.starts_with(&expected), "{line}: {location}");
            line = format!("{next} {}", &location[host.len()..]);
        }
        is(&registry.ask(&line, &KNOWN, whole("")).await, 204);
    }
}

#[tokio::test]
async fn item_056_a_mount_from_what_the_client_may_not_read_is_a_session() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push("zoo", b"abc").await;
        let mut registry = registry.restarted(behind(Gate::NotTheZoo)).await;
        let url = format!("/v2/b/blobs/uploads/?mount={digest}&from=zoo");
        let answer = registry.post(&url, "").await;
        is(&answer, 202);
        is(&registry.head(&format!("/v2/b/blobs/{digest}")).await, 404);
        let url = format!("{}&digest={}", answer.header("location"), sha256(b"abc"));
        is(&registry.put(&url, "abc").await, 201);
    }
}

#[tokio::test]
async fn item_097_who_asks_too_often_is_told_when_to_try_again() {
    for protocol in BOTH {
        let mut registry = Registry::with(behind(Gate::TooOften), protocol).await;
        for line in ["GET /v2/", "GET /v2/a/tags/list", "POST /v2/a/blobs/uploads/"] {
            let answer = registry.ask(line, &[], whole("")).await;
            is(&answer, 429);
            assert_eq!(answer.header("retry-after"), "30", "whole seconds, not too few");
            assert_eq!(answer.json()["errors"][0]["code"], "TOOMANYREQUESTS");
        }
    }
}
