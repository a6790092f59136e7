//! The order in which runtime locks are taken, checked in debug builds.
//!
//! Go: lockrank.go. A thread takes locks in rising rank only; taking one of equal or lower rank
//! while another is held throws.
//!
//! The ranks held are kept in the M (by a mask), because goroutine TLS changes at a switch and g0
//! uses none. Threads that are no Ms (sysmon, plain threads) are not checked: they take the same
//! locks through the same functions.

/// In the order in which they nest, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Rank {
    /// Claiming a P from the M that holds it.
    Claim = 0,
    /// Who waits for a descriptor; what its events ready is queued under it.
    PollDesc = 1,
    /// The scheduler's lists: `SCHED.lock`.
    Sched = 2,
    /// What async code waits for, and whether it is to be woken.
    Task = 3,
    /// A P's timer heap.
    Timers = 4,
    /// The table of all goroutines.
    Allg = 5,
    /// Free stacks, dead goroutines and blocks shared by all Ps.
    GFree = 6,
    /// Stack arenas.
    StackArena = 7,
    /// The table of them.
    ArenaTable = 8,
    /// The runtime's slabs.
    Slab = 9,
    /// A bucket of the semaphore table.
    Sema = 10,
    /// When a clocked channel's message is due, and who waits for it.
    Alarm = 11,
    /// What background tasks share: exit hooks and the like.
    Misc = 12,
}
