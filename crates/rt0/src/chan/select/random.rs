//! The order in which a select tries its operations.

use super::op::Op;
use crate::sys::rand::bootstrap_rand;
use std::cell::Cell;

thread_local!(static SEED: Cell<u64> = const { Cell::new(0) });

const MULTIPLIER: u64 = 0x5851_f42d_4c95_7f2d;
const INCREMENT: u64 = 0x1405_7b7e_f767_814f;

/// A shuffle that goes as far as it is needed: mostly the first operation tried is ready.
///
/// Every order is equally likely. The numbers are the M's own, so that `GODEBUG=randseed=N` makes
/// the same choices in every run; on a plain thread the thread's.
pub(crate) struct Order {
    biased: bool,
    /// Of the generator; 0: not begun.
    state: u64,
}

impl Order {
    pub(crate) fn new(biased: bool) -> Self {
        Order { biased, state: 0 }
    }

    /// The operation to be tried after `i` others, put to place `i`.
    #[inline]
    pub(crate) fn next<'a>(&mut self, ops: &mut [Op<'a>], i: usize) -> Op<'a> {
        let left = ops.len() - i;
        if !self.biased && left > 1 {
            if self.state == 0 {
                self.state = seed();
            }
            self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
            // Uniform but for one in 2^32: the high half, scaled to what is left.
            let below = ((self.state >> 32) * left as u64) >> 32;
            ops.swap(i, i + below as usize);
        }
        ops[i]
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
