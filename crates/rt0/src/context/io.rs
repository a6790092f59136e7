//! Input and output under a context.
//!
//! The methods of `Read`, `Write` and their like have no place for a context, but every caller of
//! theirs is prepared for an error. So a goroutine, or a thread, has a current context for them.

use super::Context;
use super::error::Error;
use super::node::Node;
use crate::netpoll::wait_io::Under;
use crate::sched::wait::Wait;
use std::cell::Cell;
use std::io;
use std::sync::Arc;

thread_local! {
    static CURRENT: Cell<Option<Arc<Node>>> = const { Cell::new(None) };
    /// Whether there is one: to be asked before each wait, without touching the counts of `Arc`.
    static IS_SET: Cell<bool> = const { Cell::new(false) };
}

/// Makes `node` the current one; the one before. `None` at the thread's end, which is under none.
fn replace(node: Option<Arc<Node>>) -> Option<Option<Arc<Node>>> {
    let is_set = node.is_some();
    let before = CURRENT.try_with(|current| current.replace(node)).ok()?;
    IS_SET.set(is_set);
    Some(before)
}

/// Puts back what was current before.
struct Restore(Option<Arc<Node>>);

impl Drop for Restore {
    fn drop(&mut self) {
        drop(replace(self.0.take())); // when it is replaced: it may run what it likes
    }
}

impl Context {
    /// Runs `f`. When the context ends, reads, writes, accepts and connects of [`rt0::net`] in it
    /// that have to wait return an error: `TimedOut` for a deadline, else of kind `Other`, with the
    /// [`Error`] inside. What needs no waiting is done all the same.
    ///
    /// It is for what runs on this goroutine or thread, not for what is started in `f`. Inside, the
    /// `io` of another context counts alone. Sockets stay as they are: what was read or
    /// written so far is, and they can be used on. A look-up of a name goes on without who
    /// waited for it. Go has deadlines of the connection for it.
    ///
    /// [`rt0::net`]: crate::net
    ///
    /// ```
    /// use rt0::context::{background, with_timeout};
    /// use rt0::net::UdpSocket;
    /// use rt0::time::Duration;
    ///
    /// # #[rt0::main] fn main() -> std::io::Result<()> {
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// let (ctx, _cancel) = with_timeout(&background(), Duration::from_millis(1));
    /// let e = ctx.io(|| socket.recv(&mut [0])).unwrap_err();
    /// assert_eq!(e.kind(), std::io::ErrorKind::TimedOut);
    /// # Ok(()) }
    /// ```
    pub fn io<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = replace(self.node.clone());
        let _restore = Restore(before.flatten());
        f()
    }
}

/// The context that an operation is under now.
pub(crate) struct IoContext(Option<Arc<Node>>);

impl IoContext {
    /// Whether an operation is under one now.
    #[inline(always)]
    pub(crate) fn is_set() -> bool {
        IS_SET.get()
    }

    pub(crate) fn current() -> IoContext {
        let current = CURRENT.try_with(|current| {
            let node = current.take();
            current.set(node.clone());
            node
        });
        IoContext(current.ok().flatten())
    }

    /// Whether it can end.
    pub(crate) fn may_end(&self) -> bool {
        self.0.is_some()
    }

    /// For waits that are none for descriptors.
    pub(crate) fn context(&self) -> Context {
        Context { node: self.0.clone(), values: None }
    }

    /// If it has ended.
    pub(crate) fn error(&self) -> Option<io::Error> {
        self.0.as_ref().and_then(|node| node.err()).map(|e: Error| e.into())
    }
}

impl Under for IoContext {
    fn wait(
        &self,
        ticket: Wait,
        deadline_ns: Option<i64>,
        wait: &mut dyn FnMut(Option<i64>) -> usize,
    ) -> usize {
        match &self.0 {
            None => wait(deadline_ns),
            Some(node) => node.latch().wait_outside(ticket, deadline_ns, wait),
        }
    }
}
