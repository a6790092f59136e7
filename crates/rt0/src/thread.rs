//! `std::thread`, for goroutines: a program that uses threads uses goroutines when its imports say
//! `rt0::thread` instead of `std::thread`.
//!
//! Everything here has another name in the crate's root, where Go's names are; there is one
//! implementation. What does not need a goroutine is std's own. Differences: a goroutine has a
//! smaller stack unless [`Builder::stack_size`] says otherwise, and ends the process by a panic
//! that nobody can see any more (see [`JoinHandle`]).
//!
//! ```
//! use rt0::thread;
//!
//! #[rt0::main]
//! fn main() {
//!     let mut words = vec!["to", "be"];
//!     thread::scope(|s| {
//!         s.spawn(|| words.push("or"));
//!     });
//!     assert_eq!(thread::spawn(move || words.len()).join().unwrap(), 3);
//! }
//! ```

pub use crate::goroutine::{park, park_timeout};
pub use crate::join::{Builder, JoinHandle, go as spawn, gosched as yield_now};
pub use crate::scope::{Scope, ScopedJoinHandle, scope};
pub use crate::time::{sleep, sleep_until};
pub use std::thread::{AccessError, LocalKey, Result, available_parallelism, panicking};

use crate::goroutine::Goroutine;
use std::fmt;
use std::io;

/// A handle to a goroutine or to a plain thread. Cheap to clone. std: [`std::thread::Thread`].
#[derive(Clone)]
pub struct Thread(Who);

#[derive(Clone)]
enum Who {
    Goroutine(Goroutine),
    Plain(std::thread::Thread),
}

/// Names a goroutine or a thread; none is used twice in a process. std: [`std::thread::ThreadId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ThreadId(Id);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Id {
    Goroutine(u64),
    Plain(std::thread::ThreadId),
}

impl Thread {
    /// Its identity.
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Who::Goroutine(g) => Id::Goroutine(g.id()),
            Who::Plain(t) => Id::Plain(t.id()),
        })
    }

    /// The name that its builder was given; that of goroutine 1 is `main`.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Who::Goroutine(g) if g.id() == 1 => Some(g.name().unwrap_or("main")),
            Who::Goroutine(g) => g.name(),
            Who::Plain(t) => t.name(),
        }
    }

    /// Makes its [`park`], current or next, return. Never blocks; from any thread.
    pub fn unpark(&self) {
        match &self.0 {
            Who::Goroutine(g) => g.unpark(),
            Who::Plain(t) => t.unpark(),
        }
    }

    /// The goroutine; `None` for a plain thread.
    pub fn goroutine(&self) -> Option<&Goroutine> {
        match &self.0 {
            Who::Goroutine(g) => Some(g),
            Who::Plain(_) => None,
        }
    }
}

impl From<Goroutine> for Thread {
    #[inline(always)]
    fn from(g: Goroutine) -> Thread {
        Thread(Who::Goroutine(g))
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// The goroutine or the plain thread that this code runs on. std: [`std::thread::current`].
pub fn current() -> Thread {
    match crate::goroutine::current() {
        Some(g) => g.into(),
        None => Thread(Who::Plain(std::thread::current())),
    }
}

impl Builder {
    /// [`Builder::go`] under the name that it has in std.
    ///
    /// # Errors
    /// As `go`.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.go(f)
    }

    /// [`Builder::go_scoped`] under the name that it has in std.
    ///
    /// # Errors
    /// As `go_scoped`.
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.go_scoped(scope, f)
    }
}

impl<'scope> Scope<'scope, '_> {
    /// [`Scope::go`] under the name that it has in std.
    ///
    /// # Panics
    /// As `go`.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.go(f)
    }
}
