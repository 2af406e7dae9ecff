//! Listings.

use http::Method;
use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;
use registry_tests::backends::BUCKET;

use crate::bench::Bench;

#[tokio::test]
async fn a_page_of_tags() {
    let bench = Bench::new();
    let keys = RepositoryLayout::new(&"a".parse().unwrap());
    let digest = Digest::sha256(b"whatever");
    for number in 0..2000 {
        bench.place_tag(&keys, &format!("v{number:04}"), &[digest]);
    }
    for url in ["/v2/a/tags/list?n=100", "/v2/a/tags/list?n=100&last=v0999"] {
        bench.begin();
        let answer = bench.ask(Method::GET, url, "", 200).await;
        assert_eq!(answer.body.iter().filter(|byte| **byte == b'v').count(), 100);
        bench.expect("ListObjectsV2 1", 1);
    }
}

#[tokio::test]
async fn a_page_of_the_catalog() {
    let bench = Bench::new();
    let digest = Digest::sha256(b"whatever");
    for number in 0..300 {
        let name = format!("org{}/app{:02}", number / 30, number % 30).parse().unwrap();
        let keys = RepositoryLayout::new(&name);
        for key in [
            keys.layer_link(&digest),
            keys.layer_link(&Digest::sha256(b"other")),
            keys.revision_link(&digest),
        ] {
            bench.served.s3.put(BUCKET, key.as_str(), digest.to_string());
        }
        bench.place_tag(&keys, "v1", &[digest]);
    }
    for url in ["/v2/_catalog?n=100", "/v2/_catalog?n=100&last=org3/app09"] {
        bench.begin();
        let answer = bench.ask(Method::GET, url, "", 200).await;
        assert_eq!(answer.body.windows(4).filter(|part| *part == b"/app").count(), 100);
        bench.expect("ListObjectsV2 1", 1);
    }
}
