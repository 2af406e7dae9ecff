//! The file with the key that tokens are signed with: read, and made where it is not there.
#![expect(clippy::disallowed_methods, reason = "reads and makes a key before anything is served")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use registry_http::auth::issuer::SigningKey;
use registry_store::options::Random;
use tracing::{info, warn};

/// What the file holds. One that is not there is made, with a new key, for this user alone.
pub(super) fn read_or_make(file: &Path, random: &dyn Random) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(file, random)?,
        read => return read,
    }
    fs::read(file)
}

/// Warns of a key that is not one of this user alone.
pub(super) fn tell_if_others_can_read(file: &Path) {
    if fs::metadata(file).is_ok_and(|it| it.mode() & 0o077 != 0) {
        warn!("{}: others can read the key that tokens are signed with", file.display());
    }
}

/// Order: another file, of a name that nobody else takes, gets the key, whole and durable → it gets the name, if none has
/// it yet → the name is durable → its first name goes. Of two processes that start together one makes the key, whatever
/// their numbers are, and a crash leaves no half of one under its name: at most a file that nobody looks at.
fn make(file: &Path, random: &dyn Random) -> io::Result<()> {
    let pem = SigningKey::generate().map_err(io::Error::other)?;
    let mut other = file.as_os_str().to_owned();
    other.push(".");
    for byte in random.bytes() {
        other.push(format!("{byte:02x}"));
    }
    let other = Path::new(&other);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(other)?;
    let outcome = write_and_name(made, &pem, other, file);
    // It is ours, for we have created it; if it stays, it is of no use to anybody.
    let _ = fs::remove_file(other);
    outcome
}

fn write_and_name(mut made: File, pem: &str, other: &Path, file: &Path) -> io::Result<()> {
    made.write_all(pem.as_bytes())?;
    made.sync_all()?;
    match fs::hard_link(other, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    info!("{}: made a key to sign tokens with; replicas need the same", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use registry_store::options::SystemRandom;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let made = read_or_make(&file, &SystemRandom).unwrap();
        assert!(SigningKey::from_pem(&made).is_ok());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&file, &SystemRandom).unwrap(), made);
        make(&file, &SystemRandom).unwrap();
        let again = read_or_make(&file, &SystemRandom).unwrap();
        assert_eq!(again, made, "who comes second takes what is there");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn those_that_start_together_have_one_key() {
        const MANY: usize = 8;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let start = Barrier::new(MANY);
        let keys: Vec<Vec<u8>> = thread::scope(|scope| {
            let each = || {
                start.wait();
                read_or_make(&file, &SystemRandom).unwrap()
            };
            let running: Vec<_> = (0..MANY).map(|_| scope.spawn(each)).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Always the same.
    #[derive(Debug)]
    struct Worn;

    impl Random for Worn {
        fn bytes(&self) -> [u8; 16] {
            [7; 16]
        }
    }

    #[test]
    fn what_somebody_else_is_about_to_name_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let others = directory.path().join(format!("key.pem.{}", "07".repeat(16)));
        fs::write(&others, "of another process").unwrap();
        assert_eq!(make(&file, &Worn).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&others).unwrap(), b"of another process");
        // As earlier versions left it behind, where the number of the process is the same each time.
        fs::write(directory.path().join("key.pem.1"), "").unwrap();
        assert!(read_or_make(&file, &SystemRandom).is_ok());
    }

    #[test]
    fn what_is_no_file_that_can_be_read_is_an_error_and_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for bad in
            [directory.path().to_owned(), file.join("key.pem"), file.with_file_name("no/key")]
        {
            assert!(read_or_make(&bad, &SystemRandom).is_err(), "{}", bad.display());
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
