//! Waiting for each other: std's locks and Go's, for goroutines and plain threads alike.
//!
//! What has a name of std's has std's signatures, behaviour and poisoning; only the goroutine
//! waits, not its thread. Nothing here allocates to wait.

mod barrier;
mod condvar;
mod mutex;
mod owner;
pub(crate) mod poison;
pub(crate) mod raw;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
