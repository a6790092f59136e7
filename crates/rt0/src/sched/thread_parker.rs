//! The parkers of plain threads.
//!
//! A parker is never freed, for old tickets may lie about in any heap or list; a thread that ends
//! leaves its own to the next that needs one. All are on a list, for those who look at what waits.

#![allow(clippy::disallowed_types, reason = "plain threads only: never on a goroutine or g0")]

use crate::atomic::{AtomicRef, AtomicU32, Ordering};
use crate::g::WaitReason;
use crate::g::parker::Parker;
use core::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// What a plain thread waits with.
pub(crate) struct ThreadParker {
    pub(crate) parker: Parker,
    /// The kernel's id of the thread that has it; 0: nobody has.
    tid: AtomicU32,
    /// Why it waits, while it does.
    reason: AtomicU32,
    /// Constant once it is on the list.
    next: AtomicRef<ThreadParker>,
}

static FREE: Mutex<Vec<&'static ThreadParker>> = Mutex::new(Vec::new());
/// The one made last. Changes under `FREE`.
static ALL: AtomicRef<ThreadParker> = AtomicRef::none();

struct Own(&'static ThreadParker);

impl Own {
    fn take() -> Own {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let own = free.pop().unwrap_or_else(|| {
            let new: &'static ThreadParker = Box::leak(Box::new(ThreadParker {
                parker: Parker::new(),
                tid: AtomicU32::new(0),
                reason: AtomicU32::new(0),
                next: AtomicRef::none(),
            }));
            new.next.set(ALL.get());
            ALL.store(Some(new), Ordering::Release); // ORDERING: pairs with all
            new
        });
        own.tid.store(tid(), Ordering::Relaxed); // ORDERING: a report
        Own(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.0.tid.store(0, Ordering::Relaxed); // ORDERING: a report
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

thread_local!(static OWN: Own = Own::take());

/// This thread's. In a destructor that runs after the thread's own was given back, a new one, which
/// nobody gets back.
pub(crate) fn own() -> &'static ThreadParker {
    OWN.try_with(|own| own.0).unwrap_or_else(|_| {
        let own = Own::take();
        let parker = own.0;
        core::mem::forget(own);
        parker
    })
}

/// All there are.
pub(crate) fn all() -> impl Iterator<Item = &'static ThreadParker> {
    let last = ALL.load(Ordering::Acquire); // ORDERING: pairs with Own::take
    core::iter::successors(last, |parker| parker.next.get())
}

impl ThreadParker {
    pub(crate) fn set_reason(&self, reason: WaitReason) {
        self.reason.store(reason as u32, Ordering::Relaxed); // ORDERING: a report
    }

    pub(crate) fn reason(&self) -> WaitReason {
        WaitReason::from_u32(self.reason.load(Ordering::Relaxed)) // ORDERING: a report
    }

    /// The kernel's id of the thread that has it.
    pub(crate) fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed) // ORDERING: a report
    }
}

/// Tells a thread's name from a goroutine's number.
const THREAD: u64 = 1 << 63;

/// This thread's name among those who hold locks. It allocates nothing: the lock may be the
/// allocator's.
pub(crate) fn me() -> u64 {
    THREAD | u64::from(tid())
}

/// The kernel's id of the thread with this name; `None`: it is the number of a goroutine.
pub(crate) fn tid_of(name: u64) -> Option<u32> {
    (name & THREAD != 0).then_some(name as u32)
}

fn tid() -> u32 {
    thread_local!(static TID: Cell<u32> = const { Cell::new(0) });
    TID.with(|cell| {
        if cell.get() == 0 {
            cell.set(crate::sys::gettid() as u32);
        }
        cell.get()
    })
}
