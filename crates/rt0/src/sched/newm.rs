//! New Ms.
//!
//! Go: proc.go `newm`, `newm1`, `templateThread`, `mcommoninit`, `checkmcount`, `mReserveID`;
//! os_linux.go `newosproc`.
//!
//! A thread is made by `pthread_create`, which allocates: scheduler code may not. So every M is
//! made by one template thread, which runs no goroutines, holds no runtime lock while it creates,
//! and has a clean signal mask and no user state to inherit. It and sysmon start with the first
//! goroutine beyond main: a program without one has one thread.

mod nap;

use super::wake::{Spin, hand};
use super::{SCHED, State, sysmon};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::lock::mutex::Guard;
use crate::m::{M, special};
use crate::p::P;
use core::ffi::c_void;
use nap::Nap;
use std::sync::Once;

/// Stack of an M's thread: g0 runs on it. Scheduler frames are small; signal handlers have their
/// own.
const G0_STACK_BYTES: usize = 128 << 10;

/// What the template thread sleeps on while `State::newm` is empty.
static TEMPLATE_NAP: Nap = Nap::new();

/// Asks for a new M for `pp`. Takes the lock over, since the limit is checked under it. Go: newm.
pub(crate) fn newm(sched: Guard<'_, State>, pp: &'static P, spin: Spin) {
    let start = if spin == Spin::Yes { mspinning as fn() as usize } else { 0 };
    new(sched, pp, start, None);
}

/// The same for an M that runs `gp` first, which is on no queue.
pub(super) fn newm_with(sched: Guard<'_, State>, pp: &'static P, gp: &'static G) {
    new(sched, pp, 0, Some(gp));
}

fn new(mut sched: Guard<'_, State>, pp: &'static P, start: usize, gp: Option<&'static G>) {
    let mp = match sched.mfree {
        Some(mp) => {
            sched.mfree = mp.schedlink.get();
            mp
        }
        None => crate::malloc::immortal(M::new()),
    };
    mcommoninit(&mut sched, mp);
    hand(mp, pp, Spin::No);
    mp.handover.set(gp);
    mp.mstartfn.store(start, Ordering::Relaxed); // ORDERING: read by its own thread, started later
    mp.schedlink.set(sched.newm);
    sched.newm = Some(mp);
    drop(sched);
    TEMPLATE_NAP.requested();
}

/// What an M that is started to look for work runs first: it takes over the spinning count that its
/// starter reserved. Go: mspinning.
fn mspinning() {
    super::park::current_m().set_spinning(true);
}

/// Numbers the M, links it into allm, seeds its generator. Go: mcommoninit.
pub(crate) fn mcommoninit(sched: &mut State, mp: &'static M) {
    let id = sched.mnext;
    sched.mnext += 1;
    checkmcount(sched);
    mp.id.set(id);
    mp.cheaprand.set(crate::sys::rand::seed_of_m(id));
    if super::one_to_one::active() {
        mp.set_special(special::VIA_G0);
    }
    mp.me.store(mp.addr(), Ordering::Relaxed); // ORDERING: read by its own thread, started later
    // ORDERING: read by its own thread, started later; g0 runs with one count
    mp.locks.store(1, Ordering::Relaxed);
    crate::m::allm_add(mp);
}

/// Go: checkmcount.
fn checkmcount(sched: &State) {
    if sched.mcount() > sched.maxmcount {
        crate::throw::fatal_with(
            format_args!("program exceeds {}-thread limit", sched.maxmcount),
            "thread exhaustion",
        );
    }
}

/// Sets the limit on Ms and returns the old one. Go: debug.SetMaxThreads.
pub(crate) fn set_max_threads(n: u64) -> u64 {
    let section = super::enter();
    let mut sched = SCHED.lock.lock();
    let old = core::mem::replace(&mut sched.maxmcount, n);
    checkmcount(&sched);
    drop(sched);
    if let Some((mp, _)) = section {
        super::leave(mp);
    }
    old
}

static STARTED: Once = Once::new();

/// Starts the template thread, sysmon and the runtime's own goroutines, once. In user context only:
/// it allocates.
pub(crate) fn start_threads() {
    STARTED.call_once(|| {
        super::lock_os_thread::more_threads();
        super::preempt::init();
        crate::debug::images::init();
        newosproc(template_thread, core::ptr::null_mut());
        newosproc(sysmon::sysmon, core::ptr::null_mut());
        if crate::debug::vars::get().slowtrace.get() > 0 {
            newosproc(crate::debug::slow::tracer, core::ptr::null_mut());
        }
        // ORDERING: wakep reads it; a late look only delays the first worker
        SCHED.threads_started.store(true, Ordering::Release);
        super::background::gcenable();
    });
}

static TEMPLATE_TID: AtomicU32 = AtomicU32::new(0);

/// Whether this is the thread that makes Ms.
pub(super) fn is_template(tid: u32) -> bool {
    TEMPLATE_TID.load(Ordering::Relaxed) == tid // ORDERING: a report
}

/// Go: templateThread.
extern "C" fn template_thread(_: *mut c_void) -> *mut c_void {
    crate::sys::proc::name_thread(format_args!("rt0-template"));
    TEMPLATE_TID.store(crate::sys::gettid() as u32, Ordering::Relaxed); // ORDERING: a report
    crate::interpose::init();
    loop {
        let request = {
            let mut sched = SCHED.lock.lock();
            let mp = sched.newm;
            if let Some(mp) = mp {
                sched.newm = mp.schedlink.get();
            }
            mp
        };
        if let Some(mp) = request {
            newosproc(mstart_thread, mp.addr() as *mut c_void);
            continue;
        }
        TEMPLATE_NAP.sleep_if(|| SCHED.lock.lock().newm.is_none());
    }
}

#[allow(unsafe_code, reason = "the argument is the M that newm made")]
extern "C" fn mstart_thread(arg: *mut c_void) -> *mut c_void {
    crate::debug::halted::stay_if_frozen();
    // SAFETY: newm passed a `&'static M`.
    let mp = unsafe { &*(arg as *const M) };
    super::schedule::mstart(mp);
    core::ptr::null_mut()
}

/// Starts a detached thread with every signal blocked but the one that holds threads still
/// (debug/still.rs); minit sets its mask. Go: newosproc.
#[allow(unsafe_code, reason = "pthread_create and its attributes")]
fn newosproc(f: extern "C" fn(*mut c_void) -> *mut c_void, arg: *mut c_void) {
    let mut attr = core::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
    let a = attr.as_mut_ptr();
    // SAFETY: `a` is initialised here and destroyed below.
    unsafe { libc::pthread_attr_init(a) };
    // SAFETY: `a` is initialised here and destroyed below.
    unsafe { libc::pthread_attr_setstacksize(a, G0_STACK_BYTES) };
    // SAFETY: `a` is initialised here and destroyed below.
    unsafe { libc::pthread_attr_setdetachstate(a, libc::PTHREAD_CREATE_DETACHED) };
    let old = crate::sys::signal::block_all_but(libc::SIGURG);
    let mut thread: libc::pthread_t = 0;
    // SAFETY: `f` takes `arg`.
    let r = unsafe { libc::pthread_create(&mut thread, a, f, arg) };
    crate::sys::signal::set_mask(old);
    // SAFETY: `f` takes `arg`.
    unsafe { libc::pthread_attr_destroy(a) };
    if r != 0 {
        let n = SCHED.lock.lock().mcount();
        crate::throw::fatal_with(
            format_args!(
                "failed to create new OS thread (have {n} already; errno={r})\n\
                 runtime: may need to increase max user processes (ulimit -u)"
            ),
            "newosproc",
        );
    }
}
