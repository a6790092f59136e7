//! Measuring, and the one line of JSON that the runner reads.

use crate::Args;
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

/// Wall and processor time since the start of a benchmark's body.
pub struct Span {
    wall: Instant,
    cpu: Duration,
}

impl Span {
    /// Starts both clocks.
    pub fn start() -> Span {
        Span { cpu: cpu_time(), wall: Instant::now() }
    }

    /// Stops them; `ops` is what the wall time is divided by.
    pub fn stop(self, ops: u64) -> Took {
        let wall = self.wall.elapsed();
        Took { wall, cpu: cpu_time() - self.cpu, ops, extra: Vec::new() }
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("a clock that starts at 0")
}

/// What a benchmark took, and what else it has to report.
pub struct Took {
    wall: Duration,
    cpu: Duration,
    ops: u64,
    extra: Vec<(&'static str, f64)>,
}

impl Took {
    /// Adds a figure to the report.
    pub fn with(mut self, key: &'static str, value: f64) -> Took {
        self.extra.push((key, value));
        self
    }

    /// Adds the time since `start`, in ns for each of `n`.
    pub fn with_each(self, key: &'static str, start: Instant, n: u64) -> Took {
        self.with(key, start.elapsed().as_nanos() as f64 / n as f64)
    }

    /// Prints the report.
    pub fn report(self, peer: &str, args: &Args) {
        let mut line = format!(
            "{{\"peer\":\"{peer}\",\"bench\":\"{}\",\"n\":{},\"workers\":{}",
            args.bench,
            args.n,
            args.workers()
        );
        let own = [
            ("ns_per_op", self.wall.as_nanos() as f64 / self.ops.max(1) as f64),
            ("wall_ms", self.wall.as_secs_f64() * 1e3),
            ("cpu_ms", self.cpu.as_secs_f64() * 1e3),
            ("rss_kb", status_kb("VmRSS:")),
            ("hwm_kb", status_kb("VmHWM:")),
        ];
        for (key, value) in own.iter().chain(&self.extra) {
            let _ = write!(line, ",\"{key}\":{value:.2}");
        }
        println!("{line}}}");
    }
}

/// A field of /proc/self/status that counts kB.
fn status_kb(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|l| l.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(0.0)
}

/// Resident set and page tables at one moment, to compare with a later one.
pub struct Memory {
    rss_kb: f64,
    pte_kb: f64,
}

impl Memory {
    /// What is in use now.
    pub fn now() -> Memory {
        Memory { rss_kb: status_kb("VmRSS:"), pte_kb: status_kb("VmPTE:") }
    }

    /// Adds to `took` by how many bytes for each of `n` the process has grown since.
    pub fn grown(&self, took: Took, n: u64) -> Took {
        let now = Memory::now();
        let each = |before: f64, after: f64| (after - before).max(0.0) * 1024.0 / n as f64;
        took.with("bytes_per_g", each(self.rss_kb, now.rss_kb))
            .with("pte_bytes_per_g", each(self.pte_kb, now.pte_kb))
    }
}

/// Adds what one of a wave costs where nothing can be used again, `first_ns`, and the median of the
/// later waves, `again_ns`. `waves_ns` has at least two.
pub fn waves(waves_ns: &[f64], took: Took) -> Took {
    let (first, again) = waves_ns.split_first().expect("there is a first wave");
    let mut again = again.to_vec();
    again.sort_unstable_by(f64::total_cmp);
    took.with("first_ns", *first).with("again_ns", again[again.len() / 2])
}

/// Adds p50, p99 and max of `late_ns`, in µs.
pub fn percentiles(mut late_ns: Vec<u64>, took: Took) -> Took {
    late_ns.sort_unstable();
    let took = took.with("samples", late_ns.len() as f64);
    let Some(last) = late_ns.len().checked_sub(1) else { return took };
    let at = |share: f64| late_ns[(last as f64 * share) as usize] as f64 / 1e3;
    took.with("p50_us", at(0.50)).with("p99_us", at(0.99)).with("max_us", at(1.0))
}
