//! Clients made for tokio, from rt0's goroutines.
//!
//! tokio's sockets and timers, and what stands on them (reqwest, tokio-postgres, hyper-util's
//! client), look for a runtime of tokio's in the thread that polls them, and panic where there is
//! none. Here they find one: a sidecar, which is started when it is first needed and moves bytes
//! and timers, while the future itself runs on the goroutine that calls [`block_on`].
//!
//! ```
//! use tokio::io::AsyncReadExt;
//! use std::io::Write;
//!
//! # #[rt0::main] fn main() -> std::io::Result<()> {
//! let listener = rt0::net::TcpListener::bind("127.0.0.1:0")?;
//! let addr = listener.local_addr()?;
//! rt0::go(move || listener.accept().unwrap().0.write_all(b"hello").unwrap());
//!
//! let text = rt0_tokio::block_on(async {
//!     let mut text = String::new();
//!     tokio::net::TcpStream::connect(addr).await?.read_to_string(&mut text).await?;
//!     std::io::Result::Ok(text)
//! })?;
//! assert_eq!(text, "hello");
//! # Ok(()) }
//! ```
//!
//! The runtime is entered while the future lives: when it is polled, and when it is dropped. tokio
//! keeps in a `thread_local!` which one is entered, and those of a goroutine are its own: so a
//! future that blocks its goroutine in the middle of a poll, and goes on on another thread, finds
//! the runtime there too, and no other goroutine does.
//!
//! `tokio::spawn` inside such a future starts a task of the sidecar's, not a goroutine: it must not
//! block. The sidecar has one worker, and threads for `spawn_blocking` as they are needed; it lasts
//! as long as the process.

#![forbid(unsafe_code)]

use rt0::JoinHandle;
use rt0::sync::OnceLock;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Handle, Runtime};

/// The sidecar; the first call starts it.
///
/// # Panics
/// If it cannot be started: there are too many threads, or open files.
pub fn handle() -> &'static Handle {
    static SIDECAR: OnceLock<Runtime> = OnceLock::new();
    let start = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("rt0-tokio").enable_all();
        builder.build().unwrap_or_else(|e| panic!("failed to start tokio's runtime: {e}"))
    };
    SIDECAR.get_or_init(start).handle()
}

/// Runs `fut` on this goroutine (or plain thread) with the sidecar entered, to its end.
///
/// As [`rt0::future::block_on`]: the goroutine parks while the future is pending, and the future
/// may borrow, and block. What looks for the runtime when it is made, not when it is polled, as
/// `tokio::time::sleep` does, is to be made inside: `block_on(async { sleep(d).await })`.
///
/// # Panics
/// As [`handle`]; and with the future.
pub fn block_on<F: Future>(fut: F) -> F::Output {
    let _entered = handle().enter();
    rt0::future::block_on(fut)
}

/// Starts a goroutine that runs `fut` so. Unlike a task of tokio's it may block.
///
/// # Panics
/// As [`rt0::go`].
#[track_caller]
pub fn spawn_future<F>(fut: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    rt0::go(|| block_on(fut))
}

/// Makes a future that enters the sidecar whenever it is polled, and when it is dropped, for
/// executors and handlers that know nothing of tokio.
///
/// # Panics
/// As [`handle`].
pub fn with_tokio<F: Future>(fut: F) -> impl Future<Output = F::Output> {
    WithTokio { fut: Some(Box::pin(fut)), sidecar: handle() }
}

struct WithTokio<F> {
    /// There until the end.
    fut: Option<Pin<Box<F>>>,
    sidecar: &'static Handle,
}

impl<F: Future> Future for WithTokio<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.sidecar.enter();
        let Some(fut) = &mut self.fut else { unreachable!("it is gone when this is dropped") };
        fut.as_mut().poll(cx)
    }
}

impl<F> Drop for WithTokio<F> {
    fn drop(&mut self) {
        let _entered = self.sidecar.enter();
        self.fut = None;
    }
}
