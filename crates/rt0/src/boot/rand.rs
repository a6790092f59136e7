//! Random numbers before and beside everything else.
//!
//! Go: rand.go `randinit`, `bootstrapRand`; the seed's `fastrandinit`. The seed of the process is the
//! kernel's AT_RANDOM; each M has a generator of its own (m/mod.rs `cheaprand`).
//! `GODEBUG=randseed=N` makes two runs draw the same numbers.

use crate::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// What sysauxv found at AT_RANDOM; without it the clock and an address must do. Go: startupRand.
pub(crate) fn set_startup_rand(bytes: Option<[u8; 16]>) {
    let seed = match bytes {
        Some(b) => b.iter().fold(0u64, |h, x| (h ^ u64::from(*x)).wrapping_mul(0x100_0000_01b3)),
        None => crate::sys::cputicks() ^ core::ptr::from_ref(&STATE) as u64,
    };
    STATE.store(seed, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Go: randinit, the seed's fastrandinit.
pub(crate) fn fastrandinit() {
    if let Some(seed) = super::debugvars::get().randseed.given() {
        STATE.store(seed as u64, Ordering::Relaxed); // ORDERING: boot, one thread
    }
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
