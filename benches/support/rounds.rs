//! [`medians`]: several candidates measured in turns.

use std::fmt;

use crate::cost::Cost;

/// Something that is measured beside others.
pub struct Candidate<'c> {
    round: Box<dyn FnMut(u64) -> Cost + 'c>,
}

impl<'c> Candidate<'c> {
    /// `round` is given the number of the round, prepares what it needs, and returns the cost of the rest.
    pub fn new(round: impl FnMut(u64) -> Cost + 'c) -> Self {
        Self { round: Box::new(round) }
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate")
    }
}

/// The median cost of each candidate, each figure by itself.
///
/// Every round runs every candidate once, beginning with another one each time; the first round only warms
/// caches and is not counted.
pub fn medians(rounds: u64, candidates: &mut [Candidate<'_>]) -> Vec<Cost> {
    let mut costs: Vec<Vec<Cost>> = candidates.iter().map(|_| Vec::new()).collect();
    let count = candidates.len();
    for round in 0..=rounds {
        for turn in 0..count {
            let which = (turn + round as usize) % count;
            let cost = (candidates[which].round)(round);
            if round > 0 {
                costs[which].push(cost);
            }
        }
    }
    costs.iter().map(|costs| median(costs)).collect()
}

fn median(costs: &[Cost]) -> Cost {
    Cost {
        wall: middle(costs.iter().map(|cost| cost.wall)),
        cpu: middle(costs.iter().map(|cost| cost.cpu)),
        peak_memory: middle(costs.iter().map(|cost| cost.peak_memory)),
    }
}

fn middle<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    fn cost(millis: u64) -> Cost {
        let time = Duration::from_millis(millis);
        Cost { wall: time, cpu: time, peak_memory: Some(millis) }
    }

    #[test]
    fn candidates_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(Vec::new());
        let mut candidates: Vec<Candidate<'_>> = ["a", "b"]
            .into_iter()
            .map(|name| {
                let order = &order;
                Candidate::new(move |round| {
                    order.borrow_mut().push(name);
                    cost(if round == 0 { 1000 } else { round })
                })
            })
            .collect();
        let medians = medians(3, &mut candidates);
        assert_eq!(medians[0].wall, Duration::from_millis(2));
        assert_eq!(medians[1].peak_memory, Some(2));
        assert_eq!(*order.borrow(), ["a", "b", "b", "a", "a", "b", "b", "a"]);
    }
}
