//! The store over the filesystem backend: pushes, pulls, manifests, tags.
//!
//! `cargo bench` measures, `cargo bench -- --quick` tries everything with little data.
#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

mod baseline;
mod manifests;
mod place;
mod small;
mod streams;
mod tags;

use registry_benches::settings::Settings;

/// Measures, and prints a table.
type Section = fn(&Settings);

fn main() {
    let Some(settings) = Settings::from_command_line(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
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
