//! Looking at a running or dying process.

pub(crate) mod dump;
pub(crate) mod g0check;
pub(crate) mod ms;
pub(crate) mod vars;

pub use g0check::NoAllocOnG0;
