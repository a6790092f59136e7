//! Preemption by signal.
//!
//! Go: preempt.go `preemptone`, `wantAsyncPreempt`, `isAsyncSafePoint`, signal_unix.go
//! `doSigPreempt`.
//!
//! sysmon sends SIGURG to an M whose goroutine ran for 10 ms while others wait, or runs without a
//! P. The handler lets the goroutine park where it is, if that is safe; where it is not (inside the
//! runtime, libc, the loader, the vDSO) it refuses, and sysmon tries again, then hands the P off
//! instead (DESIGN D3). So progress never depends on a signal.
//!
//! What may be left is the code of the images that the program started with, without libc, the
//! loader, the vDSO and the unwinder. A goroutine preempted in libc may hold malloc's or the
//! loader's lock, and every thread that wants it would block until the goroutine runs again. One of
//! them is the template thread (sched/newm.rs), without which there may be no M left to run it on.
//! Libraries that were opened later are left alone, for their constructors run under the loader's
//! lock.
//!
//! The memory functions are where large copies spend their time: called by such code they are
//! windows in the refusal. Called by libc they are not: `realloc` copies with its arena locked.
//!
//! # Invariants
//! * `PE1`: only a goroutine with a block of its own in use, with `m.locks == 0`, on its own stack,
//!   is preempted: it could have called `gosched` at that instruction, as far as anybody can see.
//! * `PE2`: the handler touches no TLS, takes no lock and allocates nothing.
//! * `PE3`: a goroutine that blocks more signals than all do is not preempted. It is in a handler
//!   of the program's (which, unlike Go's, runs on the goroutine's stack), or protects itself from
//!   one. The mask is the thread's: the next goroutine would inherit it, and the handler's return
//!   would set that of another thread.
//! * `PE4`: no signal is on its way to a thread that begins a marked call (m/request.rs). An
//!   unmarked one (an inline system call, libc's calls to itself) may end with EINTR if it begins
//!   just when sysmon has seen the goroutine compute.

#![allow(unsafe_code, reason = "PE1, PE2: a signal handler that redirects its thread")]

use super::park::{current_m, switch_away};
use crate::arch::{fsgs, preempt};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::g::Status;
use crate::m::request::Found;
use crate::m::{Action, M};
use crate::sys::raw;
use core::ffi::c_void;
use core::mem::MaybeUninit;

const MAX_RANGES: usize = 64;
/// How far a mem* function may extend from its entry.
const WINDOW_BYTES: usize = 2048;

/// Code, from its first byte to behind its last.
type Range = [AtomicUsize; 2];

/// Code that may be left. What has no room here is not.
static ALLOWED: [Range; MAX_RANGES] = [const { [const { AtomicUsize::new(0) }; 2] }; MAX_RANGES];
/// Entries of memcpy and the like, as the dynamic linker chose them for this CPU.
static WINDOWS: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];
static ENABLED: AtomicU32 = AtomicU32::new(0);
/// What handled SIGURG before: `sa_sigaction` and flags.
static PREVIOUS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Sets the handler up. In user context, once, before the first worker starts.
///
/// A static program has libc in its own text, where its code cannot be told apart: there goroutines
/// are not preempted by signal, and hogs lose their P instead.
pub(crate) fn init() {
    install(); // dumps use the signal too
    let off = crate::debug::vars::get().asyncpreemptoff.get() != 0;
    if off || cfg!(target_feature = "crt-static") {
        return;
    }
    preempt::init();
    if !preempt::available() || !find_ranges() {
        return;
    }
    find_windows();
    ENABLED.store(1, Ordering::Release); // ORDERING: after all tables
}

fn enabled() -> bool {
    ENABLED.load(Ordering::Acquire) != 0 // ORDERING: pairs with init
}

/// What may not be left: these, and the image that has the `malloc` which they call.
const REFUSED: [&[u8]; 6] =
    [b"/libc.so", b"/ld-linux", b"/libpthread", b"/libdl.so", b"vdso", b"/libgcc_s"];

/// What `find_ranges` finds.
struct Images {
    malloc: usize,
    ranges: usize,
    refused: usize,
    allows_own: bool,
}

impl Images {
    fn image(&mut self, name: &[u8], text: impl Iterator<Item = (usize, usize)> + Clone) {
        let named = |part: &&[u8]| name.windows(part.len()).any(|w| w == *part);
        let has = |address: usize| text.clone().any(|(lo, hi)| (lo..hi).contains(&address));
        if REFUSED.iter().any(named) || has(self.malloc) {
            self.refused += 1;
            return;
        }
        self.allows_own |= has(init as *const () as usize);
        for ((lo, hi), range) in text.zip(ALLOWED.iter().skip(self.ranges)) {
            range[0].store(lo, Ordering::Relaxed); // ORDERING: published by ENABLED
            range[1].store(hi, Ordering::Relaxed); // ORDERING: published by ENABLED
            self.ranges += 1;
        }
    }
}

/// False where it cannot be told which code may be left: libc and the loader are not in sight, or
/// our own image has the `malloc` that threads are made with.
fn find_ranges() -> bool {
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, to: *mut c_void) -> i32 {
        // SAFETY: the loader's record, valid for the call.
        let info = unsafe { &*info };
        // SAFETY: find_ranges passes its own.
        let found = unsafe { &mut *to.cast::<Images>() };
        // SAFETY: a C string of the loader's.
        let name = unsafe { core::ffi::CStr::from_ptr(info.dlpi_name) }.to_bytes();
        // SAFETY: MD1: the image's headers.
        let phdrs =
            unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
        let code = |p: &&libc::Elf64_Phdr| p.p_type == libc::PT_LOAD && p.p_flags & libc::PF_X != 0;
        let range = |p: &libc::Elf64_Phdr| {
            let lo = (info.dlpi_addr + p.p_vaddr) as usize;
            (lo, lo + p.p_memsz as usize)
        };
        found.image(name, phdrs.iter().filter(code).map(range));
        0
    }
    let mut found =
        Images { malloc: address_of(c"malloc"), ranges: 0, refused: 0, allows_own: false };
    // SAFETY: `each` takes what is found; the call ends before it is used again.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut found).cast()) };
    found.refused >= 2 && found.allows_own
}

/// Where calls of a C function lead.
fn address_of(name: &core::ffi::CStr) -> usize {
    // SAFETY: a C string; the address is only compared.
    unsafe { libc::dlsym(core::ptr::null_mut(), name.as_ptr()) as usize }
}

fn find_windows() {
    let names = [c"memcpy", c"memmove", c"memset", c"memcmp", c"memchr", c"strlen"];
    for (window, name) in WINDOWS.iter().zip(names) {
        window.store(address_of(name), Ordering::Relaxed); // ORDERING: published by ENABLED
    }
}

/// What handles SIGURG, and its flags.
fn current_action() -> (usize, usize) {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads the action that is there.
    unsafe { libc::sigaction(libc::SIGURG, core::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: zeroed, then written by sigaction.
    let now = unsafe { now.assume_init() };
    (now.sa_sigaction, now.sa_flags as usize)
}

fn install() {
    let mut act = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed memory is a valid sigaction to fill in.
    let a = unsafe { &mut *act.as_mut_ptr() };
    a.sa_sigaction = on_sigurg as *const () as usize;
    a.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    let (handler, flags) = current_action();
    PREVIOUS[0].store(handler, Ordering::Relaxed); // ORDERING: before the handler is there
    PREVIOUS[1].store(flags, Ordering::Relaxed); // ORDERING: before the handler is there
    // SAFETY: a valid action.
    unsafe { libc::sigaction(libc::SIGURG, a, core::ptr::null_mut()) };
}

/// sysmon: asks the M's goroutine to park. False where signals are not used. Go: preemptM.
pub(crate) fn preempt_m(mp: &'static M) -> bool {
    if !enabled() {
        return false;
    }
    let tid = mp.procid.get() as u32;
    if tid == 0 {
        return false; // its thread has ended
    }
    let runs = || {
        // ORDERING: hints, but for the calls that PE4 is about, after the barrier
        let gp = mp.curg.load(Ordering::Relaxed);
        gp.is_some_and(|gp| gp.status() == Status::Running as u32)
    };
    // Without membarrier a call that begins at this moment may be interrupted.
    if !mp.preempt.ask(tid, || _ = raw::membarrier(), runs) {
        return true; // a signal is on its way already, or none is called for
    }
    let pid = rustix::process::getpid().as_raw_nonzero().get() as usize;
    let a = [pid, tid as usize, libc::SIGURG as usize, 0, 0, 0];
    // SAFETY: RS1: numbers; the M's thread lives as long as the process.
    let sent = unsafe { raw::syscall(libc::SYS_tgkill, a) == 0 };
    if !sent {
        mp.preempt.take(tid);
    }
    sent
}

/// PE4: the goroutine, marked as in a call, lets a signal that is on its way come before the call.
#[inline]
pub(super) fn settle(mp: &'static M) {
    let mut since = 0;
    mp.preempt.settle(|tid| wait_for_signal(mp, tid, &mut since));
}

/// More than sysmon is ever kept from a CPU between request and signal.
const LONGEST_WAIT_NS: i64 = 1_000_000_000;

/// False: no signal of ours comes to this thread before the call.
#[cold]
fn wait_for_signal(mp: &'static M, tid: u32, since: &mut i64) -> bool {
    let blocked = crate::sys::signal::current_mask() & 1 << (libc::SIGURG - 1) != 0;
    // The thread of a child of fork or vfork is another.
    if tid != crate::sys::gettid() as u32 || blocked {
        return false;
    }
    if current_action().0 != on_sigurg as *const () as usize {
        ENABLED.store(0, Ordering::Relaxed); // ORDERING: it is the program's from now on
        return false;
    }
    let now = crate::sys::nanotime();
    if *since == 0 {
        *since = now;
    } else if now - *since > LONGEST_WAIT_NS {
        mp.preempt.take(tid); // meant for a thread that ended and had the same id
        return false;
    }
    rustix::thread::sched_yield();
    true
}

/// The handler's address.
pub(super) fn handler() -> usize {
    on_sigurg as *const () as usize
}

/// PE2. Go: sighandler's sigPreempt case.
extern "C" fn on_sigurg(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    let told = !is_sent_by_us(info) && super::sigqueue::send(sig);
    let tid = crate::sys::gettid();
    let for_look = crate::debug::still::on_signal(tid as u32, ctx);
    let for_dump =
        crate::m::find_by_tid(tid).is_some_and(|m| crate::debug::halted::on_signal(m, ctx));
    // By the request: the M may have gone on to another thread (one_to_one.rs).
    let Some(mp) = crate::m::allm().find(|m| m.preempt.take(tid as u32)) else {
        if !for_look && !for_dump && !told {
            pass_on(sig, info, ctx);
        }
        return;
    };
    if mp.procid.get() != tid as u64 {
        return;
    }
    let ctx = ctx.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context, which the handler may change.
    let regs = unsafe { &mut (*ctx).uc_mcontext.gregs };
    let (rip, rsp) = (regs[libc::REG_RIP as usize] as usize, regs[libc::REG_RSP as usize] as usize);
    // SAFETY: within the interrupted context.
    let blocked = unsafe { &raw const (*ctx).uc_sigmask };
    // SAFETY: the kernel's 64 signals, which it wrote, are the first word of glibc's larger set.
    let blocked = unsafe { blocked.cast::<u64>().read() };
    // PE3
    if blocked & !crate::m::m0().sigmask.get() != 0 || !want_async_preempt(mp, rip, rsp) {
        return;
    }
    // ORDERING: this thread's own count
    mp.locks.store(mp.locks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let at = rsp - RED_ZONE - 8;
    // SAFETY: AP1: below the red zone of the goroutine's own stack, with room.
    unsafe { (at as *mut usize).write(rip) };
    regs[libc::REG_RSP as usize] = at as i64;
    regs[libc::REG_RIP as usize] = preempt::entry() as i64;
}

/// By tgkill, as ours are. One may come late, when its request is gone.
fn is_sent_by_us(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the kernel passes a valid record to an SA_SIGINFO handler.
    let info = unsafe { &*info };
    let me = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: a record of tgkill has the sender.
    info.si_code == libc::SI_TKILL && unsafe { info.si_pid() } == me
}

const RED_ZONE: usize = 128;

/// PE1. Go: wantAsyncPreempt and isAsyncSafePoint.
fn want_async_preempt(mp: &'static M, rip: usize, rsp: usize) -> bool {
    let Some(gp) = mp.curg.get() else { return false };
    let fs = gp.fs.load(Ordering::Relaxed); // ORDERING: all of these are this thread's own
    let found = Found {
        locks: mp.locks.load(Ordering::Relaxed), // ORDERING: all of these are this thread's own
        is_running: gp.status() == Status::Running as u32,
        on_own_block: fs != 0 && fs == fsgs::fs_base(),
    };
    if !found.may_preempt() {
        return false;
    }
    let lo = gp.stack_lo.load(Ordering::Relaxed); // ORDERING: constant
    let hi = gp.stack_hi.load(Ordering::Relaxed); // ORDERING: constant
    if rsp + size_of::<usize>() > hi || rsp < lo + RED_ZONE + preempt::room_bytes() {
        return false;
    }
    !preempt::contains(rip) && is_safe_point(rip, rsp)
}

/// `rsp` points to a word of the goroutine's stack.
fn is_safe_point(rip: usize, rsp: usize) -> bool {
    may_leave(rip) || in_window(rip) && may_leave(return_address(rsp))
}

fn may_leave(pc: usize) -> bool {
    ALLOWED.iter().any(|range| {
        // ORDERING: published by ENABLED
        (range[0].load(Ordering::Relaxed)..range[1].load(Ordering::Relaxed)).contains(&pc)
    })
}

fn in_window(rip: usize) -> bool {
    WINDOWS.iter().any(|w| {
        let at = w.load(Ordering::Relaxed); // ORDERING: published by ENABLED
        at != 0 && rip.wrapping_sub(at) < WINDOW_BYTES
    })
}

/// Where a memory function returns to, which is a leaf in assembly and keeps nothing on the stack.
/// Where one has pushed something that is what comes back, which is no code.
fn return_address(rsp: usize) -> usize {
    let top = rsp as *const usize;
    // SAFETY: is_safe_point is called with a word of a stack.
    unsafe { top.read_unaligned() }
}

/// Not ours: out-of-band data, or a program's own use of the signal.
fn pass_on(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    // ORDERING: written before the handler was installed
    let h = PREVIOUS[0].load(Ordering::Relaxed);
    // ORDERING: written before the handler was installed
    let flags = PREVIOUS[1].load(Ordering::Relaxed) as i32;
    if h == libc::SIG_DFL || h == libc::SIG_IGN {
        return; // the default action of SIGURG is to ignore it
    }
    if flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: SA_SIGINFO handlers have this type.
        let f = unsafe { core::mem::transmute::<usize, Handler>(h) };
        return f(sig, info, ctx);
    }
    // SAFETY: handlers without SA_SIGINFO have this type.
    let f = unsafe { core::mem::transmute::<usize, extern "C" fn(i32)>(h) };
    f(sig);
}

/// Called by the trampoline with one count of `m.locks`, which it lowers afterwards. Go:
/// asyncPreempt2, gopreempt_m.
pub(crate) extern "C" fn preempt_park() {
    let mp = current_m();
    let Some(gp) = mp.curg.get() else { crate::throw::throw("preempt_park: no goroutine") };
    match mp.p.get() {
        Some(pp) if pp.owner.is(mp.addr()) => switch_away(mp, gp, Action::Preempt),
        // It ran without a P: it has no right to go on while others wait for one.
        _ => super::syscall::queue_without_p(mp, gp),
    };
}

#[cfg(all(test, not(loom), not(target_feature = "crt-static")))]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_code_and_its_memory_functions_are_left() {
        assert!(find_ranges(), "a dynamic program with libc's malloc");
        find_windows();
        let safe = |rip: usize, returns_to: usize| {
            let stack = [returns_to, 0];
            is_safe_point(rip, stack.as_ptr() as usize)
        };
        let own = find_windows as *const () as usize;
        let libc = address_of(c"realloc");
        let data = [0_u8; 8];
        assert!(safe(own, libc), "the program's code");
        assert!(!safe(libc, own), "libc's code");
        assert!(!safe(data.as_ptr() as usize, own), "code of nobody's");
        for name in [c"memcpy", c"memset"] {
            let window = address_of(name) + 16;
            assert!(safe(window, own), "{name:?}, called by the program");
            assert!(!safe(window, libc), "{name:?}, called by libc: realloc locks an arena");
            assert!(!safe(window, 7), "{name:?} with a word on the stack");
        }
    }
}
