//! sched/preempt.rs against a goroutine that calls the runtime, blocks, parks and ends, while its P
//! may be taken too.
//!
//! A goroutine is a list of steps, as small as what a signal can come between. The thread looks for
//! a signal before each, on g0 too; sysmon is a thread of its own, so loom tries it at all of them.
//! What it runs then is the handler, with the decision and the request word of the runtime.
//!
//! Covers: signals at any step of a call, of the way through g0 and of the trampoline; a request
//! that comes when another goroutine runs; a P that is claimed or taken around the signal; a
//! notifier that readies the goroutine while it is preempted; signals that are not sysmon's; a call
//! that begins while a request is on its way, with sysmon's barrier and without (PE4). A goroutine
//! is queued once, never moved inside the runtime, and ends once.
//! Abstracts away: registers and places in the code (the trampoline has a test of its own), the
//! signal mask (PE3), wake-ups (an M that is missing at the end is started then), and direct
//! switches.

use super::{Token, check, check_within, leak, must_catch, must_catch_within, mutated};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use crate::g::park_state::ParkState;
use crate::m::request::{Found, Request};
use crate::p::owner::Owner;
use crate::sched::need_p::p_or_queue;
use loom::sync::{Mutex, MutexGuard};
use loom::thread;
use std::collections::VecDeque;

#[derive(Clone, Copy)]
enum Step {
    Compute,
    /// `acquirem`: raises `m.locks`; the M is in a register from here on.
    Pin,
    /// Sees to it that the M has the P.
    Door,
    /// Uses the P.
    Inside,
    Unpin,
    Park,
    EnterSyscall,
    /// A signal that is on its way comes before the call.
    Settle,
    /// A system call that a signal would end.
    Kernel,
    ExitSyscall,
    End,
}
use Step::*;

/// A short call.
const CALL: &[Step] = &[Compute, Pin, Door, Inside, Unpin, Compute, Pin, Door, End];
const PARK: &[Step] = &[Compute, Pin, Door, Park, Unpin, Compute, Pin, Door, End];
const BLOCK: &[Step] = &marked_call(Kernel);
/// A call that a signal may interrupt, where sysmon's barrier is none.
const LATE: &[Step] = &marked_call(Compute);
const COMPUTE: &[Step] = &[Compute, Compute, Pin, Door, End];

/// A marked call, in which the goroutine does `inside`, and a door of the runtime's after it.
const fn marked_call(inside: Step) -> [Step; 13] {
    [Pin, Door, EnterSyscall, Settle, Unpin, inside, Pin, ExitSyscall, Door, Unpin, Pin, Door, End]
}

/// The thread of M 0, the only one that is signalled.
const TID: u32 = 1;

const RUNNABLE: u32 = 1;
const RUNNING: u32 = 2;
const SYSCALL: u32 = 3;
const WAITING: u32 = 4;

struct Goroutine {
    steps: &'static [Step],
    /// Saved registers, and the M in one of them.
    context: Token,
    at: AtomicU32,
    reg_m: AtomicU32,
    /// 1: it continues outside the runtime: it is new, or in the trampoline.
    outside: AtomicU32,
    status: AtomicU32,
    park: ParkState,
    ended: AtomicU32,
}

fn goroutine(steps: &'static [Step]) -> &'static Goroutine {
    leak(Goroutine {
        steps,
        context: Token::new(),
        at: AtomicU32::new(0),
        reg_m: AtomicU32::new(0),
        outside: AtomicU32::new(1),
        status: AtomicU32::new(RUNNABLE),
        park: ParkState::new(),
        ended: AtomicU32::new(0),
    })
}

impl Goroutine {
    fn casgstatus(&self, old: u32, new: u32) {
        let seen = self.status.swap(new, Ordering::AcqRel);
        assert_eq!(seen, old, "the status of a goroutine that changes to {new}");
    }
}

struct State {
    idle: bool,
    runq: VecDeque<&'static Goroutine>,
}

/// One P; M 0 runs first, M 1 gets what sysmon takes, M 2 does what is left at the end.
struct World {
    owner: Owner,
    inside: Token,
    lock: Mutex<State>,
    ms: [Signals; 3],
    asked: AtomicU32,
    preempted: AtomicU32,
    /// All goroutines, to be named by number.
    all: std::sync::OnceLock<Vec<&'static Goroutine>>,
}

struct Signals {
    locks: AtomicU32,
    /// `m.curg`, by number, from 1 on.
    curg: AtomicUsize,
    request: Request,
    /// SIGURG, as the kernel keeps it.
    pending: AtomicU32,
}

fn world() -> &'static World {
    let m = || Signals {
        locks: AtomicU32::new(1),
        curg: AtomicUsize::new(0),
        request: Request::new(),
        pending: AtomicU32::new(0),
    };
    leak(World {
        owner: Owner::new(),
        inside: Token::new(),
        lock: Mutex::new(State { idle: false, runq: VecDeque::new() }),
        ms: [m(), m(), m()],
        asked: AtomicU32::new(0),
        preempted: AtomicU32::new(0),
        all: std::sync::OnceLock::new(),
    })
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.lock.lock().expect("nobody panics")
    }

    /// preempt.rs `preempt_m`.
    fn preempt_m0(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let m0 = &self.ms[0];
        let runs = || {
            let curg = m0.curg.load(Ordering::Relaxed).checked_sub(1);
            curg.is_some_and(|g| self.all()[g].status.load(Ordering::Relaxed) == RUNNING)
        };
        if m0.request.ask(TID, || fence(Ordering::SeqCst), runs) {
            self.signal_m0();
        }
    }

    fn all(&self) -> &[&'static Goroutine] {
        self.all.get().expect("set before the threads start")
    }

    fn signal_m0(&self) {
        self.ms[0].pending.swap(1, Ordering::SeqCst); // a store could be lost, for loom
    }

    /// sysmon.rs `take_from_running`, and an M that runs what there is with the P.
    fn take_from_m0(&'static self) {
        let barrier = || {
            fence(Ordering::SeqCst);
            true
        };
        let in_runtime = || self.ms[0].locks.load(Ordering::Acquire) != 0;
        if self.owner.take_outside(addr(0), barrier, in_runtime) {
            M::with_p(self, 1).schedule();
        }
    }

    fn ready(&self, g: &'static Goroutine) {
        if g.park.notify() {
            g.casgstatus(WAITING, RUNNABLE);
            self.lock().runq.push_back(g);
        }
    }
}

fn addr(m: usize) -> usize {
    (m + 1) << 4
}

struct M {
    w: &'static World,
    id: usize,
    has_p: bool,
}

/// Whether the goroutine is still on the M.
#[derive(PartialEq)]
enum Goes {
    On,
    Away,
}

impl M {
    fn with_p(w: &'static World, id: usize) -> M {
        let mut m = M { w, id, has_p: false };
        m.acquirep();
        m
    }

    fn acquirep(&mut self) {
        self.has_p = true;
        self.w.owner.acquire(addr(self.id));
        self.w.inside.use_alone();
    }

    fn me(&self) -> &'static Signals {
        &self.w.ms[self.id]
    }

    /// g0: until the M sleeps.
    fn schedule(&mut self) {
        while self.has_p {
            self.signal(None);
            let mut sched = self.w.lock();
            let Some(g) = sched.runq.pop_front() else {
                assert!(self.w.owner.release(addr(self.id)), "taken inside the runtime");
                self.has_p = false;
                sched.idle = true;
                return;
            };
            drop(sched);
            self.execute(g);
        }
    }

    fn execute(&mut self, g: &'static Goroutine) {
        g.context.use_alone();
        g.casgstatus(RUNNABLE, RUNNING);
        let number = self.w.all().iter().position(|other| core::ptr::eq(*other, g));
        self.me().curg.store(number.map_or(0, |n| n + 1), Ordering::Relaxed);
        self.resume(g);
        loop {
            if self.signal(Some(g)) == Goes::Away {
                return;
            }
            let at = g.at.load(Ordering::Relaxed);
            g.at.store(at + 1, Ordering::Relaxed);
            if self.step(g, g.steps[at as usize]) == Goes::Away {
                return;
            }
        }
    }

    fn step(&mut self, g: &'static Goroutine, step: Step) -> Goes {
        g.context.use_alone();
        if !matches!(step, Compute | Kernel | Pin) {
            let here = g.reg_m.load(Ordering::Relaxed) as usize == self.id;
            assert!(here, "moved to another M inside the runtime");
            assert_eq!(self.me().locks.load(Ordering::Relaxed), 1, "m.locks inside the runtime");
        }
        match step {
            Compute => {}
            Pin => {
                let n = self.me().locks.load(Ordering::Relaxed);
                self.me().locks.store(n + 1, Ordering::Relaxed);
                g.reg_m.store(self.id as u32, Ordering::Relaxed);
                fence(Ordering::SeqCst); // the M's half of sysmon's barrier, as in owner.rs
            }
            Door => return self.door(g),
            Inside => self.use_p(),
            Unpin => self.unpin(),
            Park => return self.park(g),
            EnterSyscall => g.casgstatus(RUNNING, SYSCALL),
            Settle => self.me().request.settle(|_| {
                thread::yield_now();
                self.signal(Some(g)) == Goes::On
            }),
            Kernel => {
                let interrupted = self.me().pending.load(Ordering::SeqCst) != 0;
                assert!(!interrupted, "a signal ends a call");
            }
            ExitSyscall => g.casgstatus(SYSCALL, RUNNING),
            End => {
                g.ended.fetch_add(1, Ordering::Relaxed);
                return Goes::Away;
            }
        }
        Goes::On
    }

    fn unpin(&self) {
        let n = self.me().locks.load(Ordering::Relaxed);
        self.me().locks.store(n.wrapping_sub(1), Ordering::Release);
    }

    fn use_p(&self) {
        self.w.inside.use_alone();
        assert_eq!(self.w.owner.holder(), Some(addr(self.id)), "used without holding it");
    }

    fn owns_p(&self) -> bool {
        self.has_p && self.w.owner.is(addr(self.id))
    }

    fn door(&mut self, g: &'static Goroutine) -> Goes {
        if self.owns_p() || self.has_p && self.w.owner.reclaim(addr(self.id)) {
            return Goes::On;
        }
        self.need_p(g)
    }

    /// schedule.rs `left_without_p`, `p_or_queue`.
    fn need_p(&mut self, g: &'static Goroutine) -> Goes {
        self.has_p = false;
        self.leave_for_g0(g);
        g.casgstatus(RUNNING, RUNNABLE);
        let w = self.w;
        let get = |s: &mut MutexGuard<'_, State>| std::mem::take(&mut s.idle).then_some(());
        if p_or_queue(|| w.lock(), get, |s| s.runq.push_back(g)).is_none() {
            return Goes::Away;
        }
        self.acquirep();
        g.casgstatus(RUNNABLE, RUNNING);
        self.resume(g);
        Goes::On
    }

    /// The new side of a switch: `current_m`, or the end of the trampoline.
    fn resume(&self, g: &'static Goroutine) {
        if g.outside.swap(0, Ordering::Relaxed) != 0 {
            self.unpin();
        } else {
            g.reg_m.store(self.id as u32, Ordering::Relaxed);
        }
    }

    /// The switch to g0: saves the context. It continues with the M it finds itself on.
    fn leave_for_g0(&mut self, g: &'static Goroutine) {
        g.context.use_alone();
        self.signal(None);
    }

    fn park(&mut self, g: &'static Goroutine) -> Goes {
        self.leave_for_g0(g);
        g.casgstatus(RUNNING, WAITING);
        if g.park.commit() {
            return Goes::Away;
        }
        g.casgstatus(WAITING, RUNNABLE);
        self.w.lock().runq.push_back(g);
        Goes::Away
    }

    /// What the kernel does between two instructions. `g` is the goroutine that runs, or g0.
    fn signal(&mut self, g: Option<&'static Goroutine>) -> Goes {
        if self.me().pending.swap(0, Ordering::SeqCst) == 0 {
            return Goes::On;
        }
        self.on_sigurg(g)
    }

    fn on_sigurg(&mut self, g: Option<&'static Goroutine>) -> Goes {
        if !self.me().request.take(TID) {
            return Goes::On; // passed on
        }
        let Some(g) = g else { return Goes::On };
        let locks = self.me().locks.load(Ordering::Relaxed);
        let is_running = g.status.load(Ordering::Relaxed) == RUNNING;
        if !(Found { locks, is_running, on_own_block: true }).may_preempt() {
            return Goes::On;
        }
        if !mutated("preempt.raise") {
            self.me().locks.store(locks + 1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
        self.w.preempted.fetch_add(1, Ordering::Relaxed);
        self.preempt_park(g)
    }

    /// The trampoline, and what it calls.
    fn preempt_park(&mut self, g: &'static Goroutine) -> Goes {
        if self.signal(Some(g)) == Goes::Away {
            return Goes::Away;
        }
        g.outside.store(1, Ordering::Relaxed);
        let mine = self.owns_p() || self.has_p && self.w.owner.reclaim(addr(self.id));
        if !mine && !(self.has_p && mutated("preempt.owner")) {
            return self.need_p(g);
        }
        self.leave_for_g0(g);
        self.use_p(); // finish_switch: hog_ends
        g.casgstatus(RUNNING, RUNNABLE);
        self.w.lock().runq.push_back(g);
        Goes::Away
    }
}

type Other = fn(&'static World, &'static Goroutine);

/// M 0 runs goroutines while `others` happen, each on a thread of its own. Then what is left runs.
fn run(steps: &'static [&'static [Step]], others: &'static [Other]) {
    let w = world();
    let all: Vec<_> = steps.iter().map(|s| goroutine(s)).collect();
    w.lock().runq.extend(&all);
    w.all.set(all.clone()).ok().expect("once");
    let mut m0 = M::with_p(w, 0);
    let first = all[0];
    let threads: Vec<_> = others.iter().map(|f| thread::spawn(move || f(w, first))).collect();
    m0.schedule();
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    if std::mem::take(&mut w.lock().idle) {
        M::with_p(w, 2).schedule();
    }
    for g in all {
        assert_eq!(g.ended.load(Ordering::Relaxed), 1, "times a goroutine ended");
    }
    let (asked, done) = (w.asked.load(Ordering::Relaxed), w.preempted.load(Ordering::Relaxed));
    assert!(done <= asked, "{asked} requests preempted {done} times");
}

fn once(w: &'static World, _: &'static Goroutine) {
    w.preempt_m0();
}

/// On a kernel without `membarrier`, at the worst moment.
fn late(w: &'static World, _: &'static Goroutine) {
    w.asked.fetch_add(1, Ordering::Relaxed);
    if w.ms[0].request.ask(TID, || (), || true) {
        w.signal_m0();
    }
}

fn twice(w: &'static World, _: &'static Goroutine) {
    w.preempt_m0();
    w.preempt_m0();
}

fn ask_and_take(w: &'static World, _: &'static Goroutine) {
    w.preempt_m0();
    w.take_from_m0();
}

fn take_and_ask(w: &'static World, _: &'static Goroutine) {
    w.take_from_m0();
    w.preempt_m0();
}

fn foreign(w: &'static World, _: &'static Goroutine) {
    w.signal_m0();
}

fn notify(w: &'static World, g: &'static Goroutine) {
    w.ready(g);
}

fn call() {
    run(&[CALL, COMPUTE], &[twice]);
}

fn call_and_take() {
    run(&[CALL, COMPUTE], &[ask_and_take]);
}

fn take_and_signal() {
    run(&[CALL], &[take_and_ask]);
}

fn park_and_ready() {
    run(&[PARK, COMPUTE], &[once, notify]);
}

fn park_and_take() {
    run(&[PARK], &[ask_and_take, notify]);
}

fn blocking_call() {
    run(&[BLOCK], &[twice]);
}

fn interrupted_call() {
    run(&[LATE], &[late]);
}

fn call_beside_one_that_computes() {
    run(&[COMPUTE, BLOCK], &[twice]);
}

fn foreign_signal() {
    run(&[COMPUTE], &[once, foreign]);
}

#[test]
fn a_goroutine_is_preempted_outside_the_runtime_only() {
    check(call);
    check(interrupted_call);
}

#[test]
fn no_signal_ends_a_marked_call() {
    check(blocking_call);
    check(call_beside_one_that_computes);
}

#[test]
fn catches_a_signal_without_a_look_at_the_status() {
    must_catch("request.ask", blocking_call);
}

#[test]
fn catches_a_call_that_begins_before_the_signal() {
    must_catch("request.settle", blocking_call);
}

#[test]
fn a_preempted_goroutine_may_lose_its_p() {
    check(call_and_take);
    check(take_and_signal);
}

#[test]
fn a_goroutine_parks_or_is_preempted_and_is_queued_once() {
    check_within(2, park_and_ready);
    check_within(2, park_and_take);
}

#[test]
fn one_request_preempts_once() {
    check(foreign_signal);
}

#[test]
fn catches_a_handler_that_ignores_the_count() {
    must_catch("request.locks", call);
    must_catch_within("request.locks", 2, park_and_ready);
}

#[test]
fn catches_a_handler_that_ignores_the_status() {
    must_catch("request.status", interrupted_call);
}

#[test]
fn catches_a_request_that_is_not_used_up() {
    must_catch("request.take", foreign_signal);
}

#[test]
fn catches_a_handler_that_does_not_pin() {
    must_catch("preempt.raise", call_and_take);
}

#[test]
fn catches_a_park_that_believes_in_its_p() {
    must_catch("preempt.owner", take_and_signal);
}
