//! hyper's timer, polled by tasks that take turns.

#![allow(unsafe_code, reason = "a waker whose clone takes its time")]

use hyper::rt::{Sleep, Timer as _};
use rt0::chan::{Receiver, Sender, bounded};
use rt0_hyper::Timer;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

/// Says that it was woken.
struct Tells(Sender<()>);

impl Wake for Tells {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(()); // once is enough
    }
}

fn tells() -> (Waker, Receiver<()>) {
    let (tell, told) = bounded(1);
    (Arc::new(Tells(tell)).into(), told)
}

/// A waker whose clone is another one, and comes when `until` says so.
struct Late {
    waker: Waker,
    until: Receiver<()>,
}

static LATE: RawWakerVTable = RawWakerVTable::new(clone_late, |_| (), |_| (), |_| ());

unsafe fn clone_late(late: *const ()) -> RawWaker {
    // SAFETY: the test's, which outlives the waker.
    let late = unsafe { &*late.cast::<Late>() };
    let long = Duration::from_secs(20);
    late.until.recv_timeout(long).expect("the other task is woken meanwhile");
    let clone = std::mem::ManuallyDrop::new(late.waker.clone());
    RawWaker::new(clone.data(), clone.vtable())
}

/// The timer fires between the poll's look at the clock and the waker that it leaves: for the waker
/// of the poll before. The new one must be woken, too.
#[rt0::test]
fn who_polls_while_it_fires_is_woken() {
    let mut delay = Duration::from_millis(5);
    while !fires_in_a_poll(delay) {
        delay *= 2; // the test was away for longer than that
    }
}

/// False: it had fired before the second poll.
fn fires_in_a_poll(delay: Duration) -> bool {
    let mut sleep = Timer.sleep(delay);
    let (first, first_woken) = tells();
    let (second, second_woken) = tells();
    let poll = |waker: &Waker, sleep: &mut Pin<Box<dyn Sleep>>| {
        sleep.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
    };
    if poll(&first, &mut sleep) {
        return false;
    }
    let late = Late { waker: second, until: first_woken };
    // SAFETY: the vtable's functions take a `Late`, and do not free it.
    let waker = unsafe { Waker::new((&raw const late).cast(), &LATE) };
    if poll(&waker, &mut sleep) {
        return false;
    }
    second_woken.recv_timeout(Duration::from_secs(20)).expect("it is time");
    assert!(poll(Waker::noop(), &mut sleep));
    true
}
