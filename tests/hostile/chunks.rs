//! Chunks that are none: the upload goes on from what came before them, and nothing behind them is a request.

use std::io::Write as _;

use crate::registry::{Registry, begin, offset, rest, statuses};

/// Would take the image away, were it taken for a request.
const DELETE: &str = "DELETE /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_chunk_that_is_none_ends_the_request_and_the_connection() {
    let registry = Registry::new();
    for (told, chunks) in [
        ("a size that overflows", "ffffffffffffffff1\r\nabc".to_owned()),
        ("a size of 2^64", "10000000000000000\r\nabc".to_owned()),
        ("a size of a MiB of digits", "f".repeat(1 << 20)),
        ("a size that is none", "xyz\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size in C's way", "0x3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("no size", "\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size behind a space", " 3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size of two numbers", "3 3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("an extension of a MiB", format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(1 << 20))),
        ("an extension with a line in it", "3;a\nb\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("extensions of many chunks", {
            format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "b".repeat(1000)).repeat(100))
        }),
        ("a line that ends in a line feed", "3\nabc\r\n0\r\n\r\n".to_owned()),
        ("a chunk longer than its size", "3\r\nabcdef\r\n0\r\n\r\n".to_owned()),
        ("a chunk that ends in a line feed", "3\r\nabc\n0\r\n\r\n".to_owned()),
        ("a trailer of a MiB", format!("0\r\nA: {}\r\n\r\n", "a".repeat(1 << 20))),
        ("10,000 trailers", format!("0\r\n{}\r\n", "A: b\r\n".repeat(10_000))),
    ] {
        let location = begin(registry.address, "chunks");
        let sent = format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{chunks}{DELETE}"
        );
        let mut stream = registry.connect();
        // It may be refused before all of it was sent.
        let _ = stream.write_all(sent.as_bytes());
        let answers = rest(&mut stream);
        // Where so much is left to read that the reset overtakes it, the answer is lost.
        let found = statuses(&answers);
        assert!(found.is_empty() || found == [400], "{told}: {answers}");
        let offset = offset(registry.address, &location);
        assert!((3..=103).contains(&offset), "{told}: {offset}");
        registry.serves_others(told);
    }
}

#[test]
fn extensions_say_nothing() {
    let registry = Registry::new();
    let location = begin(registry.address, "chunks");
    let sent = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         0003;a=\"b\";c\r\nabc\r\n0;d\r\n\r\n\
         GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let answers = registry.all_answers(sent.as_bytes());
    assert_eq!(statuses(&answers), [202, 200], "{answers}");
    assert_eq!(offset(registry.address, &location), 3);
}

/// Where they end is read in more ways than one: what follows them is passed over.
#[test]
fn trailers_say_nothing_and_end_the_connection() {
    let registry = Registry::new();
    for trailers in ["A: b\r\n\r\n", "A: b\n\r\n", "Content-Length: 99\r\nHost: y\r\n\r\n"] {
        let chunked =
            format!("Host: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}");
        let location = begin(registry.address, "chunks");
        for (asked, expected) in [(format!("PATCH {location}"), 202), ("GET /v2/".to_owned(), 200)]
        {
            let sent = format!("{asked} HTTP/1.1\r\n{chunked}{DELETE}");
            let answers = registry.all_answers(sent.as_bytes());
            assert_eq!(statuses(&answers), [expected], "{trailers:?}: {answers}");
            registry.serves_others(trailers);
        }
        assert_eq!(offset(registry.address, &location), 3);
    }
}

#[test]
fn a_body_whose_end_does_not_come_holds_nobody_up() {
    let registry = Registry::new();
    for end in ["", "0\r\n", "0\r\nA: b\r\n", "3;", "3;a", "ffffffff\r\n"] {
        let location = begin(registry.address, "chunks");
        let mut stream = registry.connect();
        write!(
            stream,
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{end}"
        )
        .unwrap();
        registry.serves_others(end);
        drop(stream);
        assert_eq!(offset(registry.address, &location), 3, "{end:?}");
    }
}
