//! Lists of objects.

use registry_tests::s3::options::Listing;

use crate::fixture::{BUCKET, Fixture, all, first, refusal, refused};

/// A fixture with these keys.
async fn with_keys(keys: &[&str], change: impl FnOnce(&mut Listing)) -> Fixture {
    let s3 = Fixture::with(|options| change(&mut options.listing)).await;
    keys.iter().for_each(|key| s3.s3.put(BUCKET, key, "x"));
    s3
}

/// All names of a listing, keys and common prefixes, page by page.
async fn pages(s3: &Fixture, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let answer = s3.get(&format!("?list-type=2&{query}{token}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let mut names = all(&answer, "Key");
        names.extend(all(&answer, "CommonPrefixes").iter().map(|prefix| {
            prefix.trim_start_matches("<Prefix>").trim_end_matches("</Prefix>").to_owned()
        }));
        names.sort();
        assert_eq!(first(&answer, "KeyCount"), names.len().to_string());
        pages.push(names);
        assert!(pages.len() < 100, "pages go on for ever: {pages:?}");
        if first(&answer, "IsTruncated") == "false" {
            assert!(all(&answer, "NextContinuationToken").is_empty());
            return pages;
        }
        token = format!("&continuation-token={}", first(&answer, "NextContinuationToken"));
    }
}

const KEYS: &[&str] = &["l/a", "l/b/1", "l/b/2", "l/b0", "l/c/1", "m", "ä"];

#[tokio::test]
async fn keys_come_in_the_order_of_their_bytes_with_what_is_known_of_them() {
    let s3 = with_keys(&["b", "a/b", "a-b", "a", "Z"], |_| {}).await;
    let answer = s3.get("?list-type=2&fetch-owner=true").await;
    assert_eq!(all(&answer, "Key"), ["Z", "a", "a-b", "a/b", "b"]);
    assert_eq!(all(&answer, "Size"), ["1"; 5]);
    assert_eq!(all(&answer, "StorageClass"), ["STANDARD"; 5]);
    assert_eq!(first(&answer, "ETag"), "&quot;9dd4e461268c8034f5c8564e155c67a6&quot;");
    assert!(first(&answer, "LastModified").ends_with('Z'));
    assert_eq!(
        (first(&answer, "Name"), first(&answer, "MaxKeys")),
        (BUCKET.to_owned(), "1000".to_owned())
    );
}

#[tokio::test]
async fn common_prefixes_count_into_the_page() {
    let s3 = with_keys(KEYS, |_| {}).await;
    for size in 1..6 {
        let all = pages(&s3, &format!("prefix=l/&delimiter=/&max-keys={size}")).await;
        assert!(all.iter().all(|page| page.len() <= size));
        assert_eq!(all.concat(), ["l/a", "l/b/", "l/b0", "l/c/"], "pages of {size}");
        assert_eq!(all.len(), 4_usize.div_ceil(size));
    }
}

#[tokio::test]
async fn a_listing_begins_behind_any_text() {
    let s3 = with_keys(KEYS, |_| {}).await;
    assert_eq!(pages(&s3, "start-after=l/b/1&max-keys=2").await.concat(), &KEYS[2..]);
    assert_eq!(pages(&s3, "start-after=l/b/1x").await.concat(), &KEYS[2..]);
    assert_eq!(pages(&s3, "prefix=l/b/&start-after=a").await.concat(), &KEYS[1..3]);
    assert_eq!(pages(&s3, "start-after=zz").await.concat(), ["ä"]);
}

#[tokio::test]
async fn a_start_at_a_common_prefix_leaves_it_out_or_not() {
    let query = "prefix=l/&delimiter=/&start-after=l/b/";
    let moto = with_keys(KEYS, |_| {}).await;
    assert_eq!(pages(&moto, query).await.concat(), ["l/b0", "l/c/"]);
    let garage = with_keys(KEYS, |listing| listing.returns_to_prefixes = true).await;
    assert_eq!(pages(&garage, query).await.concat(), ["l/b/", "l/b0", "l/c/"]);
    assert_eq!(
        pages(&garage, &format!("{query}&max-keys=1")).await.concat(),
        ["l/b/", "l/b0", "l/c/"]
    );
}

#[tokio::test]
async fn a_page_has_no_more_than_the_store_gives() {
    let s3 = Fixture::with(|options| options.page = 2).await;
    KEYS.iter().for_each(|key| s3.s3.put(BUCKET, key, "x"));
    let all = pages(&s3, "max-keys=100000").await;
    assert_eq!((all.concat(), all.len()), (KEYS.iter().map(|key| (*key).to_owned()).collect(), 4));
}

#[tokio::test]
async fn a_page_of_nothing_is_the_last() {
    let s3 = with_keys(KEYS, |_| {}).await;
    assert_eq!(pages(&s3, "max-keys=0").await, [Vec::<String>::new()]);
}

#[tokio::test]
async fn names_are_encoded_for_who_asks() {
    let s3 = with_keys(&["a b+c/ä&<", "\u{1}"], |_| {}).await;
    let plain = s3.get("?list-type=2").await;
    assert_eq!(all(&plain, "Key"), ["&#x1;", "a b+c/ä&amp;&lt;"]);
    let encoded = s3.get("?list-type=2&encoding-type=url&delimiter=%2F&prefix=a%20").await;
    assert_eq!(first(&encoded, "CommonPrefixes"), "<Prefix>a+b%2Bc/</Prefix>");
    assert_eq!(first(&encoded, "EncodingType"), "url");
    let encoded = s3.get("?list-type=2&encoding-type=url").await;
    assert_eq!(all(&encoded, "Key"), ["%01", "a+b%2Bc/%C3%A4%26%3C"]);
}

#[tokio::test]
async fn what_is_no_listing_is_refused() {
    let s3 = Fixture::new().await;
    for query in ["max-keys=-1", "max-keys=x", "continuation-token=what", "encoding-type=base64"] {
        let answer = s3.get(&format!("?list-type=2&{query}")).await;
        assert_eq!(refusal(&answer), refused(400, "InvalidArgument"), "{query}");
    }
}

#[tokio::test]
async fn a_listing_may_have_no_order() {
    let s3 = with_keys(KEYS, |listing| listing.ordered = false).await;
    let all = pages(&s3, "").await.concat();
    let one_by_one: Vec<String> = pages(&s3, "max-keys=1").await.concat();
    assert_ne!(one_by_one, KEYS);
    let mut sorted = one_by_one;
    sorted.sort();
    assert_eq!(
        (sorted, all.len()),
        (KEYS.iter().map(|key| (*key).to_owned()).collect(), KEYS.len())
    );
}

#[tokio::test]
async fn a_listing_may_lag_behind_what_was_written() {
    let s3 = with_keys(&["a", "b"], |listing| listing.writes_behind = 1).await;
    assert_eq!(pages(&s3, "").await.concat(), ["a"]);
    s3.ask("DELETE", "a", &[], b"").await;
    assert_eq!(pages(&s3, "").await.concat(), ["a", "b"]);
    assert_eq!(s3.get("a").await.status, 404);
    s3.put("c", b"").await;
    assert_eq!(pages(&s3, "").await.concat(), ["b"]);
    s3.put("b", b"").await;
    assert_eq!(pages(&s3, "").await.concat(), ["b", "c"]);
}
