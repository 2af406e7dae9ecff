//! What the machine itself can do, by the plainest means.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::thread;

use registry_benches::content::Content;

/// Writes a file and syncs it.
pub(crate) fn write_synced(path: &Path, content: Content) {
    let mut file = File::create(path).expect("the directory is ours");
    content.parts().for_each(|part| file.write_all(&part).expect("there is space"));
    file.sync_data().expect("the medium works");
}

/// Reads a file in parts of 1 MiB; its size.
pub(crate) fn read(path: &Path) -> u64 {
    let mut file = File::open(path).expect("it is there");
    let mut part = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match file.read(&mut part).expect("the medium works") {
            0 => return size,
            length => size += length as u64,
        }
    }
}

/// Writes small files, each durable under its own name before the next: write, fdatasync, rename, fsync of the
/// directory. So many at a time.
pub(crate) fn durable_files(directory: &Path, contents: &[Content], at_a_time: usize) {
    let share = contents.len().div_ceil(at_a_time);
    thread::scope(|scope| {
        for share in contents.chunks(share) {
            scope.spawn(|| share.iter().for_each(|content| durable_file(directory, *content)));
        }
    });
}

fn durable_file(directory: &Path, content: Content) {
    let (temporary, name) = (
        directory.join(format!("{}.temporary", content.number)),
        directory.join(content.number.to_string()),
    );
    write_synced(&temporary, content);
    fs::rename(temporary, name).expect("it is there");
    let directory = File::open(directory).expect("it is there");
    directory.sync_all().expect("the medium works");
}

/// The names in a directory; how many there are.
pub(crate) fn names(directory: &Path) -> usize {
    fs::read_dir(directory).expect("it is there").count()
}
