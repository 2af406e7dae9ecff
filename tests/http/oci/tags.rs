//! Tags (items 85 to 89).

use registry_http::Options;
use registry_tests::server::Protocol;
use serde_json::{Value, json};

use super::registry::{BOTH, Registry, image, is, is_refused};

/// In the order of their bytes.
const TAGS: [&str; 11] = ["0", "10", "2", "A", "Z", "_", "a", "a-b", "a.b", "aB", "latest"];

/// A registry in which `a` has these tags, pushed in another order.
async fn tagged(options: Options, protocol: Protocol) -> Registry {
    let mut registry = Registry::with(options, protocol).await;
    registry.push_image("a", None, &[]).await;
    for tag in TAGS.iter().rev() {
        registry.push_manifest("a", Some(tag), &image(&[])).await;
    }
    registry
}

async fn of_defaults() -> Registry {
    tagged(Options::default(), Protocol::Http1).await
}

#[tokio::test]
async fn item_085_the_list_has_the_name_and_every_tag() {
    for protocol in BOTH {
        let mut registry = tagged(Options::default(), protocol).await;
        let answer = registry.get("/v2/a/tags/list").await;
        is(&answer, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("link"), "");
        assert_eq!(answer.json(), json!({"name": "a", "tags": TAGS}));
        is(&registry.head("/v2/a/tags/list").await, 200);
    }
}

#[tokio::test]
async fn item_085_a_repository_without_a_tag_has_an_empty_list_and_one_that_is_not_there_none() {
    let mut registry = Registry::new().await;
    registry.push("blobs/only", b"x").await;
    registry.push_image("by/digest", None, &[]).await;
    registry.push_image("un/tagged", Some("v1"), &[]).await;
    is(&registry.delete("/v2/un/tagged/manifests/v1").await, 202);
    for name in ["blobs/only", "by/digest", "un/tagged"] {
        let answer = registry.get(&format!("/v2/{name}/tags/list")).await;
        is(&answer, 200);
        assert_eq!(answer.json(), json!({"name": name, "tags": []}));
    }
    registry.start("only/a/session").await;
    for name in ["none", "by", "by/digest/more", "only/a/session"] {
        for query in ["", "?n=0", "?n=5", "?last=x", "?n=5&last=x"] {
            let answer = registry.get(&format!("/v2/{name}/tags/list{query}")).await;
            is_refused(&answer, 404, "NAME_UNKNOWN");
            assert_eq!(answer.json()["errors"][0]["detail"], json!({"name": name}));
        }
    }
}

#[tokio::test]
async fn item_086_the_order_is_that_of_bytes_on_one_page_and_on_many() {
    let mut registry = of_defaults().await;
    assert!(TAGS.is_sorted());
    assert_eq!(registry.tags("/v2/a/tags/list").await, json!(TAGS));
    for n in 1..=TAGS.len() + 1 {
        let mut found: Vec<Value> = Vec::new();
        loop {
            let last = found.last().map_or("", |last| last.as_str().unwrap());
            let url = format!("/v2/a/tags/list?n={n}&last={last}");
            let page = registry.tags(&url).await.as_array().unwrap().clone();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(json!(found), json!(TAGS), "in pages of {n}");
    }
}

#[tokio::test]
async fn item_087_so_many_as_are_asked_for_unless_there_are_fewer() {
    for protocol in BOTH {
        let mut registry = tagged(Options::default(), protocol).await;
        for n in 0..=TAGS.len() + 3 {
            let answer = registry.get(&format!("/v2/a/tags/list?n={n}")).await;
            is(&answer, 200);
            let count = n.min(TAGS.len());
            assert_eq!(answer.json(), json!({"name": "a", "tags": TAGS[..count]}));
            let is_more = (1..TAGS.len()).contains(&n);
            assert_eq!(answer.header("link").is_empty(), !is_more, "n={n}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn item_087_fewer_than_asked_for_come_with_a_link_to_the_others() {
    let mut registry = tagged(Options { tags_max: 3, ..Options::default() }, Protocol::Http1).await;
    for n in ["4", "1000", "99999999999999999999999"] {
        let answer = registry.get(&format!("/v2/a/tags/list?n={n}")).await;
        assert_eq!(answer.json()["tags"], json!(TAGS[..3]));
        assert_eq!(answer.header("link"), "</v2/a/tags/list?last=2&n=3>; rel=\"next\"");
    }
    // A client that asks for no number gets all, whatever a page is.
    assert_eq!(registry.tags("/v2/a/tags/list").await, json!(TAGS));
}

#[tokio::test]
async fn item_087_what_is_no_number_is_refused() {
    let mut registry = of_defaults().await;
    for n in ["-1", "x", "1.5", "%31%20", "0x1", "+1"] {
        let answer = registry.get(&format!("/v2/a/tags/list?n={n}")).await;
        is_refused(&answer, 400, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn item_088_links_lead_through_all_pages() {
    for protocol in BOTH {
        let mut registry = tagged(Options::default(), protocol).await;
        for n in 1..=TAGS.len() {
            let mut url = format!("/v2/a/tags/list?n={n}");
            let mut found: Vec<Value> = Vec::new();
            loop {
                let answer = registry.get(&url).await;
                is(&answer, 200);
                let page = answer.json()["tags"].as_array().unwrap().clone();
                assert!(!page.is_empty() && page.len() <= n, "n={n}: {page:?}");
                found.extend(page);
                let link = answer.header("link");
                if link.is_empty() {
                    break;
                }
                let target =
                    link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
                target.expect("a link as RFC 5988 has it").clone_into(&mut url);
            }
            assert_eq!(json!(found), json!(TAGS));
        }
    }
}

#[tokio::test]
async fn item_089_last_is_exclusive_need_not_exist_and_needs_no_number() {
    let mut registry = of_defaults().await;
    let mut lasts: Vec<&str> = TAGS.to_vec();
    lasts.extend(["!", "1", "AA", "b", "a-", "zzz", "~", "..", "a/b"]);
    for last in lasts {
        let rest: Vec<&str> = TAGS.into_iter().filter(|tag| *tag > last).collect();
        let url = format!("/v2/a/tags/list?last={last}");
        assert_eq!(registry.tags(&url).await, json!(rest), "last={last}");
        for n in [0, 1, 2, 20] {
            let page = registry.tags(&format!("{url}&n={n}")).await;
            assert_eq!(page, json!(rest[..n.min(rest.len())]), "last={last}&n={n}");
        }
    }
    assert_eq!(registry.tags("/v2/a/tags/list?last=").await, json!(TAGS));
}
