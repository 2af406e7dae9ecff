//! [`View`]: what a client sees, and what it may see after operations that were acknowledged, or cut off.
//!
//! An operation is a row of [`Effect`]s in the order in which they become visible. After one that was acknowledged all
//! of them are seen; after one that was cut off the row up to anywhere, and nothing else: that is the list of what is
//! allowed between. Two that ran at the same time may have met between any two effects.

use std::collections::{BTreeMap, BTreeSet};

use crate::contents::Name;

/// What a client sees of a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct View {
    /// Blobs, by repository. Each is whole.
    pub(crate) blobs: BTreeSet<(Name, Name)>,
    /// The manifests of repository `a`.
    pub(crate) manifests: BTreeSet<Name>,
    /// Where its tags point. One whose manifest was deleted reads as none.
    pub(crate) tags: BTreeMap<Name, Name>,
    /// Subjects with their referrers.
    pub(crate) referrers: BTreeSet<(Name, Name)>,
    /// The length of the upload session, while there is one.
    pub(crate) session: Option<u64>,
}

/// One thing that an operation changes of what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A repository has a blob.
    Blob(Name, Name),
    /// It has not.
    NoBlob(Name, Name),
    /// There is a manifest.
    Manifest(Name),
    /// There is none.
    NoManifest(Name),
    /// A subject has a referrer.
    Referrer(Name, Name),
    /// It has not.
    NoReferrer(Name, Name),
    /// A tag points at a manifest.
    Tag(Name, Name),
    /// The same, and nothing but if it pointed there, or nowhere, before.
    TagFrom(Name, Option<Name>, Name),
    /// A tag is gone.
    NoTag(Name),
    /// A tag is gone if it points at this manifest.
    NoTagOn(Name, Name),
    /// A tag is gone if it points at this manifest and that is gone.
    NoTagOnNothing(Name, Name),
    /// The upload session is so long, at least.
    Session(u64),
    /// The upload session has ended.
    NoSession,
}

/// An operation that was run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) effects: &'static [Effect],
    /// All of it has happened.
    pub(crate) is_acknowledged: bool,
}

impl Run {
    /// Nothing.
    pub(crate) const NONE: Self = Self { effects: &[], is_acknowledged: true };
}

impl Effect {
    /// Changes a view; `false` if this cannot have happened to it.
    fn apply(self, view: &mut View) -> bool {
        match self {
            Self::Blob(repository, blob) => {
                view.blobs.insert((repository, blob));
            }
            Self::NoBlob(repository, blob) => {
                view.blobs.remove(&(repository, blob));
            }
            Self::Manifest(manifest) => {
                view.manifests.insert(manifest);
            }
            Self::NoManifest(manifest) => {
                view.manifests.remove(manifest);
            }
            Self::Referrer(subject, referrer) => {
                view.referrers.insert((subject, referrer));
            }
            Self::NoReferrer(subject, referrer) => {
                view.referrers.remove(&(subject, referrer));
            }
            Self::Tag(tag, manifest) => {
                view.tags.insert(tag, manifest);
            }
            Self::TagFrom(tag, from, manifest) => {
                if view.tags.get(tag).copied() != from {
                    return false;
                }
                view.tags.insert(tag, manifest);
            }
            Self::NoTag(tag) => {
                view.tags.remove(tag);
            }
            Self::NoTagOn(tag, manifest) => {
                view.tags.retain(|name, on| (*name, *on) != (tag, manifest));
            }
            Self::NoTagOnNothing(tag, manifest) if !view.manifests.contains(manifest) => {
                view.tags.retain(|name, on| (*name, *on) != (tag, manifest));
            }
            Self::NoTagOnNothing(..) => {}
            Self::Session(length) => {
                view.session = view.session.map(|before| before.max(length));
            }
            Self::NoSession => view.session = None,
        }
        true
    }

    /// Whether it is the doing of this request: a method and what it asks for. What is deleted in a batch is not told
    /// apart.
    fn is_of(self, request: &str) -> bool {
        let (method, place) = match self {
            Self::Blob(..) => ("PUT ", "/_layers/"),
            Self::NoBlob(..) => ("DELETE ", "/_layers/"),
            Self::Manifest(_) => ("PUT ", "/_manifests/revisions/"),
            Self::NoManifest(_) => ("DELETE ", "/_manifests/revisions/"),
            Self::Referrer(..) => ("PUT ", "/_referrers/"),
            Self::NoReferrer(..) => ("DELETE ", "/_referrers/"),
            Self::Tag(..) | Self::TagFrom(..) => ("PUT ", "/current/link"),
            Self::NoTag(_) | Self::NoTagOn(..) | Self::NoTagOnNothing(..) => {
                ("DELETE ", "/current/link")
            }
            Self::Session(_) => return false,
            Self::NoSession => ("DELETE ", "/startedat"),
        };
        request.starts_with(method) && request.contains(place)
    }

    /// What its request does that comes late: where conditions are not heeded it asks none. Where they are, an ETag
    /// tells what a tag points at, and nothing else that was looked at before.
    const fn late(self, are_conditions_heeded: bool) -> Self {
        match self {
            Self::TagFrom(tag, _, manifest) if !are_conditions_heeded => Self::Tag(tag, manifest),
            Self::NoTagOn(tag, _) | Self::NoTagOnNothing(tag, _) if !are_conditions_heeded => {
                Self::NoTag(tag)
            }
            Self::NoTagOnNothing(tag, manifest) => Self::NoTagOn(tag, manifest),
            other => other,
        }
    }
}

/// What may be seen after two operations that ran at the same time.
pub(crate) fn together(before: &View, one: Run, two: Run) -> BTreeSet<View> {
    let (mut seen, mut ends) = (BTreeSet::new(), BTreeSet::new());
    let mut open = vec![(0, 0, before.clone())];
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let (first, second, view) = state;
        let may_end = |run: Run, at: usize| at == run.effects.len() || !run.is_acknowledged;
        if may_end(one, first) && may_end(two, second) {
            ends.insert(view.clone().visible());
        }
        for (effect, next) in [
            (one.effects.get(first), (first + 1, second)),
            (two.effects.get(second), (first, second + 1)),
        ] {
            let mut view = view.clone();
            if effect.is_some_and(|effect| effect.apply(&mut view)) {
                open.push((next.0, next.1, view));
            }
        }
    }
    ends
}

/// What may be seen after one operation.
pub(crate) fn alone(before: &View, run: Run) -> BTreeSet<View> {
    together(before, run, Run::NONE)
}

/// What may be seen after one operation and then another, whatever was seen in between.
pub(crate) fn one_after_the_other(before: &BTreeSet<View>, run: Run) -> BTreeSet<View> {
    before.iter().flat_map(|before| alone(before, run)).collect()
}

/// What may be seen, besides, when a request of an operation that was acknowledged comes once more, after all: what it
/// does is done again, over what came in between. ARCHITECTURE.md, "Tags and deletes without a lock": "A request whose
/// first answer was lost is sent again; should the first arrive after the second was answered, it can undo what came
/// in between".
pub(crate) fn undone_by_a_late_request(
    after: &BTreeSet<View>,
    run: Run,
    request: &str,
    are_conditions_heeded: bool,
) -> BTreeSet<View> {
    let of_it = run.effects.iter().filter(|effect| effect.is_of(request));
    let late = of_it.flat_map(|effect| {
        after.iter().cloned().filter_map(|mut view| {
            let is_done = effect.late(are_conditions_heeded).apply(&mut view);
            is_done.then(|| view.visible())
        })
    });
    late.collect()
}

impl View {
    /// A referrer is listed only while it is there.
    fn visible(mut self) -> Self {
        let manifests = &self.manifests;
        self.referrers.retain(|(_, referrer)| manifests.contains(referrer));
        self
    }

    /// The same with the tags of another view whose manifests are gone: each reads as none, and is listed.
    pub(crate) fn with_tags_on_nothing(mut self, of: &Self) -> Self {
        for (tag, on) in &of.tags {
            if !self.manifests.contains(on) {
                self.tags.entry(tag).or_insert(on);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &[Effect] = &[Effect::Manifest("m"), Effect::Tag("t", "m")];
    const DELETE: &[Effect] = &[Effect::NoTagOn("t", "m"), Effect::NoManifest("m")];

    fn run(effects: &'static [Effect], is_acknowledged: bool) -> Run {
        Run { effects, is_acknowledged }
    }

    #[test]
    fn what_was_acknowledged_is_seen_and_what_was_not_may_be_up_to_anywhere() {
        let nothing = View::default();
        assert_eq!(alone(&nothing, run(PUSH, true)).len(), 1);
        let allowed = alone(&nothing, run(PUSH, false));
        assert_eq!(allowed.len(), 3);
        let is_tag_alone = |view: &View| view.manifests.is_empty() && !view.tags.is_empty();
        assert!(!allowed.iter().any(is_tag_alone));
    }

    #[test]
    fn two_at_the_same_time_may_meet_anywhere() {
        let before = alone(&View::default(), run(PUSH, true)).pop_first().unwrap();
        let allowed = together(&before, run(PUSH, true), run(DELETE, true));
        // Pushed last, deleted last, or the tag pushed between the delete's two steps.
        assert_eq!(allowed.len(), 3);
    }

    #[test]
    fn a_condition_that_does_not_hold_was_not_acknowledged() {
        const MOVE: &[Effect] = &[Effect::TagFrom("t", Some("other"), "m")];
        let nothing = View::default();
        assert!(alone(&nothing, run(MOVE, true)).is_empty());
        assert_eq!(alone(&nothing, run(MOVE, false)), BTreeSet::from([nothing]));
    }

    #[test]
    fn a_late_request_does_again_what_it_did_and_nothing_else() {
        let deleted = BTreeSet::from([View::default()]);
        let late = |request| undone_by_a_late_request(&deleted, run(PUSH, true), request, true);
        let again = late("PUT /_manifests/revisions/m/link");
        assert_eq!(again, alone(&View::default(), run(&PUSH[..1], true)));
        assert!(late("PUT /tags/t/index/m/link").is_empty());
    }

    #[test]
    fn a_late_delete_on_a_condition_takes_a_tag_that_was_pushed_anew_and_none_that_was_moved() {
        let on = |name| View { tags: BTreeMap::from([("t", name)]), ..View::default() };
        let late = |name, are_heeded| {
            let pushed = BTreeSet::from([on(name)]);
            let request = "DELETE /tags/t/current/link";
            undone_by_a_late_request(&pushed, run(DELETE, true), request, are_heeded)
        };
        assert_eq!(late("m", true), BTreeSet::from([View::default()]));
        assert_eq!(late("other", true), BTreeSet::from([on("other")]));
        assert_eq!(late("other", false), BTreeSet::from([View::default()]));
    }
}
