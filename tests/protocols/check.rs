//! How a model is gone through, and what has to come of it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Path};

/// Are the larger configurations asked for?
pub(crate) fn is_large() -> bool {
    std::env::var("PROTOCOLS").is_ok_and(|size| size == "large")
}

/// Goes through every state that can be reached. What is to hold always does, what is to be seen sometimes was, and
/// there were `floor` states at least: a model in which nothing happens proves nothing.
pub(crate) fn holds<M>(name: &str, floor: usize, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let properties = model.properties();
    let checker = model.checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, depth {depth}");
    let mut found = checker.discoveries();
    for property in properties {
        let path = found.remove(property.name);
        match (property.expectation, path) {
            (Expectation::Sometimes, Some(_))
            | (Expectation::Always | Expectation::Eventually, None) => {}
            (Expectation::Sometimes, None) => panic!("{name}: never seen: {}", property.name),
            (_, Some(path)) => panic!("{name}: not so: {}\n{}", property.name, told(path)),
        }
    }
    assert!(states >= floor, "{name}: {states} states, expected {floor} at least");
}

/// Goes through a protocol that is broken on purpose until `property` is violated.
pub(crate) fn is_caught<M>(name: &str, property: &'static str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let is_safety = |found: &stateright::Property<M>| {
        found.name == property && matches!(found.expectation, Expectation::Always)
    };
    assert!(model.properties().iter().any(is_safety), "there is no property `{property}`");
    let until = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(until).spawn_bfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(property) else {
        panic!("{name}: not caught in {states} states: {property}");
    };
    let steps = path.into_actions().len();
    println!("{name}: caught after {steps} steps, in {states} states: {property}");
}

/// The steps that led to a state, and that state.
fn told<S: Clone + Debug + PartialEq, A: Clone + Debug + PartialEq>(path: Path<S, A>) -> String {
    let last = path.last_state().clone();
    let steps: Vec<_> = path.into_actions().iter().map(|step| format!("  {step:?}")).collect();
    format!("{}\n{last:#?}", steps.join("\n"))
}
