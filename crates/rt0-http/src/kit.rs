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
    /// Of heads.
    pub(crate) spare: Spare,
    /// What is to be written.
    pub(crate) out: Vec<u8>,
    pub(crate) date: Date,
}

/// Those that nobody uses.
#[derive(Default)]
pub(crate) struct Kits(
    #[expect(clippy::vec_box, reason = "each is taken and given back for each request")]
    Mutex<Vec<Box<Kit>>>,
);

impl Kits {
    /// A used one, or a new one where that would have to be waited for.
    pub(crate) fn take(&self) -> Box<Kit> {
        self.0.try_lock().ok().and_then(|mut kits| kits.pop()).unwrap_or_default()
    }

    pub(crate) fn give(&self, kit: Box<Kit>) {
        debug_assert!(kit.spare.is_clean(), "a request's fields are for no other connection");
        if let Ok(mut kits) = self.0.try_lock()
            && kits.len() < KEPT
        {
            kits.push(kit);
        }
    }
}
