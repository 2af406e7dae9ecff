//! Heads that are too long, in every part: refused before they fill the memory.

use std::io::Write as _;

use registry_http::Options;
use registry_http::serve::Limits;

use crate::registry::{Registry, answer, rest, statuses};

const MIB: usize = 1 << 20;

#[test]
fn a_head_that_is_too_long_is_refused_and_the_connection_closed() {
    let registry = Registry::new();
    let get = "GET /v2/ HTTP/1.1\r\nHost: x\r\n";
    for (told, sent, expected) in [
        ("a header of a MiB", format!("{get}A: {}\r\n\r\n", "b".repeat(MIB)), 431),
        ("a name of a MiB", format!("{get}{}: b\r\n\r\n", "A".repeat(MIB)), 431),
        ("10,000 headers", format!("{get}{}\r\n", "A: b\r\n".repeat(10_000)), 431),
        ("101 headers", format!("{get}{}\r\n", "A: b\r\n".repeat(100)), 431),
        ("a line of a MiB", format!("GET /v2/{} HTTP/1.1\r\n\r\n", "a".repeat(MIB)), 431),
        ("a path of 65,535", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(65_534)), 414),
        ("a query of a MiB", format!("GET /v2/?{} HTTP/1.1\r\n\r\n", "a".repeat(MIB)), 431),
        ("a method of a MiB", format!("{} / HTTP/1.1\r\n\r\n", "G".repeat(MIB)), 431),
        ("a head that only begins, and is too long", format!("{get}A: {}", "b".repeat(MIB)), 431),
        ("a MiB of nothing", "\0".repeat(MIB), 400),
    ] {
        let answers = registry.all_answers(sent.as_bytes());
        assert_eq!(statuses(&answers), [expected], "{told}: {answers}");
        registry.serves_others(told);
    }
}

#[test]
fn a_head_may_be_as_long_as_the_limit_says_and_no_longer() {
    let limits = Limits { head_size: 4096, headers: 10, ..Limits::default() };
    let registry = Registry::with(limits, Options::default());
    let of = |size: usize| {
        let around = "GET /v2/ HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n".len();
        format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(size - around))
    };
    let mut stream = registry.connect();
    // What came before on a connection does not count.
    for _ in 0..3 {
        stream.write_all(of(4096).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).status, 200);
    }
    stream.write_all(of(4097).as_bytes()).unwrap();
    assert_eq!(statuses(&rest(&mut stream)), [431]);

    let with = |count: usize| format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    let mut stream = registry.connect();
    stream.write_all(with(10).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).status, 200);
    stream.write_all(with(11).as_bytes()).unwrap();
    assert_eq!(statuses(&rest(&mut stream)), [431]);
}

#[test]
fn empty_lines_before_a_request_do_not_go_on_for_ever() {
    let registry = Registry::new();
    let answers = registry.all_answers("\r\n".repeat(MIB).as_bytes());
    assert_eq!(statuses(&answers), [431], "{answers}");
    registry.serves_others("after it");
}
