//! The runtime's own locks and notes.

pub(crate) mod mutex;
pub(crate) mod note;
pub(crate) mod rank;
