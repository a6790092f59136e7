//! Which runtime locks this thread's M holds (lock/rank.rs).

use crate::atomic::Ordering;

/// A debug build's check that locks are taken in rank order.
pub(crate) fn rank_acquire(rank: crate::lock::rank::Rank) {
    let Some(mp) = super::this_m() else { return };
    let bit = 1u32 << rank as u32;
    // ORDERING: owner-only
    let held = mp.ranks.load(Ordering::Relaxed);
    if held >= bit {
        crate::throw::throw("lock ordering: a lock of this or a higher rank is held");
    }
    mp.ranks.store(held | bit, Ordering::Relaxed); // ORDERING: owner-only
}

/// The other half of [`rank_acquire`].
pub(crate) fn rank_release(rank: crate::lock::rank::Rank) {
    let Some(mp) = super::this_m() else { return };
    // ORDERING: owner-only
    let held = mp.ranks.load(Ordering::Relaxed);
    mp.ranks.store(held & !(1u32 << rank as u32), Ordering::Relaxed); // ORDERING: owner-only
}
