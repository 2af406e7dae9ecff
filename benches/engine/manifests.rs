//! Manifests and tags: operations in a second, one at a time.

use std::path::Path;

use registry_benches::content::Content;
use registry_benches::cost::Cost;
use registry_benches::rounds::{Candidate, medians};
use registry_benches::settings::Settings;
use registry_benches::table::{Table, figure};
use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_store::manifests::Manifests;
use registry_store::reference::{Reference, Tag};
use serde_json::json;
use tempfile::TempDir;

use crate::baseline;
use crate::place::Place;

/// A manifest's size, near enough, for the plain files beside it.
const SIZE: u64 = 1024;

/// Puts of new manifests, with and without a tag, and gets by digest and by tag.
pub(crate) fn put_and_get(settings: &Settings) {
    let count = settings.choose(200, 20);
    let place = Place::below(&settings.directory);
    let image = Image::pushed_to(&place);
    let (manifests, stored) = (place.repository().manifests(), image.manifest("stored"));
    let digest = stored.digest(Algorithm::Sha256);
    place.runtime.block_on(put(&manifests, &stored, &[tag(0)]));
    let by_digest = Reference::Digest(digest);
    let by_tag = Reference::Tag(tag(0));

    let put_all = |round: u64, tags: &[Tag]| {
        let new = (0..count).map(|number| image.manifest(&format!("{round} {number} {tags:?}")));
        let new: Vec<Manifest> = new.collect();
        Cost::of(|| {
            place.runtime.block_on(async {
                for manifest in &new {
                    put(&manifests, manifest, tags).await;
                }
            });
        })
    };
    let mut candidates = [
        Candidate::new(|_| durable_files(&settings.directory, count)),
        Candidate::new(|round| put_all(round, &[])),
        Candidate::new(|round| put_all(round, &[tag(1)])),
        Candidate::new(|_| got(&place, &manifests, &by_digest, count)),
        Candidate::new(|_| got(&place, &manifests, &by_tag, count)),
    ];
    let costs = medians(settings.choose(7, 2), &mut candidates);
    let what = ["durable files of 1 KiB", "put", "put with a tag", "get by digest", "get by tag"];
    print(&what, &costs, count);
}

/// Moves one tag to and fro between two manifests that are there.
pub(crate) fn move_tags(settings: &Settings) {
    let count = settings.choose(200, 20);
    let place = Place::below(&settings.directory);
    let image = Image::pushed_to(&place);
    let manifests = place.repository().manifests();
    let two = [image.manifest("one"), image.manifest("other")];
    let mut candidates = [
        Candidate::new(|_| durable_files(&settings.directory, count)),
        Candidate::new(|_| {
            Cost::of(|| {
                place.runtime.block_on(async {
                    for manifest in two.iter().cycle().take(count as usize) {
                        put(&manifests, manifest, &[tag(0)]).await;
                    }
                });
            })
        }),
    ];
    let costs = medians(settings.choose(7, 2), &mut candidates);
    print(&["durable files of 1 KiB", "a tag moved"], &costs, count);
}

/// What manifests refer to.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    config: (Digest, u64),
    layer: (Digest, u64),
}

impl Image {
    pub(crate) fn pushed_to(place: &Place) -> Self {
        let push = |number, size| (place.push(Content { number, size }), size);
        Self { config: push(0, 700), layer: push(1, 4096) }
    }

    /// A manifest of its own for every note.
    pub(crate) fn manifest(&self, note: &str) -> Manifest {
        let descriptor = |(digest, size): (Digest, u64), media_type: &str| json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size });
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(self.config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(self.layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
            "annotations": { "note": note },
        });
        Manifest::parse(None, document.to_string().into()).expect("it is a manifest")
    }
}

pub(crate) fn tag(number: usize) -> Tag {
    format!("tag-{number:06}").parse().expect("it is a tag")
}

pub(crate) async fn put(manifests: &Manifests, manifest: &Manifest, tags: &[Tag]) {
    let digest = manifest.digest(Algorithm::Sha256);
    manifests.put(manifest, &digest, tags).await.expect("all it refers to is there");
}

fn got(place: &Place, manifests: &Manifests, reference: &Reference, count: u64) -> Cost {
    Cost::of(|| {
        place.runtime.block_on(async {
            for _ in 0..count {
                manifests.get(reference).await.expect("it is there");
            }
        });
    })
}

fn durable_files(parent: &Path, count: u64) -> Cost {
    let directory = TempDir::new_in(parent).expect("a directory can be made");
    let contents: Vec<Content> = (0..count).map(|number| Content { number, size: SIZE }).collect();
    Cost::of(|| baseline::durable_files(directory.path(), &contents, 1))
}

fn print(what: &[&str], costs: &[Cost], count: u64) {
    let mut table = Table::new(&["", "in a second", "of the files", "CPU-ms each"]);
    let files = costs[0].per_second(count);
    for (what, cost) in what.iter().zip(costs) {
        let speed = cost.per_second(count);
        table.row(vec![
            (*what).to_owned(),
            figure(speed),
            figure(speed / files),
            figure(cost.cpu.as_secs_f64() * 1e3 / count as f64),
        ]);
    }
    println!("{table}");
}
