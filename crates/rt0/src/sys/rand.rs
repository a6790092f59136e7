//! Seeds and keys that nobody can guess from outside.
//!
//! Go: rand.go `bootstrapRand`. The state comes from the kernel's AT_RANDOM (boot/rand.rs).

use crate::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);
/// What the sequence started at.
static SEED: AtomicU64 = AtomicU64::new(0);

/// Boot: starts the sequence at `seed`.
pub(crate) fn seed(seed: u64) {
    STATE.store(seed, Ordering::Relaxed); // ORDERING: boot, one thread
    SEED.store(seed, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Where the generator of M `id` starts. It depends on the seed and the number only, not on who
/// else drew before: with `GODEBUG=randseed=N` each M makes the same choices in every run.
pub(crate) fn seed_of_m(id: u64) -> u64 {
    let seed = SEED.load(Ordering::Relaxed); // ORDERING: written at boot
    mix(seed ^ mix(id.wrapping_add(0x9e37_79b9_7f4a_7c15))) | 1
}

/// A number nobody can guess from outside, for seeds and hash keys. Go: bootstrapRand (here
/// splitmix64 over the startup seed).
pub(crate) fn bootstrap_rand() -> u64 {
    // ORDERING: each caller gets a value of its own; order does not matter
    let s = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    mix(s.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

fn mix(s: u64) -> u64 {
    let s = (s ^ (s >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let s = (s ^ (s >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    s ^ (s >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_m_starts_where_seed_and_number_say() {
        let before = SEED.load(Ordering::Relaxed); // ORDERING: this thread's own
        let draw = |seed_value| {
            seed(seed_value);
            (0..100).map(seed_of_m).collect::<Vec<_>>()
        };
        let (one, two) = (draw(7), draw(8));
        bootstrap_rand();
        assert_eq!(draw(7), one, "whoever else draws changes nothing");
        let mut all: Vec<_> = one.into_iter().chain(two).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200, "each has a sequence of its own");
        seed(before);
    }
}
