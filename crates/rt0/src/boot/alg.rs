//! CPU features and hash keys.
//!
//! Go: proc.go `cpuinit`, alg.go `alginit` (now maps.AlgInit), and the CPU check of rt0_go.
//!
//! Go hashes with AES where the CPU has it. Here what is hashed is one word (an address, a type
//! id), for which two multiplications are faster than setting AES up, and every `cpuid` costs 3.5
//! µs in a virtual machine: so no AES, and `cpuid` only in programs compiled for more than baseline
//! x86-64.

use crate::sys::rand::bootstrap_rand;

/// Refuses to go on when the program was compiled for instructions that this CPU lacks. Go prints
/// the same sentence.
pub(crate) fn cpuinit() {
    macro_rules! need {
        ($($feature:tt),*) => {
            false $(|| (cfg!(target_feature = $feature)
                && !std::is_x86_feature_detected!($feature)))*
        };
    }
    if need!("sse4.2", "popcnt", "avx", "avx2", "bmi2", "fma", "avx512f") {
        crate::sys::stderr::rtprint!(
            "This program can only be run on AMD64 processors with the features it was compiled \
             for (-C target-cpu, -C target-feature).\n"
        );
        crate::sys::exit_group(1);
    }
}

/// Draws the keys that make hashes differ from run to run. Go: alginit.
pub(crate) fn alginit() {
    crate::sys::hash::set_keys([bootstrap_rand() | 1, bootstrap_rand() | 1]);
}
