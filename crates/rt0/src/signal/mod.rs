//! Signals.
//!
//! Go: package os/signal, with its rules where a Rust program can have them.
//!
//! ```
//! use rt0::signal::{Signal, notify};
//!
//! # #[rt0::main] fn main() -> std::io::Result<()> {
//! let (to, signals) = rt0::chan::bounded(1);
//! notify(&to, &[Signal::HUP])?;
//! # rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP)?;
//! assert_eq!(signals.recv(), Ok(Signal::HUP));
//! # Ok(()) }
//! ```
//!
//! # What signals do that nobody asked for
//! rt0 handles few signals on its own, and none in a way that a program could be surprised by:
//!
//! * **HUP, INT, TERM** kill the process, by the signal. If the process was started with one of
//!   them ignored (`nohup`), it stays ignored until the program asks for it. In a container, as
//!   process 1, which the kernel does not kill that way, a program with `#[rt0::main]` ends with
//!   status 128 + the number.
//! * **QUIT** prints all goroutines and ends a program with `#[rt0::main]`, with status 2.
//! * **USR1, USR2, ALRM** and all others do what the kernel does, which for most is to kill. (Go
//!   swallows them.)
//! * **PIPE** is ignored, as in every Rust program: a write to a broken pipe is an error. A broken
//!   standard output or error ends the process by the signal if it is [`rt0::io::stdout`] or
//!   [`rt0::io::stderr`] that writes to it, unless the program asked for the signal, or to ignore
//!   it. `println!` panics, as in every Rust program.
//! * **Faults** (SEGV, BUS, FPE, ILL, TRAP, ABRT) of a goroutine's are reported. Who asks for them
//!   is told of those that somebody has sent.
//! * **URG** preempts goroutines that compute for long. Who asks for it is told of those that come
//!   from elsewhere: not of what a thread of the process sends to a thread (`raise`).
//!
//! # Children
//! What a child of [`process::Command`](crate::process::Command) executes has no signal blocked and
//! the default for all that its parent handles; what the parent [ignores](ignore) is ignored. In a
//! child of `fork` that executes nothing, what the parent asked for is not asked for.
//!
//! [`rt0::io::stdout`]: crate::io::stdout
//! [`rt0::io::stderr`]: crate::io::stderr

mod number;
mod registry;

pub use number::Signal;

use crate::chan::Sender;
use crate::context::{Cancel, Context, with_cancel};
use registry::{Target, set_of};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Tells `to` of these signals from now on, instead of what they did. Go: `signal.Notify`.
///
/// Each is sent without waiting: what finds the channel full is dropped, so a channel for one kind
/// of signal should have room for one at least. Signals of one number that come in quick succession
/// may be told of once. May be called again for further signals, and with other channels, which are
/// all told. Does not block.
///
/// While somebody is to be told of signals, there is one goroutine more.
///
/// A channel whose receivers are all gone is forgotten when the next signal comes, which then does
/// what it did before.
///
/// # Errors
/// There is no descriptor left, no goroutine can be made, or none outside of a runtime
/// ([`rt0::run`](crate::run)).
pub fn notify(to: &Sender<Signal>, signals: &[Signal]) -> io::Result<()> {
    registry::add(Target::Channel(to.clone()), set_of(signals))
}

/// Tells `to` of nothing any more. Go: `signal.Stop`.
///
/// When it returns, what was caught until now is in the channel, if there was room, and nothing
/// comes any more. A signal that no channel and no context is told of any more does what it did
/// before it was first asked for. Which of the two happens to a signal that comes meanwhile is not
/// said, but one does.
pub fn stop(to: &Sender<Signal>) {
    registry::remove(&Target::Channel(to.clone()));
}

/// Ignores these signals from now on, and tells nobody of them any more. Go: `signal.Ignore`.
///
/// Processes that are started from now on ignore them, too. Ignoring `CHLD` makes the kernel forget
/// how children end.
pub fn ignore(signals: &[Signal]) {
    registry::ignore_all(set_of(signals));
}

/// Whether it is ignored: since the process was started, or by [`ignore`]. Go: `signal.Ignored`.
///
/// `PIPE` counts as ignored by [`ignore`] only.
pub fn ignored(signal: Signal) -> bool {
    crate::sched::signal_unix::is_ignored(signal.as_raw())
}

/// Undoes every [`notify`], [`notify_context`] and [`ignore`] for these signals. Go:
/// `signal.Reset`.
pub fn reset(signals: &[Signal]) {
    registry::reset_all(set_of(signals));
}

/// A context that ends when one of these signals comes, or with `parent`. Go:
/// `signal.NotifyContext`.
///
/// Its [cause](Context::cause) is then a [`Received`]. Signals that come later are caught, too, and
/// change nothing, until the handle is dropped: from then on they do what they did before. So a
/// program that drops it when it begins to end can be ended at once by a second Ctrl-C.
///
/// ```
/// use rt0::signal::{Signal, notify_context};
///
/// # #[rt0::main] fn main() -> std::io::Result<()> {
/// let background = rt0::context::background();
/// let (ctx, stop) = notify_context(&background, &[Signal::INT, Signal::TERM])?;
/// # rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
/// let _ = ctx.done().recv();
/// drop(stop);
/// assert_eq!(ctx.cause().unwrap().to_string(), "terminated signal received");
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`notify`].
pub fn notify_context(parent: &Context, signals: &[Signal]) -> io::Result<(Context, Stop)> {
    let (context, cancel) = with_cancel(parent);
    let cancel = Arc::new(cancel);
    registry::add(Target::Context(Arc::clone(&cancel)), set_of(signals))?;
    Ok((context, Stop { target: Target::Context(Arc::clone(&cancel)), cancel }))
}

/// Leaves the signals alone and ends the context, when it is dropped.
#[must_use = "the context ends when this is dropped"]
pub struct Stop {
    target: Target,
    cancel: Arc<Cancel>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        registry::remove(&self.target);
        self.cancel.cancel();
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

/// Why a context of [`notify_context`] has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received(Signal);

impl Received {
    /// The signal.
    pub fn signal(self) -> Signal {
        self.0
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signal received", self.0)
    }
}

impl std::error::Error for Received {}
