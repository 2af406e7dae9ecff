//! [`Lines`]: lines that a thread of its own writes out, so that a reader that is slow, or has gone, holds up nobody.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Failure;

/// How many lines wait for the reader at most, and how many bytes they have; what comes then is lost, and counted.
const MOST: usize = 16 * 1024;
const MOST_BYTES: usize = 8 << 20;
/// How long the rest is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go. Clones go to the same thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something waits.
    some: Condvar,
    /// All is out, or lost.
    none: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    /// Of those that wait, and of the one that is being written.
    lines: usize,
    bytes: usize,
    lost: u64,
}

impl Lines {
    /// To standard output; `name` is the thread's.
    pub(super) fn to_stdout(name: &str) -> Result<Self, Failure> {
        Self::to(name, io::stdout().as_fd())
    }

    /// To standard error.
    pub(super) fn to_stderr(name: &str) -> Result<Self, Failure> {
        Self::to(name, io::stderr().as_fd())
    }

    /// By a file of its own: who else prints there waits for no lock of ours.
    fn to(name: &str, file: impl AsFd) -> Result<Self, Failure> {
        let file = file.as_fd().try_clone_to_owned();
        let started = file.and_then(|file| Self::start(name, File::from(file)));
        started.map_err(|error| Failure::new(format!("cannot start the thread {name}: {error}")))
    }

    fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::default();
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name(name.to_owned()).spawn(move || shared.write_all(out))?;
        Ok(lines)
    }

    /// A line, with the newline at its end. Never waits.
    pub(super) fn put(&self, line: Vec<u8>) {
        let mut queue = self.0.lock();
        if queue.lines >= MOST || queue.bytes + line.len() > MOST_BYTES {
            queue.lost += 1;
            return;
        }
        queue.lines += 1;
        queue.bytes += line.len();
        queue.waiting.push_back(line);
        drop(queue);
        self.0.some.notify_one();
    }

    /// How many there was no room for, or could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.0.lock().lost
    }

    /// Waits until what was written is out, not for ever.
    pub(super) fn finish(&self) {
        let queue = self.0.lock();
        drop(self.0.none.wait_timeout_while(queue, PATIENCE, |queue| queue.lines > 0));
    }
}

/// What is written at once is a line.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the program ends.
    fn write_all(&self, mut out: impl Write) {
        let mut is_within = false;
        loop {
            let line = self.next();
            // Behind a part of a line, which is lost, another begins anew.
            let written = match is_within {
                true => write(&mut out, b"\n").and_then(|()| write(&mut out, &line)),
                false => write(&mut out, &line),
            };
            is_within = match written {
                Ok(()) => false,
                Err(Cut { part }) => is_within || part > 0,
            };
            self.done(line.len(), written.is_ok());
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut queue = self.lock();
        loop {
            if let Some(line) = queue.waiting.pop_front() {
                return line;
            }
            queue = self.some.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, bytes: usize, is_out: bool) {
        let mut queue = self.lock();
        queue.lines -= 1;
        queue.bytes -= bytes;
        queue.lost += u64::from(!is_out);
        if queue.lines == 0 {
            self.none.notify_all();
        }
    }
}

/// So many bytes are out, and no more can be: the disk is full, or who read has gone.
#[derive(Debug)]
struct Cut {
    part: usize,
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Cut> {
    let mut part = 0;
    while part < bytes.len() {
        match out.write(&bytes[part..]) {
            Ok(0) => return Err(Cut { part }),
            Ok(more) => part += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Cut { part }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes so many bytes in all, and keeps them.
    struct Disk {
        room: Arc<Mutex<usize>>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let part = bytes.len().min(*room);
            if part == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= part;
            self.kept.lock().unwrap().extend_from_slice(&bytes[..part]);
            Ok(part)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it is let; then tells what came.
    struct Gate {
        opened: Receiver<()>,
        told: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // It is open once the other end is dropped.
            let _ = self.opened.recv();
            self.told.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_lost_and_counted_and_no_line_hangs_on_a_part_of_another() {
        let (room, kept) = (Arc::new(Mutex::new(6)), Arc::default());
        let disk = Disk { room: Arc::clone(&room), kept: Arc::clone(&kept) };
        let lines = Lines::start("disk", disk).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            lines.put(line.into());
        }
        lines.finish();
        assert_eq!(lines.lost(), 2);
        *room.lock().unwrap() = 100;
        lines.put("four\n".into());
        lines.put("five\n".into());
        lines.finish();
        assert_eq!(lines.lost(), 2);
        assert_eq!(
            String::from_utf8(kept.lock().unwrap().clone()).unwrap(),
            "one\ntw\nfour\nfive\n"
        );
    }

    #[test]
    fn who_does_not_read_holds_up_nobody_and_at_the_end_a_full_queue_is_waited_for() {
        let ((open, opened), (told, came)) = (channel::<()>(), channel());
        let lines = Lines::start("gate", Gate { opened, told }).unwrap();
        for number in 0..MOST + 5 {
            lines.put(format!("{number}\n").into());
        }
        assert_eq!(lines.lost(), 5);
        drop(open);
        lines.finish();
        let came: Vec<Vec<u8>> = came.try_iter().collect();
        assert_eq!((came.len(), lines.lost()), (MOST, 5));
        assert_eq!(came.last().unwrap(), format!("{}\n", MOST - 1).as_bytes());
    }

    #[test]
    fn long_lines_wait_up_to_a_number_of_bytes() {
        let ((_open, opened), (told, _came)) = (channel::<()>(), channel());
        let lines = Lines::start("gate", Gate { opened, told }).unwrap();
        for _ in 0..9 {
            lines.put(vec![b'x'; 1 << 20]);
        }
        assert_eq!(lines.lost(), 1);
    }
}
