//! x86-64: registers, the switch, and what preemption will need.

pub(crate) mod fsgs;
pub(crate) mod preempt;
pub(crate) mod switch;
