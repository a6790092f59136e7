//! Seeds and keys that nobody can guess from outside.
//!
//! Go: rand.go `bootstrapRand`. The state comes from the kernel's AT_RANDOM (boot/rand.rs).

use crate::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// Boot: starts the sequence at `seed`.
pub(crate) fn seed(seed: u64) {
    STATE.store(seed, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// A number nobody can guess from outside, for seeds and hash keys. Go: bootstrapRand (here
/// splitmix64 over the startup seed).
pub(crate) fn bootstrap_rand() -> u64 {
    // ORDERING: each caller gets a value of its own; order does not matter
    let s = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let s = (s ^ (s >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let s = (s ^ (s >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    s ^ (s >> 31)
}
