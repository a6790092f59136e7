//! The order in which a select tries its operations.

use super::op::Op;
use crate::chan::here::Here;
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
    /// Of [`SOME`] operations at most: whose turn it is, four bits each. More are moved themselves:
    /// to copy what the caller has just written would wait for the stores.
    turns: u64,
}

/// As many as `turns` has places for.
const SOME: usize = 16;

impl Order {
    #[inline]
    pub(crate) fn new(biased: bool) -> Self {
        Order { biased, state: 0, turns: 0xfedc_ba98_7654_3210 }
    }

    /// The operation to be tried after `i` others.
    #[inline]
    pub(crate) fn next<'o, 'a>(
        &mut self,
        here: &Here,
        ops: &'o mut [Op<'a>],
        i: usize,
    ) -> &'o Op<'a> {
        let left = ops.len() - i;
        let mut other = i;
        if !self.biased && left > 1 {
            if self.state == 0 {
                self.state = here.cheaprand().unwrap_or_else(seed_of_thread);
            }
            self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
            // Uniform but for one in 2^32: the high half, scaled to what is left.
            other += (((self.state >> 32) * left as u64) >> 32) as usize;
        }
        if ops.len() > SOME {
            ops.swap(i, other);
            return &ops[i];
        }
        let turn = |i: usize| self.turns >> (4 * i) & 15;
        let (at, behind) = (turn(other), turn(i));
        self.turns ^= (at ^ behind) << (4 * other);
        self.turns ^= (at ^ behind) << (4 * i);
        &ops[at as usize]
    }

    /// The place of the operation that was tried after `i` others of `n`, when all have been.
    #[inline]
    pub(crate) fn place(&self, i: usize, n: usize) -> usize {
        if n > SOME { i } else { (self.turns >> (4 * i) & 15) as usize }
    }
}

#[cold]
fn seed_of_thread() -> u64 {
    // A thread's destructors may still use the cell: it has none itself.
    SEED.with(|seed| {
        if seed.get() == 0 {
            seed.set(bootstrap_rand() | 1);
        }
        seed.set(seed.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT));
        seed.get() ^ seed.get() >> 29
    })
}
