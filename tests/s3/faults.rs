//! What goes wrong when a test says so.

use std::time::Duration;

use registry_tests::child::PATIENCE;
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::record::Outcome;
use registry_tests::s3::server::S3Server;
use registry_tests::server::{Client, Protocol, whole};

use crate::fixture::{BUCKET, Fixture, completion, first, refusal, refused};

#[tokio::test]
async fn a_request_is_refused_and_nothing_happens() {
    let s3 = Fixture::new().await;
    for (failure, expected) in [
        (Failure::InternalError, refused(500, "InternalError")),
        (Failure::SlowDown, refused(503, "SlowDown")),
        (Failure::TooManyRequests, refused(429, "TooManyRequests")),
        (Failure::RequestTimeout, refused(400, "RequestTimeout")),
        (Failure::Conflict, refused(409, "ConditionalRequestConflict")),
        (Failure::AccessDenied, refused(403, "AccessDenied")),
    ] {
        let injected = s3.s3.faults().nth(Operation::PutObject, 1, Fault::Refuse(failure));
        assert_eq!(refusal(&s3.put("k", b"x").await), expected);
        assert_eq!(injected.times(), 1);
        assert!(s3.s3.objects(BUCKET).is_empty());
    }
    assert_eq!(s3.put("k", b"x").await.status, 200);
}

#[tokio::test]
async fn a_request_is_done_and_denied() {
    let s3 = Fixture::new().await;
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::DoAndDeny(Failure::InternalError));
    assert_eq!(refusal(&s3.put("k", b"x").await), refused(500, "InternalError"));
    assert_eq!(s3.get("k").await.body, "x");
}

#[tokio::test]
async fn a_completion_fails_inside_of_200_done_or_not() {
    let s3 = Fixture::new().await;
    for (fault, is_done) in [
        (Fault::Refuse(Failure::InsideOf200), false),
        (Fault::DoAndDeny(Failure::InsideOf200), true),
    ] {
        let id = s3.begin("k", &[]).await;
        let etag = s3.part("k", &id, 1, b"x").await;
        s3.s3.faults().nth(Operation::CompleteMultipartUpload, 1, fault);
        let answer = s3.complete("k", &id, &[], &[(1, &etag)]).await;
        assert_eq!(
            (answer.status.as_u16(), first(&answer, "Code")),
            (200, "InternalError".to_owned())
        );
        assert_eq!(s3.s3.objects(BUCKET).contains_key("k"), is_done);
        assert_eq!(s3.s3.uploads(BUCKET).is_empty(), is_done);
        assert_eq!(s3.complete("k", &id, &[], &[(1, &etag)]).await.status, 200);
        s3.s3.remove(BUCKET, "k");
    }
}

#[tokio::test]
async fn an_answer_is_lost_after_the_effect_and_a_request_before() {
    let s3 = Fixture::new().await;
    for (fault, is_done) in [(Fault::LoseRequest, false), (Fault::LoseAnswer, true)] {
        s3.s3.faults().nth(Operation::PutObject, 1, fault);
        assert!(s3.try_ask("PUT", "k", &[], b"x").await.is_err());
        assert_eq!(s3.s3.objects(BUCKET).contains_key("k"), is_done);
    }
}

#[tokio::test]
async fn a_body_is_cut_on_its_way_in() {
    let s3 = Fixture::new().await;
    let body = vec![b'x'; 1 << 20];
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::CutRequest { after: 1000 });
    assert!(s3.try_ask("PUT", "k", &[], &body).await.is_err());
    assert!(s3.s3.objects(BUCKET).is_empty());
    assert_eq!((s3.s3.requests()[0].bytes_in, s3.s3.requests()[0].outcome), (1000, Outcome::Lost));
    assert_eq!(s3.put("k", &body).await.status, 200);
}

#[tokio::test]
async fn a_body_is_cut_on_its_way_out() {
    let s3 = Fixture::new().await;
    s3.put("k", b"0123456789").await;
    s3.s3.faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after: 4 });
    let (request, _) = s3.signed("GET", "k", &[], "UNSIGNED-PAYLOAD");
    let mut stream = tokio::net::TcpStream::connect(s3.server.address()).await.unwrap();
    let mut text = format!("GET {} HTTP/1.1\r\n", request.uri());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += "\r\n";
    let mut answer = Vec::new();
    tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await.unwrap();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n0123"), "{answer}");
    assert!(s3.try_ask("GET", "k", &[], b"").await.is_ok());
    assert_eq!(s3.s3.requests()[1].bytes_out, 4);
}

#[tokio::test]
async fn a_delayed_request_happens_after_its_sender_is_gone() {
    let s3 = Fixture::new().await;
    let gate = Gate::shut();
    s3.s3.faults().nth(Operation::DeleteObject, 1, Fault::Delay(gate.clone()));
    s3.put("k", b"x").await;
    {
        let deletion = s3.ask("DELETE", "k", &[], b"");
        tokio::select! {
            _ = deletion => panic!("nobody opened the gate"),
            () = gate.arrived(1) => {}
        }
    }
    until(|| s3.s3.requests()[1].outcome == Outcome::Lost).await;
    assert_eq!(s3.ask("DELETE", "k", &[], b"").await.status, 204);
    assert_eq!(s3.put("k", b"y").await.status, 200);
    gate.open();
    until(|| !s3.s3.objects(BUCKET).contains_key("k")).await;
}

/// Waits until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes about");
}

#[tokio::test]
async fn a_delayed_answer_is_one_to_what_has_happened() {
    let s3 = Fixture::new().await;
    let gate = Gate::shut();
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::DelayAnswer(gate.clone()));
    let look = async {
        gate.arrived(1).await;
        assert_eq!(s3.get("k").await.body, "x");
        gate.open();
    };
    let (put, ()) = tokio::join!(s3.put("k", b"x"), look);
    assert_eq!(put.status, 200);
}

#[tokio::test]
async fn a_slow_body_comes_whole() {
    let s3 = Fixture::new().await;
    let rest = Duration::from_micros(1);
    let body: Vec<u8> = (0..100).collect();
    s3.s3.faults().every(Operation::PutObject, Fault::SlowRequest { piece: 7, rest });
    s3.s3.faults().every(Operation::GetObject, Fault::SlowAnswer { piece: 7, rest });
    assert_eq!(s3.put("k", &body).await.status, 200);
    assert_eq!(s3.get("k").await.body, body);
}

#[tokio::test]
async fn a_fault_may_be_of_any_request_by_its_number() {
    let s3 = Fixture::new().await;
    // What a test of every operation at every call does.
    for nth in 1..=4 {
        s3.s3.faults().clear();
        s3.s3.faults().when(move |asked| asked.nth == nth, Fault::Refuse(Failure::SlowDown));
        let id = s3.ask("POST", "k?uploads", &[], b"").await;
        let statuses = [
            id.status.as_u16(),
            s3.get("k").await.status.as_u16(),
            s3.ask("HEAD", "k", &[], b"").await.status.as_u16(),
            s3.ask("POST", "k?uploadId=none", &[], completion(&[(1, "e")]).as_bytes())
                .await
                .status
                .as_u16(),
        ];
        let mut expected = [200, 404, 404, 404];
        expected[nth - 1] = 503;
        assert_eq!(statuses, expected);
    }
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_and_closed_by_a_fault() {
    let s3 = Fixture::new().await;
    let mut client = Client::connect(s3.server.address(), Protocol::Http1).await;
    let request = || {
        let (request, _) = s3.signed("GET", "k", &[], "UNSIGNED-PAYLOAD");
        let mut builder = http::Request::get(request.uri());
        *builder.headers_mut().unwrap() = request.headers().clone();
        builder
    };
    for _ in 0..3 {
        assert_eq!(client.send(request(), whole("")).await.status, 404);
    }
    s3.s3.faults().nth(Operation::GetObject, 1, Fault::LoseRequest);
    assert!(client.try_send(request(), whole("")).await.is_err());
    assert_eq!(client.send(request(), whole("")).await.status, 404);
}

#[tokio::test]
async fn an_orphan_loses_its_connection_at_once_and_happens_when_it_is_let() {
    let s3 = Fixture::new().await;
    let gate = Gate::shut();
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::Orphan(gate.clone()));
    assert!(s3.try_ask("PUT", "k", &[], b"late").await.is_err());
    assert!(s3.s3.objects(BUCKET).is_empty());
    assert_eq!(s3.put("k", b"again").await.status, 200);
    gate.open();
    gate.emptied().await;
    assert_eq!(s3.get("k").await.body, "late");
}

#[tokio::test]
async fn what_waits_happens_just_before_a_chosen_request_or_just_after_it() {
    let s3 = Fixture::new().await;
    for is_overtaken in [false, true] {
        s3.s3.faults().clear();
        let gate = Gate::shut();
        let opens = match is_overtaken {
            false => Fault::OpenBefore(gate.clone()),
            true => Fault::OpenAfter(gate.clone()),
        };
        s3.s3.faults().nth(Operation::PutObject, 1, Fault::Orphan(gate));
        s3.s3.faults().nth(Operation::PutObject, 3, opens);
        assert!(s3.try_ask("PUT", "k", &[], b"first").await.is_err());
        assert_eq!(s3.put("k", b"second").await.status, 200);
        assert_eq!(s3.get("k").await.body, "second");
        assert_eq!(s3.put("k", b"third").await.status, 200);
        assert_eq!(s3.get("k").await.body, if is_overtaken { "first" } else { "third" });
    }
}

#[tokio::test]
async fn a_request_overtakes_one_whose_sender_still_waits() {
    let s3 = Fixture::new().await;
    let gate = Gate::shut();
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::Delay(gate.clone()));
    s3.s3.faults().nth(Operation::PutObject, 2, Fault::OpenAfter(gate.clone()));
    let overtaking = async {
        gate.arrived(1).await;
        s3.put("k", b"second").await
    };
    let (first, second) = tokio::join!(s3.put("k", b"first"), overtaking);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(s3.get("k").await.body, "first");
}

#[tokio::test]
async fn a_fault_may_be_of_one_server_and_what_was_stored_is_put_back() {
    let s3 = Fixture::new().await;
    s3.put("k", b"before").await;
    let id = s3.begin("parts", &[]).await;
    s3.part("parts", &id, 1, b"x").await;
    let snapshot = s3.s3.snapshot();
    let other = S3Server::start(&s3.s3).await;
    s3.s3.faults().when(|asked| asked.server == 1, Fault::LoseRequest);
    assert_eq!(s3.put("k", b"after").await.status, 200);
    assert_eq!(s3.ask("DELETE", &format!("parts?uploadId={id}"), &[], b"").await.status, 204);
    let mut client = Client::connect(other.address(), Protocol::Http1).await;
    let ask = http::Request::get(format!("/{BUCKET}/k"));
    assert!(client.try_send(ask, whole("")).await.is_err());
    s3.s3.restore(&snapshot);
    assert_eq!(s3.get("k").await.body, "before");
    assert_eq!(s3.s3.uploads(BUCKET)[0].id, id);
}
