//! What depends on the processor.

pub(crate) mod x86_64;
pub(crate) use x86_64::{fsgs, here, preempt, switch, watched};
