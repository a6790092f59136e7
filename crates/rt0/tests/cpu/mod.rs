//! CPU time: what a process has used does not grow while the machine pauses or is others'.

use rt0::time::{Duration, sleep};

/// Of the process, in clock ticks of 10 ms.
pub(crate) fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs is mounted");
    let after = stat.rsplit(')').next().expect("a name in parentheses");
    let fields: Vec<&str> = after.split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

/// Sleeps again and again until the process has used so many ticks more.
#[allow(dead_code, reason = "not each test file has something that computes")]
pub(crate) fn sleep_beside(n: u64) {
    let end = ticks() + n;
    while ticks() < end {
        sleep(Duration::from_millis(20));
    }
}
