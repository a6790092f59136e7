//! A scheduler small enough to explore: Ps, Ms that take and lose them, goroutines that call the
//! runtime. For the models of stop.rs and handoff.rs.
//!
//! The owner word, the spinning counters, the flags of a stop and the step "an idle P or the queue"
//! are the runtime's own. The paths between them are written after the functions they are named
//! for, without what only makes them fast.
//!
//! An M is a value on the thread that runs it. An M that sleeps is one that returned; who wakes an
//! M runs a new one on its own thread (models/note.rs has the sleep). A local queue has no thieves
//! (models/runq.rs). At the end of an execution every M sleeps: then every P must be on the idle
//! list, once, and every goroutine must have ended, once.
//!
//! As in models/owner.rs, sysmon's `membarrier` is a fence on each side.

use super::{Token, leak, mutated};
use crate::atomic::{AtomicU32, Ordering, fence};
use crate::p::owner::{Exit, Owner};
use crate::sched::need_p::p_or_queue;
use crate::sched::spinning::Spinning;
use crate::sched::stop_the_world::world::{Ps, World};
use loom::sync::{Mutex, MutexGuard};
use loom::thread;
use std::collections::VecDeque;

/// What a goroutine does next. Each but Begin and Compute starts at the door of the runtime.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// A call that uses the P.
    Nop,
    /// The same within another, as newproc.rs `finish` wakes a joiner.
    Nested,
    /// A call that blocks the thread.
    Block,
    /// The `go` statement.
    Go(&'static Goroutine),
    /// Becomes the one stopper, or skips the next call.
    Begin,
    /// Stops the world and lets it go on.
    Stop,
    /// Computes: `execute` returns, with the goroutine outside the runtime.
    Compute,
    End,
}

pub(super) struct Goroutine {
    /// Its saved context: used by one M at a time.
    context: Token,
    calls: &'static [Call],
    at: AtomicU32,
    ended: AtomicU32,
}

pub(super) fn goroutine(calls: &[Call]) -> &'static Goroutine {
    leak(Goroutine {
        context: Token::new(),
        calls: Vec::leak(calls.to_vec()),
        at: AtomicU32::new(0),
        ended: AtomicU32::new(0),
    })
}

impl Goroutine {
    /// Relaxed: the order comes from the protocols, and the context shows if it does not.
    fn call(&self) -> Call {
        self.context.use_alone();
        self.calls[self.at.load(Ordering::Relaxed) as usize]
    }

    fn done_with_call(&self) {
        self.context.use_alone();
        self.at.store(self.at.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn assert_ended_once(&self) {
        assert_eq!(self.ended.load(Ordering::Relaxed), 1, "times the goroutine ended");
    }
}

struct Proc {
    owner: Owner,
    /// `PStatus::GcStop`.
    marked: AtomicU32,
    /// What only its holder uses: the local queue.
    inside: Token,
    queue: std::sync::Mutex<VecDeque<&'static Goroutine>>,
}

impl Proc {
    /// p/mod.rs `set_status`.
    fn mark(&self, on: u32) {
        let order = if mutated("machine.mark") { Ordering::Relaxed } else { Ordering::Release };
        self.marked.store(on, order);
    }

    fn queue<R>(&self, f: impl FnOnce(&mut VecDeque<&'static Goroutine>) -> R) -> R {
        self.inside.use_alone();
        f(&mut self.queue.lock().expect("no panic inside"))
    }
}

/// What `sched.lock` protects.
pub(super) struct State {
    idle: Vec<usize>,
    runq: VecDeque<&'static Goroutine>,
    ms: usize,
}

pub(super) struct Machine {
    ps: Vec<Proc>,
    lock: Mutex<State>,
    /// sysmon.rs `CLAIM`.
    claim: Mutex<()>,
    spin: Spinning,
    /// Mirror of the length of `runq`, for looks without the lock.
    runqsize: AtomicU32,
    world: World,
    /// `m.locks` of each M.
    locks: Vec<AtomicU32>,
    /// Stoppers between begin and end.
    stoppers: Token,
}

/// Ms of one execution, at most.
const MS: usize = 8;

/// `ps` Ps, none of them idle: each is for one M that the model starts.
pub(super) fn machine(ps: usize) -> &'static Machine {
    leak(Machine {
        ps: (0..ps)
            .map(|_| Proc {
                owner: Owner::new(),
                marked: AtomicU32::new(0),
                inside: Token::new(),
                queue: std::sync::Mutex::default(),
            })
            .collect(),
        lock: Mutex::new(State { idle: Vec::new(), runq: VecDeque::new(), ms: ps }),
        claim: Mutex::new(()),
        spin: Spinning::new(),
        runqsize: AtomicU32::new(0),
        world: World::new(),
        locks: (0..MS).map(|_| AtomicU32::new(1)).collect(),
        stoppers: Token::new(),
    })
}

/// As p/owner.rs wants it: 8-aligned, not null.
fn addr(id: usize) -> usize {
    (id + 1) << 4
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.lock.lock().expect("nobody panics")
    }

    fn pidleput(&self, sched: &mut State, pp: usize) {
        sched.idle.push(pp);
        self.spin.p_became_idle();
    }

    fn pidleget(&self, sched: &mut State) -> Option<usize> {
        let pp = sched.idle.pop()?;
        self.spin.p_left_idle();
        Some(pp)
    }

    /// SC1.
    fn mirror(&self, sched: &State) {
        self.runqsize.store(sched.runq.len() as u32, Ordering::Release);
    }

    fn runqsize(&self) -> u32 {
        self.runqsize.load(Ordering::Relaxed)
    }

    fn globrunqput(&self, sched: &mut State, g: &'static Goroutine) {
        sched.runq.push_back(g);
        self.mirror(sched);
    }

    fn globrunqget(&self, sched: &mut State) -> Option<&'static Goroutine> {
        let g = sched.runq.pop_front()?;
        self.mirror(sched);
        Some(g)
    }

    /// The M that holds P `pp` from the start. Before its thread runs.
    pub(super) fn m(&'static self, pp: usize) -> M {
        let mut m = M { w: self, id: pp, p: None, spinning: false };
        m.acquirep(pp);
        m
    }

    /// park.rs `ready_outside`.
    pub(super) fn ready_outside(&'static self, g: &'static Goroutine) {
        self.globrunqput(&mut self.lock(), g);
        self.wakep();
    }

    fn wakep(&'static self) {
        if !self.spin.reserve() {
            return;
        }
        let mut sched = self.lock();
        let Some(pp) = self.pidleget(&mut sched) else {
            self.spin.undo_reserve();
            return;
        };
        drop(sched);
        self.startm(pp, true);
    }

    /// The new M runs here until it sleeps.
    fn startm(&'static self, pp: usize, spinning: bool) {
        let id = {
            let mut sched = self.lock();
            sched.ms += 1;
            sched.ms - 1
        };
        let mut m = M { w: self, id, p: None, spinning };
        m.acquirep(pp);
        m.schedule();
    }

    fn handoffp(&'static self, pp: usize) {
        if mutated("handoff.no_look") {
            return self.pidleput(&mut self.lock(), pp);
        }
        if !self.ps[pp].queue(|q| q.is_empty()) || self.runqsize() != 0 {
            return self.startm(pp, false);
        }
        if self.spin.npidle() == 0 && self.spin.nmspinning() == 0 && self.spin.reserve_idle() {
            return self.startm(pp, true);
        }
        let mut sched = self.lock();
        if !sched.runq.is_empty() {
            drop(sched);
            return self.startm(pp, false);
        }
        self.pidleput(&mut sched, pp);
    }

    /// sysmon.rs `retake`, on one P and without its patience.
    pub(super) fn retake(&'static self, pp: usize) {
        if let Some(m) = self.ps[pp].owner.holder() {
            self.ps[pp].owner.ask(m);
        }
        if self.take(pp) {
            self.handoffp(pp);
        }
    }

    /// sysmon.rs `take_for_stopper`.
    fn take(&self, pp: usize) -> bool {
        let owner = &self.ps[pp].owner;
        let Some(m) = owner.holder() else { return false };
        if owner.in_syscall() {
            return owner.retake_syscall(m);
        }
        let _one = self.claim.lock();
        let barrier = || {
            fence(Ordering::SeqCst);
            true
        };
        let locks = &self.locks[(m >> 4) - 1];
        owner.take_outside(m, barrier, || locks.load(Ordering::Acquire) != 0)
    }

    /// Who is not asleep computes.
    pub(super) fn assert_none_queued(&self) {
        assert!(self.lock().runq.is_empty(), "queued, and nobody who looks is awake");
    }

    /// Every M sleeps.
    pub(super) fn assert_all_idle(&self) {
        let mut sched = self.lock();
        assert!(sched.runq.is_empty(), "queued, and every M sleeps");
        sched.idle.sort_unstable();
        assert_eq!(sched.idle, Vec::from_iter(0..self.ps.len()), "each P is idle, once");
        assert_eq!(self.spin.npidle() as usize, self.ps.len());
        assert_eq!(self.spin.nmspinning(), 0, "spinners left in the count");
        for pp in &self.ps {
            assert!(pp.owner.holder().is_none(), "an M sleeps with a P");
            assert!(pp.queue(|q| q.is_empty()), "queued on an idle P");
        }
    }
}

pub(super) struct M {
    w: &'static Machine,
    id: usize,
    p: Option<usize>,
    spinning: bool,
}

impl M {
    fn owner(&self, pp: usize) -> &'static Owner {
        &self.w.ps[pp].owner
    }

    fn acquirep(&mut self, pp: usize) {
        self.p = Some(pp);
        self.w.ps[pp].mark(0);
        self.owner(pp).acquire(addr(self.id));
    }

    /// In the runtime nobody takes it.
    fn releasep(&mut self) -> usize {
        let pp = self.p.take().expect("an M that has a P");
        assert!(self.owner(pp).release(addr(self.id)), "taken from an M inside the runtime");
        pp
    }

    /// `acquirem`, and the M's half of the barrier.
    fn pin(&self) {
        self.w.locks[self.id].store(self.locks() + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn leave(&self) {
        self.w.locks[self.id].store(self.locks() - 1, Ordering::Release);
    }

    fn locks(&self) -> u32 {
        self.w.locks[self.id].load(Ordering::Relaxed)
    }

    /// sched/mod.rs `enter`. False: the goroutine has left this M.
    fn enter(&mut self, g: &'static Goroutine) -> bool {
        self.pin();
        self.p.is_some_and(|pp| self.owner(pp).is(addr(self.id))) || self.regain_p(g)
    }

    fn regain_p(&mut self, g: &'static Goroutine) -> bool {
        if let Some(pp) = self.p {
            if self.owner(pp).reclaim(addr(self.id)) {
                if !self.w.world.is_for(self.locks()) || !self.give_p() {
                    return true;
                }
                return self.need_p(g);
            }
            self.p = None;
        }
        let idle = self.w.pidleget(&mut self.w.lock());
        idle.map(|pp| self.acquirep(pp)).is_some() || self.need_p(g)
    }

    /// schedule.rs `left_without_p`.
    fn need_p(&mut self, g: &'static Goroutine) -> bool {
        assert_eq!(self.locks(), 1, "a switch out of a section within another");
        g.context.use_alone(); // saved by the switch to g0
        let w = self.w;
        let idle =
            p_or_queue(|| w.lock(), |sched| w.pidleget(sched), |sched| w.globrunqput(sched, g));
        idle.map(|pp| self.acquirep(pp)).is_some()
    }

    /// stop_the_world.rs.
    fn give_p(&mut self) -> bool {
        let _sched = self.w.lock();
        if !self.w.world.is_waiting() {
            return false;
        }
        if std::mem::take(&mut self.spinning) {
            self.w.spin.stop();
        }
        let pp = self.releasep();
        self.w.ps[pp].mark(1);
        true
    }

    /// g0: until the M sleeps.
    pub(super) fn schedule(&mut self) {
        while let Some(pp) = self.p {
            if self.w.world.is_waiting() && self.give_p() {
                return;
            }
            let next = self.w.ps[pp].queue(VecDeque::pop_front).or_else(|| self.give_up_p());
            let Some(g) = next else { return };
            if std::mem::take(&mut self.spinning) {
                self.resetspinning();
            }
            self.execute(g);
        }
    }

    fn resetspinning(&self) {
        self.w.spin.stop();
        if self.w.runqsize() > 0 {
            self.w.wakep();
        }
    }

    /// find_runnable.rs, with the look at the global queue. `None`: the M sleeps.
    fn give_up_p(&mut self) -> Option<&'static Goroutine> {
        {
            let mut sched = self.w.lock();
            if let Some(g) = self.w.globrunqget(&mut sched) {
                return Some(g);
            }
            let pp = self.releasep();
            self.w.pidleput(&mut sched, pp);
        }
        if std::mem::take(&mut self.spinning) {
            self.w.spin.stop();
        } else {
            self.w.spin.recheck_fence();
        }
        let mut sched = self.w.lock();
        if sched.runq.is_empty() {
            return None;
        }
        let pp = self.w.pidleget(&mut sched)?;
        let g = self.w.globrunqget(&mut sched);
        drop(sched);
        self.acquirep(pp);
        self.spinning = true;
        self.w.spin.start();
        g
    }

    /// Runs `g`, which the caller took, until it ends or goes to another M.
    pub(super) fn execute(&mut self, g: &'static Goroutine) {
        if self.locks() == 1 {
            self.leave(); // else it has computed
        }
        loop {
            let call = g.call();
            if let Call::Begin = call {
                g.done_with_call();
                if self.w.world.begin() {
                    self.w.stoppers.use_alone();
                } else {
                    g.done_with_call(); // the runtime's would sleep and try again
                }
                continue;
            }
            if let Call::Compute = call {
                return g.done_with_call();
            }
            if !self.enter(g) {
                return;
            }
            g.done_with_call();
            let pp = self.p.expect("enter sees to it");
            self.w.ps[pp].inside.use_alone();
            match call {
                Call::Nop | Call::Begin | Call::Compute => {}
                Call::Nested => {
                    let stays = self.enter(g);
                    self.leave();
                    if !stays {
                        return;
                    }
                }
                Call::Go(child) => {
                    self.w.ps[pp].queue(|q| q.push_back(child));
                    self.w.wakep();
                }
                Call::Block => {
                    if !self.block(pp, g) {
                        return;
                    }
                }
                Call::Stop => self.stop_and_start(),
                Call::End => {
                    g.ended.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
            self.leave();
        }
    }

    /// syscall.rs. False: the goroutine has left this M.
    fn block(&mut self, pp: usize, g: &'static Goroutine) -> bool {
        self.owner(pp).enter_syscall(addr(self.id));
        self.leave();
        self.pin();
        match self.owner(pp).exit_syscall(addr(self.id)) {
            Exit::Kept => true,
            Exit::Asked => {
                g.context.use_alone(); // saved by the switch to g0
                self.w.globrunqput(&mut self.w.lock(), g);
                false
            }
            Exit::Lost => {
                self.p = None;
                self.regain_p(g)
            }
        }
    }

    /// stop_the_world.rs `set_gomaxprocs`, between enter and the end.
    fn stop_and_start(&mut self) {
        let w = self.w;
        w.world.stop(&Others(self));
        self.assert_stopped();
        let with_work = w.world.start(w.lock(), |sched| self.give_out(sched));
        for pp in with_work {
            w.startm(pp, false);
        }
        if !mutated("stop.no_wake") {
            w.wakep();
        }
        w.stoppers.use_alone();
        w.world.end();
    }

    /// Nobody but the stopper holds a P, or is on its way to one.
    fn assert_stopped(&self) {
        for pp in Others(self).others() {
            assert!(self.owner(pp).holder().is_none(), "an M holds a P in the stopped world");
            self.w.ps[pp].inside.use_alone();
        }
    }

    /// procresize.rs `park_the_rest`.
    fn give_out(&self, sched: &mut State) -> Vec<usize> {
        let mut with_work = Vec::new();
        for pp in Others(self).others() {
            self.w.ps[pp].mark(0);
            if self.w.ps[pp].queue(|q| q.is_empty()) {
                self.w.pidleput(sched, pp);
            } else {
                with_work.push(pp);
            }
        }
        with_work
    }
}

/// The Ps that a stopper has to collect.
struct Others<'a>(&'a M);

impl Ps for Others<'_> {
    type P = usize;

    fn others(&self) -> impl Iterator<Item = usize> {
        (0..self.0.w.ps.len()).filter(|pp| Some(*pp) != self.0.p)
    }

    fn mark_idle(&self) {
        let mut sched = self.0.w.lock();
        while let Some(pp) = self.0.w.pidleget(&mut sched) {
            self.mark(pp);
        }
    }

    fn is_marked(&self, pp: usize) -> bool {
        self.0.w.ps[pp].marked.load(Ordering::Acquire) != 0
    }

    fn mark(&self, pp: usize) {
        self.0.w.ps[pp].mark(1);
    }

    fn take(&self, pp: usize) -> bool {
        self.0.w.take(pp)
    }

    /// The others run on until they sleep or pause too: a few rounds are all it can take.
    fn pause(&self, round: u32) {
        assert!(round < 16, "the stopper waits for a P that nobody gives");
        thread::yield_now();
    }
}
