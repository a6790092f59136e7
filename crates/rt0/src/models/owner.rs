//! p/owner.rs: a P has one holder at a time, though sysmon takes it without asking.
//!
//! The inside of the P is a [`Token`]: each holder uses it alone, and each must see what the last
//! one did. Thread M goes in and out of the runtime and through a system call; sysmon looks, and
//! what it takes it gives to a second M at once.
//!
//! Covers: claim, barrier, take and unclaim against enter (`is`, `reclaim`) and leave; ask and
//! retake_syscall against exit_syscall; a release with a claim in the way; the P on the idle list
//! and with a new M. Abstracts away: *the barrier*. The M's way in is a store to `m.locks` and a
//! load of the owner word with only the compiler kept from swapping them; sysmon pays for both
//! sides with `membarrier`, which makes the M's CPU pass a full fence at some point between
//! sysmon's own two steps. Either that point is after the M's store, and then sysmon sees it, or
//! before the M's load, and then the M sees the claim. Loom knows no other thread's fences, so the
//! model gives each side a SeqCst fence of its own, which promises just that. The other barrier, a
//! thread found asleep in the kernel, is the same with the context switch as the fence.

use super::{Token, check, check_within, leak, must_catch, must_catch_within, mutated};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use crate::p::owner::{Exit, Owner};
use loom::sync::Mutex;
use loom::thread;

/// Addresses of two Ms: 8-aligned, not null.
const M1: usize = 0x1000;
const M2: usize = 0x2000;

struct World {
    owner: Owner,
    inside: Token,
    /// `m.locks` of M1.
    locks: AtomicU32,
    /// sysmon.rs `CLAIM`.
    claim: Mutex<()>,
    /// The idle list, under `sched.lock`.
    idle: Mutex<bool>,
    /// What stands for the data of a call into the runtime by M1's goroutine.
    calls: AtomicUsize,
}

/// A P that M1 holds, outside the runtime.
fn world() -> &'static World {
    let w = leak(World {
        owner: Owner::new(),
        inside: Token::new(),
        locks: AtomicU32::new(0),
        claim: Mutex::new(()),
        idle: Mutex::new(false),
        calls: AtomicUsize::new(0),
    });
    w.owner.acquire(M1);
    w
}

impl World {
    /// M1: `m.locks` up, and the half of the barrier that the real one gets from sysmon.
    fn pin(&self) {
        self.locks.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// M1, sched/mod.rs `enter` and syscall.rs `regain_p`: true with the P, false if it is gone.
    fn enter(&self) -> bool {
        self.pin();
        let mine = self.owner.is(M1) || self.owner.reclaim(M1);
        if mine {
            self.inside.use_alone();
        }
        mine
    }

    fn leave(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.locks.store(0, Ordering::Release);
    }

    /// sysmon.rs `retake_syscall` and `take_from_running`. True if the P was taken.
    fn retake(&self) -> bool {
        let taken = if self.owner.in_syscall() {
            self.owner.retake_syscall(M1)
        } else {
            self.take_from_running()
        };
        if taken {
            self.hand_to_m2();
        }
        taken
    }

    fn take_from_running(&self) -> bool {
        let _one = (!mutated("owner.two_claimers")).then(|| self.claim.lock());
        let barrier = || {
            fence(Ordering::SeqCst);
            true
        };
        self.owner.take_outside(M1, barrier, || self.locks.load(Ordering::Acquire) != 0)
    }

    /// M2 gets a P that nobody holds, and uses it.
    fn hand_to_m2(&self) {
        self.owner.acquire(M2);
        self.inside.use_alone();
        assert!(self.owner.is(M2), "M2 lost its P to an M that had lost it");
    }
}

fn sysmon(w: &'static World, rounds: usize) -> thread::JoinHandle<bool> {
    thread::spawn(move || (0..rounds).any(|_| w.retake()))
}

/// The P is M2's exactly if sysmon took it, and M1 lost it only then.
fn account(w: &'static World, kept: bool, taken: bool) {
    assert!(kept || taken, "M1 has forgotten a P that nobody took");
    assert_eq!(w.owner.is(M2), taken);
    assert_eq!(w.owner.is(M1), !taken);
}

fn running() {
    let w = world();
    let sysmon = sysmon(w, 2);
    let kept = (0..2).all(|_| {
        let mine = w.enter();
        w.leave();
        mine
    });
    account(w, kept, sysmon.join().expect("no panic"));
}

/// M1 makes one blocking call. False if it came back without its P.
fn system_call(w: &'static World) -> bool {
    if !w.enter() {
        w.leave();
        return false;
    }
    w.owner.enter_syscall(M1);
    w.leave();
    w.pin();
    let mine = w.owner.exit_syscall(M1) != Exit::Lost;
    if mine {
        w.inside.use_alone();
    }
    w.leave();
    mine
}

fn syscalls() {
    let w = world();
    let sysmon = sysmon(w, 2);
    let kept = system_call(w) && {
        let mine = w.enter();
        w.leave();
        mine
    };
    account(w, kept, sysmon.join().expect("no panic"));
}

/// sysmon asks before it takes. In a call that goes on, the asked P can be taken.
fn asked() {
    let w = world();
    let sysmon = thread::spawn(|| {
        w.owner.ask(M1);
        w.retake()
    });
    let kept = system_call(w);
    account(w, kept, sysmon.join().expect("no panic"));

    let w = world();
    w.owner.enter_syscall(M1);
    w.owner.ask(M1);
    assert!(w.owner.in_syscall() && w.owner.holder() == Some(M1));
    assert!(w.retake(), "the call goes on");
    assert!(w.owner.exit_syscall(M1) == Exit::Lost);
}

/// sysmon and a stopper want the P of M1 at once.
fn two_claimers() {
    let w = world();
    let claimers = [(); 2].map(|()| sysmon(w, 1));
    let kept = (0..2).all(|_| {
        let mine = w.enter();
        w.leave();
        mine
    });
    let taken = claimers.map(|c| c.join().expect("no panic"));
    assert!(taken != [true, true], "one P was taken twice");
    account(w, kept, taken.contains(&true));
}

/// sysmon, and an M that has work and found no idle P (`from_sleeper`), want the P of a call.
fn two_takers() {
    let w = world();
    let takers = [(); 2].map(|()| {
        thread::spawn(|| {
            let taken = w.owner.in_syscall() && w.owner.retake_syscall(M1);
            if taken {
                w.hand_to_m2();
            }
            taken
        })
    });
    let kept = system_call(w);
    let taken = takers.map(|t| t.join().expect("no panic"));
    assert!(taken != [true, true], "one P was taken twice");
    account(w, kept, taken.contains(&true));
}

/// M1 gives its P to the idle list, as find_runnable does, and M2 takes it from there.
fn release() {
    let w = world();
    let sysmon = sysmon(w, 1);
    let m2 = thread::spawn(|| {
        let found = std::mem::take(&mut *w.idle.lock().expect("nobody panics"));
        if found {
            w.hand_to_m2();
        }
        found
    });
    if w.enter() {
        // In the runtime sysmon lets go again: find_runnable throws if this fails.
        assert!(w.owner.release(M1), "the P of an M inside the runtime was taken");
        *w.idle.lock().expect("nobody panics") = true;
    }
    w.leave();
    let taken = sysmon.join().expect("no panic");
    let handed = m2.join().expect("no panic");
    assert!(!(taken && handed), "one P came to M2 on two ways");
    assert_eq!(w.owner.is(M2), taken || handed);
    assert!(!w.owner.is(M1), "M1 gave it up or lost it");
}

#[test]
fn a_running_m_keeps_its_p_or_loses_it_whole() {
    check_within(5, running);
}

#[test]
fn two_claimers_take_turns() {
    check(two_claimers);
}

#[test]
fn a_system_call_keeps_its_p_or_loses_it_whole() {
    check(syscalls);
}

#[test]
fn a_system_call_that_is_asked_keeps_its_p_or_loses_it_whole() {
    check(asked);
}

#[test]
fn two_takers_of_a_call_get_one_p() {
    check(two_takers);
}

#[test]
fn catches_a_retake_without_a_cas() {
    must_catch("owner.retake", two_takers);
}

#[test]
fn a_release_inside_the_runtime_always_succeeds() {
    check(release);
}

#[test]
fn catches_a_take_without_a_cas() {
    must_catch("owner.take", running);
}

#[test]
fn catches_an_exit_from_a_system_call_without_a_cas() {
    must_catch("owner.exit_syscall", syscalls);
}

#[test]
fn catches_an_exit_from_an_asked_call_without_a_cas() {
    must_catch("owner.exit_asked", asked);
}

#[test]
fn catches_a_take_without_a_look() {
    must_catch("owner.look", running);
}

/// It takes two claims in a row, one on each side of a failed CAS.
#[test]
fn catches_a_reclaim_that_looks_twice() {
    must_catch_within("owner.reclaim", 5, running);
}

/// The second one's claim is taken with the first one's barrier, which came too early for it.
#[test]
fn catches_two_claimers_at_once() {
    must_catch("owner.two_claimers", two_claimers);
}

#[test]
fn catches_a_missing_barrier() {
    must_catch("owner.barrier", running);
}
