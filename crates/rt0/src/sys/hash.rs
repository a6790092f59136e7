//! Hashes of words, different from run to run.
//!
//! Go: alg.go `memhash64`; `alginit` (boot/alg.rs) draws the keys.

use crate::atomic::{AtomicU64, Ordering};

static HASHKEY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Boot: sets the keys.
pub(crate) fn set_keys(k: [u64; 2]) {
    for (slot, k) in HASHKEY.iter().zip(k) {
        slot.store(k, Ordering::Relaxed); // ORDERING: boot, one thread
    }
}

/// Hash of a word under this process's keys. Go: memhash64.
pub(crate) fn memhash64(x: u64) -> u64 {
    // ORDERING: set at boot
    let (k0, k1) = (HASHKEY[0].load(Ordering::Relaxed), HASHKEY[1].load(Ordering::Relaxed));
    let m = u128::from(x ^ k0) * u128::from(k1 ^ 0xa076_1d64_78bd_642f);
    ((m >> 64) ^ m) as u64
}
