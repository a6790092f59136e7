//! Goroutines that may borrow from the stack of the one who starts them.
//!
//! The shape and the guarantees of [`std::thread::scope`]: all goroutines of a scope have ended
//! when it returns, whatever happens in it.
//!
//! # Invariants
//! * `SP1`: `running` counts goroutines whose closure, borrows included, is not yet dropped;
//!   `scope` does not return before it is 0.

#![allow(unsafe_code, reason = "SP1: lifetimes that the scope guarantees")]

mod running;
mod try_scope;

pub use try_scope::{TryScope, try_scope};

use crate::atomic::{AtomicBool, Ordering};
use crate::g::WaitReason;
use crate::goroutine::Goroutine;
use crate::join::{Builder, JoinHandle};
use crate::sched::wait::Why;
use crate::sched::waiter::Waiter;
use crate::thread::Thread;
use running::Running;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::Result;

struct ScopeData {
    running: Running, // SP1
    a_goroutine_panicked: Arc<AtomicBool>,
    waiter: Waiter,
}

/// What names a scope for those who look who waits for whom: its goroutines have it too.
pub(crate) fn scope_id(panicked: &Arc<AtomicBool>) -> usize {
    Arc::as_ptr(panicked) as usize
}

impl ScopeData {
    /// On the goroutine, as its last touch of the scope.
    fn ended(&self) {
        if self.running.end() {
            self.waiter.wake();
        }
    }
}

/// A scope to start goroutines in. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    data: Arc<ScopeData>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs `f` with a [`Scope`]; returns when `f` and every goroutine started in the scope have ended.
///
/// Blocks the goroutine (or plain thread) until then. std: [`std::thread::scope`].
///
/// # Panics
/// Resumes the panic of `f`; panics if a goroutine of the scope panicked and was not joined.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        data: Arc::new(ScopeData {
            running: Running::new(),
            a_goroutine_panicked: Arc::new(AtomicBool::new(false)),
            waiter: Waiter::new(),
        }),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let why = Why { reason: WaitReason::Scope, on: scope_id(&scope.data.a_goroutine_panicked) };
    scope.data.running.wait_for_none(|| scope.data.waiter.wait(why));
    match result {
        Err(payload) => resume_unwind(payload),
        // ORDERING: pairs with nobody_took (join.rs)
        Ok(_) if scope.data.a_goroutine_panicked.load(Ordering::Acquire) => {
            panic!("a scoped goroutine panicked")
        }
        Ok(v) => v,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts `f` as a goroutine that the scope waits for. std: `Scope::spawn`.
    ///
    /// # Panics
    /// If no goroutine can be made; see [`Builder::go_scoped`].
    #[track_caller]
    pub fn go<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        match Builder::new().go_scoped(self, f) {
            Ok(h) => h,
            Err(e) => panic!("failed to start goroutine: {e}"),
        }
    }
}

impl Builder {
    /// Starts `f` as a goroutine of `scope`, with this builder's name and stack.
    ///
    /// # Errors
    /// As [`Builder::go`].
    #[track_caller]
    pub fn go_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        scope.data.running.begin();
        let theirs = Arc::clone(&scope.data);
        let unobserved = Some(Arc::clone(&scope.data.a_goroutine_panicked));
        let after = move || theirs.ended();
        // SAFETY: SP1: `scope` waits for `ended`, which runs after the closure is gone.
        match unsafe { self.spawn_unchecked(f, Location::caller(), unobserved, after) } {
            Ok(handle) => Ok(ScopedJoinHandle { handle, scope: PhantomData }),
            Err(e) => {
                scope.data.running.take_back();
                Err(e)
            }
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("running", &self.data.running.count()).finish_non_exhaustive()
    }
}

/// Owns the right to the result of a scope's goroutine. std: `ScopedJoinHandle`.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<T>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the goroutine to end and returns its value or the payload of its panic.
    pub fn join(self) -> Result<T> {
        self.handle.join()
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        self.handle.goroutine()
    }

    /// The goroutine, under the name that it has in std.
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}
