//! Listings: order, pages, and what is left out.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::backend::Child;
use crate::backend::fs::walk::{keys_by_chunks, list_children};

/// Makes empty objects of these names below `p`, those that can be: a name cannot be file and directory.
fn lay_out(ground: &Ground, names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for name in names {
        let path = ground.root().join("p").join(name);
        let directory = path.parent().unwrap();
        if std::fs::create_dir_all(directory).is_ok() && std::fs::write(&path, b"").is_ok() {
            made.insert(format!("p/{name}"));
        }
    }
    made
}

fn names() -> impl Strategy<Value = BTreeSet<String>> {
    let segment = "[0a][-._0a]{0,2}";
    prop::collection::btree_set(
        prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/")),
        0..24,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn keys_come_in_the_byte_order_of_whole_keys(names in names(), after in "p/[-._0a/]{0,6}[0a]", chunk in 1usize..5) {
        let ground = Ground::new();
        let made = lay_out(&ground, &names);
        let all: Vec<_> = made.iter().cloned().collect();
        prop_assert_eq!(&keys_by_chunks(&ground.backend.root, &k("p"), None, chunk), &all);
        if let Ok(after) = after.parse::<Key>() {
            let rest: Vec<_> = all.into_iter().filter(|key| key.as_str() > after.as_str()).collect();
            prop_assert_eq!(keys_by_chunks(&ground.backend.root, &k("p"), Some(&after), chunk), rest);
        }
    }

    #[test]
    fn children_come_in_pages(names in names(), after in "[-._0a]{0,3}", limit in 0usize..5) {
        let ground = Ground::new();
        let made = lay_out(&ground, &names);
        let mut children = BTreeSet::new();
        for key in &made {
            let name = key.strip_prefix("p/").unwrap();
            children.insert(match name.split_once('/') {
                Some((directory, _)) => (directory.to_owned(), Child::Prefix(directory.to_owned())),
                None => (name.to_owned(), Child::Object(name.to_owned())),
            });
        }
        let wanted = children.into_iter().filter(|(name, _)| *name > after).map(|(_, child)| child);
        let expected = crate::page::Page::cut(wanted, limit);
        let page = list_children(&ground.backend.root, &k("p"), Some(&after), limit);
        prop_assert_eq!(page.unwrap(), expected);
    }
}

async fn listed(ground: &Ground, prefix: &str, after: Option<&str>) -> Vec<String> {
    let after = after.map(k);
    let keys = ground.backend.list(&k(prefix), after.as_ref());
    keys.map_ok(|key| key.to_string()).try_collect().await.unwrap()
}

#[tokio::test]
async fn what_cannot_be_an_object_is_left_out_and_links_of_operators_are_followed() {
    let ground = Ground::new();
    let root = ground.root();
    std::fs::create_dir_all(root.join("p/d")).unwrap();
    std::fs::create_dir_all(root.join("elsewhere")).unwrap();
    std::fs::write(root.join("elsewhere/file"), b"12").unwrap();
    std::fs::write(root.join("p/b c"), b"").unwrap();
    std::fs::write(root.join("p/é"), b"").unwrap();
    std::fs::write(root.join("p/a"), b"").unwrap();
    symlink(root.join("elsewhere"), root.join("p/linked")).unwrap();
    symlink(root.join("elsewhere/file"), root.join("p/file")).unwrap();
    symlink(root.join("nowhere"), root.join("p/broken")).unwrap();
    symlink(root.join("p/loop"), root.join("p/loop")).unwrap();
    assert_eq!(listed(&ground, "p", None).await, ["p/a", "p/file", "p/linked/file"]);
    let page = ground.backend.list_children(&k("p"), None, 9).await.unwrap();
    let names: Vec<_> = page.items.iter().map(Child::name).collect();
    assert_eq!(names, ["a", "d", "file", "linked"]);
    let prefixes: Vec<_> = page.items.iter().map(Child::is_prefix).collect();
    assert_eq!(prefixes, [false, true, false, true]);
    assert_eq!(ground.content("p/linked/file").await.unwrap(), "12");
    let head = ground.backend.head(&k("p/file")).await.unwrap();
    assert_eq!(head.unwrap().size, 2);
    assert_eq!(ground.backend.head(&k("p/broken")).await.unwrap(), None);

    ground.backend.delete_tree(&k("p")).await.unwrap();
    assert!(root.join("elsewhere/file").exists(), "no link is followed to delete");
    assert!(!root.join("p").exists());
}

#[tokio::test]
async fn more_names_than_a_batch_are_listed_once_each() {
    let ground = Ground::new();
    let names: BTreeSet<_> = (0..2500).map(|number| format!("{}/{number}", number % 3)).collect();
    let made = lay_out(&ground, &names);
    let all: Vec<_> = made.into_iter().collect();
    assert_eq!(listed(&ground, "p", None).await, all);
    assert_eq!(listed(&ground, "p", Some(&all[1700])).await, all[1701..]);
}

#[tokio::test]
async fn unfinished_files_are_listed_only_where_they_are_asked_for() {
    let ground = Ground::used().await;
    std::fs::write(ground.root().join("_rs/tmp/x.tmp"), b"").unwrap();
    assert_eq!(listed(&ground, "_rs", None).await, [""; 0]);
    assert_eq!(listed(&ground, "_rs/tmp", None).await, ["_rs/tmp/x.tmp"]);
}

#[tokio::test]
async fn a_prefix_that_is_an_object_or_nothing_lists_nothing() {
    let ground = Ground::used().await;
    for prefix in ["first/one", "none", "none/at/all"] {
        assert_eq!(listed(&ground, prefix, None).await, [""; 0]);
        let page = ground.backend.list_children(&k(prefix), None, 3).await.unwrap();
        assert_eq!(page.items, []);
    }
}
