//! Input and output.

pub(crate) mod pollable;

pub use pollable::Closed;
