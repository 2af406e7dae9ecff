//! Pages of the tags of one repository that has many.

use futures::{StreamExt as _, stream};
use registry_benches::cost::Cost;
use registry_benches::rounds::{Candidate, medians};
use registry_benches::settings::Settings;
use registry_benches::table::{Table, figure, mebibytes};
use registry_store::layout::RepositoryLayout;
use registry_store::reference::Tag;

use crate::baseline;
use crate::manifests::{Image, put, tag};
use crate::place::{Place, name};

/// First and middle pages of 100, 1,000 and all of 10,000 tags, beside reading the directory's names.
pub(crate) fn pages(settings: &Settings) {
    let count = settings.choose(10_000, 1000);
    let place = Place::below(&settings.directory);
    make_tags(&place, count);

    let directory = place.path().join(RepositoryLayout::new(&name()).tags().as_str());
    let middle = tag(count / 2);
    let page = |after: Option<&Tag>, limit: usize| {
        let tags = place.repository().tags();
        let page = tags.list(after.map(Tag::as_str), limit);
        Cost::of(|| {
            let page = place.runtime.block_on(page).expect("the repository is there");
            assert!(page.items.len() == limit || !page.more);
        })
    };
    let mut candidates = [
        Candidate::new(|_| Cost::of(|| assert_eq!(baseline::names(&directory), count))),
        Candidate::new(|_| page(None, 100)),
        Candidate::new(|_| page(Some(&middle), 100)),
        Candidate::new(|_| page(None, 1000)),
        Candidate::new(|_| page(None, count)),
    ];
    let costs = medians(settings.choose(15, 2), &mut candidates);

    let mut table = Table::new(&["", "ms", "of the names", "CPU-ms", "peak MiB"]);
    let names = costs[0].wall.as_secs_f64();
    let what = [
        format!("names of the directory, {count}"),
        "first page of 100".to_owned(),
        "middle page of 100".to_owned(),
        "first page of 1000".to_owned(),
        format!("all {count}"),
    ];
    for (what, cost) in what.into_iter().zip(&costs) {
        let wall = cost.wall.as_secs_f64();
        table.row(vec![
            what,
            figure(wall * 1e3),
            figure(wall / names),
            figure(cost.cpu.as_secs_f64() * 1e3),
            mebibytes(cost.peak_memory),
        ]);
    }
    println!("{table}");
}

fn make_tags(place: &Place, count: usize) {
    let manifest = Image::pushed_to(place).manifest("many tags");
    let manifests = place.repository().manifests();
    let tags: Vec<Tag> = (0..count).map(tag).collect();
    let pushes = tags.chunks(50).map(|tags| put(&manifests, &manifest, tags));
    let all = stream::iter(pushes).buffer_unordered(16).for_each(async |()| ());
    place.runtime.block_on(all);
}
