//! Where a channel's memory is, for those who look through all memory for its handles
//! (debug/graph/peers.rs).
//!
//! A channel is called by the address of its last word, which no handle and no reference has: so
//! reports, and those who keep one, are not taken for handles. shared.rs checks the figures.

/// Of `Shared`.
pub(crate) const BYTES: usize = 192;
/// Of what `Arc` has in front of it.
const HEADER_BYTES: usize = 64;
/// The number of handles that are alive, in `Shared`.
pub(crate) const SENDERS_AT: usize = 128;
/// The same of the other side.
pub(crate) const RECEIVERS_AT: usize = 136;
/// In a select's entry: nobody can make the operation ready.
pub(crate) const NOBODY: usize = 1;

/// The name of the channel whose `Shared` is at `at`.
pub(crate) fn name(at: usize) -> usize {
    at + BYTES - 8
}

/// Where its `Shared` is.
pub(crate) fn at(name: usize) -> usize {
    name + 8 - BYTES
}

/// The first address that means the channel with this name; its name is the first that does not.
pub(crate) fn first(name: usize) -> usize {
    at(name) - HEADER_BYTES
}
