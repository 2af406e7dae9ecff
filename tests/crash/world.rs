//! [`World`]: what a registry holds, and what may be found of it after a crash.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{CONTENTS, Step, Which};

/// What a registry holds. Repositories, contents, tags and sessions are given by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct World {
    /// Repositories and the blobs they have.
    pub(crate) layers: BTreeSet<(usize, usize)>,
    /// Repositories and the manifests they have.
    pub(crate) manifests: BTreeSet<(usize, Which)>,
    /// Tags of repositories, and what they point at.
    pub(crate) tags: BTreeMap<(usize, usize), Which>,
    /// Repositories in which the signature is listed at its subject.
    pub(crate) listed: BTreeSet<usize>,
    /// Upload sessions, and the bytes they have.
    pub(crate) sessions: BTreeMap<usize, Vec<u8>>,
    /// In which repository each session is.
    homes: BTreeMap<usize, usize>,
}

impl World {
    /// The repositories that it has anything in, or that requests are about.
    pub(crate) fn repositories(&self, asked: &[Asked]) -> BTreeSet<usize> {
        let layers = self.layers.iter().map(|(name, _)| *name);
        let worlds = asked.iter().flat_map(|asked| self.after(asked.step).layers);
        let homes = self.homes.values().copied();
        layers.chain(worlds.map(|(name, _)| name)).chain(homes).collect()
    }

    /// What a request makes of it; as it was if the request cannot be done.
    pub(crate) fn after(&self, step: Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::Push(name, content) => _ = next.layers.insert((name, content)),
            Step::Start(name, session) => {
                next.sessions.insert(session, Vec::new());
                next.homes.insert(session, name);
            }
            Step::Append(session, offset, bytes) => {
                if let Some(held) = next.sessions.get_mut(&session)
                    && held.len() as u64 == offset
                {
                    held.extend_from_slice(bytes);
                }
            }
            Step::Commit(session, bytes, content) => {
                if let Some(held) = next.sessions.get(&session)
                    && [held, bytes].concat() == CONTENTS[content]
                {
                    next.layers.insert((next.homes[&session], content));
                    next.sessions.remove(&session);
                }
            }
            Step::Cancel(session) => _ = next.sessions.remove(&session),
            Step::Mount(to, from, content) => {
                if next.layers.contains(&(from, content)) {
                    next.layers.insert((to, content));
                }
            }
            Step::Put(name, which, tag) => {
                let has = |content: &usize| next.layers.contains(&(name, *content));
                if which.contents().iter().all(has) {
                    next.manifests.insert((name, which));
                    if which == Which::Signature {
                        next.listed.insert(name);
                    }
                    next.tags.extend(tag.map(|tag| ((name, tag), which)));
                }
            }
            Step::DeleteTag(name, tag) => _ = next.tags.remove(&(name, tag)),
            Step::DeleteManifest(name, which) => {
                next.manifests.remove(&(name, which));
                if which == Which::Signature {
                    next.listed.remove(&name);
                }
                next.tags.retain(|(of, _), target| *of != name || *target != which);
            }
            Step::DeleteBlob(name, content) => _ = next.layers.remove(&(name, content)),
            Step::Collect(untagged) => next.collect(untagged),
        }
        next
    }
}

impl World {
    /// Takes what no manifest refers to; before that, if it is asked for, manifests that no tag keeps.
    fn collect(&mut self, untagged: bool) {
        if untagged {
            let tags = self.tags.clone();
            let is_tagged = |name: usize, which| {
                tags.iter().any(|((of, _), target)| *of == name && *target == which)
            };
            // The signature and its subject keep each other.
            let is_kept = |name: usize, which| match which {
                Which::Day | Which::Signature => [Which::Day, Which::Signature]
                    .into_iter()
                    .any(|which| self.manifests.contains(&(name, which)) && is_tagged(name, which)),
                Which::Night => is_tagged(name, which),
            };
            let kept =
                self.manifests.iter().copied().filter(|(name, which)| is_kept(*name, *which));
            self.manifests = kept.collect();
            let manifests = &self.manifests;
            self.listed.retain(|name| manifests.contains(&(*name, Which::Signature)));
        }
        let manifests = &self.manifests;
        self.layers.retain(|(_, content)| {
            manifests.iter().any(|(_, which)| which.contents().contains(content))
        });
    }
}

/// A request, and whether its answer said that it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The request.
    pub(crate) step: Step,
    /// It was acknowledged.
    pub(crate) is_acknowledged: bool,
}

/// What may be found: any of these, one by one as far as requests were not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// What there is when each request was done or not, in every order.
    worlds: BTreeSet<World>,
    /// Everything was acknowledged: then one of the worlds is there as a whole.
    is_settled: bool,
}

impl Expected {
    /// After these requests, which were made at the same time, on top of what was acknowledged before them.
    pub(crate) fn after(base: &World, asked: &[Asked]) -> Self {
        let mut worlds = BTreeSet::new();
        orders(base, asked, &mut worlds);
        Self { worlds, is_settled: asked.iter().all(|asked| asked.is_acknowledged) }
    }

    /// What is wrong with what was found; `bytes_survive` if what was written cannot have been lost.
    pub(crate) fn faults(&self, found: &World, bytes_survive: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |what: String, is: &dyn Fn(&World) -> bool| {
            if !self.worlds.iter().any(is) {
                faults.push(what);
            }
        };
        for key in self.all(|world| &world.layers).chain(&found.layers) {
            let is = found.layers.contains(key);
            let what = format!("layer {key:?} is {}", there(is));
            expect(what, &|world| world.layers.contains(key) == is);
        }
        for key in self.all(|world| &world.manifests).chain(&found.manifests) {
            let is = found.manifests.contains(key);
            let what = format!("manifest {key:?} is {}", there(is));
            expect(what, &|world| world.manifests.contains(key) == is);
        }
        for key in self.all(|world| &world.listed).chain(&found.listed) {
            let is = found.listed.contains(key);
            let what = format!("the signature in {key} is {} among the referrers", there(is));
            expect(what, &|world| world.listed.contains(key) == is);
        }
        let known = self.worlds.iter().flat_map(|world| world.tags.keys());
        for key in known.chain(found.tags.keys()) {
            let is = found.tags.get(key);
            expect(format!("tag {key:?} is {is:?}"), &|world| world.tags.get(key) == is);
        }
        let known = self.worlds.iter().flat_map(|world| world.sessions.keys());
        for key in known.chain(found.sessions.keys()) {
            let is = found.sessions.get(key);
            let what = format!("session {key} is {:?}", is.map(|bytes| bytes.escape_ascii()));
            expect(what, &|world| is_session(world.sessions.get(key), is, bytes_survive));
        }
        if faults.is_empty()
            && self.is_settled
            && !self.worlds.iter().any(|world| world.is_like(found))
        {
            faults.push(format!("{found:?} is none of {:?}", self.worlds));
        }
        faults.extend(found.torn());
        faults.sort();
        faults.dedup();
        faults
    }

    fn all<'a, T: 'a>(
        &'a self,
        of: impl Fn(&'a World) -> &'a BTreeSet<T> + 'a,
    ) -> impl Iterator<Item = &'a T> {
        self.worlds.iter().flat_map(of)
    }
}

impl World {
    /// The same but for sessions, which are compared one by one.
    fn is_like(&self, other: &Self) -> bool {
        (&self.layers, &self.manifests, &self.listed, &self.tags)
            == (&other.layers, &other.manifests, &other.listed, &other.tags)
    }

    /// What is visible of it that refers to what is not there.
    fn torn(&self) -> Vec<String> {
        let is_there = |name: usize, which| self.manifests.contains(&(name, which));
        let tags = self.tags.iter().filter(|((name, _), which)| !is_there(*name, **which));
        let tags = tags.map(|(tag, which)| format!("tag {tag:?} is {which:?}, which is not there"));
        let listed = self.listed.iter().filter(|name| !is_there(**name, Which::Signature));
        let listed = listed.map(|name| format!("the signature is listed in {name} and not there"));
        tags.chain(listed).collect()
    }

    /// Manifests of which something is missing. It is not wrong where a blob was deleted by name.
    pub(crate) fn incomplete(&self) -> Vec<String> {
        let missing = self.manifests.iter().flat_map(|(name, which)| {
            let contents = which.contents().iter();
            let gone = contents.filter(|content| !self.layers.contains(&(*name, **content)));
            gone.map(move |content| format!("{which:?} in {name} lacks content {content}"))
        });
        missing.collect()
    }
}

/// Is a session as it should be? A loss of power may shorten or end it; nothing makes it longer or another.
fn is_session(expected: Option<&Vec<u8>>, found: Option<&Vec<u8>>, bytes_survive: bool) -> bool {
    match (expected, found) {
        (None, Some(_)) => false,
        (expected, None) => expected.is_none() || !bytes_survive,
        (Some(expected), Some(found)) if bytes_survive => expected == found,
        (Some(expected), Some(found)) => expected.starts_with(found),
    }
}

/// Every world that requests made at the same time may lead to: all of the acknowledged ones and any of the others, in
/// every order.
fn orders(world: &World, asked: &[Asked], found: &mut BTreeSet<World>) {
    if asked.iter().all(|asked| !asked.is_acknowledged) {
        found.insert(world.clone());
    }
    for at in 0..asked.len() {
        let mut others = asked.to_vec();
        let next = others.remove(at);
        orders(&world.after(next.step), &others, found);
        // The last bytes of a session are added to it before it becomes a blob.
        if let Step::Commit(session, bytes, _) = next.step
            && !next.is_acknowledged
            && let Some(held) = world.sessions.get(&session)
        {
            let added = Step::Append(session, held.len() as u64, bytes);
            orders(&world.after(added), &others, found);
        }
    }
}

fn there(is: bool) -> &'static str {
    if is { "there" } else { "not there" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: Step = Step::Push(0, 1);

    fn asked(step: Step, is_acknowledged: bool) -> Asked {
        Asked { step, is_acknowledged }
    }

    #[test]
    fn what_was_acknowledged_is_missed_and_what_was_not_may_be_there() {
        let nothing = World::default();
        let pushed = nothing.after(PUSH);
        let acknowledged = Expected::after(&nothing, &[asked(PUSH, true)]);
        assert_eq!(acknowledged.faults(&pushed, false), [""; 0]);
        assert_eq!(acknowledged.faults(&nothing, false), ["layer (0, 1) is not there"]);
        let on_its_way = Expected::after(&nothing, &[asked(PUSH, false)]);
        assert_eq!(on_its_way.faults(&pushed, false), [""; 0]);
        assert_eq!(on_its_way.faults(&nothing, false), [""; 0]);
    }

    #[test]
    fn two_acknowledged_requests_that_met_were_done_in_one_order_or_the_other() {
        let base = [Step::Push(0, 0), PUSH, Step::Push(0, 2), Step::Put(0, Which::Day, Some(0))];
        let base = base.into_iter().fold(World::default(), |world, step| world.after(step));
        let moved = Step::Put(0, Which::Night, Some(0));
        let both = [asked(moved, true), asked(Step::DeleteTag(0, 0), true)];
        let expected = Expected::after(&base, &both);
        assert_eq!(expected.faults(&base.after(both[0].step).after(both[1].step), false), [""; 0]);
        assert_eq!(expected.faults(&base.after(both[1].step).after(both[0].step), false), [""; 0]);
        assert_ne!(expected.faults(&base, false), [""; 0]);
    }

    #[test]
    fn a_session_may_be_shorter_after_a_loss_of_power_and_never_longer_or_another() {
        let begun = World::default().after(Step::Start(0, 0));
        let held = begun.after(Step::Append(0, 0, b"hello"));
        let expected = Expected::after(&held, &[]);
        let with = |bytes: &[u8]| {
            let mut world = held.clone();
            world.sessions.insert(0, bytes.to_vec());
            world
        };
        assert_eq!(expected.faults(&with(b"hel"), false), [""; 0]);
        assert_eq!(expected.faults(&World::default(), false), [""; 0]);
        for wrong in [&b"hello!"[..], b"hellO", b"\0"] {
            assert_ne!(expected.faults(&with(wrong), false), [""; 0], "{wrong:?}");
        }
        assert_ne!(expected.faults(&with(b"hel"), true), [""; 0], "pages survive a kill");
    }
}
