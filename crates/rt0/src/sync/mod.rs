//! Waiting for each other: std's locks and Go's, for goroutines and plain threads alike.
//!
//! What has a name of std's has std's signatures, behaviour and poisoning; only the goroutine
//! waits, not its thread. Nothing here allocates to wait. What never waits is std's own (`Arc`,
//! `atomic`), so that a program changes `std::sync` to `rt0::sync` and nothing else.

mod barrier;
pub mod broadcast;
mod condvar;
mod lazy_lock;
pub mod mpsc;
mod mutex;
mod notify;
mod once;
mod once_lock;
pub mod oneshot;
mod owner;
pub(crate) mod poison;
pub(crate) mod raw;
mod readers;
mod rwlock;
mod semaphore;
mod wait_group;
pub mod watch;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};
pub use wait_group::WaitGroup;
