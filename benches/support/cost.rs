//! [`Cost`]: what a piece of work took of time, processors and memory.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// By the clock on the wall.
    pub wall: Duration,
    /// Of all processors together, by this process, its threads and its system calls.
    pub cpu: Duration,
    /// The most memory the process held at a time, in bytes, what it held before included; `None` where the
    /// system does not tell (not Linux).
    pub peak_memory: Option<u64>,
}

impl Cost {
    /// Does the work.
    pub fn of(work: impl FnOnce()) -> Self {
        forget_peak_memory();
        let (started, cpu) = (Instant::now(), cpu());
        work();
        let wall = started.elapsed();
        Self { wall, cpu: self::cpu() - cpu, peak_memory: peak_memory() }
    }

    /// So many of something in a second.
    pub fn per_second(&self, amount: u64) -> f64 {
        amount as f64 / self.wall.as_secs_f64()
    }
}

fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

/// Asks Linux to count the peak from now on. Where it cannot, the peak is that of all so far.
fn forget_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}
