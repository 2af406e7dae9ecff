//! Each request of each operation meets each thing that can go wrong with one.

use registry_tests::s3::faults::{Failure, Fault, Injected};
use registry_tests::s3::gate::Gate;

use crate::bucket::Bucket;
use crate::case::Case;
use crate::model::{Run, alone, one_after_the_other, together, undone_by_a_late_request};
use crate::operations::Operation;
use crate::pairs::is_exact;
use crate::profile::Profile;
use crate::suite::is_full;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// It is refused, and nothing happens.
    Refused(Failure),
    /// It happens, and the connection is closed.
    AnswerLost,
    /// The connection is closed, and nothing happens.
    RequestLost,
    /// The process dies, and it does not happen.
    DiesBefore,
    /// It happens, and the process dies.
    DiesAfter,
    /// The process dies. What another replica does meanwhile has happened when the request does.
    Zombie(Meanwhile),
    /// The connection is closed, and the request happens all the same: right behind so many later ones, its next try
    /// first.
    Overtaken(usize),
    /// The connection is closed, and it is tried again. When all that was answered, and what another replica did then,
    /// the first try happens.
    Late(Meanwhile),
}

/// What another replica does meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meanwhile {
    /// The same.
    Same,
    /// One of the operation's rivals.
    Rival(usize),
}

/// What happens to the requests of an operation on a kind of server.
///
/// In the short form each thing happens where it can make a difference: a server that refuses conditions is asked as
/// one that ignores them, what follows from those is seen where requests outlive their senders, and bytes that come in
/// parts are the same on each.
pub(crate) fn happenings(operation: &Operation, profile: Profile) -> Vec<Happening> {
    use Happening::{AnswerLost, DiesAfter, DiesBefore, Late, Overtaken, RequestLost, Zombie};
    let refused = [Failure::InternalError, Failure::SlowDown].map(Happening::Refused);
    let rivals = operation.rivals.iter().enumerate();
    let exact = rivals.filter(|(_, rival)| is_exact(operation, rival, profile));
    let rivals: Vec<_> = exact.map(|(at, _)| Meanwhile::Rival(at)).collect();
    let first = || rivals.iter().take(1).flat_map(|rival| [Zombie(*rival), Late(*rival)]);
    let (dies, same) = ([DiesBefore, DiesAfter], Zombie(Meanwhile::Same));
    if is_full() {
        let others = rivals.iter().flat_map(|rival| [Zombie(*rival), Late(*rival)]);
        let overtaken = (1..6).map(Overtaken);
        let always = [AnswerLost, RequestLost, same].into_iter().chain(refused).chain(dies);
        return always.chain(overtaken).chain(others).collect();
    }
    match profile {
        Profile::Heeds if operation.is_large => {
            [AnswerLost, same].into_iter().chain(dies).collect()
        }
        _ if operation.is_large => Vec::new(),
        Profile::Heeds => {
            let always = [AnswerLost, RequestLost, same, Overtaken(1)];
            always.into_iter().chain(refused).chain(dies).chain(first()).collect()
        }
        Profile::Ignores => [same].into_iter().chain(first()).collect(),
        Profile::Refuses => Vec::new(),
    }
}

/// Tries all of it at every request; in the short form each thing at one request, the next at the one before it.
pub(crate) fn try_all(case: &mut Case) {
    let (count, name) = (case.count(), case.operation.name);
    assert!(count > 1, "{name}: {count} requests");
    for (at, happening) in happenings(case.operation, case.profile).into_iter().enumerate() {
        for nth in (1..=count).filter(|nth| is_full() || (nth + at) % count == 0) {
            assert!(case.meets(happening, nth), "{name}: request {nth} of {count}, {happening:?}");
        }
        if is_full() {
            assert!(!case.meets(happening, count + 1), "{name}: more than {count}, {happening:?}");
        }
    }
}

/// One thing happens to every request, however many there are then.
pub(crate) fn try_one(case: &mut Case, happening: Happening) {
    let count = case.count();
    for nth in 1..=count {
        case.meets(happening, nth);
    }
}

impl Case {
    /// Something happens to the nth request; `false` if there is none.
    fn meets(&mut self, happening: Happening, nth: usize) -> bool {
        self.begin(format!("request {nth}, {happening:?}"));
        let states = self.tally.states;
        let is_met = match happening {
            Happening::Refused(failure) => self.lives(nth, Fault::Refuse(failure), None),
            Happening::AnswerLost => self.lives(nth, Fault::LoseAnswer, None),
            Happening::RequestLost => self.lives(nth, Fault::LoseRequest, None),
            Happening::Overtaken(by) => {
                let gate = Gate::shut();
                let opens = Fault::OpenAfter(gate.clone());
                self.bucket.s3.faults().when(Bucket::of_first(nth + by), opens);
                self.lives(nth, Fault::Orphan(gate.clone()), Some(&gate))
            }
            Happening::DiesBefore => {
                self.inject(nth, Fault::Refuse(Failure::InternalError));
                self.dies(nth, Fault::DelayAnswer, None)
            }
            Happening::DiesAfter => self.dies(nth, Fault::DelayAnswer, None),
            Happening::Zombie(meanwhile) => self.dies(nth, Fault::Delay, Some(meanwhile)),
            Happening::Late(meanwhile) => self.comes_late(nth, meanwhile),
        };
        if is_met {
            self.tally.cases += 1;
        } else {
            self.tally.states = states;
        }
        is_met
    }

    fn inject(&self, nth: usize, fault: Fault) -> Injected {
        self.bucket.s3.faults().when(Bucket::of_first(nth), fault)
    }

    /// Adds to messages which request it was.
    fn note(&mut self, nth: usize) {
        self.now = format!("{} ({})", self.now, self.bucket.line(nth));
    }

    /// The replica lives, and what it does is done.
    fn lives(&mut self, nth: usize, fault: Fault, gate: Option<&Gate>) -> bool {
        let met = self.inject(nth, fault);
        let answer = self.bucket.answered(self.run(&self.bucket.first));
        self.note(nth);
        gate.into_iter().for_each(|gate| self.bucket.let_happen(gate));
        if let Err(error) = answer {
            self.lost(&format!("it could be tried again: {error}"));
            return met.times() > 0;
        }
        let allowed = alone(&self.before, self.ran(true));
        let view = self.expect(&allowed, "acknowledged");
        if let Some(view) = view.filter(|_| is_full()) {
            self.repeat(&view, false);
        }
        met.times() > 0
    }

    /// The replica dies at the request. Perhaps another goes on, and then the request happens.
    fn dies(&mut self, nth: usize, at: fn(Gate) -> Fault, meanwhile: Option<Meanwhile>) -> bool {
        let gate = Gate::shut();
        self.inject(nth, at(gate.clone()));
        let run = self.run(&self.bucket.first);
        if let Some(answer) = self.bucket.until_it_dies(&gate, run) {
            if let Err(error) = answer {
                self.lost(&format!("nothing happened to it: {error}"));
            }
            return false;
        }
        self.note(nth);
        let cut_off = self.ran(false);
        let Some(meanwhile) = meanwhile else {
            gate.open();
            if let Some(view) = self.expect(&alone(&self.before, cut_off), "cut off") {
                self.expire(&view);
                self.repeat(&view, false);
            }
            return true;
        };
        // Who is held up by a note of the dead goes on when no request of the dead can be under way any more.
        if self.bucket.has_notes() {
            self.bucket.let_happen(&gate);
        }
        self.expect(&alone(&self.before, cut_off), "cut off");
        let Some(other) = self.meanwhile(meanwhile) else { return true };
        let allowed = together(&self.before, cut_off, other);
        self.expect(&allowed, "gone on with");
        self.bucket.let_happen(&gate);
        if let Some(view) = self.expect(&allowed, "when it happens after all") {
            self.repeat(&view, true);
        }
        true
    }

    /// The request happens when all is over.
    fn comes_late(&mut self, nth: usize, meanwhile: Meanwhile) -> bool {
        let gate = Gate::shut();
        let met = self.inject(nth, Fault::Orphan(gate.clone()));
        let answer = self.bucket.answered(self.run(&self.bucket.first));
        self.note(nth);
        if let Err(error) = answer {
            self.lost(&format!("it could be tried again: {error}"));
        } else {
            let after = alone(&self.before, self.ran(true));
            self.expect(&after, "acknowledged");
            if let Some(other) = self.meanwhile(meanwhile) {
                let mut allowed = one_after_the_other(&after, other);
                self.expect(&allowed, "gone on with");
                self.bucket.let_happen(&gate);
                let (run, request) = (self.ran(true), self.bucket.line(nth));
                let are_heeded = self.profile == Profile::Heeds;
                let mut undone = undone_by_a_late_request(&allowed, run, &request, are_heeded);
                allowed.append(&mut undone);
                self.expect(&allowed, "when it happens after all");
            }
        }
        self.bucket.let_happen(&gate);
        met.times() > 0
    }

    /// Another replica does something; how it ended.
    fn meanwhile(&mut self, meanwhile: Meanwhile) -> Option<Run> {
        let (operation, is_same) = match meanwhile {
            Meanwhile::Same => (self.operation, true),
            Meanwhile::Rival(rival) => (self.operation.rivals[rival], false),
        };
        let replica = self.bucket.survivor().clone();
        let answer = self.bucket.runtime.block_on(self.run_of(operation, &replica));
        let is_acknowledged = match &answer {
            Ok(()) => true,
            Err(error) if is_same && (operation.was_done)(error) => true,
            Err(error) if !is_same && (operation.may_be_refused)(error) => false,
            Err(error) => {
                self.lost(&format!("{}, meanwhile: {error}", operation.name));
                return None;
            }
        };
        Some(Run { effects: operation.effects, is_acknowledged })
    }
}
