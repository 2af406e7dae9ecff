//! Small blobs: operations in a second, one and sixteen at a time.

use std::path::Path;

use futures::{StreamExt as _, stream};
use registry_benches::content::Content;
use registry_benches::cost::Cost;
use registry_benches::rounds::{Candidate, medians};
use registry_benches::settings::Settings;
use registry_benches::table::{Table, figure, mebibytes};
use registry_store::digest::Digest;
use tempfile::TempDir;

use crate::baseline;
use crate::place::{Place, put};

/// Pushes of 4 KiB and 1 MiB, beside plain durable files of that size.
pub(crate) fn push(settings: &Settings) {
    let mut table = Table::new(&["", "in a second", "of the files", "CPU-ms each", "peak MiB"]);
    for (label, size, count) in [("4 KiB", 4 << 10, 320), ("1 MiB", 1 << 20, 64)] {
        let count = settings.choose(count, 32);
        for at_a_time in [1, 16] {
            let contents: Vec<Content> =
                (0..count).map(|number| Content { number, size }).collect();
            let parent = settings.directory.as_path();
            let mut candidates = [
                Candidate::new(|_| written(parent, &contents, at_a_time)),
                Candidate::new(|_| pushed(parent, &contents, at_a_time)),
            ];
            let costs = medians(settings.choose(7, 2), &mut candidates);
            let files = costs[0].per_second(count);
            for (what, cost) in ["durable files", "pushes"].iter().zip(&costs) {
                let speed = cost.per_second(count);
                table.row(vec![
                    format!("{label}, {at_a_time} at a time: {what}"),
                    figure(speed),
                    figure(speed / files),
                    figure(cost.cpu.as_secs_f64() * 1e3 / count as f64),
                    mebibytes(cost.peak_memory),
                ]);
            }
        }
    }
    println!("{table}");
}

fn written(parent: &Path, contents: &[Content], at_a_time: usize) -> Cost {
    let directory = TempDir::new_in(parent).expect("a directory can be made");
    Cost::of(|| baseline::durable_files(directory.path(), contents, at_a_time))
}

fn pushed(parent: &Path, contents: &[Content], at_a_time: usize) -> Cost {
    let place = Place::below(parent);
    let digests: Vec<Digest> = contents.iter().map(|content| content.digest()).collect();
    let pushes = async {
        let blobs = place.blobs();
        let push = |(content, digest): (Content, Digest)| {
            let blobs = blobs.clone();
            // A task each, as a server has them.
            let task = tokio::spawn(async move { put(&blobs, content, &digest).await });
            async { task.await.expect("a push does not panic") }
        };
        let pushes = contents.iter().copied().zip(digests);
        stream::iter(pushes).map(push).buffer_unordered(at_a_time).for_each(async |()| ()).await;
    };
    Cost::of(|| place.runtime.block_on(pushes))
}
