//! [`untagged`]: the manifests of a repository that no tag keeps, and how they go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use crate::backend::Key;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::{self, BATCH, MANY};
use crate::reference::Tag;
use crate::shared::Shared;

use super::explore::{Damaged, Visit, digest_in, explore, revisions};
use super::names;
use super::references::{Reference, Role};
use super::remover::Remover;

/// Tags that are read at once.
const PARALLEL: usize = 8;

/// Manifests of a repository that nothing keeps.
#[derive(Debug, Default)]
pub(crate) struct Untagged {
    /// Their digests, in order.
    pub(crate) manifests: Vec<Digest>,
    /// The same in parts, in the order in which they go: what refers to others goes before these.
    waves: Vec<Vec<Digest>>,
    /// Who of them refers to whom, in order, by their places in `manifests`.
    edges: Vec<(u32, u32)>,
    /// Those that have a subject, and which.
    subjects: HashMap<Digest, Vec<Digest>>,
    /// Tags of which it cannot be told what they point at. Then there are no manifests here.
    pub(crate) damaged: Vec<Damaged>,
}

/// What was to go and stays.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// How many manifests.
    pub(crate) manifests: u64,
    /// Objects, and why: the links of these, and others.
    pub(crate) objects: Vec<(Key, String)>,
}

/// Looks for the manifests that no tag keeps.
///
/// A tag keeps the manifest it points at. A manifest that is kept keeps what it refers to (what an index lists, its
/// subject), and those whose subject it is. Where something is damaged all are kept: what that would keep is unknown.
///
/// Holds some 80 bytes for each manifest of the repository, and 16 for each reference between two of them.
pub(crate) async fn untagged(shared: &Arc<Shared>, layout: &RepositoryLayout) -> Result<Untagged> {
    let linked = revisions(shared, layout).await?;
    if linked.is_empty() {
        return Ok(Untagged::default());
    }
    let mut graph = Graph::new(&linked);
    explore(shared, layout, &[], &mut graph).await?;
    let damaged = tags(shared, layout, &mut graph).await?;
    if graph.is_damaged || !damaged.is_empty() {
        return Ok(Untagged { damaged, ..Untagged::default() });
    }
    Ok(graph.untagged())
}

/// Roots the manifests that tags point at. Returns the tags of which it cannot be told.
async fn tags(
    shared: &Arc<Shared>,
    layout: &RepositoryLayout,
    graph: &mut Graph<'_>,
) -> Result<Vec<Damaged>> {
    let mut damaged = Vec::new();
    let mut note = |key: &Key, reason| damaged.push(Damaged { key: key.clone(), reason });
    if let Some(reason) = names::left_out(shared, &layout.tags(), &[layout::LINK]).await? {
        note(&layout.tags(), reason);
    }
    let mut after: Option<String> = None;
    loop {
        let page = shared.backend.list_children(&layout.tags(), after.as_deref(), MANY).await?;
        let places = page.items.iter().filter(|child| child.is_prefix());
        let links = places.filter_map(|child| child.name().parse::<Tag>().ok());
        let links: Vec<Key> = links.map(|tag| layout.tag_current_link(&tag)).collect();
        let reads = stream::iter(&links).map(|key| link::read_raw(shared, key));
        let mut reads = stream::iter(&links).zip(reads.buffered(PARALLEL));
        while let Some((key, read)) = reads.next().await {
            match read {
                Ok(Some(content)) => match digest_in(&content) {
                    Some(target) => graph.root(&target),
                    None => {
                        let found = content.len();
                        note(key, format!("expected a link to a manifest, found {found} bytes"));
                    }
                },
                Ok(None) => {
                    for place in
                        key.parent().into_iter().flat_map(|it| [it.parent(), Some(it)]).flatten()
                    {
                        if let Some(reason) = names::left_out(shared, &place, &[]).await? {
                            note(&place, reason);
                        }
                    }
                }
                Err(error) if error.is_of_one_object() => note(key, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        after = page.next_after().map(|child| child.name().to_owned());
        if after.is_none() {
            return Ok(damaged);
        }
    }
}

impl Untagged {
    /// Takes the manifests away from the repository, those that can be.
    ///
    /// Order: where tags once pointed at them → for each part of them: the revision links → the records at their subjects.
    /// A manifest goes before those that it refers to, and if it cannot go, these stay. A crash leaves some of them, whole;
    /// or a record without a manifest, which counts as none.
    pub(crate) async fn remove(
        &self,
        layout: &RepositoryLayout,
        remover: &Remover,
    ) -> Result<Remains> {
        let mut remains =
            Remains { objects: self.forget_history(layout, remover).await?, ..Remains::default() };
        let mut stay = HashSet::new();
        for part in self.waves.iter().flat_map(|wave| wave.chunks(BATCH)) {
            let (part, kept): (Vec<&Digest>, Vec<&Digest>) =
                part.iter().partition(|digest| !stay.contains(*digest));
            remains.manifests += kept.len() as u64;
            remains.objects.extend(kept.into_iter().map(|digest| {
                let reason = "what refers to it cannot be taken".to_owned();
                (layout.revision_link(digest), reason)
            }));
            let links: BTreeMap<Key, &Digest> =
                part.iter().map(|digest| (layout.revision_link(digest), *digest)).collect();
            let left = remover.remove_each(links.keys().cloned().collect()).await?;
            let left_here: HashSet<&Digest> =
                left.iter().filter_map(|(key, _)| links.get(key).copied()).collect();
            remains.manifests += left_here.len() as u64;
            remains.objects.extend(left);
            let records =
                part.iter().filter(|digest| !left_here.contains(*digest)).flat_map(|digest| {
                    let subjects = self.subjects.get(*digest).into_iter().flatten();
                    subjects.map(|subject| layout.referrer_link(subject, digest))
                });
            remains.objects.extend(remover.remove_each(records.collect()).await?);
            for digest in left_here {
                self.keep_what_it_refers_to(digest, &mut stay);
            }
        }
        Ok(remains)
    }

    fn keep_what_it_refers_to(&self, digest: &Digest, stay: &mut HashSet<Digest>) {
        let mut next = vec![*digest];
        while let Some(from) = next.pop() {
            let place = self.manifests.binary_search(&from).ok().and_then(|it| it.try_into().ok());
            let Some(place) = place else { continue };
            let begin = self.edges.partition_point(|edge| *edge < (place, 0));
            let edges = self.edges[begin..].iter().take_while(|edge| edge.0 == place);
            let listed = edges.map(|edge| self.manifests[edge.1 as usize]);
            next.extend(listed.filter(|digest| stay.insert(*digest)));
        }
    }

    /// Removes the entries of history that say that a tag once pointed at one of them. Returns those that cannot be.
    async fn forget_history(
        &self,
        layout: &RepositoryLayout,
        remover: &Remover,
    ) -> Result<Vec<(Key, String)>> {
        let mut left = Vec::new();
        if self.manifests.is_empty() {
            return Ok(left);
        }
        let mut after: Option<String> = None;
        loop {
            let backend = &remover.shared().backend;
            let page = backend.list_children(&layout.tags(), after.as_deref(), MANY).await?;
            let places = page.items.iter().filter(|child| child.is_prefix());
            for tag in places.filter_map(|child| child.name().parse::<Tag>().ok()) {
                left.extend(self.forget_history_of(&tag, layout, remover).await?);
            }
            after = page.next_after().map(|child| child.name().to_owned());
            if after.is_none() {
                return Ok(left);
            }
        }
    }

    async fn forget_history_of(
        &self,
        tag: &Tag,
        layout: &RepositoryLayout,
        remover: &Remover,
    ) -> Result<Vec<(Key, String)>> {
        let is_taken = |digest: &&Digest| self.manifests.binary_search(digest).is_ok();
        let (mut left, mut after) = (Vec::new(), None);
        loop {
            let place = |algorithm| layout.tag_index(tag, algorithm);
            let page = listing::digests(remover.shared(), place, after.as_ref(), BATCH).await?;
            let taken = page.items.iter().filter(is_taken);
            let entries = taken.map(|digest| layout.tag_index_link(tag, digest)).collect();
            left.extend(remover.remove_each(entries).await?);
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(left);
            }
        }
    }
}

/// What refers to what among the manifests of a repository.
struct Graph<'g> {
    /// Those that have a link, in order: nodes by their place here.
    linked: &'g [Digest],
    /// Those without, nodes behind the others.
    unlinked: HashMap<Digest, u32>,
    /// Who refers to whom.
    edges: Vec<(u32, u32)>,
    subjects: Vec<(u32, Digest)>,
    is_there: Vec<bool>,
    roots: Vec<u32>,
    is_damaged: bool,
}

impl Visit for Graph<'_> {
    fn manifest(&mut self, digest: &Digest, linked: bool, references: &[Reference]) {
        let Some(from) = self.node(digest) else { return self.is_damaged = true };
        if linked {
            self.is_there[from as usize] = true;
        }
        for Reference { digest, role } in references {
            if *role == Role::Subject {
                self.subjects.push((from, *digest));
            }
            // What has no link and is no manifest leads nowhere.
            let may_lead = *role != Role::Blob || self.linked.binary_search(digest).is_ok();
            if may_lead && let Some(to) = self.node(digest) {
                self.edges.push((from, to));
            }
        }
    }

    fn keep(&mut self, _digest: &Digest) {}

    fn damaged(&mut self, _what: Damaged) {
        self.is_damaged = true;
    }
}

impl<'g> Graph<'g> {
    fn new(linked: &'g [Digest]) -> Self {
        Self {
            linked,
            unlinked: HashMap::new(),
            edges: Vec::new(),
            subjects: Vec::new(),
            is_there: vec![false; linked.len()],
            roots: Vec::new(),
            is_damaged: false,
        }
    }

    /// `None` where there are more than can be numbered.
    fn node(&mut self, digest: &Digest) -> Option<u32> {
        if let Ok(place) = self.linked.binary_search(digest) {
            return u32::try_from(place).ok();
        }
        let next = u32::try_from(self.linked.len() + self.unlinked.len()).ok()?;
        Some(*self.unlinked.entry(*digest).or_insert(next))
    }

    fn root(&mut self, digest: &Digest) {
        match self.node(digest) {
            Some(node) => self.roots.push(node),
            None => self.is_damaged = true,
        }
    }

    fn untagged(mut self) -> Untagged {
        self.edges.sort_unstable();
        self.edges.dedup();
        let are_kept = self.kept();
        let linked = self.linked;
        let is_taken = |node: u32| {
            let place = node as usize;
            place < linked.len() && self.is_there[place] && !are_kept[place]
        };
        let all = (0..linked.len()).filter_map(|place| u32::try_from(place).ok());
        let taken: Vec<u32> = all.filter(|node| is_taken(*node)).collect();
        let mut subjects: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for (node, subject) in self.subjects.iter().filter(|(node, _)| is_taken(*node)) {
            subjects.entry(linked[*node as usize]).or_default().push(*subject);
        }
        self.edges.retain(|(from, to)| is_taken(*from) && is_taken(*to));
        let digests = |nodes: &[u32]| -> Vec<Digest> {
            nodes.iter().map(|node| linked[*node as usize]).collect()
        };
        let waves = waves(&taken, &self.edges).iter().map(|wave| digests(wave)).collect();
        let place = |node: u32| taken.binary_search(&node).ok().and_then(|it| it.try_into().ok());
        let edges = self.edges.iter().filter_map(|(from, to)| Some((place(*from)?, place(*to)?)));
        let edges = edges.collect();
        Untagged { manifests: digests(&taken), waves, edges, subjects, damaged: Vec::new() }
    }

    /// Which nodes are kept, by their number.
    fn kept(&self) -> Vec<bool> {
        let back: BTreeSet<(u32, u32)> = self
            .subjects
            .iter()
            .filter_map(|(from, subject)| Some((self.number(subject)?, *from)))
            .collect();
        let listed = |node: u32| {
            let from = self.edges.partition_point(|edge| *edge < (node, 0));
            self.edges[from..].iter().take_while(move |edge| edge.0 == node).map(|edge| edge.1)
        };
        let mut are_kept = vec![false; self.linked.len() + self.unlinked.len()];
        let mut next = self.roots.clone();
        while let Some(node) = next.pop() {
            if !std::mem::replace(&mut are_kept[node as usize], true) {
                next.extend(listed(node));
                next.extend(back.range((node, 0)..=(node, u32::MAX)).map(|(_, from)| *from));
            }
        }
        are_kept
    }

    fn number(&self, digest: &Digest) -> Option<u32> {
        match self.linked.binary_search(digest) {
            Ok(place) => u32::try_from(place).ok(),
            Err(_) => self.unlinked.get(digest).copied(),
        }
    }
}

/// Nodes in parts: each before those that it refers to. What is named by its hash cannot refer to itself, so all have a
/// place; where damage says otherwise the rest comes last.
fn waves(nodes: &[u32], edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
    let mut referred: HashMap<u32, usize> = nodes.iter().map(|node| (*node, 0)).collect();
    for (_, to) in edges {
        *referred.entry(*to).or_default() += 1;
    }
    let mut waves = Vec::new();
    let mut wave: Vec<u32> = nodes.iter().copied().filter(|node| referred[node] == 0).collect();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for node in &wave {
            referred.remove(node);
            let from = edges.partition_point(|edge| *edge < (*node, 0));
            for (_, to) in edges[from..].iter().take_while(|edge| edge.0 == *node) {
                if let Some(left) = referred.get_mut(to) {
                    *left -= 1;
                    if *left == 0 {
                        next.push(*to);
                    }
                }
            }
        }
        waves.push(wave);
        wave = next;
    }
    let mut rest: Vec<u32> = referred.into_keys().collect();
    if !rest.is_empty() {
        rest.sort_unstable();
        waves.push(rest);
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_others_goes_before_them() {
        let edges = [(0, 2), (1, 2), (2, 3), (4, 3)];
        assert_eq!(waves(&[0, 1, 2, 3, 4, 5], &edges), [vec![0, 1, 4, 5], vec![2], vec![3]]);
        assert_eq!(waves(&[1, 2], &[(1, 2), (2, 1)]), [vec![1, 2]]);
    }
}
