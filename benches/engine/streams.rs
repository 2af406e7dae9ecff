//! Large blobs: bytes in a second, processors and memory.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use registry_benches::content::Content;
use registry_benches::cost::Cost;
use registry_benches::rounds::{Candidate, medians};
use registry_benches::settings::Settings;
use registry_benches::table::{Table, figure, mebibytes};
use registry_store::backend::ReadRange;
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout;
use registry_store::uploads::ResumeAt;
use tempfile::TempDir;

use crate::baseline;
use crate::place::{Place, body, put};

const GB: f64 = 1e9;

fn sizes(settings: &Settings) -> [(&'static str, u64); 2] {
    let large = settings.choose(("1 GiB", 1 << 30), ("64 MiB", 64 << 20));
    [("1 MiB", 1 << 20), large]
}

/// Pushes one blob at a time, in one request and in a session, beside hashing and beside a plain file.
pub(crate) fn push(settings: &Settings) {
    let mut table = head(&["of sha256", "of the file"]);
    for (label, size) in sizes(settings) {
        let content = |round| Content { number: round, size };
        let parent = settings.directory.as_path();
        let mut candidates = [
            Candidate::new(|round| hashed(content(round))),
            Candidate::new(|round| written(parent, content(round))),
            Candidate::new(|round| pushed_at_once(parent, content(round))),
            Candidate::new(|round| pushed_in_a_session(parent, content(round))),
        ];
        let costs = medians(rounds(settings, size), &mut candidates);
        let speeds: Vec<f64> = costs.iter().map(|cost| cost.per_second(size) / GB).collect();
        let what =
            ["sha256", "a file, written and synced", "push in one request", "push in a session"];
        for ((what, cost), speed) in what.iter().zip(&costs).zip(&speeds) {
            let ratios = [speed / speeds[0], speed / speeds[1]];
            row(&mut table, &format!("{label}: {what}"), size, cost, &ratios);
        }
    }
    println!("{table}");
}

/// Pulls one blob at a time that is in the page cache, beside reading its file.
pub(crate) fn pull(settings: &Settings) {
    let mut table = head(&["of the file"]);
    for (label, size) in sizes(settings) {
        let place = Place::below(&settings.directory);
        let digest = place.push(Content { number: 0, size });
        let file = file_of(&place, &digest);
        let mut candidates = [
            Candidate::new(|_| Cost::of(|| assert_eq!(baseline::read(&file), size))),
            Candidate::new(|_| Cost::of(|| pulled(&place, &digest, size))),
        ];
        let costs = medians(rounds(settings, size), &mut candidates);
        let speeds: Vec<f64> = costs.iter().map(|cost| cost.per_second(size)).collect();
        for ((what, cost), speed) in ["its file, read", "pull"].iter().zip(&costs).zip(&speeds) {
            row(&mut table, &format!("{label}: {what}"), size, cost, &[speed / speeds[0]]);
        }
    }
    println!("{table}");
}

fn rounds(settings: &Settings, size: u64) -> u64 {
    let many = if size > 16 << 20 { 5 } else { 25 };
    settings.choose(many, 3)
}

fn head(ratios: &[&str]) -> Table {
    Table::new(&[&["", "GB/s"], ratios, &["CPU-s/GB", "peak MiB"]].concat())
}

fn row(table: &mut Table, what: &str, size: u64, cost: &Cost, ratios: &[f64]) {
    let mut cells = vec![what.to_owned(), figure(cost.per_second(size) / GB)];
    cells.extend(ratios.iter().map(|ratio| figure(*ratio)));
    cells.push(figure(cost.cpu.as_secs_f64() / (size as f64 / GB)));
    cells.push(mebibytes(cost.peak_memory));
    table.row(cells);
}

fn hashed(content: Content) -> Cost {
    Cost::of(|| {
        black_box(content.digest());
    })
}

fn written(parent: &Path, content: Content) -> Cost {
    let directory = TempDir::new_in(parent).expect("a directory can be made");
    let file = directory.path().join("data");
    Cost::of(|| baseline::write_synced(&file, content))
}

fn pushed_at_once(parent: &Path, content: Content) -> Cost {
    let (place, digest) = (Place::below(parent), content.digest());
    Cost::of(|| place.runtime.block_on(put(&place.blobs(), content, &digest)))
}

/// POST, one PATCH with everything, PUT.
fn pushed_in_a_session(parent: &Path, content: Content) -> Cost {
    let (place, digest) = (Place::below(parent), content.digest());
    let uploads = place.repository().uploads();
    let push = async {
        let started = uploads.start(Algorithm::Sha256).await.expect("the storage works");
        let at = ResumeAt { tip: Some(started.tip), offset: None };
        let appended = uploads.append(started.id, at, body(content)).await.expect("it is there");
        let at = ResumeAt { tip: Some(appended.tip), offset: None };
        let nothing = body(Content { number: 0, size: 0 });
        uploads.commit(started.id, at, &digest, nothing).await.expect("the digest is right")
    };
    Cost::of(|| assert_eq!(place.runtime.block_on(push), content.size))
}

fn pulled(place: &Place, digest: &Digest, size: u64) {
    let pull = async {
        let blob = place.blobs().get(digest, ReadRange::Full).await.expect("it is there");
        let count = |size, part: bytes::Bytes| async move { Ok(size + part.len() as u64) };
        blob.into_stream().try_fold(0, count).await.expect("the storage works")
    };
    assert_eq!(place.runtime.block_on(pull), size);
}

fn file_of(place: &Place, digest: &Digest) -> PathBuf {
    place.path().join(layout::blob(digest).as_str())
}
