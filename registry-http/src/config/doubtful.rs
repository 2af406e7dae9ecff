//! Rules that can be, and are most likely not what is meant: told of.

use super::auth::Auth;
use super::node::{Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use crate::auth::policy::{Place, Policy, Right, Rule, Who};

/// Tells of each. The rules are those of `anonymous` and then those of `rules`; `access` is the section.
pub(super) fn tell_of(
    access: &Node,
    policy: &Policy,
    auth: Option<&Auth>,
    has_tokens: bool,
    warnings: &mut Vec<Problem>,
) {
    let origin = |name: &str| access.entry(name).map_or(&access.origin, |it| &it.node.origin);
    let mut tell = |origin: &Origin, key: String, what: &str| {
        warnings.push(Problem::new(origin, key, what));
    };
    let is_anonymous = |rule: &&Rule| rule.who.contains(&Who::Everybody);
    let anonymous: Vec<&Rule> = policy.rules().iter().filter(is_anonymous).collect();
    if policy.rules().is_empty() {
        let what = "there is no rule: nobody may do anything";
        tell(&access.origin, "access".to_owned(), what);
    }
    let changes = |rule: &&Rule| rule.may.has(Right::Push) || rule.may.has(Right::Delete);
    if anonymous.iter().any(changes) {
        let what =
            "W and D let everybody push and delete who can reach it, without saying who he is";
        tell(origin("anonymous"), "access.anonymous".to_owned(), what);
    }
    if !anonymous.is_empty() && matches!(auth, Some(Auth::Htpasswd { .. })) && !has_tokens {
        let what = "without access.tokens docker asks for a password before it pulls anything; skopeo and podman do not";
        tell(origin("anonymous"), "access.anonymous".to_owned(), what);
    }
    for (at, rule) in policy.rules().iter().skip(anonymous.len()).enumerate() {
        if rule.may.has(Right::Push) && !may_be_read(policy, rule) {
            let line = access.entry("rules").and_then(|it| match &it.node.value {
                Value::Sequence(items) => items.get(at).map(|item| &item.origin),
                Value::Scalar(_) | Value::Mapping(_) => None,
            });
            let what = "W without R has no effect: who pushes asks to pull as well";
            tell(line.unwrap_or(&access.origin), format!("access.rules[{at}].may"), what);
        }
    }
}

/// Whether those of a rule may pull wherever it is about, by it or others.
fn may_be_read(policy: &Policy, rule: &Rule) -> bool {
    let reads = |who: &Who, place: &Place| {
        policy.rules().iter().filter(|it| it.may.has(Right::Pull)).any(|it| {
            it.who.iter().any(|one| one.may_cover(who))
                && it.places.iter().any(|one| covers(one, place))
        })
    };
    rule.who.iter().all(|who| rule.places.iter().all(|place| reads(who, place)))
}

fn covers(one: &Place, other: &Place) -> bool {
    match (one, other) {
        _ if one == other => true,
        (_, Place::Everywhere) | (Place::At(_), Place::Below(_)) => false,
        (_, Place::Below(name) | Place::At(name)) => one.has(name),
    }
}
