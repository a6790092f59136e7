//! The parkers of plain threads.
//!
//! A parker is never freed, for old tickets may lie about in any heap or list; a thread that ends
//! leaves its own to the next that needs one.

#![allow(clippy::disallowed_types, reason = "plain threads only: never on a goroutine or g0")]

use crate::g::parker::Parker;
use std::sync::{Mutex, PoisonError};

static FREE: Mutex<Vec<&'static Parker>> = Mutex::new(Vec::new());

struct Own(&'static Parker);

impl Own {
    fn take() -> Own {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Own(free.unwrap_or_else(|| Box::leak(Box::new(Parker::new()))))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

thread_local!(static OWN: Own = Own::take());

/// This thread's. In a destructor that runs after the thread's own was given back, a new one, which
/// nobody gets back.
pub(crate) fn own() -> &'static Parker {
    OWN.try_with(|own| own.0).unwrap_or_else(|_| Box::leak(Box::new(Parker::new())))
}
