//! What C libraries keep per thread: tables, buffers, locales, and what the thread itself is.

use super::c::{self, Locale, UnknownError};
use super::harness::{goroutines, hop};

pub(crate) fn ctype_strtod_strerror() {
    goroutines(100, |i| {
        let number = 10_000 + i as i32;
        let unknown = UnknownError::new(number);
        for _ in 0..10 {
            assert!(c::isalpha(b'a') && !c::isalpha(b'1'));
            hop();
            assert_eq!(c::strtod(c"1.5"), 1.5);
            assert_eq!(unknown.text(), format!("Unknown error {number}"));
        }
    });
}

/// Half of the goroutines are in a locale of their own, half in the process's, over yields.
pub(crate) fn uselocale() {
    let ascii = c::codeset();
    assert_ne!(ascii, "UTF-8", "the process has set no locale");
    goroutines(60, |i| {
        let own = Locale::new(c"C.UTF-8");
        for _ in 0..5 {
            let entered = (i % 2 == 0).then(|| own.enter());
            for _ in 0..3 {
                hop();
                assert_eq!(c::codeset(), if i % 2 == 0 { "UTF-8" } else { &ascii });
                assert!(entered.as_ref().is_none_or(|e| e.is_current()));
            }
        }
    });
}

/// glibc reads the CPU from the thread's rseq area.
pub(crate) fn sched_getcpu() {
    let last = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = last.trim().rsplit(['-', ',']).next().and_then(|n| n.parse().ok());
    goroutines(30, |_| {
        for _ in 0..5 {
            let cpu = c::sched_getcpu();
            assert!(cpu >= 0, "{}", std::io::Error::last_os_error());
            assert!(last.is_none_or(|last: i32| cpu <= last));
            hop();
        }
    });
}

/// Why a goroutine's stack cannot be asked for here: libc's own answer is an error, and rt0
/// may not be able to answer in its place in a static program.
pub(crate) fn no_stack_bounds() -> Option<String> {
    let failed = rt0::go(c::stack_bounds).join().expect("it does not panic").err();
    let failed = failed.filter(|_| cfg!(target_feature = "crt-static"));
    failed.map(|e| format!("in a static program libc's own answer counts, which is error {e}"))
}

/// The stack that libc reports contains the variables of the goroutine.
pub(crate) fn stack_bounds() {
    goroutines(20, |_| {
        hop();
        let (low, size) = c::stack_bounds().expect("pthread_getattr_np of the calling thread");
        let local = 0u8;
        let address = std::ptr::from_ref(&local).addr();
        assert!(low <= address && address < low + size, "{address:#x} not in {low:#x}+{size:#x}");
    });
}
