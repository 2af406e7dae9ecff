//! Checksums, in headers and in trailers, and bodies that come in chunks.

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use registry_tests::s3::signature::signer::{
    SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILERS, UNSIGNED_CHUNKS, payload_hash,
};
use registry_tests::server::{Answer, streamed, whole};

use crate::fixture::{Fixture, first, refusal, refused};

const CRC32: (&str, &str) = ("x-amz-checksum-crc32", "NSRBwg==");

#[tokio::test]
async fn a_body_that_is_not_what_its_head_says_is_refused_and_not_kept() {
    let s3 = Fixture::new().await;
    for (name, wrong) in [
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ] {
        let answer = s3.ask("PUT", "k", &[(name, wrong)], b"abc").await;
        assert_eq!(refusal(&answer), refused(400, "BadDigest"), "{name}");
        assert_eq!(s3.get("k").await.status, StatusCode::NOT_FOUND);
    }
    let (request, _) = s3.signed("PUT", "k", &[], &payload_hash(b"abd"));
    let answer = s3.send(request, whole("abc")).await;
    assert_eq!(refusal(&answer), refused(400, "XAmzContentSHA256Mismatch"));
}

#[tokio::test]
async fn a_checksum_is_kept_and_told_to_who_asks() {
    let s3 = Fixture::new().await;
    let put = s3.ask("PUT", "k", &[CRC32], b"abc").await;
    assert_eq!(put.header(CRC32.0), CRC32.1);
    let asks = ("x-amz-checksum-mode", "ENABLED");
    let got = s3.ask("GET", "k", &[asks], b"").await;
    assert_eq!((got.header(CRC32.0), got.header("x-amz-checksum-type")), (CRC32.1, "FULL_OBJECT"));
    assert_eq!(s3.get("k").await.header(CRC32.0), "");
    let part = s3.ask("GET", "k", &[asks, ("range", "bytes=0-0")], b"").await;
    assert_eq!(part.header(CRC32.0), "");
}

/// Puts `abc` in chunks.
async fn put_chunks(s3: &Fixture, payload: &str, trailer: Option<&str>, alter: &str) -> Answer {
    let mut headers =
        vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "3")];
    headers.extend(trailer.map(|_| ("x-amz-trailer", CRC32.0)));
    let (request, mut chain) = s3.signed("PUT", "k", &headers, payload);
    let mut body = if payload == UNSIGNED_CHUNKS {
        b"2\r\nab\r\n1\r\nc\r\n0\r\n".to_vec()
    } else {
        chain.chunks([&b"ab"[..], b"c"])
    };
    body.extend(match trailer {
        Some(value) if payload == SIGNED_CHUNKS_AND_TRAILERS => chain.trailers(CRC32.0, value),
        Some(value) => format!("{}:{value}\r\n\r\n", CRC32.0).into_bytes(),
        None => b"\r\n".to_vec(),
    });
    let body = String::from_utf8(body).unwrap().replace("\r\nab\r\n", &format!("\r\n{alter}\r\n"));
    s3.send(request, whole(body)).await
}

#[tokio::test]
async fn chunks_are_put_together_and_their_encoding_is_not_kept() {
    let s3 = Fixture::new().await;
    for (payload, trailer) in [
        (UNSIGNED_CHUNKS, Some(CRC32.1)),
        (SIGNED_CHUNKS, None),
        (SIGNED_CHUNKS_AND_TRAILERS, Some(CRC32.1)),
    ] {
        let put = put_chunks(&s3, payload, trailer, "ab").await;
        assert_eq!(put.status, StatusCode::OK, "{payload}: {:?}", put.body);
        assert_eq!(put.header(CRC32.0), trailer.unwrap_or_default());
        let got = s3.get("k").await;
        assert_eq!((&got.body[..], got.header("content-encoding")), (&b"abc"[..], ""));
        s3.ask("DELETE", "k", &[], b"").await;
    }
}

#[tokio::test]
async fn chunks_that_were_altered_are_refused() {
    let s3 = Fixture::new().await;
    for (payload, trailer, code) in [
        (UNSIGNED_CHUNKS, Some(CRC32.1), refused(400, "BadDigest")),
        (SIGNED_CHUNKS, None, refused(403, "SignatureDoesNotMatch")),
        (SIGNED_CHUNKS_AND_TRAILERS, Some(CRC32.1), refused(403, "SignatureDoesNotMatch")),
    ] {
        assert_eq!(refusal(&put_chunks(&s3, payload, trailer, "xy").await), code, "{payload}");
    }
    let wrong = put_chunks(&s3, UNSIGNED_CHUNKS, Some("AAAAAA=="), "ab").await;
    assert_eq!(refusal(&wrong), refused(400, "BadDigest"));
    assert!(s3.s3.objects(crate::fixture::BUCKET).is_empty());
}

#[tokio::test]
async fn a_trailer_that_was_altered_behind_signed_chunks_is_refused() {
    let s3 = Fixture::new().await;
    let headers = [("x-amz-decoded-content-length", "3"), ("x-amz-trailer", CRC32.0)];
    let (request, mut chain) = s3.signed("PUT", "k", &headers, SIGNED_CHUNKS_AND_TRAILERS);
    let mut body = chain.chunks([&b"abc"[..]]);
    let trailers = String::from_utf8(chain.trailers(CRC32.0, "AAAAAA==")).unwrap();
    body.extend(trailers.replace("AAAAAA==", CRC32.1).into_bytes());
    let answer = s3.send(request, whole(body)).await;
    assert_eq!(refusal(&answer), refused(403, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn chunks_may_come_without_a_length_of_all() {
    let s3 = Fixture::new().await;
    let headers = [("x-amz-decoded-content-length", "3"), ("x-amz-trailer", CRC32.0)];
    let (request, _) = s3.signed("PUT", "k", &headers, UNSIGNED_CHUNKS);
    let trailer = format!("0\r\n{}:{}\r\n\r\n", CRC32.0, CRC32.1);
    let parts = ["3\r\nab".to_owned(), "c\r\n".to_owned(), trailer];
    let answer =
        s3.send(request, streamed(stream::iter(parts.map(|part| Ok(Bytes::from(part)))))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(s3.get("k").await.body, "abc");
}

#[tokio::test]
async fn a_body_without_a_length_is_refused() {
    let s3 = Fixture::new().await;
    let (request, _) = s3.signed("PUT", "k", &[], "UNSIGNED-PAYLOAD");
    let answer = s3.send(request, streamed(stream::iter([Ok(Bytes::from("abc"))]))).await;
    assert_eq!(refusal(&answer), refused(501, "NotImplemented"));
}

#[tokio::test]
async fn an_upload_in_parts_has_a_checksum_of_its_checksums_or_of_all_bytes() {
    let s3 = Fixture::new().await;
    let composite = s3.begin("c", &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let target = format!("c?partNumber=1&uploadId={composite}");
    let without = s3.ask("PUT", &target, &[], b"abc").await;
    assert_eq!(refusal(&without), refused(400, "InvalidRequest"));
    let part = s3.ask("PUT", &target, &[CRC32], b"abc").await;
    let etag = part.header("etag").to_owned();
    let without = s3.complete("c", &composite, &[], &[(1, &etag)]).await;
    assert_eq!(refusal(&without), refused(400, "InvalidRequest"));
    let asked = format!(
        "<CompleteMultipartUpload><Part><ETag>{etag}</ETag><PartNumber>1</PartNumber>\
         <ChecksumCRC32>{}</ChecksumCRC32></Part></CompleteMultipartUpload>",
        CRC32.1
    );
    let done = s3.ask("POST", &format!("c?uploadId={composite}"), &[], asked.as_bytes()).await;
    assert_eq!(first(&done, "ChecksumType"), "COMPOSITE");
    assert!(first(&done, "ChecksumCRC32").ends_with("-1"));

    let headers = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let full = s3.begin("f", &headers).await;
    let etag = s3.part("f", &full, 1, b"abc").await;
    let wrong =
        s3.complete("f", &full, &[("x-amz-checksum-crc32", "AAAAAA==")], &[(1, &etag)]).await;
    assert_eq!(refusal(&wrong), refused(400, "BadDigest"));
    let done = s3.complete("f", &full, &[CRC32], &[(1, &etag)]).await;
    assert_eq!(first(&done, "ChecksumCRC32"), CRC32.1);
}
