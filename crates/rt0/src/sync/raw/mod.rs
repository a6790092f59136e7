//! What locks are made of: words and their protocols, without data and without the scheduler, so
//! that models can check them.

pub(crate) mod condvar;
pub(crate) mod mutex;
pub(crate) mod once;
pub(crate) mod rwlock;
