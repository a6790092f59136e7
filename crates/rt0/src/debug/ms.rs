//! Milliseconds as Go's inittrace prints them.

/// Milliseconds with Go's digits: two significant ones below ten, none after the point above.
pub(crate) struct Ms(pub(crate) i64);

impl core::fmt::Display for Ms {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let us = self.0.max(0) / 1000;
        if us >= 10_000 {
            return write!(f, "{}", us / 1000);
        }
        // Three digits after the point at most; trailing zeros and small parts dropped.
        let (ms, mut frac, mut digits) = (us / 1000, us % 1000, 3);
        if ms > 0 || frac >= 100 {
            frac /= 10;
            digits -= 1;
        }
        if ms > 0 {
            frac /= 10;
            digits -= 1;
        }
        if frac == 0 {
            return write!(f, "{ms}");
        }
        write!(f, "{ms}.{frac:0digits$}")
    }
}

/// inittrace's line for a step of boot that happens later, when it is first needed.
pub(crate) fn trace_late(name: &str, start_ns: i64, what: &str) {
    if super::vars::get().inittrace.get() > 0 {
        crate::sys::stderr::rtprint!(
            "boot {name} @{} ms, {} ms clock, tls mode: {what}\n",
            Ms(start_ns - super::vars::runtime_init_time()),
            Ms(crate::sys::nanotime() - start_ns)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Ms;

    #[test]
    fn milliseconds_as_go_prints_them() {
        for (ns, want) in [
            (0, "0"),
            (5_000, "0.005"),
            (57_000, "0.057"),
            (110_000, "0.11"),
            (510_000, "0.51"),
            (3_000_000, "3"),
            (3_140_000, "3.1"),
            (12_345_000, "12"),
        ] {
            assert_eq!(Ms(ns).to_string(), want, "{ns}");
        }
    }
}
