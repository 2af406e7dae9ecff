//! [`S3Server`]: an [`S3`] on a port of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use http::header::{CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet, yield_now};

use super::error::S3Error;
use super::faults::{Fault, Plan};
use super::operations::{Context, perform};
use super::payload::{Payload, Receiver};
use super::record::{Entry, Outcome, Recorded};
use super::reply::Reply;
use super::request::Request;
use super::signature::verify;
use super::{S3, dates};

/// Answers for an [`S3`] until it is dropped. What was asked of it by then still happens, as with a machine that
/// fails after it passed a request on.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    domain: String,
    task: JoinHandle<()>,
}

impl S3Server {
    /// Takes a free port.
    pub async fn start(s3: &Arc<S3>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(accept(listener, Arc::clone(s3), s3.enlist()));
        Self { address, domain: s3.options.domain.clone(), task }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, for clients that put the bucket into the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL, for clients that put the bucket before the host. They have to find `<bucket>.<domain>` here.
    pub fn endpoint_of_hosts(&self) -> String {
        format!("http://{}:{}", self.domain, self.address.port())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, s3: Arc<S3>, server: usize) {
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.expect("a listener that was bound accepts");
        connection.set_nodelay(true).expect("a TCP connection");
        let s3 = Arc::clone(&s3);
        let service = service_fn(move |request| answer(Arc::clone(&s3), server, request));
        connections.spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new());
            // How a connection ends is what tests break, and nothing to report.
            let _ = builder.serve_connection(TokioIo::new(connection), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The connection is closed without more ado.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed")
    }
}

impl std::error::Error for Closed {}

type AnswerBody = UnsyncBoxBody<Bytes, Closed>;

/// Body → gates → effect → gates → answer. From the first gate on it goes on without the client.
async fn answer(
    s3: Arc<S3>,
    server: usize,
    request: http::Request<Incoming>,
) -> Result<Response<AnswerBody>, Closed> {
    let (head, body) = request.into_parts();
    let request = Request::new(head, &s3.options.domain);
    let under_way = UnderWay::begin(&s3, server, &request);
    let plan = s3.faults.of_request(server, request.operation, &request.bucket, &request.key);
    let payload = receive(&s3, &request, body, &plan, &under_way.entry).await?;
    if plan.loses_request() {
        return Err(Closed);
    }
    let is_orphaned = plan.is_orphaned();
    let effect = tokio::spawn({
        let (s3, plan) = (Arc::clone(&s3), plan.clone());
        async move {
            plan.delay().await;
            let reply = effect(&s3, server, &request, payload, &plan);
            plan.happened().await;
            plan.delay_answer().await;
            reply
        }
    });
    if is_orphaned {
        return Err(Closed);
    }
    let reply = effect.await.expect("no operation panics");
    if plan.loses_answer() {
        return Err(Closed);
    }
    under_way.entry.settle(Outcome::Answered(reply.status.as_u16()));
    Ok(response(&s3, reply, &plan, under_way))
}

/// A request that is counted as under way until it is dropped.
struct UnderWay {
    s3: Arc<S3>,
    entry: Arc<Entry>,
}

impl UnderWay {
    fn begin(s3: &Arc<S3>, server: usize, request: &Request) -> Self {
        let entry = s3.record.begin(Recorded {
            server,
            operation: request.operation,
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            line: format!("{} {}", request.head.method, request.head.uri),
            bytes_in: 0,
            bytes_out: 0,
            outcome: Outcome::Pending,
        });
        Self { s3: Arc::clone(s3), entry }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.entry.settle(Outcome::Lost);
        self.s3.record.end();
    }
}

/// Takes the whole body, also of a request that is refused: whoever sends it does not read before it is sent. But who
/// asks first whether to send it is told.
async fn receive(
    s3: &S3,
    request: &Request,
    mut body: Incoming,
    plan: &Plan,
    entry: &Entry,
) -> Result<Result<Payload, S3Error>, Closed> {
    let mut receiver = receiver(s3, request);
    if receiver.is_err() && request.head.headers.contains_key(EXPECT) {
        return Ok(receiver.and_then(Receiver::finish));
    }
    let cut = plan
        .find(|fault| if let Fault::CutRequest { after } = fault { Some(*after) } else { None });
    let slow = plan.find(|fault| {
        if let Fault::SlowRequest { piece, rest } = fault { Some((*piece, *rest)) } else { None }
    });
    let mut left = cut.unwrap_or(u64::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| Closed)?.into_data() else { continue };
        while !data.is_empty() {
            let piece =
                data.split_to(data.len().min(slow.map_or(usize::MAX, |(piece, _)| piece.max(1))));
            let length = piece.len() as u64;
            entry.take_in(usize::try_from(length.min(left)).expect("the length of a piece"));
            left = left.checked_sub(length).ok_or(Closed)?;
            if let Ok(receiver) = &mut receiver {
                receiver.take(piece);
            }
            if let Some((_, rest)) = slow {
                tokio::time::sleep(rest).await;
            }
        }
    }
    Ok(receiver.and_then(Receiver::finish))
}

/// What takes the body, if the request is one that may be.
fn receiver(s3: &S3, request: &Request) -> Result<Receiver, S3Error> {
    let identity = match &s3.options.credentials {
        Some(credentials) => {
            let now = s3.options.clock.now();
            Some(verify(request, credentials, &s3.options.region, now)?)
        }
        None => None,
    };
    Receiver::new(request, identity, s3.options.largest_put)
}

fn effect(
    s3: &S3,
    server: usize,
    request: &Request,
    payload: Result<Payload, S3Error>,
    plan: &Plan,
) -> Reply {
    let done = match plan.refusal() {
        Some(failure) => Err(failure.error()),
        None => done(s3, server, request, payload),
    };
    let done = match plan.denial() {
        Some(failure) => done.and(Err(failure.error())),
        None => done,
    };
    done.unwrap_or_else(|error| Reply::refusal(&error, request, &s3.answer_id()))
}

fn done(
    s3: &S3,
    server: usize,
    request: &Request,
    payload: Result<Payload, S3Error>,
) -> Result<Reply, S3Error> {
    let payload = payload?;
    if let Some(problem) = &request.problem {
        return Err(problem.clone());
    }
    let mut state = s3.state();
    let now = s3.options.clock.now();
    let context = Context {
        options: &s3.options,
        faults: &s3.faults,
        server,
        state: &mut state,
        request,
        now,
    };
    perform(context, &payload)
}

fn response(s3: &S3, reply: Reply, plan: &Plan, under_way: UnderWay) -> Response<AnswerBody> {
    let length = reply.length.unwrap_or(reply.body.len());
    let has_length = ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&reply.status);
    let cut =
        plan.find(|fault| if let Fault::CutAnswer { after } = fault { Some(*after) } else { None });
    let slow = plan.find(|fault| {
        if let Fault::SlowAnswer { piece, rest } = fault { Some((*piece, *rest)) } else { None }
    });
    let body = Outgoing {
        pieces: Box::new(reply.body.into_pieces()),
        rest: Bytes::new(),
        cut,
        slow,
        under_way,
    };
    let mut response = Response::new(StreamBody::new(body.stream()).boxed_unsync());
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .expect("a name of the source, or one that came as one");
        // What cannot be sent, such as an override with a line's end in it, is left out.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if has_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // Clients set their clocks by it.
    let date = dates::http(s3.options.clock.now());
    headers.insert(DATE, HeaderValue::from_str(&date).expect("a date is text"));
    let id = HeaderValue::from_str(&s3.answer_id()).expect("an id is text");
    headers.insert(HeaderName::from_static("x-amz-request-id"), id);
    response
}

/// The body of an answer on its way.
struct Outgoing {
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    /// Of the piece that is on its way.
    rest: Bytes,
    /// After how many bytes the connection is closed.
    cut: Option<u64>,
    /// The size of a piece, and how long to rest before each.
    slow: Option<(usize, Duration)>,
    under_way: UnderWay,
}

impl Outgoing {
    fn stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Closed>> + Send {
        stream::unfold(self, |mut body| async move {
            let next = body.next().await?;
            Some((next.map(Frame::data), body))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Closed>> {
        while self.rest.is_empty() {
            self.rest = self.pieces.next()?;
        }
        let mut length = self.rest.len();
        if let Some((piece, rest)) = self.slow {
            length = length.min(piece.max(1));
            tokio::time::sleep(rest).await;
        }
        if let Some(left) = &mut self.cut {
            if *left == 0 {
                // What was sent until now goes out while this waits.
                yield_now().await;
                return Some(Err(Closed));
            }
            length = length.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= length as u64;
        }
        self.under_way.entry.give_out(length);
        Some(Ok(self.rest.split_to(length)))
    }
}
