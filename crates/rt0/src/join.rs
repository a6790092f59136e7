//! Starting a goroutine and waiting for its end.
//!
//! A [`Packet`] is shared by the goroutine and its handle: result, flags, and who waits.
//!
//! # Invariants
//! * `JN1`: `result` is written by the goroutine before `state.finish()`, and read by the handle
//!   after.
//! * `JN2`: of the goroutine's end and the handle's, whoever is second sees the first, so exactly
//!   one side reports a panic that nobody can observe (DESIGN D6).
//! * `JN3`: the joiner lists its G, when it is parked, or (a thread) a [`Waiter`] on its stack; or
//!   it learns that the goroutine is done. Who finds it listed wakes it, and it stays where it is
//!   until then.
//!
//! JN2, JN3, JN5 and JN6 are kept by join/state.rs.
//! * `JN4`: `thread` is written once, by the spawner, before the goroutine can run.
//! * `JN5`: a task in the state is an `Arc<Task>` made raw, and whoever takes it out owns it.
//! * `JN6`: of the goroutine's end and the handle's, the side whose last touch is the later one
//!   frees the packet, and the other side does not touch it any more.

#![allow(unsafe_code, reason = "JN1, JN3 to JN6: the packet's parts")]

mod future;
mod shared;
mod state;

pub use future::JoinFuture;

use crate::atomic::{AtomicBool, Ordering};
use crate::debug::dump::Panicked;
use crate::debug::uncaught::{Uncaught, watch};
use crate::g::{G, WaitReason};
use crate::goroutine::Goroutine;
use crate::m::M;
use crate::sched::newproc::{self, Ending, Spec};
use crate::sched::wait::Why;
use crate::sched::waiter::{Waiter, park_shown};
use crate::sched::{SCHED, enter, leave, park, tree};
use crate::scope::scope_id;
use crate::stack::Class;
use crate::thread::Thread;
use future::Task;
use shared::{By, Shared};
use state::{JoinState, Leave, Release};
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
    state: JoinState<G>,                   // JN2, JN3, JN5, JN6
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
    #[inline(always)]
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
    #[inline(always)]
    fn set_goroutine(&self, gp: &'static G) {
        // SAFETY: JN4: nobody else has the packet yet but the closure that has not run.
        unsafe { self.thread.get().write(Some(Goroutine::new(gp).into())) };
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
    /// joiner is woken later. True: there is no handle, and the packet is the caller's (JN6).
    fn finish(&self, result: Result<T>, uncaught: &Cell<Option<Uncaught>>) -> bool {
        let panicked = result.as_ref().is_err_and(|p| !p.is::<Goexit>());
        if panicked {
            // Main's return waits for the report. ORDERING: pairs with wait_for_panics
            SCHED.running_panic_defers.fetch_add(1, Ordering::AcqRel);
            // SAFETY: JN1: the state is not finished yet.
            unsafe { *self.uncaught.get() = uncaught.take() };
        }
        // SAFETY: JN1: the state is not finished yet, and the place has no result to be dropped.
        unsafe { self.result.get().write(Some(result)) };
        let end = self.state.finish();
        if let Some(task) = end.task {
            own_task(task).wake();
        }
        if end.alone {
            self.drop_value();
            // What is left of a value has no destructor.
            let _ = self.nobody_took();
        }
        if panicked {
            // ORDERING: pairs with wait_for_panics
            SCHED.running_panic_defers.fetch_sub(1, Ordering::AcqRel);
        }
        end.alone
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_finished()
    }

    /// Waits for the goroutine's end.
    fn wait(&self) {
        if !self.state.is_released() {
            wait_for(&self.state, self.goroutine());
        }
    }

    /// The result, to the handle's side, which lets go of the packet. The goroutine has finished.
    fn take(packet: Shared<Packet<T>>) -> Result<T> {
        // SAFETY: JN1: the state is finished, and the handle is used up by this.
        let result = unsafe { (*packet.result.get()).take() };
        Packet::leave(packet);
        match result {
            Some(r) => r,
            None => crate::throw::throw("a finished goroutine without a result"),
        }
    }

    /// The handle is gone: nobody can observe a panic any more.
    fn detach(packet: Shared<Packet<T>>) {
        if packet.state.detach() {
            let value = packet.nobody_took();
            Packet::leave(packet);
            drop(value); // code of the user's, which may panic
        }
    }

    /// JN6: the last touch of the handle's side.
    fn leave(packet: Shared<Packet<T>>) {
        match packet.state.leave() {
            // SAFETY: JN6: the goroutine has left.
            Leave::Last => unsafe { packet.free(By::User) },
            Leave::First(task) => drop(task.map(own_task)),
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
    /// goroutine without thread-locals. A panic is reported, or the scope is told of it; a value is
    /// the caller's to drop.
    fn nobody_took(&self) -> Option<T> {
        // SAFETY: JN1, JN2: both sides have ended, so this one alone has the packet.
        let payload = match unsafe { (*self.result.get()).take() }? {
            Ok(value) => return Some(value),
            Err(payload) => payload,
        };
        if payload.is::<Goexit>() {
            return None;
        }
        if let Some(flag) = &self.unobserved {
            flag.store(true, Ordering::Release); // ORDERING: pairs with scope
            return None;
        }
        // SAFETY: JN1, JN2
        let uncaught = unsafe { (*self.uncaught.get()).take() };
        fatal_payload(&*payload, self.goroutine(), uncaught.as_ref());
    }
}

/// Takes over a task that was in a state.
fn own_task(task: *mut G) -> Arc<Task> {
    // SAFETY: JN5: it was taken out of the word, which owned it.
    unsafe { Arc::from_raw(task.cast::<Task>()) }
}

/// Waits until the goroutine `of`, whose state it is, has released it.
fn wait_for(state: &JoinState<G>, of: &Goroutine) {
    let why = Why { reason: WaitReason::Join, on: core::ptr::from_ref(of.g()) as usize };
    if let Some((mp, gp)) = enter() {
        if !state.is_finished() {
            tree::run_first(mp, gp, of.g(), of.id());
        }
        let state = core::ptr::from_ref(state) as usize;
        return leave(park_shown(mp, gp, why, commit, state));
    }
    let w = Waiter::new();
    if state.enlist_thread(core::ptr::from_ref(&w).cast_mut().cast()) {
        w.wait(why);
    }
}

/// The joiner is off its stack: lists it, unless there is nothing to wait for any more.
fn commit(_mp: &'static M, gp: &'static G, state: usize) -> bool {
    // SAFETY: JN6: the joiner has the handle, so the packet is there until it runs again.
    let state = unsafe { &*(state as *const JoinState<G>) };
    state.enlist(core::ptr::from_ref(gp).cast_mut())
}

/// What is left of a goroutine when its closure has returned.
struct End<T, A> {
    rest: Rest<T>,
    after: A,
}

enum Rest<T> {
    /// What it shares with its handle; after `release`, what it has alone.
    Packet(Shared<Packet<T>>),
    /// Of a future that has its result.
    Task(Arc<Task>),
    Nothing,
}

impl<T, A: Fn()> Ending for End<T, A> {
    #[inline(always)]
    fn release(&mut self, mp: &'static M) -> bool {
        if let Rest::Packet(p) = &self.rest {
            match p.state.release() {
                Release::Alone => return true,
                Release::Task(task) => {
                    self.rest = Rest::Task(own_task(task));
                    return true;
                }
                Release::Nobody => {}
                // SAFETY: JN3: a G, which is never freed.
                Release::Joiner(gp) => park::ready(mp, unsafe { &*gp }),
                // SAFETY: JN3: the thread waits on its stack for this wake-up.
                Release::Thread(w) => unsafe { (*w.cast::<Waiter>()).wake() },
            }
            self.rest = Rest::Nothing;
        }
        const { size_of::<A>() != 0 || core::mem::needs_drop::<A>() }
    }

    fn let_go(&mut self) {
        match core::mem::replace(&mut self.rest, Rest::Nothing) {
            // SAFETY: JN6: `release` said that the handle has left.
            Rest::Packet(p) => unsafe { p.free(By::End) },
            Rest::Task(task) => drop(task),
            Rest::Nothing => {}
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
            Some(p) => Packet::take(p),
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
    #[inline]
    fn drop(&mut self) {
        if let Some(p) = self.packet.take() {
            Packet::detach(p);
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
        unsafe { self.spawn_unchecked(f, at, None, || ()) }
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
    ) -> io::Result<JoinHandle<T>>
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
        if const { newproc::is_large::<F>() } {
            let boxed: Box<dyn FnOnce() -> T + Send + '_> = Box::new(f);
            // SAFETY: the caller's promise.
            return unsafe { self.spawn_unchecked(boxed, at, unobserved, after) };
        }
        let scope = unobserved.as_ref().map_or(0, scope_id);
        let spec = Spec { class, name: self.name.map(Arc::from) };
        let room = Shared::room();
        let mut begun = newproc::newproc(&spec, room.want())?;
        let (packet, theirs) = room.pair(begun.block.take(), || Packet::new(unobserved));
        let body = move || {
            let uncaught = Cell::new(None);
            let call = || watch(|| __rust_begin_short_backtrace(f), &uncaught);
            let result = catch_unwind(AssertUnwindSafe(call));
            let rest = match theirs.finish(result, &uncaught) {
                false => Rest::Packet(theirs),
                true => {
                    // SAFETY: JN6: there is no handle any more.
                    unsafe { theirs.free(By::User) };
                    Rest::Nothing
                }
            };
            End { rest, after }
        };
        // SAFETY: the caller's promise.
        unsafe {
            begun.go(body, at, |gp| {
                gp.scope.set(scope as u64);
                packet.set_goroutine(gp);
            });
        }
        Ok(JoinHandle { packet: Some(packet) })
    }
}

/// Lets other goroutines run before going on. On a plain thread it does nothing. Go:
/// `runtime.Gosched`; std: [`std::thread::yield_now`].
pub fn gosched() {
    park::gosched();
}
