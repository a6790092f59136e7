//! GOget().
//!
//! Go: runtime1.go `parsedebugvars`, `parsegodebug`, `dbgvars`. A comma list of key=value; the last
//! one of a key wins; unknown keys and values that are no numbers are ignored. Not read in a
//! process whose environment cannot be trusted (AT_SECURE).

use crate::debug::vars::{Traceback, Var, get, set_traceback_env};

/// Go: dbgvars.
fn dbgvars() -> [(&'static [u8], &'static Var); 13] {
    [
        (b"inittrace", &get().inittrace),
        (b"tracebackancestors", &get().tracebackancestors),
        (b"randseed", &get().randseed),
        (b"tlsmode", &get().tlsmode),
        (b"stackguard", &get().stackguard),
        (b"waitminute", &get().waitminute),
        (b"asyncpreemptoff", &get().asyncpreemptoff),
        (b"schedtrace", &get().schedtrace),
        (b"scheddetail", &get().scheddetail),
        (b"slowtrace", &get().slowtrace),
        (b"slowthreshold", &get().slowthreshold),
        (b"containermaxprocs", &get().containermaxprocs),
        (b"updatemaxprocs", &get().updatemaxprocs),
    ]
}

/// Reads GODEBUG and GOTRACEBACK. First in schedinit, as in Go since 1.23: later steps depend on
/// it.
pub(crate) fn parsedebugvars() {
    if super::auxv::get().secure_mode() {
        return;
    }
    if let Some(v) = super::env::gogetenv(b"GODEBUG") {
        parsegodebug(v);
    }
    if get().tracebackancestors.get() > 0 {
        crate::g::extras::will_inherit();
    }
    if let Some(v) = super::env::gogetenv(b"GOTRACEBACK") {
        set_traceback_env(Traceback::parse(v, atoi(v)));
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
                var.give(n);
            }
        }
    }
}

/// A decimal number with an optional sign, nothing else. Go: strconv.ParseInt(s, 10, 64), the
/// seed's atoi32: "007" is 7, "+2" is 2, " 2", "2x" and what does not fit are no numbers.
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
        assert_eq!(get().tracebackancestors.given(), Some(5));
        assert_eq!(get().randseed.given(), None);
        parsegodebug(b"tracebackancestors=two");
        assert_eq!(get().tracebackancestors.given(), Some(5));
    }
}
