//! Go's runtime, for Rust: plain blocking code in a million goroutines.
//!
//! ```
//! use rt0::time::{sleep, Duration};
//!
//! #[rt0::main]
//! fn main() {
//!     let squares: Vec<_> = (0..10_u64)
//!         .map(|n| rt0::go(move || { sleep(Duration::from_millis(1)); n * n }))
//!         .collect();
//!     let sum: u64 = squares.into_iter().map(|h| h.join().unwrap()).sum();
//!     assert_eq!(sum, 285);
//! }
//! ```
//!
//! A goroutine is a thread to all code that runs in it: `thread_local!`, `thread::current()`,
//! errno, panics and guards are its own, although it moves between the few threads of the runtime
//! at every blocking point. The API is std's where std has one. How it works: ARCHITECTURE.md in
//! the repository.
//!
//! `#[rt0::main]` also makes `_rt0_amd64_linux` the ELF entry of the program, and boot follows
//! Go's: args, osinit, schedinit, runtime.main. `GODEBUG=inittrace=1` shows the steps.

// Under loom only the protocols that models check are compiled, on loom's atomics.
#[cfg(loom)]
mod atomic;
#[cfg(loom)]
mod chan {
    pub(crate) mod alarm;
    pub(crate) mod core;
    pub(crate) mod lock;
    pub(crate) mod queue;
}
#[cfg(loom)]
mod future {
    pub(crate) mod armed;
}
#[cfg(loom)]
mod g {
    pub(crate) mod fresh;
    pub(crate) mod key;
    pub(crate) mod park_state;
    pub(crate) mod ticket;
}
#[cfg(loom)]
mod join {
    pub(crate) mod state;
}
#[cfg(loom)]
mod lock {
    pub(crate) mod mutex {
        pub(crate) mod word;
    }
    pub(crate) mod note;
}
#[cfg(loom)]
mod m {
    pub(crate) mod halt;
    pub(crate) mod request;
    pub(crate) mod still;
}
#[cfg(loom)]
mod models;
#[cfg(loom)]
mod netpoll {
    pub(crate) mod gate;
    pub(crate) mod poller;
}
#[cfg(loom)]
mod p {
    pub(crate) mod owner;
}
#[cfg(loom)]
mod sched {
    pub(crate) mod census;
    pub(crate) mod deadlock {
        pub(crate) mod moment;
    }
    pub(crate) mod need_p;
    pub(crate) mod newm {
        pub(crate) mod nap;
    }
    pub(crate) mod runq;
    pub(crate) mod sigqueue {
        pub(crate) mod pending;
    }
    pub(crate) mod spinning;
    pub(crate) mod stop_the_world {
        pub(crate) mod world;
    }
}
#[cfg(loom)]
mod scope {
    pub(crate) mod running;
}
#[cfg(loom)]
#[allow(dead_code, reason = "models use a part of it")]
mod sema {
    pub(crate) mod lot;
    pub(crate) mod queue;
}
#[cfg(loom)]
#[allow(dead_code, reason = "models use a part of it")]
mod sync {
    pub(crate) mod raw;
}
#[cfg(loom)]
mod sys {
    pub(crate) mod futex;
}
#[cfg(loom)]
mod throw {
    pub(crate) fn throw(msg: &str) -> ! {
        panic!("{msg}")
    }
}

#[cfg(all(not(loom), not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))))]
compile_error!("rt0 runs on Linux, x86-64, with glibc");

#[cfg(not(loom))]
pub(crate) mod arch;
#[cfg(not(loom))]
pub(crate) mod atomic;
#[cfg(not(loom))]
pub(crate) mod boot;
#[cfg(not(loom))]
pub mod chan;
#[cfg(not(loom))]
pub mod context;
#[cfg(not(loom))]
pub mod debug;
#[cfg(not(loom))]
pub mod fs;
#[cfg(not(loom))]
pub mod future;
#[cfg(not(loom))]
pub(crate) mod g;
#[cfg(not(loom))]
pub(crate) mod goroutine;
#[cfg(not(loom))]
pub(crate) mod interpose;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
pub(crate) mod itab;
#[cfg(not(loom))]
pub(crate) mod join;
#[cfg(not(loom))]
pub(crate) mod lock;
#[cfg(not(loom))]
pub(crate) mod m;
#[cfg(not(loom))]
pub(crate) mod malloc;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
pub(crate) mod netpoll;
#[cfg(not(loom))]
pub mod os;
#[cfg(not(loom))]
pub(crate) mod p;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub(crate) mod sched;
#[cfg(not(loom))]
pub(crate) mod scope;
#[cfg(not(loom))]
pub(crate) mod sema;
#[cfg(not(loom))]
pub mod signal;
#[cfg(not(loom))]
pub(crate) mod stack;
#[cfg(not(loom))]
pub mod sync;
#[cfg(not(loom))]
pub(crate) mod sys;
#[cfg(not(loom))]
pub mod thread;
#[cfg(not(loom))]
pub(crate) mod throw;
#[cfg(not(loom))]
pub mod time;
#[cfg(not(loom))]
pub(crate) mod tls;

#[cfg(not(loom))]
mod api;
#[cfg(not(loom))]
pub use api::*;

/// What the macros expand to. Not for use by hand; it may change in any version.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::__rt0_constructor as constructor;
    pub use crate::boot::inittask::{InitTask, register as register_init_task};
    pub use crate::boot::main::rt0_main;
    pub use crate::chan::select::op::{Op, recv_op, send_op};
    pub use crate::chan::select::run::{select, select_timeout, try_select};
    pub use crate::itab::{Itab, register as register_itab};
}

/// The README's example is a test too.
#[cfg(all(doctest, not(loom)))]
#[doc = include_str!("../../../README.md")]
struct Readme;
