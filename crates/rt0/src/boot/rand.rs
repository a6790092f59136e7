//! Random numbers before and beside everything else.
//!
//! Go: rand.go `randinit`, `bootstrapRand`; the seed's `fastrandinit`. The seed of the process is
//! the kernel's AT_RANDOM; each M has a generator of its own (m/mod.rs `cheaprand`).
//! `GODEBUG=randseed=N` makes two runs draw the same numbers.

use crate::sys::rand;

/// What sysauxv found at AT_RANDOM; without it the clock and an address must do. Go: startupRand.
pub(crate) fn set_startup_rand(bytes: Option<[u8; 16]>) {
    let seed = match bytes {
        Some(b) => b.iter().fold(0u64, |h, x| (h ^ u64::from(*x)).wrapping_mul(0x100_0000_01b3)),
        None => crate::sys::cputicks() ^ set_startup_rand as *const () as u64,
    };
    rand::seed(seed);
}

/// Go: randinit, the seed's fastrandinit.
pub(crate) fn fastrandinit() {
    if let Some(seed) = crate::debug::vars::get().randseed.given() {
        rand::seed(seed as u64);
    }
}
