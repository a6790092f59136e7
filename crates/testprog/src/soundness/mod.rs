//! The cases, by topic, and what runs them.

mod c;
mod c_library;
mod c_state;
mod c_sync;
pub(crate) mod clock;
mod errno;
mod harness;
mod heap;
mod identity;
mod libraries;
mod locks;
mod once;
mod panics;
mod processes;
pub(crate) mod runner;
mod signals;
mod stdio;
mod thread_locals;
mod threads;

pub(crate) use c::Library;
pub(crate) use c_library::{fresh_library, no_dlopen};
use runner::Case;
pub(crate) use runner::text as panic_text;

/// Every case, in the order in which they run.
pub(crate) const CASES: &[Case] = &[
    Case::new("thread-local-refcell", thread_locals::refcell),
    Case::new("thread-local-drop", thread_locals::drop),
    Case::new("thread-local-const", thread_locals::const_fresh),
    Case::new("thread-local-lazy", thread_locals::lazy_init_yields),
    Case::new("thread-local-address", thread_locals::address),
    Case::new("thread-id", identity::thread_id),
    Case::new("thread-park", identity::park_unpark),
    Case::new("pthread-self", identity::pthread_self),
    Case::new("rand-rng", libraries::rand_rng),
    Case::new("tracing-spans", libraries::tracing_spans),
    Case::new("stdout-lock", stdio::stdout_lock),
    Case::new("errno", errno::errno),
    Case::new("panic-catch", panics::catch_with_yield_in_drop),
    Case::new("panicking", panics::panicking_is_own),
    Case::new("panic-nested", panics::nested),
    Case::new("panic-join", panics::join_returns_payload),
    Case::new("mutex-poison", panics::poison_only_by_own_panic),
    Case::new("goexit", panics::goexit_unwinds),
    Case::new("lazy-lock", once::lazy_lock),
    Case::new("once-lock", once::once_lock),
    Case::new("once-lock-panic", once::once_lock_init_panics),
    Case::new("mutex-guard", locks::mutex_guard),
    Case::new("mutex-blocks-every-p", locks::mutex_blocks_every_p),
    Case::new("rwlock", locks::rwlock),
    Case::new("condvar", locks::condvar),
    Case::new("barrier", locks::barrier),
    Case::new("mpsc", threads::mpsc),
    Case::new("mpsc-rendezvous", threads::rendezvous),
    Case::new("thread-spawn", threads::spawn_and_join),
    Case::new("thread-scope", threads::scopes),
    Case::new("command", processes::command),
    Case::new("command-pre-exec", processes::command_pre_exec),
    Case::new("getaddrinfo", processes::getaddrinfo).unless(processes::no_resolver),
    Case::new("setuid", processes::setuid),
    Case::new("dlopen-tls", c_library::dlopen_tls).unless(c_library::no_dlopen),
    Case::new("pthread-recursive-mutex", c_sync::recursive_mutex),
    Case::new("pthread-errorcheck-mutex", c_sync::errorcheck_mutex),
    Case::new("pthread-key", c_sync::keys_with_destructor),
    Case::new("pthread-stack-bounds", c_state::stack_bounds).unless(c_state::no_stack_bounds),
    Case::new("ctype-strtod-strerror", c_state::ctype_strtod_strerror),
    Case::new("uselocale", c_state::uselocale),
    Case::new("sched-getcpu", c_state::sched_getcpu),
    Case::new("raise", signals::raise),
    Case::new("signal-handler", signals::handler_computes),
    Case::new("sigmask", signals::sigmask),
    Case::new("malloc", heap::malloc),
    Case::new("malloc-free-elsewhere", heap::free_elsewhere),
    Case::new("backtrace", heap::backtrace),
];
