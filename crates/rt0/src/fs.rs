//! Files: [`std::fs`] itself.
//!
//! A file cannot be waited for: the kernel either has its data or blocks the thread until the disk
//! has brought it. std's calls go through C functions that rt0 stands in front of (feature
//! `interpose`): one that returns at once, as most do, costs two atomic operations more; while one
//! lasts, other goroutines get another thread. So std's types are all that is needed, and values
//! may be passed to and from code that knows nothing of goroutines. Without the feature it takes
//! half a millisecond until a call that lasts is noticed.
//!
//! What can be waited for although it has a file name, a FIFO or a terminal, is opened by
//! [`io::PipeReader::open`](crate::io::PipeReader::open) and
//! [`io::PipeWriter::open`](crate::io::PipeWriter::open), or taken over from an open [`File`] by
//! `From`: then reading and writing park, and have deadlines. Go's `os.File` is both and looks at
//! the kind of what it opens. A [`File`] here does not, as it is std's: one of a FIFO is read and
//! written like a file on a slow disk, with a thread for each call that waits.

pub use std::fs::*;
