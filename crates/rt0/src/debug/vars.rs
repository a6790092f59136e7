//! The knobs of GODEBUG, as the runtime reads them, and what dumps may show.
//!
//! Go: runtime1.go `debug`. boot/debugvars.rs fills them in; nothing changes afterwards.

use crate::atomic::{AtomicI64, Ordering};

/// A knob.
pub(crate) struct Var {
    value: AtomicI64,
    default: i64,
}

const UNSET: i64 = i64::MIN;

impl Var {
    const fn new(default: i64) -> Var {
        Var { value: AtomicI64::new(UNSET), default }
    }

    /// Boot: the variable was given.
    pub(crate) fn give(&self, v: i64) {
        self.value.store(v, Ordering::Relaxed); // ORDERING: boot, one thread
    }

    /// The value given, or the default.
    pub(crate) fn get(&self) -> i64 {
        self.given().unwrap_or(self.default)
    }

    /// The value, if one was given.
    pub(crate) fn given(&self) -> Option<i64> {
        // ORDERING: written at boot
        let v = self.value.load(Ordering::Relaxed);
        (v != UNSET).then_some(v)
    }
}

/// Go: debug.
pub(crate) struct DebugVars {
    /// 1: a line for each boot step and init task.
    pub(crate) inittrace: Var,
    /// How many ancestors a goroutine remembers.
    pub(crate) tracebackancestors: Var,
    /// Seed of every random number, for runs that repeat.
    pub(crate) randseed: Var,
    /// 1: goroutine TLS is switched by arch_prctl also where FSGSBASE is there; 2: as if libc
    /// lacked what it needs.
    pub(crate) tlsmode: Var,
    /// N: a line about the scheduler every N ms; with scheddetail=1 one for each P, M and G too.
    pub(crate) schedtrace: Var,
    /// See schedtrace.
    pub(crate) scheddetail: Var,
    /// 1: a report of each goroutine that keeps a thread for long.
    pub(crate) slowtrace: Var,
    /// How long that is, ms; 0: nothing is noted.
    pub(crate) slowthreshold: Var,
    /// 1: no preemption by signal; a goroutine that runs too long loses its P.
    pub(crate) asyncpreemptoff: Var,
    /// 0: the CPU quota of the control group does not count for the default of GOMAXPROCS.
    pub(crate) containermaxprocs: Var,
    /// 0: the default of GOMAXPROCS is not looked at again while the program runs.
    pub(crate) updatemaxprocs: Var,
    /// How long a minute is in headers of dumps, ms; for tests.
    pub(crate) waitminute: Var,
    /// 1: stacks are guarded by mprotect also where the kernel has markers.
    pub(crate) stackguard: Var,
}

static DEBUG: DebugVars = DebugVars {
    inittrace: Var::new(0),
    tracebackancestors: Var::new(0),
    randseed: Var::new(0),
    tlsmode: Var::new(0),
    stackguard: Var::new(0),
    waitminute: Var::new(60_000),
    asyncpreemptoff: Var::new(0),
    schedtrace: Var::new(0),
    scheddetail: Var::new(0),
    slowtrace: Var::new(0),
    slowthreshold: Var::new(20),
    containermaxprocs: Var::new(1),
    updatemaxprocs: Var::new(1),
};

pub(crate) fn get() -> &'static DebugVars {
    &DEBUG
}

/// What GOTRACEBACK asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traceback {
    /// 0: no stacks; 1: the program's frames; 2: the runtime's too.
    pub(crate) level: i64,
    /// All goroutines, not only the one that failed.
    pub(crate) all: bool,
    /// Ends by SIGABRT, so that there is a core dump.
    pub(crate) crash: bool,
}

const SINGLE: Traceback = Traceback { level: 1, all: false, crash: false };

impl Traceback {
    /// Go: setTraceback.
    pub(crate) fn parse(name: &[u8], number: Option<i64>) -> Traceback {
        let of = |level, all, crash| Traceback { level, all, crash };
        match name {
            b"none" => of(0, false, false),
            b"single" | b"" => SINGLE,
            b"all" => of(1, true, false),
            b"system" => of(2, true, false),
            b"crash" | b"wer" => of(2, true, true),
            _ => of(number.filter(|n| *n >= 0).unwrap_or(0), true, false),
        }
    }

    /// What both ask for. Go: the environment's is the least.
    fn and(self, other: Traceback) -> Traceback {
        Traceback {
            level: self.level.max(other.level),
            all: self.all || other.all,
            crash: self.crash || other.crash,
        }
    }

    fn from_word(w: i64) -> Traceback {
        Traceback { level: w >> 2, all: w & 1 != 0, crash: w & 2 != 0 }
    }

    fn word(self) -> i64 {
        self.level.min(1 << 30) << 2 | i64::from(self.crash) << 1 | i64::from(self.all)
    }
}

/// As set now, and the environment's.
static TRACEBACK: [AtomicI64; 2] = [const { AtomicI64::new(1 << 2) }; 2];
static DUMPS_SUPPRESSED: AtomicI64 = AtomicI64::new(0);

/// Boot: GOTRACEBACK.
pub(crate) fn set_traceback_env(t: Traceback) {
    TRACEBACK[0].store(t.word(), Ordering::Relaxed); // ORDERING: boot, one thread
    TRACEBACK[1].store(t.word(), Ordering::Relaxed); // ORDERING: boot, one thread
}

/// The program's wish, which does not take back the environment's. Go: debug.SetTraceback.
pub(crate) fn set_traceback(t: Traceback) {
    // ORDERING: words of their own
    let env = Traceback::from_word(TRACEBACK[1].load(Ordering::Relaxed));
    TRACEBACK[0].store(t.and(env).word(), Ordering::Relaxed);
}

/// How much a report shows now. Go: gotraceback.
pub(crate) fn traceback() -> Traceback {
    Traceback::from_word(TRACEBACK[0].load(Ordering::Relaxed)) // ORDERING: a word of its own
}

/// Boot, in a process whose memory its starter may not see.
pub(crate) fn suppress_dumps(yes: bool) {
    DUMPS_SUPPRESSED.store(i64::from(yes), Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Whether dumps show nothing but the error.
pub(crate) fn dumps_suppressed() -> bool {
    DUMPS_SUPPRESSED.load(Ordering::Relaxed) != 0 // ORDERING: written at boot
}

static INIT_TIME: AtomicI64 = AtomicI64::new(0);

/// Boot: the clock when the runtime starts.
pub(crate) fn set_runtime_init_time(ns: i64) {
    INIT_TIME.store(ns, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// When the runtime started, ns. Go: runtimeInitTime.
pub(crate) fn runtime_init_time() -> i64 {
    INIT_TIME.load(Ordering::Relaxed) // ORDERING: written at boot
}
