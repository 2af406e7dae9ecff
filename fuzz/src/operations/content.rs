//! Operations on blobs, manifests and tags.

use registry_store::backend::ReadRange;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::manifest::Manifest;
use registry_store::name::RepositoryName;
use registry_store::precondition::Precondition;
use registry_store::reference::{Reference, Tag};

use super::super::documents::{manifests, needs};
use super::super::input::Input;
use super::trial::{Outcome, Trial};
use super::world::{NAMES, TAGS, pull, repository, repository_name, tag};
use super::{Run, Sent};

impl Run {
    pub(super) async fn push(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (digest, content) = self.content(input);
        let is_right = input.below(8) != 7;
        let body = Sent::new(&content, input);
        let asked = if is_right { digest } else { Digest::sha256(b"something else") };
        let blobs = repository(&self.world.store, name).blobs();
        let outcome = trial.run(&self.world, blobs.put(&asked, body.stream())).await;
        let mut after = self.of(name).clone();
        if is_right && !body.is_broken {
            after.blobs.insert(digest);
            self.sent.insert(digest);
        }
        match outcome {
            Outcome::Done(size) => {
                assert!(is_right && !body.is_broken);
                assert_eq!(size, content.len() as u64);
                *self.of(name) = after;
            }
            Outcome::Refused(Error::Body(_)) => assert!(body.is_broken),
            Outcome::Refused(Error::DigestMismatch { .. }) => assert!(!is_right && !body.is_broken),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn mount(&mut self, trial: Trial, input: &mut Input<'_>) {
        let (name, from) = (input.one_of(&NAMES), input.one_of(&NAMES));
        let (digest, content) = self.content(input);
        let is_from_anywhere = input.flag();
        let to = repository(&self.world.store, name);
        let source = repository_name(from);
        let outcome = if is_from_anywhere {
            trial.run(&self.world, to.mount_from_anywhere(&digest)).await
        } else {
            trial.run(&self.world, to.mount(&digest, &source)).await
        };
        let is_there = match is_from_anywhere {
            true => self.held.values().any(|held| held.blobs.contains(&digest)),
            false => self.of(from).blobs.contains(&digest),
        };
        // Nobody takes the bytes away when the last link to them goes.
        let may_be = is_there || is_from_anywhere && self.sent.contains(&digest);
        let mut after = self.of(name).clone();
        after.blobs.extend(may_be.then_some(digest));
        match outcome {
            Outcome::Done(Some(size)) => {
                assert!(may_be, "mounted from nowhere");
                assert_eq!(size, content.len() as u64);
                *self.of(name) = after;
            }
            Outcome::Done(None) => assert!(!is_there, "not mounted"),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn delete_blob(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (digest, _) = self.content(input);
        let blobs = repository(&self.world.store, name).blobs();
        let outcome = trial.run(&self.world, blobs.delete(&digest)).await;
        let mut after = self.of(name).clone();
        let is_there = after.blobs.remove(&digest);
        match outcome {
            Outcome::Done(()) => {
                assert!(is_there);
                *self.of(name) = after;
            }
            Outcome::Refused(Error::BlobUnknown { .. }) => assert!(!is_there),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn read_blob(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (digest, content) = self.content(input);
        let size = content.len() as u64;
        let (start, end) = (u64::from(input.byte()), u64::from(input.byte()));
        let range = match input.below(4) {
            0 => ReadRange::Full,
            1 => ReadRange::From(start),
            2 => ReadRange::Suffix(start),
            _ => ReadRange::Bounded { start, end: start + end + 1 },
        };
        let expected = match range {
            ReadRange::Full => Some(0..size),
            ReadRange::From(start) => (start < size).then_some(start..size),
            ReadRange::Suffix(length) => {
                let found = size.saturating_sub(length)..size;
                Some(found).filter(|found| !found.is_empty())
            }
            ReadRange::Bounded { start, end } => (start < size).then_some(start..end.min(size)),
        };
        let of = repository(&self.world.store, name);
        let is_there = self.of(name).blobs.contains(&digest);
        match trial.run(&self.world, pull(&of, &digest, range)).await {
            Outcome::Done(found) => {
                let expected = expected.filter(|_| is_there).expect("there is something to read");
                assert_eq!(found, content[expected.start as usize..expected.end as usize]);
            }
            Outcome::Refused(Error::BlobUnknown { .. }) => assert!(!is_there),
            Outcome::Refused(Error::RangeNotSatisfiable { size: found, .. }) => {
                assert!(is_there && expected.is_none() && found == size);
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {}
        }
    }

    pub(super) async fn put(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (manifest, digest) = chosen(input);
        let chosen = input.byte();
        let tags = TAGS.iter().enumerate().filter(|(bit, _)| chosen & (1 << bit) != 0);
        let tags: Vec<&'static str> = tags.map(|(_, tag)| *tag).collect();
        let reference: Reference =
            tags.first().map_or_else(|| digest.into(), |first| tag(first).into());
        let found = match tags.first() {
            Some(tag) => self.of(name).tags.get(tag).copied(),
            None => self.of(name).manifests.contains(&digest).then_some(digest),
        };
        let (condition, holds) = match input.below(4) {
            0 | 1 => (Precondition::default(), true),
            2 => (Precondition::absent(), found.is_none()),
            _ => {
                let (_, wanted) = super::content::chosen(input);
                (Precondition::unchanged(&wanted), found == Some(wanted))
            }
        };
        let of = repository(&self.world.store, name).manifests();
        let all: Vec<_> = tags.iter().map(|text| tag(text)).collect();
        let put = of.put_if(manifest, &digest, &all, &reference, &condition);
        let outcome = trial.run(&self.world, put).await;

        let before = self.of(name);
        let has_all = needs(manifest).all(|(digest, is_manifest)| {
            let held = if is_manifest { &before.manifests } else { &before.blobs };
            held.contains(&digest)
        });
        let mut after = before.clone();
        if has_all && holds {
            after.manifests.insert(digest);
            after.listed.extend(manifest.subject().map(|_| digest));
            after.tags.extend(tags.iter().map(|tag| (*tag, digest)));
        }
        match outcome {
            Outcome::Done(()) => {
                assert!(has_all && holds);
                *before = after;
            }
            Outcome::Refused(Error::ManifestBlobUnknown { .. }) => assert!(!has_all),
            Outcome::Refused(Error::PreconditionFailed { found: told, .. }) => {
                assert!(has_all && !holds);
                assert_eq!(told, found);
            }
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn delete_tag(&mut self, trial: Trial, input: &mut Input<'_>) {
        let (name, text) = (input.one_of(&NAMES), input.one_of(&TAGS));
        let tags = repository(&self.world.store, name).tags();
        let outcome = trial.run(&self.world, tags.delete(&tag(text))).await;
        let mut after = self.of(name).clone();
        let is_there = after.tags.remove(text).is_some();
        match outcome {
            Outcome::Done(()) => {
                assert!(is_there);
                *self.of(name) = after;
            }
            Outcome::Refused(Error::ManifestUnknown { .. }) => assert!(!is_there),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn delete_manifest(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (_, digest) = chosen(input);
        let of = repository(&self.world.store, name).manifests();
        let outcome = trial.run(&self.world, of.delete(&digest)).await;
        let mut after = self.of(name).clone();
        let is_there = after.manifests.remove(&digest);
        after.listed.remove(&digest);
        after.tags.retain(|_, current| *current != digest);
        match outcome {
            Outcome::Done(()) => {
                assert!(is_there);
                *self.of(name) = after;
            }
            Outcome::Refused(Error::ManifestUnknown { .. }) => assert!(!is_there),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => self.settle(name, &after).await,
        }
    }

    pub(super) async fn read_manifest(&mut self, trial: Trial, input: &mut Input<'_>) {
        let name = input.one_of(&NAMES);
        let (_, digest) = chosen(input);
        let text = input.one_of(&TAGS);
        let (reference, expected): (Reference, _) = if input.flag() {
            (tag(text).into(), self.of(name).tags.get(text).copied())
        } else {
            (digest.into(), self.of(name).manifests.get(&digest).copied())
        };
        let of = repository(&self.world.store, name).manifests();
        match trial.run(&self.world, of.get(&reference)).await {
            Outcome::Done(found) => {
                assert_eq!(Some(found.digest), expected);
                assert_eq!(Digest::of(found.digest.algorithm(), &found.bytes), found.digest);
            }
            Outcome::Refused(Error::ManifestUnknown { .. }) => assert_eq!(expected, None),
            Outcome::Refused(error) => unreachable!("{error:?}"),
            Outcome::Failed => {}
        }
    }

    /// A page of the catalog, of tags or of referrers: it is right, or there is none.
    pub(super) async fn list(&mut self, trial: Trial, input: &mut Input<'_>) {
        let (name, limit) = (input.one_of(&NAMES), input.below(4));
        let of = repository(&self.world.store, name);
        match input.below(3) {
            0 => {
                let listing = self.world.store.repositories(None, limit);
                if let Outcome::Done(page) = trial.run(&self.world, listing).await {
                    let there = |name: &&&str| !self.held[**name].is_empty();
                    let expected: Vec<&str> = NAMES.iter().filter(there).copied().collect();
                    let found: Vec<_> = page.items.iter().map(RepositoryName::as_str).collect();
                    let shown = expected.len().min(limit);
                    assert!(self.is_littered || found == expected[..shown], "{found:?}");
                }
            }
            1 => match trial.run(&self.world, of.tags().list(None, limit)).await {
                Outcome::Done(page) => {
                    let found: Vec<_> = page.items.iter().map(Tag::as_str).collect();
                    let expected = self.held[name].tags.keys().copied();
                    assert_eq!(found, expected.take(limit).collect::<Vec<_>>());
                    let more = limit > 0 && self.held[name].tags.len() > limit;
                    assert_eq!(page.more, more);
                }
                Outcome::Refused(Error::NameUnknown { .. }) => assert!(self.held[name].is_empty()),
                Outcome::Refused(error) => unreachable!("{error:?}"),
                Outcome::Failed => {}
            },
            _ => {
                let subject = manifests()[0].digest(Algorithm::Sha256);
                let referrers = of.referrers();
                let listing = referrers.list(&subject, None, None, 100);
                if let Outcome::Done(page) = trial.run(&self.world, listing).await {
                    let found = page.items.iter().filter_map(|it| it.digest.known()).copied();
                    let is_of_subject = |manifest: &Manifest| {
                        manifest.subject().and_then(|it| it.digest.known()) == Some(&subject)
                    };
                    let expected = super::world::every_manifest()
                        .filter(|(manifest, digest)| {
                            is_of_subject(manifest) && self.held[name].listed.contains(digest)
                        })
                        .map(|(_, digest)| digest);
                    let expected: std::collections::BTreeSet<Digest> = expected.collect();
                    assert!(found.eq(expected), "{page:?}");
                }
            }
        }
    }
}

/// A manifest, and a digest of it.
fn chosen(input: &mut Input<'_>) -> (&'static Manifest, Digest) {
    let manifest = &manifests()[input.below(manifests().len())];
    let algorithm = if input.below(4) == 3 { Algorithm::Sha512 } else { Algorithm::Sha256 };
    (manifest, manifest.digest(algorithm))
}
