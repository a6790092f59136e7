//! What depends on the processor.

pub(crate) mod x86_64;
#[cfg(feature = "bare-switch")]
pub(crate) use x86_64::bare;
pub(crate) use x86_64::{fsgs, here, preempt, switch, watched};
