//! Input and output: [`std::io`], with what waits for goroutines.
//!
//! Everything of std's is here under its name, so that changing the path is enough.

mod copy;
pub(crate) mod pipe;
pub(crate) mod pollable;

pub use copy::copy;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use pollable::Closed;
pub use std::io::*;
