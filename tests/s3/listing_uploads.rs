//! Lists of uploads in parts, and of their parts.

use crate::fixture::{Fixture, all, first, refusal, refused};

/// Keys with ids, and common prefixes, page by page.
async fn pages(s3: &Fixture, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut marker) = (Vec::new(), String::new());
    loop {
        let answer = s3.get(&format!("?uploads&{query}{marker}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let mut names: Vec<String> = all(&answer, "Key")
            .iter()
            .zip(all(&answer, "UploadId"))
            .map(|(key, id)| format!("{key} {id}"))
            .collect();
        names.extend(all(&answer, "CommonPrefixes"));
        pages.push(names);
        assert!(pages.len() < 100, "pages go on for ever: {pages:?}");
        if first(&answer, "IsTruncated") == "false" {
            return pages;
        }
        marker = format!(
            "&key-marker={}&upload-id-marker={}",
            first(&answer, "NextKeyMarker"),
            first(&answer, "NextUploadIdMarker")
        );
    }
}

#[tokio::test]
async fn uploads_are_listed_by_key_and_then_as_they_were_begun() {
    let s3 = Fixture::new().await;
    let mut expected = Vec::new();
    for key in ["b", "a", "b", "a/x"] {
        expected
            .push(format!("{key} {}", s3.begin(key, &[("x-amz-storage-class", "GLACIER")]).await));
    }
    let expected = [1, 3, 0, 2].map(|index| expected[index].clone());
    for size in 1..6 {
        let all = pages(&s3, &format!("max-uploads={size}")).await;
        assert_eq!(all.concat(), expected, "pages of {size}");
        assert_eq!(all.len(), 4_usize.div_ceil(size));
    }
    let answer = s3.get("?uploads").await;
    assert_eq!(all(&answer, "StorageClass"), ["GLACIER"; 4]);
    assert_eq!(pages(&s3, "key-marker=a").await.concat(), expected[1..]);
    assert_eq!(pages(&s3, "prefix=a/").await.concat(), expected[1..2]);
}

#[tokio::test]
async fn keys_of_uploads_are_rolled_up_at_the_delimiter() {
    let s3 = Fixture::new().await;
    for key in ["a/1", "a/2", "b", "c/1"] {
        s3.begin(key, &[]).await;
    }
    for size in 1..4 {
        let all = pages(&s3, &format!("delimiter=/&max-uploads={size}")).await.concat();
        let prefixes: Vec<&String> = all.iter().filter(|name| name.starts_with('<')).collect();
        assert_eq!(prefixes, ["<Prefix>a/</Prefix>", "<Prefix>c/</Prefix>"], "pages of {size}");
        assert_eq!(all.len(), 3);
    }
}

#[tokio::test]
async fn what_was_completed_or_aborted_is_not_listed() {
    let s3 = Fixture::new().await;
    let (done, gone) = (s3.begin("a", &[]).await, s3.begin("b", &[]).await);
    let etag = s3.part("a", &done, 1, b"x").await;
    s3.complete("a", &done, &[], &[(1, &etag)]).await;
    assert_eq!(s3.ask("DELETE", &format!("b?uploadId={gone}"), &[], b"").await.status, 204);
    assert_eq!(pages(&s3, "").await, [Vec::<String>::new()]);
}

#[tokio::test]
async fn parts_are_listed_by_their_numbers_page_by_page() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[("x-amz-storage-class", "STANDARD_IA")]).await;
    for number in [7, 2, 10_000, 1] {
        s3.part("k", &id, number, &vec![b'x'; usize::try_from(number).unwrap()]).await;
    }
    let answer = s3.get(&format!("k?uploadId={id}&max-parts=3")).await;
    assert_eq!(all(&answer, "PartNumber"), ["1", "2", "7"]);
    assert_eq!(all(&answer, "Size"), ["1", "2", "7"]);
    assert_eq!(all(&answer, "ETag")[0], "&quot;9dd4e461268c8034f5c8564e155c67a6&quot;");
    assert_eq!(first(&answer, "StorageClass"), "STANDARD_IA");
    assert_eq!(
        (first(&answer, "IsTruncated"), first(&answer, "NextPartNumberMarker")),
        ("true".into(), "7".into())
    );
    let rest = s3.get(&format!("k?uploadId={id}&max-parts=3&part-number-marker=7")).await;
    assert_eq!(
        (all(&rest, "PartNumber"), first(&rest, "IsTruncated")),
        (vec!["10000".to_owned()], "false".into())
    );
}

#[tokio::test]
async fn parts_of_no_upload_are_not_listed() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    for target in [format!("k?uploadId={id}0"), format!("other?uploadId={id}")] {
        assert_eq!(refusal(&s3.get(&target).await), refused(404, "NoSuchUpload"));
    }
}
