//! x86-64: registers, the switch, preemption.

#[cfg(feature = "bare-switch")]
pub(crate) mod bare;
pub(crate) mod fsgs;
pub(crate) mod here;
pub(crate) mod preempt;
pub(crate) mod switch;
pub(crate) mod watched;
