//! Timers and tickers that can be stopped and set again.
//!
//! Go: time/sleep.go, time/tick.go, with the meaning that Go 1.23 gave them: after `stop` or
//! `reset` has returned, nothing of before can be received. chan/clocked.rs has the channels,
//! func.rs the functions.

use super::func::FuncTimer;
use crate::chan::Receiver;
use crate::chan::clocked::Clocked;
use crate::chan::receiver::Flavor;
use crate::sched::wait;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One event at a time to come: a message in a channel, or a function that is run.
///
/// [`stop`](Timer::stop) and [`reset`](Timer::reset) say whether the event was still to come. After
/// them nothing of before happens: no message of the old time can be received, by nobody, and the
/// function is not started for it. Never early. Works on goroutines and on plain threads alike.
/// None of the methods blocks. Go: `time.Timer`.
///
/// A timer with a channel costs nothing but its memory until somebody waits for it. It may be
/// dropped at any time; a clone of its receiver still gets the message. A function stays to be run
/// when its timer is dropped: stop it first if it is not wanted any more. Of a stopped one some
/// fifty bytes are kept for the next.
///
/// ```
/// use rt0::time::{Duration, Timer};
/// # #[rt0::main] fn main() {
/// let timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1)), "it was to come in an hour");
/// timer.receiver().recv().unwrap();
/// assert!(!timer.stop(), "it has come");
/// # }
/// ```
pub struct Timer {
    kind: Kind,
}

enum Kind {
    Message(Receiver<Instant>),
    Func(Arc<FuncTimer>),
}

fn receiver(clocked: Clocked) -> Receiver<Instant> {
    crate::chan::clocked(clocked)
}

/// What is behind the receiver of a timer or ticker.
fn clocked(rx: &Receiver<Instant>) -> &Clocked {
    match &rx.flavor {
        Flavor::Clocked(clocked, _) => clocked,
        _ => crate::throw::throw("timer: another channel than its own"),
    }
}

impl Timer {
    /// A message `d` from now: the moment that it was due. Go: `time.NewTimer`.
    pub fn new(d: Duration) -> Timer {
        Timer { kind: Kind::Message(receiver(Clocked::after(d))) }
    }

    /// A message at `when`; at once, if that has passed.
    pub fn at(when: Instant) -> Timer {
        Timer { kind: Kind::Message(receiver(Clocked::at(when))) }
    }

    /// Runs `f` after `d`, in a goroutine of its own, and again after each
    /// [`reset`](Timer::reset): also while it still runs. A panic of `f` ends the process, as that
    /// of any goroutine that nobody joins. Go: `time.AfterFunc`.
    ///
    /// # Panics
    /// If no goroutine can be made, as [`go`](crate::go): the runtime is not running.
    #[track_caller]
    pub fn after_func(d: Duration, f: impl Fn() + Send + Sync + 'static) -> Timer {
        match FuncTimer::new(f) {
            Ok(timer) => {
                timer.arm(wait::after(d).unwrap_or(i64::MAX));
                Timer { kind: Kind::Func(timer) }
            }
            Err(e) => panic!("failed to start goroutine: {e}"),
        }
    }

    /// Where the message comes; for use in [`select!`](crate::select!) too. That of a timer with a
    /// function never gets one. Go: `Timer.C`.
    pub fn receiver(&self) -> &Receiver<Instant> {
        static NEVER: Receiver<Instant> = Receiver { flavor: Flavor::Never };
        match &self.kind {
            Kind::Message(rx) => rx,
            Kind::Func(_) => &NEVER,
        }
    }

    /// Keeps the event from happening. True if it was to come: the message was not received, also
    /// if it was due; the function was not started. Go: `Timer.Stop`.
    pub fn stop(&self) -> bool {
        match &self.kind {
            Kind::Message(rx) => clocked(rx).stop(),
            Kind::Func(timer) => timer.disarm(),
        }
    }

    /// The event comes `d` from now, and only then. True if it was to come before, as
    /// [`stop`](Timer::stop) says. Who waits for the message waits for the new time. Go:
    /// `Timer.Reset`.
    pub fn reset(&self, d: Duration) -> bool {
        match &self.kind {
            Kind::Message(rx) => clocked(rx).set_after(d),
            Kind::Func(timer) => timer.arm(wait::after(d).unwrap_or(i64::MAX)),
        }
    }

    /// The same for a moment; one that has passed is now.
    pub fn reset_at(&self, when: Instant) -> bool {
        match &self.kind {
            Kind::Message(rx) => clocked(rx).set_at(when),
            Kind::Func(timer) => timer.arm(wait::at(when).unwrap_or(i64::MAX)),
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

/// A message every so often: the moment that it was due.
///
/// At most one is in the channel. While they are received within a period the ticks keep their
/// rhythm; a receiver that is slower loses some. After [`stop`](Ticker::stop) or
/// [`reset`](Ticker::reset) no tick of before can be received. A ticker costs nothing but its
/// memory while nobody waits for it. None of the methods blocks. Go: `time.Ticker`.
///
/// ```
/// use rt0::time::{Duration, Ticker};
/// # #[rt0::main] fn main() {
/// let ticker = Ticker::new(Duration::from_millis(1));
/// assert_eq!(ticker.receiver().iter().take(3).count(), 3);
/// # }
/// ```
pub struct Ticker {
    rx: Receiver<Instant>,
}

impl Ticker {
    /// Ticks every `period` from now on. Go: `time.NewTicker`.
    ///
    /// # Panics
    /// `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        assert!(!period.is_zero(), "non-positive interval for Ticker::new");
        Ticker { rx: receiver(Clocked::every(period)) }
    }

    /// Where the ticks come; for use in [`select!`](crate::select!) too. Go: `Ticker.C`.
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.rx
    }

    /// No more ticks; the channel is not closed. Go: `Ticker.Stop`.
    pub fn stop(&self) {
        clocked(&self.rx).stop();
    }

    /// Ticks every `period` from now on, also if it was stopped. Go: `Ticker.Reset`.
    ///
    /// # Panics
    /// `period` is zero.
    #[track_caller]
    pub fn reset(&self, period: Duration) {
        assert!(!period.is_zero(), "non-positive interval for Ticker::reset");
        clocked(&self.rx).set_every(period);
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}
