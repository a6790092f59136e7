//! A call that may take only so long.

use crate::join::go;
use crate::sync::oneshot;
use std::time::Duration;
use std::{error, fmt, io};

/// The time was over before the call was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(e: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, e)
    }
}

/// Runs `f` on a goroutine of its own and waits `d` for what it returns.
///
/// When the time is over the caller goes on; so does `f`, which nobody waits for any more: what it
/// returns is dropped, and should it panic, the process ends, as after dropping a
/// [`JoinHandle`](crate::JoinHandle). To have what `f` waits for end as well, and to borrow in it,
/// give it a context: [`context::within`](crate::context::within). Go: `select` with `time.After`.
///
/// # Errors
/// The time was over first.
///
/// # Panics
/// If `f` panicked in time, with its payload; and as [`go`](crate::go).
///
/// ```
/// use rt0::time::{Duration, Elapsed, sleep, timeout};
/// # #[rt0::main] fn main() -> Result<(), Elapsed> {
/// assert_eq!(timeout(Duration::from_secs(60), || 6 * 7)?, 42);
/// assert!(timeout(Duration::from_millis(1), || sleep(Duration::from_secs(3600))).is_err());
/// # Ok(()) }
/// ```
#[track_caller]
pub fn timeout<F, T>(d: Duration, f: F) -> Result<T, Elapsed>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (running, mut ended) = oneshot::channel::<()>();
    let handle = go(move || {
        let _running = running; // its end, also by a panic, is the message
        f()
    });
    match ended.recv_timeout(d) {
        Err(oneshot::RecvTimeoutError::Timeout) => Err(Elapsed(())),
        _ => Ok(handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))),
    }
}
