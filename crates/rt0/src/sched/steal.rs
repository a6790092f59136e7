//! Stealing.
//!
//! Go: proc.go `stealWork`, `runqsteal`, `randomOrder`; timers are stolen with goroutines. What a P
//! keeps for itself for a moment (let_run.rs) is left to it.

use super::{SCHED, p_of, procresize};
use crate::g::G;
use crate::m::M;
use crate::p::P;
use crate::sys::nanotime;

const ROUNDS: u32 = 4;
/// How long a victim's runnext is left to it: the goroutine that readied it is about to park.
const COURTESY_NS: i64 = 3_000;

/// Four rounds over all other Ps in a random order; `runnext` and timers in the last only.
pub(crate) fn steal_work(mp: &'static M) -> Option<&'static G> {
    let pp = p_of(mp);
    let n = SCHED.gomaxprocs() as usize;
    // An M that has to look at descriptors does not become the watcher, who sees to those.
    let leaves_kept = !crate::netpoll::is_worth_a_look();
    for round in 0..ROUNDS {
        let last = round == ROUNDS - 1;
        for victim in random_order(mp, n) {
            if core::ptr::eq(victim, pp) || crate::p::mask::idlep_mask().get(victim.id()) && !last {
                continue;
            }
            if last && victim.timers.next_when() != 0 {
                crate::time::run_due(mp, victim);
                if let Some((gp, _)) = pp.next_entry() {
                    return Some(gp);
                }
            }
            if leaves_kept && victim.is_kept() {
                continue;
            }
            if let Some(gp) = runqsteal(pp, victim, last) {
                return Some(gp);
            }
        }
    }
    None
}

/// Go: runqsteal.
fn runqsteal(pp: &'static P, victim: &'static P, steal_next: bool) -> Option<&'static G> {
    let mut steal_next = steal_next;
    if steal_next && !victim.runq.has_stealable() && !victim.runq.is_empty() {
        let tick = victim.schedtick.get();
        let until = nanotime() + COURTESY_NS;
        while nanotime() < until {
            core::hint::spin_loop();
        }
        // A P that goes on switching runs what it has in `runnext` itself.
        steal_next = victim.schedtick.get() == tick;
    }
    let entry = pp.runq.steal_into(&victim.runq, steal_next)?;
    entry.take().or_else(|| pp.next_entry().map(|(gp, _)| gp))
}

/// All Ps, from a random one on, by a random step that is coprime with their number. Go:
/// stealOrder.
fn random_order(mp: &'static M, n: usize) -> impl Iterator<Item = &'static P> {
    let start = mp.cheaprand() as usize % n.max(1);
    let mut step = (mp.cheaprand() as usize % n.max(1)) | 1;
    while gcd(step, n.max(1)) != 1 {
        step += 2;
    }
    (0..n).filter_map(move |i| procresize::p_at((start + i * step) % n))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
