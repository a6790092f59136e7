//! Streams in two halves: one that reads and one that writes.
//!
//! tokio: `TcpStream::split`, `TcpStream::into_split`. A stream may be read and written by several
//! goroutines anyway, by reference or behind an `Arc`; halves say in their types who does what, and
//! the one that writes tells the other side when it is dropped that nothing more comes.

/// The four types, and how they are had. `$addr`: what an address is; `$pair`: two connected ones,
/// `stream` and `other`, for the examples.
macro_rules! halves {
    ($stream:ident, $addr:ty, $pair:literal) => {
        #[doc = concat!(
            "The half of a [`", stringify!($stream), "`] that reads, borrowed: see [`split`](",
            stringify!($stream), "::split)."
        )]
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $stream);

        #[doc = concat!(
            "The half of a [`", stringify!($stream), "`] that writes, borrowed: see [`split`](",
            stringify!($stream), "::split)."
        )]
        ///
        /// Dropping it does nothing; [`shutdown`](Self::shutdown) ends its direction.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $stream);

        #[doc = concat!(
            "The half of a [`", stringify!($stream), "`] that reads: see [`into_split`](",
            stringify!($stream), "::into_split)."
        )]
        ///
        /// Dropping it does not end its direction: what the other side sends then is kept until the
        /// other half is dropped, too, which closes the stream.
        #[derive(Debug)]
        pub struct OwnedReadHalf(std::sync::Arc<$stream>);

        #[doc = concat!(
            "The half of a [`", stringify!($stream), "`] that writes: see [`into_split`](",
            stringify!($stream), "::into_split)."
        )]
        ///
        /// Dropping it ends its direction: the other side reads what was written, and then the end.
        /// [`forget`](Self::forget) drops it without that.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: std::sync::Arc<$stream>,
            shutdown_on_drop: bool,
        }

        /// The two halves of `reunite` are not of one stream: here they are again.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tried to reunite halves that are not from the same stream")
            }
        }

        impl std::error::Error for ReuniteError {}

        impl $stream {
            /// Two halves that borrow it, for goroutines of a [`scope`](crate::scope) for instance.
            /// Costs nothing. tokio: `split`.
            ///
            #[doc = concat!(
                "```\nuse rt0::io::{Read, Write};\n\n",
                "# #[rt0::main] fn main() -> std::io::Result<()> {\n", $pair,
                "let (mut reader, mut writer) = stream.split();\n",
                "rt0::scope(|s| {\n",
                "    s.spawn(|| writer.write_all(b\"ping\").unwrap());\n",
                "    let mut buf = [0; 4];\n",
                "    other.read_exact(&mut buf).unwrap();\n",
                "    other.write_all(&buf).unwrap();\n",
                "    reader.read_exact(&mut buf).unwrap();\n",
                "    assert_eq!(buf, *b\"ping\");\n",
                "});\n# Ok(()) }\n```"
            )]
            pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Two halves that own it together, for two goroutines. It is closed when both are
            /// dropped; when the one that writes is, its direction is shut down, also for handles
            /// that [`try_clone`](Self::try_clone) has made. tokio: `into_split`.
            ///
            #[doc = concat!(
                "```\nuse rt0::io::{Read, Write};\n\n",
                "# #[rt0::main] fn main() -> std::io::Result<()> {\n", $pair,
                "let (mut reader, mut writer) = stream.into_split();\n",
                "let writing = rt0::go(move || writer.write_all(b\"ping\")); // and drops it\n",
                "let mut text = String::new();\n",
                "other.read_to_string(&mut text)?; // until the end\n",
                "assert_eq!(text, \"ping\");\n",
                "other.write_all(b\"pong\")?;\n",
                "drop(other);\n",
                "reader.read_to_string(&mut text)?;\n",
                "assert_eq!(text, \"pingpong\");\n",
                "writing.join().unwrap()\n# }\n```"
            )]
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                let stream = std::sync::Arc::new(self);
                let reader = OwnedReadHalf(std::sync::Arc::clone(&stream));
                (reader, OwnedWriteHalf { stream, shutdown_on_drop: true })
            }
        }

        impl OwnedReadHalf {
            /// Makes the stream of its halves again.
            ///
            /// # Errors
            /// They are halves of two streams.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                if !std::sync::Arc::ptr_eq(&self.0, &other.stream) {
                    return Err(ReuniteError(self, other));
                }
                other.forget();
                match std::sync::Arc::try_unwrap(self.0) {
                    Ok(stream) => Ok(stream),
                    Err(_) => unreachable!("a stream has two halves"),
                }
            }
        }

        impl OwnedWriteHalf {
            /// As [`OwnedReadHalf::reunite`].
            ///
            /// # Errors
            /// They are halves of two streams.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                other.reunite(self)
            }

            /// Drops it without ending its direction.
            pub fn forget(mut self) {
                self.shutdown_on_drop = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shutdown_on_drop {
                    let _ = self.stream.shutdown(std::net::Shutdown::Write); // it may be reset
                }
            }
        }

        crate::net::halves::read_half!(ReadHalf<'_>, $stream, $addr, s => s.0);
        crate::net::halves::read_half!(OwnedReadHalf, $stream, $addr, s => &s.0);
        crate::net::halves::write_half!(WriteHalf<'_>, $stream, $addr, s => s.0);
        crate::net::halves::write_half!(OwnedWriteHalf, $stream, $addr, s => &s.stream);
    };
}

/// What a half has whichever it is.
macro_rules! half {
    ($half:ty, $stream:ident, $addr:ty, $s:ident => $of:expr) => {
        impl $half {
            /// What it is made of.
            pub(crate) fn pollable(&self) -> &crate::io::pollable::Pollable {
                self.as_ref().pollable()
            }

            /// The address of the other side.
            pub fn peer_addr(&self) -> std::io::Result<$addr> {
                self.as_ref().peer_addr()
            }

            /// The address of this side.
            pub fn local_addr(&self) -> std::io::Result<$addr> {
                self.as_ref().local_addr()
            }
        }

        impl AsRef<$stream> for $half {
            /// The stream, both directions of it.
            fn as_ref(&self) -> &$stream {
                let $s = self;
                $of
            }
        }
    };
}

macro_rules! read_half {
    ($half:ty, $stream:ident, $addr:ty, $s:ident => $of:expr) => {
        crate::net::halves::half!($half, $stream, $addr, $s => $of);

        impl $half {
            /// Reads without taking the data; parks until there is some.
            pub fn peek(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.as_ref().peek(buf)
            }

            #[doc = concat!("See [`", stringify!($stream), "::set_read_timeout`].")]
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.as_ref().set_read_timeout(timeout)
            }

            #[doc = concat!("See [`", stringify!($stream), "::read_timeout`].")]
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.as_ref().read_timeout()
            }

            #[doc = concat!("See [`", stringify!($stream), "::set_read_deadline`].")]
            pub fn set_read_deadline(&self, deadline: Option<std::time::Instant>) {
                self.as_ref().set_read_deadline(deadline);
            }
        }

        impl std::io::Read for $half {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                let mut stream: &$stream = self.as_ref();
                stream.read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                let mut stream: &$stream = self.as_ref();
                stream.read_vectored(bufs)
            }
        }
    };
}

macro_rules! write_half {
    ($half:ty, $stream:ident, $addr:ty, $s:ident => $of:expr) => {
        crate::net::halves::half!($half, $stream, $addr, $s => $of);

        impl $half {
            /// Ends this direction: the other side reads what was written, and then the end.
            pub fn shutdown(&self) -> std::io::Result<()> {
                self.as_ref().shutdown(std::net::Shutdown::Write)
            }

            #[doc = concat!("See [`", stringify!($stream), "::set_write_timeout`].")]
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.as_ref().set_write_timeout(timeout)
            }

            #[doc = concat!("See [`", stringify!($stream), "::write_timeout`].")]
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.as_ref().write_timeout()
            }

            #[doc = concat!("See [`", stringify!($stream), "::set_write_deadline`].")]
            pub fn set_write_deadline(&self, deadline: Option<std::time::Instant>) {
                self.as_ref().set_write_deadline(deadline);
            }
        }

        impl std::io::Write for $half {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                let mut stream: &$stream = self.as_ref();
                stream.write(buf)
            }

            fn write_vectored(
                &mut self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                let mut stream: &$stream = self.as_ref();
                stream.write_vectored(bufs)
            }

            /// Does nothing.
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(super) use {half, halves, read_half, write_half};
