//! What stands in for Go's collector at boot: the memory limit.
//!
//! Go: mgc.go `gcinit`. The work itself, and when it starts (`gcenable`), is sched/background.rs.

use crate::sched::background;

/// Reads GOMEMLIMIT. Go: gcinit.
pub(crate) fn gcinit() {
    let Some(text) = super::env::gogetenv(b"GOMEMLIMIT") else { return };
    match parse_byte_count(text) {
        Some(n) => background::set_memory_limit(n),
        None => crate::throw::fatal_with(
            format_args!("GOMEMLIMIT={}", core::str::from_utf8(text).unwrap_or("?")),
            "malformed GOMEMLIMIT; see `go doc runtime/debug.SetMemoryLimit`",
        ),
    }
}

/// Go: parseByteCount: "off", or a number with B, KiB, MiB, GiB, TiB or nothing.
fn parse_byte_count(s: &[u8]) -> Option<i64> {
    if s.is_empty() || s == b"off" {
        return Some(i64::MAX);
    }
    let (digits, shift) = match s {
        [d @ .., b'K', b'i', b'B'] => (d, 10),
        [d @ .., b'M', b'i', b'B'] => (d, 20),
        [d @ .., b'G', b'i', b'B'] => (d, 30),
        [d @ .., b'T', b'i', b'B'] => (d, 40),
        [d @ .., b'B'] => (d, 0),
        d => (d, 0),
    };
    let n = super::debugvars::atoi(digits).filter(|n| *n >= 0)?;
    n.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_as_go_reads_them() {
        for (s, want) in [
            ("", Some(i64::MAX)),
            ("off", Some(i64::MAX)),
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("1B", Some(1)),
            ("2KiB", Some(2048)),
            ("3MiB", Some(3 << 20)),
            ("1TiB", Some(1 << 40)),
            ("1KB", None),
            ("-1", None),
            ("KiB", None),
            ("9223372036854775807KiB", None),
        ] {
            assert_eq!(parse_byte_count(s.as_bytes()), want, "{s:?}");
        }
    }
}
