//! The last step of a goroutine that has no P: an idle one, or the queue.
//!
//! It is one step under `sched.lock`. An M that goes idle puts its P on the list under the same
//! lock and looks at the queue there: so either the goroutine sees the P, or the M the goroutine.
//! The goroutine wakes nobody when it queues; every P is busy then, and will come by.

use crate::atomic::mutated;

/// An idle P, or `None` and the goroutine is queued. `lock` takes `sched.lock`. Go: exitsyscall0.
#[inline]
pub(crate) fn p_or_queue<L, P>(
    lock: impl Fn() -> L,
    pidleget: impl Fn(&mut L) -> Option<P>,
    queue: impl FnOnce(&mut L),
) -> Option<P> {
    let mut sched = lock();
    let idle = pidleget(&mut sched);
    if idle.is_none() {
        if mutated("need_p.unlocked") {
            drop(sched);
            sched = lock();
        }
        queue(&mut sched);
    }
    idle
}
