//! Waiting for descriptors: goroutines park, plain threads ask the kernel.
//!
//! Go: netpoll.go `runtime_pollWait`, `netpollblock`.

use super::desc::{CHANGED, Dir, PollDesc};
use super::{WAITERS, in_child};
use crate::atomic::Ordering;
use crate::g::WaitReason;
use crate::g::ticket::{ABORTED, CANCELLED, TIMEOUT};
use crate::sched::wait::{Wait, Why};
use crate::sched::{enter, leave};
use crate::sys::nanotime;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::BorrowedFd;

/// A descriptor to wait for: a change of its direction since `seen`.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) pd: &'static PollDesc,
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) dir: Dir,
    pub(crate) seen: usize,
}

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// Something has changed: try again.
    Changed,
    TimedOut,
    /// The context of the operation was cancelled.
    Cancelled,
}

/// What else ends a wait: the context that the operation is under, if it is under one.
pub(crate) trait Under {
    /// Calls `wait`, once, with a deadline that is no later than `deadline_ns`; meanwhile the end
    /// of the context claims the ticket with `CANCELLED`. Returns the operation.
    fn wait(
        &self,
        ticket: Wait,
        deadline_ns: Option<i64>,
        wait: &mut dyn FnMut(Option<i64>) -> usize,
    ) -> usize;
}

/// The most descriptors of one wait.
pub(crate) const MAX_TARGETS: usize = 16;

/// What most waits are: a goroutine's for one descriptor, without a deadline and under no context,
/// so that nothing but a change ends it. `None`: this is no goroutine, or the child of a fork.
#[inline(never)]
pub(crate) fn wait_for_change(target: &Target<'_>) -> Option<rustix::io::Result<()>> {
    if in_child() {
        return None;
    }
    let (mp, gp) = enter()?;
    let wait = Wait::of(&gp.parker);
    let joined = target.pd.join_inside(target.fd, target.dir, target.seen, wait, true);
    let why = Why { reason: WaitReason::IoWait, on: core::ptr::from_ref(target.pd) as usize };
    let mp = match joined {
        Ok(true) => {
            one_more();
            let mp = wait.wait_on(mp, gp, why, None);
            one_less();
            mp
        }
        // It is not among the waiters: nobody knows the ticket.
        _ => {
            wait.abort();
            mp
        }
    };
    leave(mp);
    Some(joined.map(|_| ()))
}

/// Waits until one of `targets` has changed since it was tried, or until `deadline_ns` on the clock
/// of nanotime.
pub(crate) fn wait_io(
    targets: &[Target<'_>],
    deadline_ns: Option<i64>,
    under: &impl Under,
) -> rustix::io::Result<Woken> {
    if in_child() {
        return Ok(poll(targets, None, deadline_ns)); // no scheduler, and nobody to wake us
    }
    let wait = Wait::begin();
    let goroutine = wait.parker.g().is_some();
    let mut joined = 0;
    let mut outcome = Ok(true);
    for t in targets {
        outcome = t.pd.join(t.fd, t.dir, t.seen, wait, goroutine);
        if !matches!(outcome, Ok(true)) {
            break;
        }
        joined += 1;
    }
    let op = match outcome {
        Ok(true) => under.wait(wait, deadline_ns, &mut |until| match goroutine {
            true => park(wait, targets, until),
            false => poll_as(wait, targets, until),
        }),
        // Else somebody has woken us already, and that is to be waited for.
        _ if wait.abort() => ABORTED,
        _ => wait.wait(why(targets), None),
    };
    // Who has claimed it with `CHANGED` had taken it out of one of them before.
    if targets.len() > 1 || op != CHANGED {
        for t in &targets[..joined] {
            t.pd.part(t.dir, wait);
        }
    }
    outcome.map(|_| match op {
        TIMEOUT => Woken::TimedOut,
        CANCELLED => Woken::Cancelled,
        _ => Woken::Changed,
    })
}

fn why(targets: &[Target<'_>]) -> Why {
    let on = targets.first().map_or(0, |t| core::ptr::from_ref(t.pd) as usize);
    Why { reason: WaitReason::IoWait, on }
}

/// NP3.
fn park(wait: Wait, targets: &[Target<'_>], deadline_ns: Option<i64>) -> usize {
    one_more();
    let op = wait.wait(why(targets), deadline_ns);
    one_less();
    op
}

/// NP3: something waits that wants an M to look at the set. On a plain thread an M is to be woken
/// when it has joined.
pub(crate) fn one_more() {
    // ORDERING: the M has a fence on its way to idle
    WAITERS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn one_less() {
    WAITERS.fetch_sub(1, Ordering::Relaxed); // ORDERING: too many for a moment does no harm
}

/// A plain thread: who changes a deadline, closes or cancels wakes it through its eventfd.
fn poll_as(wait: Wait, targets: &[Target<'_>], deadline_ns: Option<i64>) -> usize {
    let own = crate::sched::thread_parker::own();
    let eventfd = &wait.parker.eventfd;
    own.set_reason(WaitReason::IoWait);
    wait.parker.set_waits_on(why(targets).on, deadline_ns.is_some());
    let woken = loop {
        eventfd.drain();
        if !wait.is_waiting() {
            break Woken::Changed;
        }
        // Out of descriptors for the eventfd: it looks again and again.
        let (broken, until) = match eventfd.make() {
            Ok(fd) => (Some(fd), deadline_ns),
            Err(_) => (None, Some(nanotime() + RETRY_NS)),
        };
        let woken = poll(targets, broken, until);
        let late = deadline_ns.is_some_and(|when| when <= nanotime());
        if woken == Woken::Changed || late {
            break woken;
        }
    };
    let op = if woken == Woken::TimedOut { TIMEOUT } else { ABORTED };
    if !wait.claim(op) {
        wait.parker.key.wait(); // the wake-up is there, or comes
    }
    wait.parker.waits_no_more();
    own.set_reason(WaitReason::None);
    wait.parker.ticket.op()
}

const RETRY_NS: i64 = 10_000_000;

/// Asks the kernel: `Changed` if one of the descriptors is ready.
fn poll(
    targets: &[Target<'_>],
    broken: Option<BorrowedFd<'static>>,
    deadline_ns: Option<i64>,
) -> Woken {
    let all = targets.iter().take(MAX_TARGETS).map(|t| match t.dir {
        Dir::Read => PollFd::from_borrowed_fd(t.fd, PollFlags::IN | PollFlags::RDHUP),
        Dir::Write => PollFd::from_borrowed_fd(t.fd, PollFlags::OUT),
    });
    let mut fds: Vec<_> =
        all.chain(broken.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))).collect();
    loop {
        let timeout = deadline_ns.map(|when| {
            let left = when.saturating_sub(nanotime()).max(0);
            Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 }
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Woken::TimedOut,
            Err(rustix::io::Errno::INTR) => {}
            // An error is for the next try to find.
            Ok(_) | Err(_) => return Woken::Changed,
        }
    }
}
