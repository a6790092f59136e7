//! Starting a goroutine and waiting for its end.
//!
//! A [`Packet`] is shared by the goroutine and its handle: result, flags, and who waits.
//!
//! # Invariants
//! * `JN1`: `result` is written by the goroutine before `state.finish()`, and read by the handle
//!   after.
//! * `JN2`: of the goroutine's end and the handle's, whoever is second sees the first, so exactly
//!   one side reports a panic that nobody can observe (DESIGN D6).
//! * `JN3`: the joiner lists a [`Waiter`] on its stack, or learns that the goroutine is done; who
//!   finds it listed wakes it, and it stays on that stack until then.
//!
//! JN2, JN3 and JN5 are kept by join/state.rs.
//! * `JN4`: `thread` is written once, by the spawner, before the goroutine can run.
//! * `JN5`: a task in the state is an `Arc<Task>` made raw, and whoever takes it out owns it.

#![allow(unsafe_code, reason = "JN1, JN3 to JN5: the packet's parts")]

mod future;
mod gone;
mod shared;
mod state;

pub use future::JoinFuture;

use crate::atomic::{AtomicBool, Ordering};
use crate::debug::dump::Panicked;
use crate::debug::uncaught::{Uncaught, watch};
use crate::g::{G, WaitReason};
use crate::goroutine::Goroutine;
use crate::sched::newproc::{Ending, Spec, newproc};
use crate::sched::wait::Why;
use crate::sched::waiter::Waiter;
use crate::sched::{SCHED, park, tree};
use crate::scope::scope_id;
use crate::stack::Class;
use crate::thread::Thread;
use future::Task;
pub(crate) use shared::Shared;
use state::{JoinState, Release};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::Result;

/// What a goroutine that called [`goexit`](crate::goexit) leaves for its joiner: the payload in
/// `JoinHandle::join`'s error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goexit(());

/// Ends the goroutine: destructors run, other goroutines go on.
///
/// Its [`JoinHandle::join`] returns an error whose payload is [`Goexit`]. In `main` it ends
/// goroutine 1 without ending the process. It unwinds, so a `catch_unwind` on the way sees it. Go:
/// `runtime.Goexit`. In a program built with `panic = "abort"` it is a fatal error.
///
/// # Panics
/// On a thread that is no goroutine.
pub fn goexit() -> ! {
    if crate::tls::getg().is_none() {
        let t = std::thread::current();
        panic!(
            "rt0: goexit called on thread {:?}, which is not a goroutine; start it with rt0::go \
             inside #[rt0::main]",
            t.name().unwrap_or("<unnamed>")
        );
    }
    if cfg!(panic = "abort") {
        crate::throw::fatal("goexit in a program built with panic=abort, which cannot unwind");
    }
    resume_unwind(Box::new(Goexit(())))
}

pub(crate) struct Packet<T> {
    state: JoinState<Waiter>,              // JN2, JN3
    result: UnsafeCell<Option<Result<T>>>, // JN1
    /// Of a panic that is in `result`. JN1
    uncaught: UnsafeCell<Option<Uncaught>>,
    thread: UnsafeCell<Option<Thread>>, // JN4
    /// Of a scope: set when a panic is in the result that nobody took.
    unobserved: Option<Arc<AtomicBool>>,
}

const _: () = assert!(shared::fits::<Packet<[usize; 3]>>(), "small results need no malloc");

// SAFETY: JN1: the result crosses threads once, so `T: Send` is enough.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: JN1: the result crosses threads once, so `T: Send` is enough.
unsafe impl<T: Send> Send for Packet<T> {}

impl<T> Packet<T> {
    fn new(unobserved: Option<Arc<AtomicBool>>) -> Self {
        Packet {
            state: JoinState::new(),
            result: UnsafeCell::new(None),
            uncaught: UnsafeCell::new(None),
            thread: UnsafeCell::new(None),
            unobserved,
        }
    }

    /// JN4: the spawner, before the goroutine is queued and before a handle exists.
    fn set_goroutine(&self, gp: &'static G) {
        // SAFETY: JN4: nobody else has the packet yet but the closure that has not run.
        unsafe { *self.thread.get() = Some(Goroutine::new(gp).into()) };
    }

    pub(crate) fn thread(&self) -> &Thread {
        // SAFETY: JN4: not written any more.
        match unsafe { (*self.thread.get()).as_ref() } {
            Some(t) => t,
            None => crate::throw::throw("a join handle without its goroutine"),
        }
    }

    pub(crate) fn goroutine(&self) -> &Goroutine {
        match self.thread().goroutine() {
            Some(g) => g,
            None => crate::throw::throw("a join handle of a plain thread"),
        }
    }

    /// The goroutine's closure has returned: stores the result, and the stack of its panic. The
    /// joiner is woken later.
    fn finish(&self, result: Result<T>, uncaught: Option<Uncaught>) {
        let panicked = result.as_ref().is_err_and(|p| !p.is::<Goexit>());
        if panicked {
            // Main's return waits for the report. ORDERING: pairs with wait_for_panics
            SCHED.running_panic_defers.fetch_add(1, Ordering::AcqRel);
            // SAFETY: JN1: the state is not finished yet.
            unsafe { *self.uncaught.get() = uncaught };
        }
        // SAFETY: JN1: the state is not finished yet.
        unsafe { *self.result.get() = Some(result) };
        let end = self.state.finish();
        if let Some(task) = end.task {
            // SAFETY: JN5: taken out of the word, which owned it.
            unsafe { Arc::from_raw(task.cast::<Task>()) }.wake();
        }
        if end.alone {
            self.drop_value();
            self.nobody_took();
        }
        if panicked {
            // ORDERING: pairs with wait_for_panics
            SCHED.running_panic_defers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The goroutine has ended, thread-locals and all: wakes the joiner.
    fn release(&self) {
        match self.state.release() {
            Release::Nobody => {}
            // SAFETY: JN3: the joiner waits on its stack for this wake-up.
            Release::Joiner(w) => unsafe { (*w).wake() },
            // SAFETY: JN5
            Release::Task(t) => drop(unsafe { Arc::from_raw(t.cast::<Task>()) }),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_finished()
    }

    /// Waits for `finish`.
    pub(crate) fn wait(&self) {
        if !self.state.is_finished() {
            let g = self.goroutine();
            tree::run_first(g.g(), g.id());
        }
        let w = Waiter::new();
        if self.state.enlist(core::ptr::from_ref(&w).cast_mut()) {
            let on = core::ptr::from_ref(self.goroutine().g()) as usize;
            w.wait(Why { reason: WaitReason::Join, on });
        }
    }

    /// After `wait`, once.
    pub(crate) fn take(&self) -> Result<T> {
        // SAFETY: JN1: the state is finished, and the handle is used up by this.
        match unsafe { (*self.result.get()).take() } {
            Some(r) => r,
            None => crate::throw::throw("a finished goroutine without a result"),
        }
    }

    /// The handle is gone: nobody can observe a panic any more.
    pub(crate) fn detach(&self) {
        if self.state.detach() {
            self.nobody_took();
        }
    }

    /// JN2: the goroutine, if it is the last to come. That the value's destructor panics is as if
    /// the closure had panicked with that.
    #[inline]
    fn drop_value(&self) {
        // SAFETY: JN1, JN2: both sides have ended, so this one alone has the packet.
        let result = unsafe { &mut *self.result.get() };
        if const { !core::mem::needs_drop::<T>() } || !matches!(result, Some(Ok(_))) {
            return;
        }
        let (value, uncaught) = (result.take(), Cell::new(None));
        let call = || watch(|| drop(value), &uncaught);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
            *result = Some(Err(payload));
            // SAFETY: JN1, JN2
            unsafe { *self.uncaught.get() = uncaught.take() };
        }
    }

    /// JN2: the last to come. The result goes here, and not with the packet, which may end on a
    /// goroutine without thread-locals. A panic is reported, or the scope is told of it.
    fn nobody_took(&self) {
        // SAFETY: JN1, JN2: both sides have ended, so this one alone has the packet.
        let result = unsafe { (*self.result.get()).take() };
        let Some(Err(payload)) = result else { return };
        if payload.is::<Goexit>() {
            return;
        }
        if let Some(flag) = &self.unobserved {
            return flag.store(true, Ordering::Release); // ORDERING: pairs with scope
        }
        // SAFETY: JN1, JN2
        let uncaught = unsafe { (*self.uncaught.get()).take() };
        fatal_payload(&*payload, self.goroutine(), uncaught.as_ref());
    }
}

/// What is left of a goroutine when its closure has returned.
struct End<T, A> {
    packet: Option<Shared<Packet<T>>>,
    after: A,
}

impl<T, A: Fn()> Ending for End<T, A> {
    fn release(&mut self) {
        if let Some(p) = &self.packet {
            p.release();
        }
    }
    fn let_go(&mut self) {
        if let Some(p) = self.packet.take() {
            p.leave_at_end();
        }
    }
    fn ended(&mut self) {
        (self.after)();
    }
}

/// Go: preprintpanics, printpanics, fatalpanic.
fn fatal_payload(payload: &(dyn Any + Send), g: &Goroutine, stack: Option<&Uncaught>) -> ! {
    let text = match catch_unwind(AssertUnwindSafe(|| payload_text(payload))) {
        Ok(text) => text,
        Err(inner) => fatal_while_printing(&*inner),
    };
    let who = Panicked { id: g.id(), name: g.name(), gp: g.g_if_not_reused(), stack };
    crate::throw::fatalpanic(&indented(&text), &who)
}

/// Go: printindented: a message of several lines cannot be taken for a report's own lines.
fn indented(text: &str) -> String {
    text.replace('\n', "\n\t")
}

/// Go: printpanicval's "panic while printing panic value", with what it panicked with.
fn fatal_while_printing(inner: &(dyn Any + Send)) -> ! {
    // Not by its Display, which may be the one that has just panicked.
    let text = inner.downcast_ref::<&str>().copied();
    let Some(text) = text.or_else(|| inner.downcast_ref::<String>().map(String::as_str)) else {
        crate::throw::fatal("panic while printing panic value")
    };
    crate::throw::fatal(&format!("panic while printing panic value: {}", indented(text)))
}

/// The value in words: strings as they are, registered types by their Display or Debug.
fn payload_text(payload: &(dyn Any + Send)) -> String {
    if let Some(s) = payload.downcast_ref::<&'static str>() {
        return (*s).to_string();
    }
    if let Some(s) = payload.downcast_ref::<String>() {
        return s.clone();
    }
    if let Some(d) = crate::itab::assert_itab::<dyn fmt::Display>(payload) {
        return d.to_string();
    }
    if let Some(d) = crate::itab::assert_itab::<dyn fmt::Debug>(payload) {
        return format!("{d:?}");
    }
    "Box<dyn Any>".to_string()
}

/// Calls a goroutine's closure: std cuts a short backtrace off below a frame of this name.
#[inline(never)]
pub(crate) fn __rust_begin_short_backtrace<T>(f: impl FnOnce() -> T) -> T {
    let v = f();
    core::hint::black_box(());
    v
}

/// Owns the right to a goroutine's result.
///
/// Dropping it detaches the goroutine: it goes on, and should it panic, then or already, the
/// process prints the panic and exits with status 2, for nobody else would ever see it. std:
/// [`std::thread::JoinHandle`].
pub struct JoinHandle<T> {
    packet: Option<Shared<Packet<T>>>,
}

impl<T> JoinHandle<T> {
    fn packet(&self) -> &Packet<T> {
        match &self.packet {
            Some(p) => p,
            None => crate::throw::throw("a join handle was used after join"),
        }
    }

    /// Waits for the goroutine to end and returns its value, or the payload of its panic, or
    /// [`Goexit`].
    ///
    /// Blocks the goroutine that calls it, or the plain thread. Joining oneself is a deadlock and
    /// reported as one.
    pub fn join(mut self) -> Result<T> {
        self.packet().wait();
        match self.packet.take() {
            Some(p) => p.take(),
            None => crate::throw::throw("a join handle was used after join"),
        }
    }

    /// Whether the goroutine has ended; `join` then does not block.
    pub fn is_finished(&self) -> bool {
        self.packet().is_finished()
    }

    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        self.packet().goroutine()
    }

    /// The goroutine, under the name that it has in std.
    pub fn thread(&self) -> &Thread {
        self.packet().thread()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(p) = &self.packet {
            p.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("goroutine", self.goroutine()).finish_non_exhaustive()
    }
}

/// Starts `f` as a goroutine.
///
/// It may run on any thread and move between threads at any blocking point; thread-locals, the
/// current `std::thread`, errno and panics are its own. Never blocks; who starts hundreds lets
/// others run in between, as by [`gosched`](crate::gosched). Go: the `go` statement; std:
/// [`std::thread::spawn`].
///
/// # Panics
/// If no goroutine can be made: the runtime is not running, or there is no memory for its stack.
/// See [`Builder::go`] for an error instead.
#[track_caller]
pub fn go<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Builder::new().go(f) {
        Ok(h) => h,
        Err(e) => panic!("failed to start goroutine: {e}"),
    }
}

/// A goroutine with a name or a stack size of its own. std: [`std::thread::Builder`].
#[derive(Debug, Default, Clone)]
#[must_use = "a Builder does nothing until its go is called"]
pub struct Builder {
    name: Option<String>,
    stack_bytes: Option<usize>,
}

impl Builder {
    /// A builder for a goroutine without a name, with the default stack.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the goroutine, for dumps and for [`Goroutine::name`]. Starting it panics if there is a
    /// null byte in the name, as in std.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// The bytes of address space for the goroutine's stack, rounded up to 64 KiB times a power of
    /// two; 256 KiB if not called. About 24 KiB of it are the guard and the thread-local block.
    /// Memory is used only as the stack grows.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Starts `f` as a goroutine, as [`go`] does.
    ///
    /// # Errors
    /// `InvalidInput`: the stack size is beyond 1 GiB. `OutOfMemory`: no address space or mapping
    /// for the stack; the message says which limit. `Unsupported`: this libc lacks what
    /// goroutine-local TLS needs. `Other`: the runtime is not running, or main has returned.
    ///
    /// # Panics
    /// There is a null byte in the name.
    #[track_caller]
    pub fn go<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.go_from(Location::caller(), f)
    }

    /// The same, with another place as the one that reports name.
    pub(crate) fn go_from<F, T>(
        self,
        at: &'static Location<'static>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: `'static` bounds.
        let packet = unsafe { self.spawn_unchecked(f, at, None, || ()) }?;
        Ok(JoinHandle { packet: Some(packet) })
    }

    /// What `go` and scopes share. `after` runs on the goroutine as its last act, when the closure
    /// and its share of the packet are gone.
    ///
    /// # Safety
    /// What `f` and `after` borrow outlives the goroutine.
    pub(crate) unsafe fn spawn_unchecked<F, T>(
        self,
        f: F,
        at: &'static Location<'static>,
        unobserved: Option<Arc<AtomicBool>>,
        after: impl Fn() + Send,
    ) -> io::Result<Shared<Packet<T>>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let class = match self.stack_bytes {
            None => Class::DEFAULT,
            Some(bytes) => Class::for_bytes(bytes)?,
        };
        if let Some(name) = &self.name {
            assert!(!name.contains('\0'), "goroutine name may not contain interior null bytes");
        }
        let scope = unobserved.as_ref().map_or(0, scope_id);
        let (packet, theirs) = Shared::pair(Packet::new(unobserved));
        let body = move || {
            let uncaught = Cell::new(None);
            let call = || watch(|| __rust_begin_short_backtrace(f), &uncaught);
            let result = catch_unwind(AssertUnwindSafe(call));
            theirs.finish(result, uncaught.take());
            // Nobody holds the handle any more: the result goes now, while thread-locals live.
            let packet = (!theirs.is_alone()).then_some(theirs);
            End { packet, after }
        };
        let spec = Spec { class, name: self.name.map(Arc::from), at };
        // SAFETY: the caller's promise.
        unsafe {
            newproc(body, spec, |gp| {
                gp.scope.set(scope as u64);
                packet.set_goroutine(gp);
            })
        }?;
        Ok(packet)
    }
}

/// Lets other goroutines run before going on. On a plain thread it does nothing. Go:
/// `runtime.Gosched`; std: [`std::thread::yield_now`].
pub fn gosched() {
    park::gosched();
}
