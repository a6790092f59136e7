//! Until others wait: on a busy machine no sleep is long enough for that.

use rt0::debug::waits;
use rt0::time::{Duration, sleep};

/// How many goroutines and threads wait at `on`.
pub(crate) fn at<T>(on: &T) -> usize {
    let on = std::ptr::from_ref(on) as usize;
    waits().iter().filter(|w| w.on.contains(&on)).count()
}

/// Waits until so many do.
pub(crate) fn until<T>(on: &T, n: usize) {
    while at(on) != n {
        sleep(Duration::from_millis(1));
    }
}
