//! Code that only computes: all that a preemption must preserve is in registers and on the stack.

use super::worker::Worker;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub(crate) fn cpu(worker: &mut Worker) {
    let start = worker.x;
    worker.x = stirred(start, 100_000);
    assert_eq!(worker.x, stirred(start, 100_000), "two computations of the same differ");
}

#[inline(never)]
fn stirred(x: u64, times: u32) -> u64 {
    (0..times).fold(x, |x, _| x.wrapping_mul(6_364_136_223_846_793_005).rotate_left(7) ^ 0x55)
}

/// Sixteen equal sequences of floating-point numbers stay equal.
pub(crate) fn fp(worker: &mut Worker) {
    let mut all = [worker.index as f64; 16];
    for _ in 0..20_000 {
        for v in &mut all {
            *v = (*v * 1.000_000_1).sqrt() * v.sqrt();
        }
    }
    let all = black_box(all);
    assert!(all.iter().all(|v| v.to_bits() == all[0].to_bits()), "{all:?}");
}

/// A function that calls none keeps its variables below the stack pointer.
pub(crate) fn redzone(worker: &mut Worker) {
    #[inline(never)]
    fn leaf(seed: &[u64; 8], times: usize) -> u64 {
        let mut all = *seed;
        for k in 0..times {
            let next = all[(k + 1) & 7];
            all[k & 7] = all[k & 7].wrapping_mul(3).wrapping_add(next);
        }
        all.iter().fold(0, |x, y| x ^ y)
    }
    let seed = [worker.index as u64; 8];
    assert_eq!(leaf(&seed, 300_000), leaf(&seed, 300_000));
}

/// The clock is code of the kernel's in this process, with a loop that waits for the kernel.
pub(crate) fn vdso(_: &mut Worker) {
    let mut last = Instant::now();
    let end = last + Duration::from_micros(50);
    while last < end {
        let now = Instant::now();
        assert!(now >= last, "the clock went back");
        last = now;
    }
}
