//! The ordered list of what is set up before the first goroutine.
//!
//! Go: proc.go `schedinit`, `mcommoninit`; the seed's order, with what Go has added since (secure,
//! checkfds; GODEBUG first).

use super::debugvars;
use crate::atomic::{AtomicU64, Ordering};
use crate::debug::ms::Ms;
use crate::m::M;
use crate::sched::{SCHED, default_gomaxprocs, procresize};
use crate::sys::{cputicks, nanotime, stderr::rtprint};

/// Steps that `inittrace` prints: name, start and end as CPU ticks. Boot's early steps run before
/// the clock and the environment are known, so they are noted and printed later.
const MAX_STEPS: usize = 40;

struct Step {
    name: AtomicU64,
    name_len: AtomicU64,
    start: AtomicU64,
    end: AtomicU64,
}

static STEPS: [Step; MAX_STEPS] = [const {
    Step {
        name: AtomicU64::new(0),
        name_len: AtomicU64::new(0),
        start: AtomicU64::new(0),
        end: AtomicU64::new(0),
    }
}; MAX_STEPS];
static NSTEPS: AtomicU64 = AtomicU64::new(0);
static START_TICKS: AtomicU64 = AtomicU64::new(0);

/// Boot begins in this half.
pub(crate) fn trace_start() {
    START_TICKS.store(cputicks(), Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Runs one step of boot and notes its clock.
pub(crate) fn step(name: &'static str, f: impl FnOnce()) {
    let start = cputicks();
    f();
    // ORDERING: boot, one thread, for all of these
    let i = NSTEPS.fetch_add(1, Ordering::Relaxed) as usize;
    let Some(s) = STEPS.get(i) else { return };
    s.name.store(name.as_ptr() as u64, Ordering::Relaxed);
    s.name_len.store(name.len() as u64, Ordering::Relaxed);
    s.start.store(start, Ordering::Relaxed); // ORDERING: boot, one thread, for all of these
    s.end.store(cputicks(), Ordering::Relaxed); // ORDERING: boot, one thread, for all of these
}

#[allow(unsafe_code, reason = "a `'static` string stored as two words")]
fn step_name(s: &Step) -> &'static str {
    // ORDERING: boot, one thread
    let p = s.name.load(Ordering::Relaxed) as *const u8;
    let n = s.name_len.load(Ordering::Relaxed) as usize; // ORDERING: boot, one thread
    // SAFETY: `step` stored the parts of a `&'static str`.
    let bytes = unsafe { core::slice::from_raw_parts(p, n) };
    // SAFETY: `step` stored the parts of a `&'static str`.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// Go: schedinit. Leaves P 0 on `m0`, the others idle.
pub(crate) fn schedinit(m0: &'static M) {
    let (ticks, ns) = (cputicks(), crate::sys::clock::nanotime_of_kernel());
    crate::debug::vars::set_runtime_init_time(ns);
    step("parsedebugvars", debugvars::parsedebugvars);
    step("moduledataverify", super::modules::moduledataverify);
    step("stackinit", crate::stack::stackinit);
    step("fastrandinit", super::rand::fastrandinit);
    step("mallocinit", crate::malloc::mallocinit);
    step("cpuinit", super::alg::cpuinit);
    step("alginit", super::alg::alginit);
    step("mcommoninit", || crate::sched::newm::mcommoninit(&mut SCHED.lock.lock(), m0));
    step("modulesinit", super::modules::modulesinit);
    step("typelinksinit", crate::itab::typelinksinit);
    step("itabsinit", crate::itab::itabsinit);
    step("stkobjinit", crate::stack::names::stkobjinit);
    step("sigsave", || super::signals::sigsave(m0));
    step("goargs", super::env::goargs);
    step("goenvs", super::env::goenvs);
    step("secure", super::env::secure);
    step("checkfds", super::env::checkfds);
    step("gcinit", super::gc::gcinit);
    step("procresize", || {
        let mut sched = SCHED.lock.lock();
        if procresize::procresize(&mut sched, m0, gomaxprocs_at_start()).is_some() {
            drop(sched);
            crate::throw::throw("unknown runnable goroutine during bootstrap");
        }
    });
    print_steps(ticks, ns);
}

/// GOMAXPROCS if it is a positive number, else the default.
fn gomaxprocs_at_start() -> usize {
    let env = super::env::gogetenv(b"GOMAXPROCS").and_then(debugvars::atoi);
    let given = env.filter(|n| *n > 0 && *n <= i64::from(i32::MAX)).map(|n| n as usize);
    default_gomaxprocs::at_start(given, crate::sys::ncpu())
}

/// `boot NAME @START ms, DURATION ms clock`, from the ELF entry on. Ticks become ns by two readings
/// of both clocks, taken at the two ends of schedinit.
fn print_steps(ticks0: u64, ns0: i64) {
    if crate::debug::vars::get().inittrace.get() <= 0 {
        return;
    }
    let (dt, dns) = ((cputicks() - ticks0).max(1), (nanotime() - ns0).max(1) as u64);
    let to_ns = |t: u64| (u128::from(t) * u128::from(dns) / u128::from(dt)) as i64;
    // ORDERING: boot, one thread, for all of these
    let start = START_TICKS.load(Ordering::Relaxed);
    // ORDERING: boot, one thread, for all of these
    let entry = super::entry::ENTRY.tsc.load(Ordering::Relaxed);
    let origin = if super::entry::entered() {
        rtprint!(
            "boot _rt0_amd64_linux @0 ms, {} ms clock (rt0_go, libc and std until fn main)\n",
            Ms(to_ns(start - entry))
        );
        entry
    } else {
        start
    };
    // ORDERING: boot, one thread, for all of these
    let n = (NSTEPS.load(Ordering::Relaxed) as usize).min(MAX_STEPS);
    for s in &STEPS[..n] {
        let at = s.start.load(Ordering::Relaxed); // ORDERING: boot, one thread, for all of these
        let end = s.end.load(Ordering::Relaxed); // ORDERING: boot, one thread, for all of these
        rtprint!(
            "boot {} @{} ms, {} ms clock\n",
            step_name(s),
            Ms(to_ns(at - origin)),
            Ms(to_ns(end - at))
        );
    }
    rtprint!("boot tls mode: {}\n", crate::tls::mode_name());
}
