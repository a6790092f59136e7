//! GODEBUG.
//!
//! Go: runtime1.go `parsedebugvars`, `parsegodebug`, `dbgvars`. A comma list of key=value; the last
//! one of a key wins; unknown keys and values that are no numbers are ignored. Not read in a process
//! whose environment cannot be trusted (AT_SECURE).

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
    /// 1: goroutine TLS is switched by arch_prctl also where FSGSBASE is there; 2: as if libc lacked
    /// what it needs.
    pub(crate) tlsmode: Var,
    /// N: a line about the scheduler every N ms; with scheddetail=1 one for each P, M and G too.
    pub(crate) schedtrace: Var,
    /// See schedtrace.
    pub(crate) scheddetail: Var,
    /// 1: no preemption by signal; a goroutine that runs too long loses its P.
    pub(crate) asyncpreemptoff: Var,
    /// 1: stacks are guarded by mprotect also where the kernel has markers.
    pub(crate) stackguard: Var,
}

static DEBUG: DebugVars = DebugVars {
    inittrace: Var::new(0),
    tracebackancestors: Var::new(0),
    randseed: Var::new(0),
    tlsmode: Var::new(0),
    stackguard: Var::new(0),
    asyncpreemptoff: Var::new(0),
    schedtrace: Var::new(0),
    scheddetail: Var::new(0),
};

pub(crate) fn get() -> &'static DebugVars {
    &DEBUG
}

/// Go: dbgvars.
fn dbgvars() -> [(&'static [u8], &'static Var); 8] {
    [
        (b"inittrace", &DEBUG.inittrace),
        (b"tracebackancestors", &DEBUG.tracebackancestors),
        (b"randseed", &DEBUG.randseed),
        (b"tlsmode", &DEBUG.tlsmode),
        (b"stackguard", &DEBUG.stackguard),
        (b"asyncpreemptoff", &DEBUG.asyncpreemptoff),
        (b"schedtrace", &DEBUG.schedtrace),
        (b"scheddetail", &DEBUG.scheddetail),
    ]
}

/// Reads GODEBUG. First in schedinit, as in Go since 1.23: later steps depend on it.
pub(crate) fn parsedebugvars() {
    if super::auxv::get().secure_mode() {
        return;
    }
    if let Some(v) = super::env::gogetenv(b"GODEBUG") {
        parsegodebug(v);
    }
}

/// Go: parsegodebug.
fn parsegodebug(s: &[u8]) {
    for field in s.split(|c| *c == b',') {
        let Some(eq) = field.iter().position(|c| *c == b'=') else { continue };
        let (key, value) = (&field[..eq], &field[eq + 1..]);
        for (name, var) in dbgvars() {
            if name == key
                && let Some(n) = atoi(value)
            {
                var.value.store(n, Ordering::Relaxed); // ORDERING: boot, one thread
            }
        }
    }
}

/// A decimal number with an optional sign, nothing else. Go: strconv.ParseInt(s, 10, 64), the seed's
/// atoi32: "007" is 7, "+2" is 2, " 2", "2x" and what does not fit are no numbers.
pub(crate) fn atoi(s: &[u8]) -> Option<i64> {
    let (neg, digits) = match s {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, s),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |v, c| {
        let d = i64::from(c.is_ascii_digit().then(|| c - b'0')?);
        v.checked_mul(10)?.checked_add(if neg { -d } else { d })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_reads_them() {
        for (s, want) in [
            ("", None),
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("+2", Some(2)),
            ("007", Some(7)),
            ("2x", None),
            (" 2", None),
            ("abc", None),
            ("+", None),
            ("99999999999", Some(99_999_999_999)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(i64::MIN)),
        ] {
            assert_eq!(atoi(s.as_bytes()), want, "{s:?}");
        }
    }

    #[test]
    fn the_last_of_a_key_wins_and_junk_is_ignored() {
        parsegodebug(b"tracebackancestors=1,nosuchkey=7,=3,,randseed,tracebackancestors=5,x=y=z");
        assert_eq!(DEBUG.tracebackancestors.given(), Some(5));
        assert_eq!(DEBUG.randseed.given(), None);
        parsegodebug(b"tracebackancestors=two");
        assert_eq!(DEBUG.tracebackancestors.given(), Some(5));
    }
}
