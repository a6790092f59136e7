//! errno, which std reads after each libc call that failed.

use super::harness::{goroutines, only_yield};
use std::fs::{self, File};
use std::io;

/// A failed call's errno is still there after yields in which others failed otherwise.
pub(crate) fn errno() {
    goroutines(150, |i| {
        for _ in 0..20 {
            let failed = match i % 3 {
                0 => File::open("/nonexistent").err(),
                1 => File::open("/dev/null/nothing").err(),
                _ => fs::create_dir("/").err(),
            };
            let expected = failed.expect("there is no such thing").raw_os_error();
            // A std Mutex that is contended would leave its futex's EAGAIN.
            only_yield();
            assert_eq!(io::Error::last_os_error().raw_os_error(), expected);
        }
    });
}
