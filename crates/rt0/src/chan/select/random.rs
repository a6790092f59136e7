//! The order in which a select tries its operations.

use super::op::Op;
use crate::sys::rand::bootstrap_rand;
use std::cell::Cell;

thread_local!(static SEED: Cell<u64> = const { Cell::new(0) });

const MULTIPLIER: u64 = 0x5851_f42d_4c95_7f2d;
const INCREMENT: u64 = 0x1405_7b7e_f767_814f;

/// Every order is equally likely. The numbers are the M's own, so that `GODEBUG=randseed=N` makes
/// the same choices in every run; on a plain thread the thread's.
pub(crate) fn shuffle(ops: &mut [Op<'_>]) {
    if ops.len() < 2 {
        return;
    }
    let mut state = seed();
    for i in (1..ops.len()).rev() {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        // Uniform but for one in 2^32: the high half, scaled to what is left.
        let below = ((state >> 32) * (i as u64 + 1)) >> 32;
        ops.swap(i, below as usize);
    }
}

fn seed() -> u64 {
    if let Some(mp) = crate::tls::pin::pin().m() {
        return u64::from(mp.cheaprand()) << 32 | u64::from(mp.cheaprand());
    }
    // A thread's destructors may still use the cell: it has none itself.
    SEED.with(|seed| {
        if seed.get() == 0 {
            seed.set(bootstrap_rand() | 1);
        }
        seed.set(seed.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT));
        seed.get() ^ seed.get() >> 29
    })
}
