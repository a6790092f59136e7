//! A scope whose goroutines may fail. Go: x/sync/errgroup.

use super::{Scope, scope};
use crate::context::{Cancel, Context, with_cancel};
use crate::join::{__rust_begin_short_backtrace, Goexit};
use crate::sync::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};

/// A scope to start goroutines in that may fail. See [`try_scope`]. Clones are the same scope: for
/// goroutines that start others.
pub struct TryScope<'scope, 'env: 'scope, E> {
    scope: &'scope Scope<'scope, 'env>,
    group: Arc<Group<E>>,
}

struct Group<E> {
    ctx: Context,
    cancel: Cancel,
    first: Mutex<Option<E>>,
}

impl<E> Group<E> {
    fn fail(&self, e: E) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
        self.cancel.cancel_with("another goroutine of the scope failed");
    }

    /// Runs `f`; if it fails or panics, the others need not go on.
    fn run<T>(&self, f: impl FnOnce() -> Result<T, E>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| __rust_begin_short_backtrace(f))) {
            Ok(Ok(v)) => Some(v),
            Ok(Err(e)) => {
                self.fail(e);
                None
            }
            Err(payload) => {
                if !payload.is::<Goexit>() {
                    self.cancel.cancel_with("another goroutine of the scope panicked");
                }
                resume_unwind(payload)
            }
        }
    }
}

/// Runs `f` with a scope of goroutines that may fail; returns when `f` and all of them have ended.
///
/// The first error, of a goroutine or of `f`, is what `try_scope` returns. It also ends the scope's
/// [`context`](TryScope::context), so that those that wait under it give up. That context comes
/// from `ctx`: with a deadline in `ctx` the scope has one; what waits under it returns an error
/// then, and if that is passed on, `try_scope` returns it. Goroutines may borrow from outside the
/// scope, as those of [`scope`], and hand values back that way. Blocks the goroutine (or plain
/// thread). Go: `errgroup.WithContext` and its `Wait`.
///
/// ```
/// use rt0::context::{Error, background};
/// use rt0::time::Duration;
/// # #[rt0::main] fn main() {
/// let failed = rt0::try_scope(&background(), |s| {
///     let ctx = s.context();
///     s.go(move || ctx.sleep(Duration::from_secs(3600)).map_err(|e| e.to_string()));
///     s.go(|| Err("no such host".to_string()));
///     Ok(())
/// });
/// assert_eq!(failed, Err("no such host".to_string()));
/// # }
/// ```
///
/// # Panics
/// As [`scope`]: resumes the panic of `f`; panics if a goroutine panicked. A panic ends the
/// context too.
#[track_caller]
pub fn try_scope<'env, T, E, F>(ctx: &Context, f: F) -> Result<T, E>
where
    F: for<'scope> FnOnce(&TryScope<'scope, 'env, E>) -> Result<T, E>,
{
    let (ctx, cancel) = with_cancel(ctx);
    let group = Arc::new(Group { ctx, cancel, first: Mutex::new(None) });
    let value = scope(|scope| {
        let group = Arc::clone(&group);
        let inside = TryScope { scope, group: Arc::clone(&group) };
        group.run(|| f(&inside))
    });
    let first = group.first.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (first, value) {
        (Some(e), _) => Err(e),
        (None, Some(v)) => Ok(v),
        (None, None) => crate::throw::throw("try_scope: neither a value nor an error"),
    }
}

impl<'scope, E> TryScope<'scope, '_, E> {
    /// Starts `f` as a goroutine that the scope waits for. Go: `errgroup.Group.Go`.
    ///
    /// # Panics
    /// If no goroutine can be made, as [`Scope::go`].
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'scope,
        E: Send + 'scope,
    {
        let group = Arc::clone(&self.group);
        drop(self.scope.go(move || {
            group.run(f);
        }));
    }

    /// The scope's context, which ends with the first error. Go: what `errgroup.WithContext`
    /// returns.
    pub fn context(&self) -> Context {
        self.group.ctx.clone()
    }
}

impl<E> Clone for TryScope<'_, '_, E> {
    fn clone(&self) -> Self {
        TryScope { scope: self.scope, group: Arc::clone(&self.group) }
    }
}

impl<E> fmt::Debug for TryScope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryScope").field("context", &self.group.ctx).finish_non_exhaustive()
    }
}
