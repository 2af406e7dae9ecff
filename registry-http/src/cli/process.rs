//! Figures of this process, as Prometheus's clients tell them (Linux; elsewhere those that there are).
#![expect(clippy::disallowed_methods, reason = "reads what the system says of this process")]

use std::fs;
use std::time::{Duration, SystemTime};

use registry_http::metrics::{Figures, Kind, Source};
use rustix::process::{Resource, getrlimit};

/// The system's clock ticks in a second, for programs (Linux: `USER_HZ`).
const TICKS: f64 = 100.0;

/// `process_…`; `started` is when it began.
pub(super) fn figures(started: SystemTime) -> Source {
    let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Box::new(move |figures: &mut Figures| {
        let name = "process_start_time_seconds";
        let help = "Start time of the process since unix epoch in seconds.";
        figures.single(name, Kind::Gauge, help, started.as_secs_f64());
        if let Some(seconds) = cpu() {
            let name = "process_cpu_seconds_total";
            let help = "Total user and system CPU time spent in seconds.";
            figures.single(name, Kind::Counter, help, seconds);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            let help = "Number of open file descriptors.";
            figures.single("process_open_fds", Kind::Gauge, help, entries.count());
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            let help = "Maximum number of open file descriptors.";
            figures.single("process_max_fds", Kind::Gauge, help, most);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        for (line, name, help) in [
            ("VmRSS:", "process_resident_memory_bytes", "Resident memory size in bytes."),
            ("VmSize:", "process_virtual_memory_bytes", "Virtual memory size in bytes."),
        ] {
            if let Some(bytes) = kibibytes(&status, line) {
                figures.single(name, Kind::Gauge, help, bytes * 1024);
            }
        }
        if let Some(threads) = kibibytes(&status, "Threads:") {
            let help = "Number of OS threads in the process.";
            figures.single("process_threads", Kind::Gauge, help, threads);
        }
    })
}

/// proc_pid_stat(5): the 14th and the 15th field, counted behind the name, which may hold anything.
fn cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// The number in a line of `/proc/self/status`.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
