//! The order in which a select tries its operations.

use super::op::Op;
use crate::chan::here::Here;
use crate::sys::rand::bootstrap_rand;
use std::cell::Cell;

thread_local!(static SEED: Cell<u64> = const { Cell::new(0) });

const MULTIPLIER: u64 = 0x5851_f42d_4c95_7f2d;
const INCREMENT: u64 = 0x1405_7b7e_f767_814f;

/// The order, every one of which is equally likely. The numbers are the M's own, so that
/// `GODEBUG=randseed=N` makes the same choices in every run; on a plain thread the thread's.
///
/// Of a few operations it is one of a table. Of more it is a shuffle that goes as far as it is
/// needed: mostly the first operation tried is ready.
pub(crate) struct Order {
    /// Of the shuffle's generator; 0: there is no shuffle.
    state: u64,
    /// Of [`SOME`] operations at most: whose turn it is, four bits each. More are moved themselves:
    /// to copy what the caller has just written would wait for the stores.
    turns: u64,
}

/// As many as `turns` has places for.
const SOME: usize = 16;
/// So many have their orders in a table.
const FEW: usize = 4;

static ORDERS: [&[u16]; FEW + 1] = [&[], &[], &orders::<2>(2), &orders::<6>(3), &orders::<24>(4)];

/// All `N` orders of `n`, as `turns` has them.
const fn orders<const N: usize>(n: usize) -> [u16; N] {
    let mut all = [0; N];
    let mut number = 0;
    while number < N {
        // The number's digits, of which the first has n values, the next one less, and so on, say
        // which of those that are left is next.
        let (mut left, mut digits, mut i) = (0x3210_u16, number, 0);
        while i < n {
            let at = 4 * (digits % (n - i));
            digits /= n - i;
            all[number] |= (left >> at & 15) << (4 * i);
            let below = left & ((1 << at) - 1);
            left = below | left >> at >> 4 << at;
            i += 1;
        }
        number += 1;
    }
    all
}

impl Order {
    #[inline]
    pub(crate) fn new(here: &Here, n: usize, biased: bool) -> Self {
        let (mut state, mut turns) = (0, 0xfedc_ba98_7654_3210);
        if !biased && n > 1 {
            let random = here.cheaprand().unwrap_or_else(seed_of_thread);
            match ORDERS.get(n) {
                Some(all) => turns = u64::from(all[scaled(random, all.len())]),
                None => state = random | 1,
            }
        }
        Order { state, turns }
    }

    /// The operation to be tried after `i` others.
    #[inline(always)]
    pub(crate) fn next<'o, 'a>(&mut self, ops: &'o mut [Op<'a>], i: usize) -> &'o Op<'a> {
        if self.state != 0 {
            self.shuffle(ops, i);
        }
        &ops[self.place(i, ops.len())]
    }

    /// Draws the one that has its turn after `i` others.
    #[cold]
    fn shuffle(&mut self, ops: &mut [Op<'_>], i: usize) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let other = i + scaled(self.state, ops.len() - i);
        if ops.len() > SOME {
            return ops.swap(i, other);
        }
        let swapped = (self.turns >> (4 * other) ^ self.turns >> (4 * i)) & 15;
        self.turns ^= swapped << (4 * other);
        self.turns ^= swapped << (4 * i);
    }

    /// The place of the operation that was tried after `i` others of `n`, when all have been.
    #[inline(always)]
    pub(crate) fn place(&self, i: usize, n: usize) -> usize {
        if n > SOME { i } else { (self.turns >> (4 * i) & 15) as usize }
    }
}

/// A number below `n`, uniform but for one in 2^32: the high half, scaled.
#[inline(always)]
fn scaled(random: u64, n: usize) -> usize {
    (((random >> 32) * n as u64) >> 32) as usize
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_tables_have_every_order_once() {
        for (n, all) in ORDERS.iter().enumerate().skip(2) {
            assert_eq!(all.len(), (1..=n).product());
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            for order in *all {
                let turns: HashSet<u16> = (0..n).map(|i| order >> (4 * i) & 15).collect();
                assert_eq!(turns, (0..n as u16).collect(), "{order:x}");
            }
        }
    }

    #[test]
    fn a_shuffle_has_every_turn_once() {
        let receiver = crate::chan::never::<()>();
        for n in [5, 16, 17, 40] {
            let mut ops = vec![crate::chan::select::op::recv_op(&receiver); n];
            ops.iter_mut().enumerate().for_each(|(i, op)| op.index = i);
            let mut order = Order::new(&Here::enter(), n, false);
            let turns: Vec<_> = (0..n).map(|i| order.next(&mut ops, i).index).collect();
            assert_eq!(turns.iter().collect::<HashSet<_>>().len(), n, "{turns:?}");
            assert!(turns.windows(2).any(|two| two[0] > two[1]), "it is a shuffle: {turns:?}");
            let places = (0..n).map(|i| ops[order.place(i, n)].index);
            assert!(places.eq(turns.iter().copied()), "they are found again");
        }
    }
}
