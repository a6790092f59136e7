//! What a connection needs while a request is under way, and nobody between two requests.
//!
//! The last one to be given back is the first to be used again, by whichever connection has a
//! request then: it is still in the cache, where the memory of one among a thousand connections is
//! not. And connections that are idle keep less.

use crate::date::Date;
use crate::head::Spare;
use rt0::sync::Mutex;

/// More are not kept.
const KEPT: usize = 64;

#[derive(Default)]
pub(crate) struct Kit {
    /// Of the head and of the map of headers.
    pub(crate) spare: Spare,
    /// What is to be written.
    pub(crate) out: Vec<u8>,
    pub(crate) date: Date,
}

/// Those that nobody uses.
#[derive(Default)]
pub(crate) struct Kits(Mutex<Vec<Kit>>);

impl Kits {
    /// A used one, or a new one where that would have to be waited for.
    pub(crate) fn take(&self) -> Kit {
        self.0.try_lock().ok().and_then(|mut kits| kits.pop()).unwrap_or_default()
    }

    pub(crate) fn give(&self, kit: Kit) {
        if let Ok(mut kits) = self.0.try_lock()
            && kits.len() < KEPT
        {
            kits.push(kit);
        }
    }
}
