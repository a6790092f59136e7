//! Looking at a running or dying process.

pub(crate) mod dump;
pub(crate) mod g0check;

pub use g0check::NoAllocOnG0;
