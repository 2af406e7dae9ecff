//! [`Rounds`]: clients push, the program is killed in the middle and started again, and is asked for what it promised.
//!
//! `KILL_ROUNDS` says how many times, of all tests together; `KILL_SEED` repeats what chance did.

use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::thread;

use registry_tests::acknowledged::{Chance, Check, Cutting, Figures, Pusher, Scope};
use registry_tests::plain_http;
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use tempfile::TempDir;

/// Rounds where nobody says how many.
const ROUNDS: usize = 10;
/// Who pushes at the same time.
const PUSHERS: u64 = 4;
/// After so many rounds everything ever pushed is verified, and a new directory is begun.
const ROUNDS_OF_A_DIRECTORY: usize = 50;
/// A kill comes after fewer answers and pieces of bodies than these.
const LONGEST: usize = 400;
/// Where another process goes on, it is pushed to for so many more.
const GOES_ON_FOR: u64 = 60;
/// The longest blob.
const LARGEST: usize = 6 << 20;

/// What one test does.
pub(crate) struct Rounds {
    /// On one directory; one of them is killed in each round.
    pub(crate) processes: usize,
    /// Tenths of the rounds.
    pub(crate) share: usize,
}

impl Rounds {
    pub(crate) fn run(&self) {
        let rounds = env::var("KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
        let rounds = (rounds * self.share).div_ceil(10);
        let seed = env::var("KILL_SEED").map_or_else(|_| any_seed(), |seed| seed.parse().unwrap());
        let mut told = Told { seed, ..Told::default() };
        let mut chance = Chance::new(seed);
        while told.rounds < rounds {
            let here = ROUNDS_OF_A_DIRECTORY.min(rounds - told.rounds);
            let mut directory = Directory::new(self.processes, &mut chance);
            for round in 0..here {
                directory.round(&mut chance, &mut told);
                let last = round + 1 == here;
                directory.verify(if last { Scope::Everything } else { Scope::Recent }, &told);
            }
            directory.pushers.drain(..).for_each(|pusher| told.figures += pusher.figures);
        }
        told.print(self.processes);
    }
}

fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 16
}

/// What is told at the end, or of a failure.
#[derive(Default)]
struct Told {
    seed: u64,
    rounds: usize,
    /// Rounds in which a request went unanswered.
    in_flight: usize,
    figures: Figures,
}

impl Told {
    #[expect(clippy::print_stdout, reason = "how much was tried is worth to be known")]
    fn print(&self, processes: usize) {
        let Self { seed, rounds, in_flight, figures } = self;
        println!(
            "{rounds} kills of {processes} process(es), {in_flight} with a request in flight, \
             nothing lost; seed {seed}\n{figures}"
        );
    }
}

/// A directory, the processes on it, and who pushes to them.
struct Directory {
    running: Vec<RegistryProcess>,
    pushers: Vec<Pusher>,
    root: TempDir,
}

impl Directory {
    fn new(processes: usize, chance: &mut Chance) -> Self {
        let root = TempDir::new().unwrap();
        let running = (0..processes).map(|_| RegistryProcess::start(root.path())).collect();
        let seed = chance.below(1 << 30) as u64;
        let pushers = (0..PUSHERS).map(|number| Pusher::new(number, seed, LARGEST)).collect();
        Self { running, pushers, root }
    }

    /// All push; in the middle one process is killed, and is started again when they have noticed.
    fn round(&mut self, chance: &mut Chance, told: &mut Told) {
        told.rounds += 1;
        let victim = chance.below(self.running.len());
        let cutting = Arc::new(Cutting::default());
        let unanswered = self.unanswered();
        self.speak(victim, &cutting);
        let killed = &self.running[victim];
        let goes_on = if self.running.len() > 1 { GOES_ON_FOR } else { 0 };
        thread::scope(|scope| {
            // However this thread ends, those that push have to.
            let ending = KillsOnDrop(&cutting);
            for pusher in &mut self.pushers {
                scope.spawn(|| pusher.work());
            }
            cutting.wait_for(1 + chance.below(LONGEST) as u64);
            // Not always at the moment in which somebody has just been answered.
            for _ in 0..chance.below(6) {
                assert_eq!(plain_http::request(killed.address(), "GET", "/v2/").status, 200);
            }
            cutting.kills(goes_on);
            killed.signal(Signal::KILL);
            drop(ending);
        });
        told.in_flight += usize::from(self.unanswered() > unanswered);
        let log = self.running.remove(victim).ended();
        assert!(!log.contains("damaged"), "seed {}, round {}:\n{log}", told.seed, told.rounds);
        self.running.insert(victim, RegistryProcess::start(self.root.path()));
    }

    fn verify(&mut self, scope: Scope, told: &Told) {
        self.speak(0, &Arc::default());
        thread::scope(|threads| {
            for pusher in &mut self.pushers {
                threads.spawn(|| Check::run(pusher, scope));
            }
        });
        for pusher in &self.pushers {
            let losses = &pusher.losses;
            assert!(losses.is_empty(), "seed {}, round {}: {losses:#?}", told.seed, told.rounds);
        }
    }

    fn speak(&mut self, victim: usize, cutting: &Arc<Cutting>) {
        let addresses: Vec<_> = self.running.iter().map(RegistryProcess::address).collect();
        for pusher in &mut self.pushers {
            pusher.speak_to(&addresses, victim, cutting);
        }
    }

    fn unanswered(&self) -> u64 {
        self.pushers.iter().flat_map(|pusher| pusher.figures.unanswered.values()).sum()
    }
}

struct KillsOnDrop<'a>(&'a Cutting);

impl Drop for KillsOnDrop<'_> {
    fn drop(&mut self) {
        if !self.0.killed() {
            self.0.kills(0);
        }
    }
}
