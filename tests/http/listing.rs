//! Listings from page to page: no name that begins another ever drops out, whatever the size of a page.
//!
//! Distribution lost such names (issues 4898 and 4904).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registry_http::{Options, service};
use registry_store::backend::{BackendExt as _, PutMode};
use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;
use registry_store::name::{MAX_NAME_LENGTH, RepositoryName};
use registry_store::reference::{MAX_TAG_LENGTH, Tag};
use registry_tests::server::{Client, Protocol, Server};
use registry_tests::world::World;
use serde_json::Value;

use crate::large::{follow, get};

/// Tags that begin each other, continued by every character that may follow; in byte order.
const TAGS: [&str; 16] = [
    "0", "1", "1-", "1-a", "1.", "1.0", "1.a", "10", "1_", "1_0", "1a", "_", "_1", "a", "a-b",
    "a.b",
];

/// Repositories that begin each other or are nested in each other, some below what is none; in the catalog's
/// order.
const REPOSITORIES: [&str; 14] = [
    "0", "1/0/a/0", "a", "a/a", "a/a/a", "a/a-a", "a/b", "a-b", "a-b/a", "a.b/c", "a0", "a0/a",
    "a__b", "aa",
];

const WORLDS: [fn() -> World; 2] = [World::memory, World::filesystem];

/// A registry in which just so much is there that these are listed.
async fn with(world: &World, tags: &[&str], repositories: &[&str]) {
    let link = Digest::sha256(b"whatever").to_string();
    let digest = Digest::sha256(b"whatever");
    let of = |name: &str| RepositoryLayout::new(&name.parse().unwrap());
    let tag_links = tags.iter().map(|tag| of("tagged").tag_current_link(&tag.parse().unwrap()));
    let layer_links = repositories.iter().map(|name| of(name).layer_link(&digest));
    for key in tag_links.chain(layer_links) {
        world.backend.put(&key, link.clone().into(), PutMode::Overwrite).await.unwrap();
    }
}

async fn serve(world: &World) -> (Server, Client) {
    let server = Server::start(service(world.store.clone(), Options::default())).await;
    let client = server.connect(Protocol::Http1).await;
    (server, client)
}

fn texts(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

async fn expect_tags(client: &mut Client, expected: &[&str]) {
    for size in 1..=expected.len() + 1 {
        let url = format!("/v2/tagged/tags/list?n={size}");
        let found = follow(client, &url, |page| &page["tags"]).await;
        assert_eq!(texts(&found), expected, "in pages of {size}");
    }
}

async fn expect_repositories(client: &mut Client, expected: &[&str]) {
    for size in 1..=expected.len() + 1 {
        let url = format!("/v2/_catalog?n={size}");
        let found = follow(client, &url, |page| &page["repositories"]).await;
        assert_eq!(texts(&found), expected, "in pages of {size}");
    }
}

#[tokio::test]
async fn tags_that_begin_each_other_are_all_listed_in_pages_of_any_size() {
    for world in WORLDS {
        let world = world();
        with(&world, &TAGS, &[]).await;
        expect_tags(&mut serve(&world).await.1, &TAGS).await;
    }
}

#[tokio::test]
async fn repositories_that_begin_each_other_are_all_listed_in_pages_of_any_size() {
    for world in WORLDS {
        let world = world();
        with(&world, &[], &REPOSITORIES).await;
        expect_repositories(&mut serve(&world).await.1, &REPOSITORIES).await;
    }
}

/// The names of a page behind `last`, by the model: byte order, for repositories with `/` lowest.
fn behind<'n>(all: &[&'n str], last: &str, lowest: fn(&str) -> String) -> Vec<&'n str> {
    let last = lowest(last);
    all.iter().copied().filter(|name| lowest(name) > last).collect()
}

fn slash_lowest(name: &str) -> String {
    name.replace('/', "\0")
}

/// Names that are there, and each cut and continued, as they may have been once or never were.
fn lasts(names: &[&str]) -> BTreeSet<String> {
    let continued = |name: &&str| {
        ["", "-", ".", "0", "_", "a", "/0", "/a", "~"].map(|end| format!("{name}{end}"))
    };
    names.iter().flat_map(continued).collect()
}

#[tokio::test]
async fn a_page_begins_behind_a_name_that_is_gone_or_never_was() {
    for world in WORLDS {
        let world = world();
        with(&world, &TAGS, &REPOSITORIES).await;
        let (_server, mut client) = serve(&world).await;
        for last in lasts(&TAGS) {
            let url = format!("/v2/tagged/tags/list?n=100&last={last}");
            let found = get(&mut client, &url).await.json();
            let expected = behind(&TAGS, &last, str::to_owned);
            assert_eq!(texts(found["tags"].as_array().unwrap()), expected, "behind {last}");
        }
        let mut repositories = REPOSITORIES.to_vec();
        repositories.push("tagged");
        for last in lasts(&REPOSITORIES) {
            let url = format!("/v2/_catalog?n=100&last={last}");
            let found = get(&mut client, &url).await.json();
            let expected = behind(&repositories, &last, slash_lowest);
            assert_eq!(texts(found["repositories"].as_array().unwrap()), expected, "behind {last}");
        }
    }
}

/// The path of the next page.
fn next(answer: &registry_tests::server::Answer) -> String {
    let link = answer.header("link").strip_prefix('<').unwrap();
    link.strip_suffix(">; rel=\"next\"").unwrap().to_owned()
}

#[tokio::test]
async fn what_is_deleted_between_two_pages_takes_nothing_else_with_it() {
    for world in WORLDS {
        for end in 1..TAGS.len() {
            let world = world();
            with(&world, &TAGS, &[]).await;
            let (_server, mut client) = serve(&world).await;
            let first = get(&mut client, &format!("/v2/tagged/tags/list?n={end}")).await;
            let tag: Tag = TAGS[end - 1].parse().unwrap();
            world.repository("tagged").tags().delete(&tag).await.unwrap();
            let rest = follow(&mut client, &next(&first), |page| &page["tags"]).await;
            assert_eq!(texts(&rest), TAGS[end..], "behind {tag}, which is gone");
        }
        for end in 1..REPOSITORIES.len() {
            let world = world();
            with(&world, &[], &REPOSITORIES).await;
            let (_server, mut client) = serve(&world).await;
            let first = get(&mut client, &format!("/v2/_catalog?n={end}")).await;
            let name: RepositoryName = REPOSITORIES[end - 1].parse().unwrap();
            let layout = RepositoryLayout::new(&name);
            world.backend.delete_tree(&layout.layers()).await.unwrap();
            let rest = follow(&mut client, &next(&first), |page| &page["repositories"]).await;
            assert_eq!(texts(&rest), REPOSITORIES[end..], "behind {name}, which is gone");
        }
    }
}

#[tokio::test]
async fn names_as_long_and_as_deep_as_can_be_are_listed() {
    let longest = "a".repeat(MAX_TAG_LENGTH);
    let nearly = &longest[..MAX_TAG_LENGTH - 1];
    let tags = [nearly, &longest, &format!("{nearly}b")];
    // 128 components, and one of 255 bytes.
    let deep = vec!["a"; MAX_NAME_LENGTH.div_ceil(2)].join("/");
    let wide = "a".repeat(MAX_NAME_LENGTH);
    assert_eq!(deep.len(), MAX_NAME_LENGTH);
    let repositories = ["a", &deep[..deep.len() - 2], &deep, &wide, "tagged"];
    for world in WORLDS {
        let world = world();
        with(&world, &tags, &repositories[..4]).await;
        let (_server, mut client) = serve(&world).await;
        expect_tags(&mut client, &tags).await;
        expect_repositories(&mut client, &repositories).await;
    }
}

fn tags() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[01a_][-._01a]{0,3}", 1..12)
}

fn repositories() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[01a]([-._/]?[01a]){0,4}", 1..12)
}

#[test]
fn whatever_the_names_each_is_listed_once_in_order_in_pages_of_any_size() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (world, cases) in [(WORLDS[0], 48), (WORLDS[1], 8)] {
        let mut runner = TestRunner::new(Config { cases, ..Config::default() });
        let outcome = runner.run(&(tags(), repositories()), |(tags, repositories)| {
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let mut repositories: Vec<&str> = repositories.iter().map(String::as_str).collect();
            runtime.block_on(async {
                let world = world();
                with(&world, &tags, &repositories).await;
                repositories.push("tagged");
                repositories.sort_by_key(|name| slash_lowest(name));
                let (_server, mut client) = serve(&world).await;
                expect_tags(&mut client, &tags).await;
                expect_repositories(&mut client, &repositories).await;
            });
            Ok(())
        });
        outcome.unwrap();
    }
}
