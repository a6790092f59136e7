//! Memory: glibc's per-thread caches, and the unwinder's walk over a goroutine's stack.

use super::harness::{goroutines, hop};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::backtrace::Backtrace;
use std::hint::black_box;
use std::sync::Mutex;

/// Blocks of all sizes come and go; each keeps what was written into it.
pub(crate) fn malloc() {
    goroutines(60, |i| {
        let mut random = SmallRng::seed_from_u64(i as u64);
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for _ in 0..500 {
            let (size, fill) = (random.random_range(0..3000), random.random());
            blocks.push(vec![fill; size]);
            if blocks.len() > 40 {
                let block = blocks.swap_remove(random.random_range(0..blocks.len()));
                assert!(block.iter().all(|byte| *byte == block[0]), "a block was overwritten");
            }
            if random.random_ratio(1, 16) {
                hop();
            }
        }
    });
}

/// What one goroutine allocates another frees.
pub(crate) fn free_elsewhere() {
    let pool: Mutex<Vec<(usize, Vec<usize>)>> = Mutex::new(Vec::new());
    goroutines(60, |i| {
        for k in 0..40 {
            let block = vec![i; 1 + (i * 7 + k * 13) % 300];
            pool.lock().expect("nobody panics").push((i, block));
            if k % 4 == 0 {
                hop();
            }
            let other = {
                let mut pool = pool.lock().expect("nobody panics");
                let at = (i + k) % pool.len().max(1);
                if pool.is_empty() { None } else { Some(pool.swap_remove(at)) }
            };
            let Some((owner, block)) = other else { continue };
            assert!(block.iter().all(|n| *n == owner), "a block was overwritten");
        }
    });
}

/// The unwinder finds its way to the goroutine's root after moves.
pub(crate) fn backtrace() {
    goroutines(4, |_| {
        hop();
        let trace = deep_trace(5);
        hop();
        let frames = trace.matches("deep_trace").count();
        assert!(frames >= 1, "{trace}");
        assert!(
            trace.contains("heap::backtrace"),
            "the goroutine's own closure is missing: {trace}"
        );
    });
}

#[inline(never)]
fn deep_trace(depth: usize) -> String {
    if depth == 0 {
        return Backtrace::force_capture().to_string();
    }
    hop();
    black_box(deep_trace(depth - 1))
}
