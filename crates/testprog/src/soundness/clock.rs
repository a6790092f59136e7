//! The watchdogs' clock, which stands still while other processes have the processors.
//!
//! Beside those a program with dozens of threads that want to run may get a second of processor
//! time in a minute. A goroutine that does nothing in that minute has not stalled. So time is
//! counted as it would have passed on a machine of its own: while no thread wants to run, as the
//! wall clock says; else by the processor time that the process got, divided by how many processors
//! its threads could have used.

use std::fs;
use std::time::{Duration, Instant};

pub(crate) struct Clock {
    processors: usize,
    looked: Instant,
    cpu: Duration,
    own: Duration,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            looked: Instant::now(),
            cpu: cpu_time(),
            own: Duration::ZERO,
        }
    }

    /// How much time has passed since the start. What its threads want is guessed from what they
    /// want now, so it has to be called often.
    pub(crate) fn now(&mut self) -> Duration {
        let (wall, cpu) = (self.looked.elapsed(), cpu_time());
        self.looked += wall;
        let got = cpu - std::mem::replace(&mut self.cpu, cpu);
        self.own += own_time(wall, got, self.processors, runnable());
        self.own
    }
}

fn own_time(wall: Duration, got: Duration, processors: usize, runnable: usize) -> Duration {
    match processors.min(runnable) {
        0 => wall,
        usable => wall.min(got / usable as u32),
    }
}

fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// The threads of this process.
pub(crate) fn threads() -> Vec<fs::DirEntry> {
    fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok).collect()
}

/// Those that run or wait for a processor, without the calling one.
fn runnable() -> usize {
    let me = rustix::thread::gettid().as_raw_nonzero().to_string();
    let runs = |tid: &str| {
        let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
    };
    let names = threads().into_iter().map(|thread| thread.file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|tid| *tid != me && runs(tid)).count()
}

#[cfg(test)]
mod tests {
    use super::own_time;
    use std::time::Duration;

    #[test]
    fn time_passes_as_on_a_machine_of_its_own() {
        let ms = Duration::from_millis;
        assert_eq!(own_time(ms(20), ms(0), 2, 0), ms(20), "all asleep: a deadlock counts");
        assert_eq!(own_time(ms(20), ms(40), 2, 9), ms(20), "alone");
        assert_eq!(own_time(ms(20), ms(20), 2, 1), ms(20), "alone, with one thread");
        assert_eq!(own_time(ms(20), ms(10), 2, 9), ms(5), "a quarter of both processors");
        assert_eq!(own_time(ms(20), ms(0), 2, 3), ms(0), "starved");
        assert_eq!(own_time(ms(20), ms(30), 2, 1), ms(20), "one thread now, two before");
    }
}
