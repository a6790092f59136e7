//! Input and output: [`std::io`], with what waits for goroutines.
//!
//! Everything of std's is here under its name, so that changing the path is enough. [`stdin`],
//! [`stdout`] and [`stderr`] are std's with a goroutine's way to wait.

mod copy;
pub(crate) mod pipe;
pub(crate) mod pollable;
mod polled;
mod stdio;

pub use copy::copy;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use pollable::Closed;
pub use polled::{Polled, Stream};
pub use std::io::*;
pub use stdio::{Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, stderr, stdin, stdout};
