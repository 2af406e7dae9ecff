//! [`Server`]: a server that a test has started, and that ends with it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up. Nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program whose output is read line by line. Killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Server {
    /// Starts it. Panics if there is no such program.
    pub fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap_or_else(|error| {
            let name = command.get_program().to_string_lossy();
            panic!("expected the program {name} to start (is it installed?): {error}")
        })
    }

    /// Starts it, if there is such a program.
    pub fn try_start(command: &mut Command) -> io::Result<Self> {
        Self::try_start_with(command, Stdio::null())
    }

    /// The same, with something to read, or a socket to listen on.
    pub fn try_start_with(command: &mut Command, input: Stdio) -> io::Result<Self> {
        command.stdin(input);
        Self::try_start_logging(command, Stdio::piped())
    }

    /// The same, with a standard error of the test's, which reads it itself or does not.
    pub fn try_start_logging(command: &mut Command, log: Stdio) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = Lines::of(child.stdout.take().expect("it is piped"));
        let stderr = child.stderr.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        Ok(Self { name, child, stdout, stderr })
    }

    /// The first line of standard output, from here on, that contains `text`.
    pub fn output_line(&mut self, text: &str) -> String {
        let found = self.stdout.find(text);
        self.or_explain(found, text)
    }

    /// The first line of standard error, from here on, that contains `text`.
    pub fn log_line(&mut self, text: &str) -> String {
        let found = self.stderr.find(text);
        self.or_explain(found, text)
    }

    /// Waits until it takes connections.
    pub fn listens(&mut self, address: SocketAddr) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().expect("a child can be waited for").is_some();
            if ended || Instant::now() > deadline {
                self.explain(&format!("listen on {address}"));
            }
            thread::yield_now();
        }
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .expect("the child is not waited for yet");
    }

    /// The most memory it ever held, in KiB (Linux).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("it runs, and the system tells of its processes");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse().ok());
        number.expect("a number of KiB")
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> ExitStatus {
        // Its output ends when it does, or a moment before.
        let ended = self.stdout.exhaust() && self.stderr.exhaust();
        let printed = [self.stdout.seen.join("\n"), self.stderr.seen.join("\n")];
        assert!(ended, "expected {} to end; it printed:\n{}", self.name, printed.join("\n"));
        self.child.wait().expect("a child can be waited for")
    }

    /// Waits until it has ended, however it does. Returns its log.
    pub fn log_to_the_end(mut self) -> String {
        let ended = self.stdout.exhaust() && self.stderr.exhaust();
        assert!(ended, "expected {} to end", self.name);
        self.child.wait().expect("a child can be waited for");
        self.stderr.seen.join("\n")
    }

    /// Waits until it has ended, however it does. Returns all that it printed, and its log.
    pub fn all_to_the_end(mut self) -> (String, String) {
        let ended = self.stdout.exhaust() && self.stderr.exhaust();
        assert!(ended, "expected {} to end", self.name);
        self.child.wait().expect("a child can be waited for");
        (self.stdout.seen.join("\n"), self.stderr.seen.join("\n"))
    }

    /// Asks it to end, and waits until it has, with all that it started and that prints where it does. It does not
    /// panic, and may be called where a test has: what takes longer than patience is killed when this is dropped.
    pub fn end(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.stdout.exhaust() && self.stderr.exhaust();
    }

    fn or_explain(&mut self, found: Option<String>, text: &str) -> String {
        found.unwrap_or_else(|| self.explain(&format!("print a line with {text:?}")))
    }

    fn explain(&mut self, expected: &str) -> ! {
        panic!(
            "expected {} to {expected}\nits output:\n{}\nits log:\n{}",
            self.name,
            self.stdout.all().join("\n"),
            self.stderr.all().join("\n"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, read by a thread so that the writer never waits for the test.
#[derive(Debug)]
struct Lines {
    arriving: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, arriving) = channel();
        thread::spawn(move || {
            // Whatever it prints: to close the pipe would break who writes to it.
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { arriving, seen: Vec::new() }
    }

    /// `None` if the pipe ends, or patience, before such a line comes.
    fn find(&mut self, text: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.next(deadline) {
            if line.contains(text) {
                return Some(line);
            }
        }
        None
    }

    /// Whether the pipe ends before patience does.
    fn exhaust(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline) {
                Ok(_) => {}
                Err(end) => return end == RecvTimeoutError::Disconnected,
            }
        }
    }

    fn all(&mut self) -> &[String] {
        while let Ok(line) = self.arriving.try_recv() {
            self.seen.push(line);
        }
        &self.seen
    }

    fn next(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.arriving.recv_timeout(left)?;
        self.seen.push(line.clone());
        Ok(line)
    }
}
