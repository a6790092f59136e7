//! Files: [`std::fs`] itself.
//!
//! A file cannot be waited for: the kernel either has its data or blocks the thread until the disk
//! has brought it. std's calls go through C functions that rt0 stands in front of (feature
//! `interpose`): one that returns at once, as most do, costs two atomic operations more; while one
//! lasts, other goroutines get another thread. So std's types are all that is needed, and values
//! may be passed to and from code that knows nothing of goroutines. Without the feature it takes
//! half a millisecond until a call that lasts is noticed.
//!
//! What can be waited for although it has a file name, a FIFO or a terminal, is read and written by
//! [`io::PipeReader::from`](crate::io::PipeReader) and
//! [`io::PipeWriter::from`](crate::io::PipeWriter) an open file.

pub use std::fs::*;
