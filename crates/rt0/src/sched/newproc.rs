//! Making a goroutine.
//!
//! Go: proc.go `newproc`, `newproc1`, `gfget`, `malg`, `allgadd`, `saveAncestors`, `gostartcallfn`.
//!
//! The closure is moved to the top of the new goroutine's stack: no box. A dead goroutine of the
//! P's cache is used again, slot, block and all; only when there is none is a slot carved (malg),
//! which allocates and so happens before the runtime is entered.
//!
//! It is done in two steps, between which the caller makes the closure of what the first has found
//! for it: [`newproc`] and [`Begun::go`]. On a goroutine the runtime is entered once for both.

use super::global_queue::{runqput, runqput_fresh};
use super::let_run::let_run;
use super::runq::{Place, Put};
use super::{SCHED, enter, enter_system, goexit, held, leave, one_to_one, p_of};
use crate::atomic::{AtomicRef, Ordering};
use crate::g::extras::{Ancestor, Extras, MAX_ANCESTORS, may_inherit};
use crate::g::{G, Status};
use crate::m::M;
use crate::malloc::blocks::Block;
use crate::p::P;
use crate::stack::{self, Class};
use crate::tls::template::Template;
use core::panic::Location;
use std::io;

/// What the caller wants besides the closure.
pub(crate) struct Spec {
    pub(crate) class: Class,
    pub(crate) name: Option<std::sync::Arc<str>>,
}

/// Go: _GoidCacheBatch.
const GOID_BATCH: u64 = 16;

/// A goroutine that is about to start. The runtime is entered, if it is a goroutine that starts it:
/// no code of the user's runs, and nothing is allocated, until [`Begun::go`].
pub(crate) struct Begun {
    newg: &'static G,
    template: Option<&'static Template>,
    /// Who starts it, if that is a goroutine.
    caller: Option<(&'static M, &'static G)>,
    /// For what the two share, if it was asked for.
    pub(crate) block: Option<Block>,
}

/// Whether the one that starts a goroutine wants a block of memory as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    Block,
}

/// The template of goroutines' blocks, when all has been prepared that goroutines need.
static READY: AtomicRef<Template> = AtomicRef::none();

/// Finds a dead goroutine and readies it for the next one. In user context.
#[inline(always)]
pub(crate) fn newproc(spec: &Spec, want: Want) -> io::Result<Begun> {
    if spec.class == Class::DEFAULT
        && !has_extras(spec)
        // ORDERING: pairs with newproc_slow
        && let Some(t) = READY.load(Ordering::Acquire)
        && let Some((mp, callergp)) = enter()
    {
        if let Some(newg) = stack::cache::gfget(p_of(mp)) {
            stack::recycle(newg, t);
            return Ok(Begun::inside(newg, Some(t), Some((mp, callergp)), want));
        }
        leave(mp);
    }
    newproc_slow(spec, want)
}

/// The same where something is not at hand.
#[cold]
fn newproc_slow(spec: &Spec, want: Want) -> io::Result<Begun> {
    super::lifecycle::check_running()?;
    let template = one_to_one::prepare()?;
    super::newm::start_threads();
    // ORDERING: publishes that the threads are there; the template is published by itself
    READY.store(template, Ordering::Release);
    let extras = if has_extras(spec) { find_extras(spec) } else { None };
    let newg = match gfget(spec.class) {
        Some(gp) => gp,
        None => stack::malg(spec.class, template)?,
    };
    match template {
        Some(t) => stack::recycle(newg, t),
        None => thread_for(newg)?,
    }
    newg.set_extras(extras);
    Ok(Begun::inside(newg, template, enter(), want))
}

impl Begun {
    #[inline(always)]
    fn inside(
        newg: &'static G,
        template: Option<&'static Template>,
        caller: Option<(&'static M, &'static G)>,
        want: Want,
    ) -> Begun {
        let take = || Block::take(caller.map(|(mp, _)| &p_of(mp).blocks));
        let block = (want == Want::Block).then(take);
        Begun { newg, template, caller, block }
    }

    /// Starts `f` as the goroutine and calls `before_run` with its G before it can run. `f` is no
    /// larger than [`LARGEST_ON_STACK`].
    ///
    /// # Safety
    /// `f` and what it borrows live until it has run.
    #[allow(unsafe_code, reason = "the closure's lifetime is the caller's promise")]
    pub(crate) unsafe fn go<F: FnOnce() -> E + Send, E: Ending>(
        self,
        f: F,
        at: &'static Location<'static>,
        before_run: impl FnOnce(&'static G),
    ) {
        let Begun { newg, template, caller, .. } = self;
        newproc1(newg, f, at);
        let Some((mp, callergp)) = caller else {
            return go_from_thread(newg, template, before_run);
        };
        newg.parent_goid.set(callergp.goid.get());
        stack::number(newg, template, next_goid(p_of(mp)));
        before_run(newg);
        p_of(mp).gcreated.bump();
        add_scannable_stack(p_of(mp), stack::limit_bytes(newg) as i64);
        if SCHED.holds_back() {
            held::queue_new(newg);
        } else {
            runqput_fresh(p_of(mp), newg);
        }
        // ORDERING: set once in runtime.main
        if SCHED.main_started.load(Ordering::Relaxed) {
            // Who starts a goroutine mostly goes on.
            super::wake::wakep_after(p_of(mp), Put::Ring);
        }
        leave(let_run(mp, callergp));
    }
}

#[cold]
fn go_from_thread(
    newg: &'static G,
    template: Option<&'static Template>,
    before_run: impl FnOnce(&'static G),
) {
    newg.parent_goid.set(0);
    stack::number(newg, template, next_goid_outside());
    SCHED.created_outside.fetch_add(1, Ordering::Relaxed); // ORDERING: a counter
    // ORDERING: a counter
    SCHED.stack_bytes_outside.fetch_add(stack::limit_bytes(newg) as u64, Ordering::Relaxed);
    before_run(newg);
    held::queue_new(newg);
    super::wake::wakep();
}

/// Where goroutines are threads: makes this one's. The G is not lost if that fails.
#[cold]
fn thread_for(newg: &'static G) -> io::Result<()> {
    let made = one_to_one::start_thread(newg);
    if made.is_err() {
        let _pin = crate::tls::pin::pin();
        stack::cache::put_clean(core::iter::once(newg));
    }
    made
}

/// Starts one of the runtime's own goroutines, which runs on the M's block and never ends.
/// `caller`: who starts it, if that is a goroutine, which has entered the runtime.
pub(crate) fn newproc_system(
    f: fn(),
    class: Class,
    caller: Option<(&'static M, &'static G)>,
    at: &'static Location<'static>,
) -> &'static G {
    let newg = match stack::malg(class, None) {
        Ok(gp) => gp,
        Err(e) => stack::out_of_stacks(&e),
    };
    newg.system.store(1, Ordering::Relaxed); // ORDERING: before it is queued
    newg.parent_goid.set(caller.map_or(0, |(_, gp)| gp.goid.get()));
    newproc1(newg, f, at);
    if let Some((mp, _)) = caller {
        newg.goid.set(next_goid(p_of(mp)));
        runqput(p_of(mp), newg, Place::Tail);
    } else {
        newg.goid.set(next_goid_outside());
        SCHED.lock.lock().globrunqput(newg);
        super::wake::wakep();
    }
    newg
}

/// The goroutine that runs is the runtime's own from now on, and not shown. It has a block, unlike
/// those of [`newproc_system`], so it may allocate; it never ends. Who started it says
/// [`not_counted`].
pub(crate) fn become_system() {
    let Some((mp, gp)) = enter() else {
        crate::throw::throw("become_system: not a goroutine");
    };
    gp.system.store(1, Ordering::Relaxed); // ORDERING: its own
    leave(mp);
}

/// A goroutine that was just started is the runtime's own.
pub(crate) fn not_counted(gp: &'static G) {
    // The sums over all Ps count; one part of them may be negative.
    SCHED.created_outside.fetch_sub(1, Ordering::Relaxed); // ORDERING: a counter
    // ORDERING: a counter
    SCHED.stack_bytes_outside.fetch_sub(stack::limit_bytes(gp) as u64, Ordering::Relaxed);
}

/// Goroutine 1, made at boot on g0: nothing allocates, and no M is woken. The closure runs before
/// `boot` returns, so it may borrow from the boot thread's stack.
pub(crate) fn newproc_first(
    mp: &'static M,
    newg: &'static G,
    f: impl FnOnce() + Send,
    at: &'static Location<'static>,
) {
    newproc1(newg, f, at);
    newg.goid.set(next_goid(p_of(mp)));
    p_of(mp).gcreated.bump();
    add_scannable_stack(p_of(mp), stack::limit_bytes(newg) as i64);
    runqput(p_of(mp), newg, Place::Next);
}

/// Lays the goroutine out: closure, first frame, creation site; dead becomes runnable. Go:
/// newproc1.
fn newproc1<F, E>(newg: &'static G, f: F, at: &'static Location<'static>)
where
    F: FnOnce() -> E + Send,
    E: Ending,
{
    if newg.stack_hi.load(Ordering::Relaxed) == 0 {
        // ORDERING: constant
        crate::throw::throw("newproc1: newg missing stack");
    }
    if newg.status() != Status::Dead as u32 {
        crate::throw::throw("newproc1: new g is not Gdead");
    }
    newg.next_context();
    gostartcallfn(newg, f);
    newg.set_gopc(at);
    newg.scope.set(0);
    newg.park.reset();
    newg.casgstatus(Status::Dead, Status::Runnable);
}

/// Moves `f` to the top of the stack and prepares the first context below it. Go: gostartcallfn.
fn gostartcallfn<F: FnOnce() -> E + Send, E: Ending>(newg: &'static G, f: F) {
    if const { size_of::<F>() > LARGEST_ON_STACK || align_of::<F>() > 4096 } {
        let boxed: Box<dyn FnOnce() -> E + Send + '_> = Box::new(f);
        return place(newg, boxed);
    }
    place(newg, f);
}

/// A closure larger than this is boxed: the smallest stack must have room to run it.
const LARGEST_ON_STACK: usize = 8 << 10;

/// Whether a closure that is to be called by a goroutine's should be boxed before [`newproc`].
pub(crate) const fn is_large<F>() -> bool {
    size_of::<F>() > LARGEST_ON_STACK - 64 || align_of::<F>() > 4096
}

#[allow(unsafe_code, reason = "writes to a stack that nobody uses yet")]
fn place<F: FnOnce() -> E + Send, E: Ending>(newg: &'static G, f: F) {
    // ORDERING: GS2: constant, and this code owns the dead goroutine
    let hi = newg.stack_hi.load(Ordering::Relaxed);
    let at = (hi - size_of::<F>()) & !(align_of::<F>().max(16) - 1);
    // SAFETY: GS2: the dead goroutine's stack is free; the closure fits (checked above).
    unsafe { (at as *mut F).write(f) };
    newg.start_arg.store(at, Ordering::Relaxed); // ORDERING: GS2
    newg.top_bytes.store((hi - at) as u32, Ordering::Relaxed); // ORDERING: GS2
    newg.startpc.store(start::<F, E> as *const () as usize, Ordering::Relaxed); // ORDERING: GS2
    // SAFETY: GS2: below the closure, at least three quarters of the stack.
    let sp = unsafe { crate::arch::switch::prepare(at, newg) };
    newg.sched.store(sp, Ordering::Relaxed); // ORDERING: GS2
}

/// What is left to do when a goroutine's closure has returned and its thread-locals are destroyed:
/// a joiner must not see it as ended before, as with threads.
pub(crate) trait Ending {
    /// Wakes the joiner. Inside the runtime. Whether there is more to do: the rest of these, and
    /// the destructor.
    fn release(&mut self, mp: &'static M) -> bool;
    /// Lets go of what the goroutine shares. In user context.
    fn let_go(&mut self);
    /// The last touch of a scope. Inside the runtime.
    fn ended(&mut self);
}

impl Ending for () {
    fn release(&mut self, _: &'static M) -> bool {
        false
    }
    fn let_go(&mut self) {}
    fn ended(&mut self) {}
}

/// What `startpc` points to: takes the closure off the stack's top, calls it, and ends the
/// goroutine's life as a thread.
///
/// # Safety
/// `arg` is where gostartcallfn wrote an `F`; called once.
#[allow(unsafe_code, reason = "reads the closure back")]
unsafe fn start<F: FnOnce() -> E, E: Ending>(arg: *mut u8) {
    // SAFETY: the caller's promise.
    let f = unsafe { arg.cast::<F>().read() };
    let mut ending = f();
    if one_to_one::active() {
        return one_to_one::set_ending(ending);
    }
    goexit::retire();
    // Not `enter`: in a library that was loaded late, `retire` has freed the block that CURG is in.
    let (mut mp, gp) = enter_system();
    if ending.release(mp) {
        leave(mp);
        finish(&mut ending);
        drop(ending);
        (mp, _) = enter_system();
    } else {
        core::mem::forget(ending);
    }
    goexit::goexit0(mp, gp);
    crate::throw::throw("goexit0: a dead goroutine was continued")
}

/// The end of a goroutine whose thread-locals are destroyed, if `release` has said that there is
/// more to do. In user context.
pub(super) fn finish(ending: &mut dyn Ending) {
    ending.let_go();
    let (mp, _) = enter_system();
    ending.ended();
    leave(mp);
}

/// Counts the stacks of live goroutines, for dumps: their sum over all Ps, which may be negative on
/// one. Go: gcControllerState.addScannableStack, which paces the collector by it.
pub(crate) fn add_scannable_stack(pp: &'static P, bytes: i64) {
    pp.stack_bytes.set(pp.stack_bytes.get().wrapping_add(bytes as u64));
}

fn next_goid_outside() -> u64 {
    SCHED.goidgen.fetch_add(1, Ordering::Relaxed) + 1 // ORDERING: a counter
}

fn next_goid(pp: &'static P) -> u64 {
    if pp.goidcache.get() == pp.goidcacheend.get() {
        // ORDERING: a counter
        let first = SCHED.goidgen.fetch_add(GOID_BATCH, Ordering::Relaxed) + 1;
        pp.goidcache.set(first);
        pp.goidcacheend.set(first + GOID_BATCH);
    }
    let id = pp.goidcache.get();
    pp.goidcache.set(id + 1);
    id
}

/// A dead goroutine to use again. Go: gfget.
fn gfget(class: Class) -> Option<&'static G> {
    let section = enter();
    let gp = match section {
        Some((mp, _)) if class == Class::DEFAULT => stack::cache::gfget(p_of(mp)),
        _ => stack::cache::gfget_global(class),
    };
    if let Some((mp, _)) = section {
        leave(mp);
    }
    gp
}

/// Whether the goroutine may have a name, labels or ancestors, which few have.
#[inline(always)]
fn has_extras(spec: &Spec) -> bool {
    spec.name.is_some() || may_inherit()
}

/// Go: saveAncestors.
#[cold]
fn find_extras(spec: &Spec) -> Option<Box<Extras>> {
    let depth = crate::debug::vars::get().tracebackancestors.get();
    let caller = crate::tls::getg();
    let labels = caller.and_then(|gp| gp.extras()?.labels.clone());
    if spec.name.is_none() && labels.is_none() && depth <= 0 {
        return None;
    }
    let mut ancestors = [None; MAX_ANCESTORS];
    if depth > 0
        && let Some(caller) = caller
        && let Some(gopc) = caller.gopc()
    {
        ancestors[0] = Some(Ancestor { goid: caller.goid.get(), gopc });
        let keep = (depth as usize).min(MAX_ANCESTORS) - 1;
        if let Some(e) = caller.extras() {
            ancestors[1..=keep].copy_from_slice(&e.ancestors[..keep]);
        }
    }
    Some(Box::new(Extras { name: spec.name.clone(), labels, ancestors }))
}

/// Parks a system goroutine; it is woken by `ready`.
pub(crate) fn park_system(
    reason: crate::g::WaitReason,
    unlockf: super::park::UnlockFn,
    arg: usize,
) {
    let (mp, gp) = enter_system();
    leave(super::park::park_on(mp, gp, reason, unlockf, arg));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_made_here_and_ended_there_sum_to_what_lives() {
        let (here, there): (&'static P, &'static P) =
            (Box::leak(Box::new(P::new())), Box::leak(Box::new(P::new())));
        add_scannable_stack(here, 300);
        add_scannable_stack(here, 200);
        add_scannable_stack(there, -300);
        let live = here.stack_bytes.get().wrapping_add(there.stack_bytes.get());
        assert_eq!(live, 200);
    }
}
