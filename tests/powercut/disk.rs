//! [`Disk`]: a filesystem in a file, as its device would be found after the power went.
//!
//! It is mounted where only the `registry` on it sees it, and so goes when that ends, however it does.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use registry_tests::child::PATIENCE;
use registry_tests::registry_process::{RegistryProcess, program, without_variables};
use rustix::process::Signal;
use tempfile::TempDir;

/// Bytes that a filesystem may take. XFS is not made smaller than 300 MB.
const SIZE: u64 = 400 << 20;
/// The kernel's name for this boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A kind of filesystem.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Filesystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl Filesystem {
    /// What makes one, and with which options it is mounted: so that nothing is written but what is asked for.
    fn commands(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Ext4 => (&["mkfs.ext4", "-q", "-F"], "loop,commit=300"),
            Self::Xfs => (&["mkfs.xfs", "-q", "-f"], "loop"),
            Self::Btrfs => (&["mkfs.btrfs", "-q", "-f"], "loop,commit=300"),
        }
    }
}

/// A place below the target directory for images of disks.
pub(crate) fn home() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Makes a disk in `home` that is empty.
pub(crate) fn make(filesystem: Filesystem, home: &Path) -> PathBuf {
    let image = home.join("disk");
    File::create(&image).unwrap().set_len(SIZE).unwrap();
    let (make, _) = filesystem.commands();
    run(Command::new(make[0]).args(&make[1..]).arg(&image));
    image
}

/// A disk in use: a `registry` runs on it.
pub(crate) struct Disk {
    image: PathBuf,
    mounted: PathBuf,
    device: String,
    registry: RegistryProcess,
}

impl Disk {
    /// Mounts an image, as after a start of the machine, and starts a `registry` on it.
    pub(crate) fn start(filesystem: Filesystem, image: &Path) -> Self {
        let (boot, mounted) = (image.with_extension("boot"), image.with_extension("mounted"));
        fs::create_dir_all(&mounted).unwrap();
        // What is kept in this boot of the machine is not to be taken for what was kept in another.
        let name = image.file_name().unwrap().as_encoded_bytes();
        fs::write(&boot, registry_store::digest::Digest::sha256(name).hex()).unwrap();
        let (_, options) = filesystem.commands();
        let script = "mount -o \"$1\" \"$2\" \"$3\" && mount --bind \"$4\" \"$5\" && \
                      exec \"$6\" --addr 127.0.0.1:0 --root \"$3/registry\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", script, "sh", options]);
        command.args([image, &mounted, &boot, Path::new(BOOT), program()]);
        let registry = RegistryProcess::greeted(without_variables(&mut command));
        let device = device(image).expect("it is mounted");
        Self { image: image.to_owned(), mounted, device, registry }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.registry.address()
    }

    /// The mounted filesystem, as others than the `registry` get at it.
    pub(crate) fn path(&self) -> PathBuf {
        let mounted = self.mounted.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.registry.id())).join(mounted)
    }

    /// What the device has at this moment: nothing that the system still holds back. It waits until nothing is
    /// written, so that it is what the device had at one moment.
    pub(crate) fn copy(&self, to: &Path) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.written();
            run(Command::new("cp").arg("--sparse=always").args([&self.image, &to.to_owned()]));
            if before.is_some() && before == self.written() {
                return;
            }
            assert!(Instant::now() < deadline, "expected a moment in which nothing is written");
        }
    }

    /// Ends the `registry`, and waits until the disk is no longer in use. Returns what the `registry` logged.
    pub(crate) fn end(self) -> String {
        self.registry.signal(Signal::KILL);
        let log = self.registry.ended();
        let deadline = Instant::now() + PATIENCE;
        while device(&self.image).is_some() {
            assert!(Instant::now() < deadline, "expected {} to be free", self.image.display());
            thread::yield_now();
        }
        log
    }

    /// How many writes the device has ended; `None` while one is under way.
    fn written(&self) -> Option<u64> {
        let statistics = fs::read_to_string(format!("/sys/block/{}/stat", self.device)).unwrap();
        let numbers: Vec<u64> =
            statistics.split_whitespace().map(|number| number.parse().unwrap()).collect();
        (numbers[8] == 0).then_some(numbers[4])
    }
}

/// The name of the device that this file is.
fn device(image: &Path) -> Option<String> {
    let found = run(Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(image));
    let name = found.lines().next()?.trim();
    Some(name.strip_prefix("/dev/")?.to_owned())
}

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command) -> String {
    let ran = command.output();
    let ran = ran.unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed?"));
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {told}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}
