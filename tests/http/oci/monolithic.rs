//! Pushing a blob whole: POST then PUT, and POST alone (items 38 to 43).

use futures::future;
use registry_http::{Options, serve, service};
use registry_tests::server::{Protocol, whole};
use registry_tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::registry::{BOTH, Registry, is, is_refused, leads_to, parts, sha256, sha512};

#[tokio::test]
async fn item_038_put_of_the_whole_makes_a_blob_at_its_location() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in ["abc", ""] {
            for digest in [sha256(content.as_bytes()), sha512(content.as_bytes())] {
                let location = registry.start("a/b").await;
                let line = format!("PUT {location}&digest={digest}");
                let octets = [("content-type", "application/octet-stream")];
                let answer = registry.ask(&line, &octets, whole(content)).await;
                is(&answer, 201);
                leads_to(&answer, &format!("/v2/a/b/blobs/{digest}"));
                assert_eq!(answer.body, "");
                let pulled = registry.get(answer.header("location")).await;
                is(&pulled, 200);
                assert_eq!(pulled.body, content);
                // The session has ended.
                is_refused(&registry.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN");
            }
        }
    }
}

#[tokio::test]
async fn item_038_so_it_does_whatever_the_body_is_called_and_without_a_length() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = sha256(b"abc");
        for (headers, body) in [
            (&[][..], whole("abc")),
            (&[("content-type", "text/plain")][..], whole("abc")),
            (&[("content-type", "nonsense")][..], parts(&["a", "bc"])),
        ] {
            let location = registry.start("a").await;
            let answer =
                registry.ask(&format!("PUT {location}&digest={digest}"), headers, body).await;
            is(&answer, 201);
            assert_eq!(registry.get(answer.header("location")).await.body, "abc");
            is(&registry.delete(answer.header("location")).await, 202);
        }
    }
}

#[tokio::test]
async fn item_039_a_blob_that_was_pushed_has_the_client_s_digest() {
    let mut registry = Registry::new().await;
    for digest in [sha256(b"abc"), sha512(b"abc")] {
        let location = registry.start("a").await;
        let closed = registry.put(&format!("{location}&digest={digest}"), "abc").await;
        let posted = registry.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "abc").await;
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        let mounted = registry.post(&mount, "").await;
        for answer in [closed, posted, mounted] {
            is(&answer, 201);
            assert_eq!(answer.header("docker-content-digest"), digest);
        }
    }
}

#[tokio::test]
async fn item_040_a_body_that_does_not_match_its_digest_is_refused_and_leaves_nothing() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for digest in [sha256(b"abc"), sha512(b"abc")] {
            for content in ["abd", "", "abcd"] {
                let location = registry.start("a").await;
                let url = format!("{location}&digest={digest}");
                is_refused(&registry.put(&url, content).await, 400, "DIGEST_INVALID");
                for digest in [&digest, &sha256(content.as_bytes())] {
                    let url = format!("/v2/a/blobs/{digest}");
                    is_refused(&registry.get(&url).await, 404, "BLOB_UNKNOWN");
                }
                // The right body may still come.
                let status = registry.get(&location).await;
                assert_eq!((status.status.as_u16(), status.header("range")), (204, "0-0"));
            }
        }
        let location = registry.start("a").await;
        is_refused(&registry.put(&location, "abc").await, 400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn item_040_a_body_that_does_not_match_its_length_is_refused_and_leaves_nothing() {
    let mut registry = Registry::new().await;
    let digest = sha256(b"abc");
    for (range, declared) in [("0-3", true), ("0-1", true), ("0-3", false), ("0-1", false)] {
        let location = registry.start("a").await;
        let line = format!("PUT {location}&digest={digest}");
        let body = if declared { whole("abc") } else { parts(&["abc"]) };
        let answer = registry.ask(&line, &[("content-range", range)], body).await;
        is_refused(&answer, 400, "SIZE_INVALID");
        let url = format!("/v2/a/blobs/{digest}");
        is_refused(&registry.get(&url).await, 404, "BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn item_041_post_of_the_whole_makes_a_blob_at_its_location() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in ["abc", ""] {
            for digest in [sha256(content.as_bytes()), sha512(content.as_bytes())] {
                for body in [whole(content), parts(&[content])] {
                    let line = format!("POST /v2/a/b/blobs/uploads/?digest={digest}");
                    let octets = [("content-type", "application/octet-stream")];
                    let answer = registry.ask(&line, &octets, body).await;
                    is(&answer, 201);
                    leads_to(&answer, &format!("/v2/a/b/blobs/{digest}"));
                    assert_eq!(registry.get(answer.header("location")).await.body, content);
                    is(&registry.delete(answer.header("location")).await, 202);
                }
            }
        }
    }
}

#[tokio::test]
async fn item_042_a_body_that_no_digest_names_is_ignored_and_the_client_goes_on() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = sha256(b"abc");
        for query in ["", "?digest=", "?unknown=1&ns=docker.io", &format!("?mount={digest}&from=b")]
        {
            for body in [whole("abc"), parts(&["a", "bc"])] {
                let line = format!("POST /v2/a/blobs/uploads/{query}");
                let answer = registry.ask(&line, &[], body).await;
                is(&answer, 202);
                assert_eq!(answer.header("range"), "0-0");
                let url = format!("/v2/a/blobs/{digest}");
                is_refused(&registry.get(&url).await, 404, "BLOB_UNKNOWN");
                let closed = format!("{}&digest={digest}", answer.header("location"));
                is(&registry.put(&closed, "abc").await, 201);
                is(&registry.delete(&url).await, 202);
            }
        }
    }
}

#[tokio::test]
async fn item_043_a_post_whose_body_does_not_match_its_digest_is_refused_and_leaves_nothing() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for digest in [sha256(b"abc"), sha512(b"abc")] {
            for content in ["abd", "", "abcd"] {
                let url = format!("/v2/a/blobs/uploads/?digest={digest}");
                is_refused(&registry.post(&url, content).await, 400, "DIGEST_INVALID");
                for digest in [&digest, &sha256(content.as_bytes())] {
                    is(&registry.head(&format!("/v2/a/blobs/{digest}")).await, 404);
                }
            }
        }
        is_refused(&registry.get("/v2/a/tags/list").await, 404, "NAME_UNKNOWN");
    }
}

/// A client that closes its half of the connection before its body is whole, and reads on.
#[tokio::test]
async fn item_043_a_body_shorter_than_its_declared_length_is_refused_and_leaves_nothing() {
    let world = World::memory();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server =
        serve::serve(listener, service(world.store.clone(), Options::default()), future::pending());
    tokio::spawn(server);
    // What arrived has the right digest, but more was to come.
    let digest = sha256(b"abc");
    let opened = registry_tests::server::Client::connect(address, Protocol::Http1)
        .await
        .send(http::Request::post("/v2/a/blobs/uploads/"), whole(""))
        .await;
    let put = format!("PUT {}&digest={digest}", opened.header("location"));
    for line in [format!("POST /v2/a/blobs/uploads/?digest={digest}"), put] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let sent = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc");
        connection.write_all(sent.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answered = Vec::new();
        connection.read_to_end(&mut answered).await.unwrap();
        let answered = String::from_utf8(answered).unwrap();
        assert!(answered.starts_with("HTTP/1.1 400 "), "{answered}");
        assert!(answered.contains("\"code\":\"SIZE_INVALID\""), "{answered}");
        let repository = world.repository("a");
        assert!(repository.blobs().size(&digest.parse().unwrap()).await.is_err());
    }
}
