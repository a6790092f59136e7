//! CPU features and hash keys.
//!
//! Go: proc.go `cpuinit`, alg.go `alginit` (now maps.AlgInit), and the CPU check of rt0_go.
//!
//! Go hashes with AES where the CPU has it. Here what is hashed is one word (an address, a type id),
//! for which two multiplications are faster than setting AES up, and every `cpuid` costs 3.5 µs in a
//! virtual machine: so no AES, and `cpuid` only in programs compiled for more than baseline x86-64.

use crate::atomic::{AtomicU64, Ordering};

static HASHKEY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Refuses to go on when the program was compiled for instructions that this CPU lacks. Go prints
/// the same sentence.
pub(crate) fn cpuinit() {
    macro_rules! need {
        ($($feature:tt),*) => {
            false $(|| (cfg!(target_feature = $feature) && !std::is_x86_feature_detected!($feature)))*
        };
    }
    if need!("sse4.2", "popcnt", "avx", "avx2", "bmi2", "fma", "avx512f") {
        crate::sys::stderr::rtprint!(
            "This program can only be run on AMD64 processors with the features it was compiled for \
             (-C target-cpu, -C target-feature).\n"
        );
        crate::sys::exit_group(1);
    }
}

/// Draws the keys that make hashes differ from run to run. Go: alginit.
pub(crate) fn alginit() {
    for k in &HASHKEY {
        k.store(super::rand::bootstrap_rand() | 1, Ordering::Relaxed); // ORDERING: boot, one thread
    }
}

/// Hash of a word under this process's keys. Go: memhash64.
pub(crate) fn memhash64(x: u64) -> u64 {
    // ORDERING: set at boot
    let (k0, k1) = (HASHKEY[0].load(Ordering::Relaxed), HASHKEY[1].load(Ordering::Relaxed));
    let m = u128::from(x ^ k0) * u128::from(k1 ^ 0xa076_1d64_78bd_642f);
    ((m >> 64) ^ m) as u64
}
