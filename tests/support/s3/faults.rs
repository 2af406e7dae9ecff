//! [`Faults`]: what goes wrong, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::S3Error;
use super::gate::Gate;
use super::operation::Operation;

/// What goes wrong with a request. Several may go wrong with one: it is delayed, and then its answer is lost.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing happens, and this is the answer.
    Refuse(Failure),
    /// It happens, and this is the answer nonetheless.
    DoAndDeny(Failure),
    /// Nothing happens, and the connection is closed without an answer.
    LoseRequest,
    /// It happens, and the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed after so many bytes of the request's body; nothing happens. A body that is no
    /// longer goes through.
    CutRequest {
        /// As they come over the wire, with what an encoding adds.
        after: u64,
    },
    /// It happens, and the connection is closed after so many bytes of the answer's body. One that is no longer
    /// goes through.
    CutAnswer {
        /// Of the body.
        after: u64,
    },
    /// It happens when the gate is open, whether or not the client still waits for it then.
    Delay(Gate),
    /// It happens, and the answer goes out when the gate is open.
    DelayAnswer(Gate),
    /// The connection is closed without an answer, and it happens when the gate is open: a request that outlives its
    /// sender, or the next try of it.
    Orphan(Gate),
    /// Before it happens the gate is opened, and all that waited there happens.
    OpenBefore(Gate),
    /// When it has happened the gate is opened, and all that waited there happens: it has overtaken that. Then it is
    /// answered.
    OpenAfter(Gate),
    /// The request's body is taken in pieces of at most so many bytes, with a rest after each.
    SlowRequest {
        /// In bytes.
        piece: usize,
        /// By tokio's clock.
        rest: Duration,
    },
    /// The answer's body is sent in pieces of at most so many bytes, with a rest before each.
    SlowAnswer {
        /// In bytes.
        piece: usize,
        /// By tokio's clock.
        rest: Duration,
    },
}

/// An answer that says that it did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 500 `InternalError`
    InternalError,
    /// 503 `SlowDown`
    SlowDown,
    /// 429 `TooManyRequests`, as R2 and others say it.
    TooManyRequests,
    /// 400 `RequestTimeout`: what S3 says when a body does not come; the one 400 that is to be tried again.
    RequestTimeout,
    /// 409 `ConditionalRequestConflict`: somebody else wrote to the key at the same time.
    Conflict,
    /// 403 `AccessDenied`
    AccessDenied,
    /// 200, and `InternalError` in the body, as copies and completions may end.
    InsideOf200,
}

impl Failure {
    pub(super) fn error(self) -> S3Error {
        let internal = "We encountered an internal error. Please try again.";
        let slow = "Please reduce your request rate.";
        let idle = "Your socket connection to the server was not read from or written to within the timeout period.";
        let conflict = "The conditional request cannot succeed due to a conflicting operation against this resource.";
        match self {
            Self::InternalError => S3Error::new(500, "InternalError", internal),
            Self::SlowDown => S3Error::new(503, "SlowDown", slow),
            Self::TooManyRequests => S3Error::new(429, "TooManyRequests", slow),
            Self::RequestTimeout => S3Error::new(400, "RequestTimeout", idle),
            Self::Conflict => S3Error::new(409, "ConditionalRequestConflict", conflict),
            Self::AccessDenied => S3Error::access_denied("Access Denied"),
            Self::InsideOf200 => S3Error::new(200, "InternalError", internal),
        }
    }
}

/// A request, as a rule sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which of the servers was asked, counted from 0.
    pub server: usize,
    /// What it asks for.
    pub operation: Operation,
    /// Of which bucket.
    pub bucket: String,
    /// Of which key; empty if it is about the bucket.
    pub key: String,
    /// How many requests there were, this one counted. A key of a batch counts as none.
    pub nth: usize,
    /// How many for this operation, this one counted.
    pub nth_of_operation: usize,
    /// How many for this operation and key, this one counted.
    pub nth_of_key: usize,
}

/// What goes wrong from now on, with any server of an S3. All counts begin with the S3, or where they are reset.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Programme>);

#[derive(Debug, Default)]
struct Programme {
    rules: Vec<Rule>,
    asked: usize,
    of_operation: BTreeMap<Operation, usize>,
    of_key: BTreeMap<(Operation, String, String), usize>,
}

struct Rule {
    applies: Box<dyn Fn(&Asked) -> bool + Send + Sync>,
    fault: Fault,
    times: Arc<AtomicUsize>,
}

impl Faults {
    /// What goes wrong with all requests of which this holds. Rules that hold together all apply.
    pub fn when(
        &self,
        applies: impl Fn(&Asked) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Injected {
        let times = Arc::new(AtomicUsize::new(0));
        let rule = Rule { applies: Box::new(applies), fault, times: Arc::clone(&times) };
        self.programme(|programme| programme.rules.push(rule));
        Injected(times)
    }

    /// What goes wrong with the nth request for an operation, counted from 1 and from now.
    pub fn nth(&self, operation: Operation, nth: usize, fault: Fault) -> Injected {
        let before = self.programme(|programme| programme.of_operation.get(&operation).copied());
        let nth = before.unwrap_or_default() + nth;
        self.when(move |asked| asked.operation == operation && asked.nth_of_operation == nth, fault)
    }

    /// What goes wrong with every request for an operation.
    pub fn every(&self, operation: Operation, fault: Fault) -> Injected {
        self.when(move |asked| asked.operation == operation, fault)
    }

    /// Nothing goes wrong any more, and counts begin anew. What waits at a gate still waits.
    pub fn clear(&self) {
        self.programme(|programme| *programme = Programme::default());
    }

    /// What goes wrong with a request that has just come.
    pub(super) fn of_request(
        &self,
        server: usize,
        operation: Operation,
        bucket: &str,
        key: &str,
    ) -> Plan {
        self.programme(|programme| programme.plan(server, operation, bucket, key))
    }

    fn programme<T>(&self, f: impl FnOnce(&mut Programme) -> T) -> T {
        f(&mut self.0.lock().expect("no rule panics"))
    }
}

impl Programme {
    fn plan(&mut self, server: usize, operation: Operation, bucket: &str, key: &str) -> Plan {
        self.asked += usize::from(operation != Operation::DeleteOfBatch);
        let of_operation = self.of_operation.entry(operation).or_default();
        *of_operation += 1;
        let of_key = self.of_key.entry((operation, bucket.to_owned(), key.to_owned())).or_default();
        *of_key += 1;
        let asked = Asked {
            server,
            operation,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            nth: self.asked,
            nth_of_operation: *of_operation,
            nth_of_key: *of_key,
        };
        let rules = self.rules.iter().filter(|rule| (rule.applies)(&asked));
        Plan(
            rules
                .inspect(|rule| {
                    rule.times.fetch_add(1, Ordering::SeqCst);
                })
                .map(|rule| rule.fault.clone())
                .collect(),
        )
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

/// A fault that waits for its request.
#[derive(Clone, Debug)]
pub struct Injected(Arc<AtomicUsize>);

impl Injected {
    /// How many requests it met.
    pub fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// All that goes wrong with one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan(Vec<Fault>);

impl Plan {
    /// The first fault of a kind.
    pub(super) fn find<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(pick)
    }

    pub(super) fn refusal(&self) -> Option<Failure> {
        self.find(|fault| if let Fault::Refuse(failure) = fault { Some(*failure) } else { None })
    }

    pub(super) fn denial(&self) -> Option<Failure> {
        self.find(|fault| if let Fault::DoAndDeny(failure) = fault { Some(*failure) } else { None })
    }

    pub(super) fn loses_request(&self) -> bool {
        self.0.iter().any(|fault| matches!(fault, Fault::LoseRequest))
    }

    pub(super) fn loses_answer(&self) -> bool {
        self.0.iter().any(|fault| matches!(fault, Fault::LoseAnswer))
    }

    /// Whether nobody waits for it; then it has arrived at its gates when this returns.
    pub(super) fn is_orphaned(&self) -> bool {
        let gates = self.orphan_gates().map(Gate::arrive).count();
        gates > 0
    }

    fn orphan_gates(&self) -> impl Iterator<Item = &Gate> {
        self.0.iter().filter_map(
            |fault| {
                if let Fault::Orphan(gate) = fault { Some(gate) } else { None }
            },
        )
    }

    /// Waits at every gate before it happens, and lets others happen that are to come before it.
    pub(super) async fn delay(&self) {
        for fault in &self.0 {
            match fault {
                Fault::Delay(gate) => gate.pass().await,
                Fault::Orphan(gate) => gate.wait().await,
                _ => {}
            }
        }
        for fault in &self.0 {
            if let Fault::OpenBefore(gate) = fault {
                gate.open();
                gate.emptied().await;
            }
        }
    }

    /// It has happened: says so at the gates where it waited, and lets others happen that it has overtaken.
    pub(super) async fn happened(&self) {
        for fault in &self.0 {
            if let Fault::Delay(gate) | Fault::Orphan(gate) = fault {
                gate.leave();
            }
        }
        for fault in &self.0 {
            if let Fault::OpenAfter(gate) = fault {
                gate.open();
                gate.emptied().await;
            }
        }
    }

    /// Waits at every gate before it is answered.
    pub(super) async fn delay_answer(&self) {
        for fault in &self.0 {
            if let Fault::DelayAnswer(gate) = fault {
                gate.pass().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(faults: &Faults, operation: Operation, key: &str) -> bool {
        faults.of_request(0, operation, "b", key).refusal().is_some()
    }

    #[test]
    fn the_nth_of_an_operation_is_counted_from_now() {
        let faults = Faults::default();
        assert!(!is_refused(&faults, Operation::PutObject, "a"));
        let injected = faults.nth(Operation::PutObject, 2, Fault::Refuse(Failure::SlowDown));
        assert!(!is_refused(&faults, Operation::PutObject, "a"));
        assert!(!is_refused(&faults, Operation::GetObject, "a"));
        assert!(is_refused(&faults, Operation::PutObject, "b"));
        assert!(!is_refused(&faults, Operation::PutObject, "b"));
        assert_eq!(injected.times(), 1);
    }

    #[test]
    fn a_rule_sees_how_often_it_was_asked() {
        let faults = Faults::default();
        let refuse = || Fault::Refuse(Failure::InternalError);
        faults.when(|asked| asked.nth == 3, refuse());
        faults.when(|asked| asked.key == "b" && asked.nth_of_key == 2, refuse());
        let refused = [
            (Operation::PutObject, "a"),
            (Operation::GetObject, "b"),
            (Operation::DeleteOfBatch, "a"),
            (Operation::HeadObject, "a"),
            (Operation::GetObject, "b"),
        ]
        .map(|(operation, key)| is_refused(&faults, operation, key));
        assert_eq!(refused, [false, false, false, true, true]);
    }

    #[test]
    fn rules_that_hold_together_all_apply_until_they_are_cleared() {
        let faults = Faults::default();
        faults.every(Operation::GetObject, Fault::LoseAnswer);
        faults.every(Operation::GetObject, Fault::DoAndDeny(Failure::Conflict));
        let plan = faults.of_request(0, Operation::GetObject, "b", "k");
        assert!(plan.loses_answer() && plan.denial() == Some(Failure::Conflict));
        faults.clear();
        assert!(!faults.of_request(0, Operation::GetObject, "b", "k").loses_answer());
    }
}
