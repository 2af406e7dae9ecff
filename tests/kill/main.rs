//! The program, killed at random instants under a load of pushes, and what it has when it is back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod losing;
mod rounds;

use rounds::Rounds;

#[test]
fn what_was_acknowledged_survives_the_death_of_the_process() {
    Rounds { processes: 1, share: 8 }.run();
}

#[test]
fn what_was_acknowledged_survives_the_death_of_one_of_two_processes_on_a_directory() {
    Rounds { processes: 2, share: 2 }.run();
}
