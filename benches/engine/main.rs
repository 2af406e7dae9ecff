//! The store over the filesystem backend: pushes, pulls, manifests, tags.
//!
//! `cargo bench -p registry-benches` measures; with `-- --quick` behind it, it tries everything with little data.
#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

mod baseline;
mod manifests;
mod place;
mod small;
mod streams;
mod tags;

use registry_benches::settings::Settings;
use tempfile::TempDir;

/// Measures, and prints a table.
type Section = fn(&Settings);

fn main() {
    let Some(mut settings) = Settings::from_command_line(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
    let run = TempDir::new_in(&settings.directory).expect("--dir names a directory that is ours");
    settings.directory = run.path().to_owned();
    let sections: [(&str, Section); 6] = [
        ("push of large blobs", streams::push),
        ("pull of large blobs", streams::pull),
        ("push of small blobs", small::push),
        ("manifests", manifests::put_and_get),
        ("moving tags", manifests::move_tags),
        ("pages of tags", tags::pages),
    ];
    for (title, section) in sections {
        if settings.wants(title) {
            println!("\n## {title}\n");
            section(&settings);
        }
    }
}
