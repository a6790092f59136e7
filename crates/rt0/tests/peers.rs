//! `rt0::debug::deadlocks` and channels: who waits, and may go on. peers_alone.rs has those that
//! may not.

#![allow(unsafe_code, reason = "a handle that lies in a register only")]

use rt0::chan::{Sender, bounded, unbounded};
use rt0::debug::{Deadlock, Party, deadlocks};
use rt0::sync::{Mutex, OnceLock};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// One test at a time: what an M in somebody else's test has left in its registers counts as
/// handles, too. The others park meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

fn id<T>(h: &rt0::JoinHandle<T>) -> Party {
    Party::Goroutine(h.goroutine().id())
}
fn deadlock_of(party: Party) -> Option<Deadlock> {
    let met = |d: &Deadlock| d.circle.iter().chain(&d.behind).any(|w| w.party == party);
    deadlocks().into_iter().find(met)
}

/// Looks again and again while `party` waits for channels.
#[track_caller]
fn may_go_on(party: Party) {
    let reasons = ["chan receive", "chan send", "select"];
    let waits =
        || rt0::debug::waits().iter().any(|w| w.party == party && reasons.contains(&w.reason));
    while !waits() {
        rt0::time::sleep(Duration::from_millis(1));
    }
    for _ in 0..10 {
        if let Some(d) = deadlock_of(party) {
            panic!("{party} may go on: {d:?}");
        }
    }
}
/// Who waits for a message of the sender that `keep` is given.
#[inline(never)]
fn receiver_of(keep: impl FnOnce(Sender<u32>)) -> Party {
    let (tx, rx) = bounded::<u32>(0);
    keep(tx);
    id(&rt0::go(move || rx.recv().is_ok()))
}

#[rt0::test]
fn handles_in_memory_count() {
    let _alone = ALONE.lock();
    static STATIC: OnceLock<Sender<u32>> = OnceLock::new();
    may_go_on(receiver_of(|tx| assert!(STATIC.set(tx).is_ok())));
    let mut heap = Vec::new();
    may_go_on(receiver_of(|tx| heap.push(tx)));
    let shared = Arc::new(Mutex::new(None));
    may_go_on(receiver_of(|tx| *shared.lock().expect("not poisoned") = Some(tx)));
    thread_local!(static LOCAL: std::cell::RefCell<Option<Sender<u32>>> = const {
        std::cell::RefCell::new(None)
    });
    may_go_on(receiver_of(|tx| LOCAL.set(Some(tx))));
    // In a closure that is on the heap.
    let mut boxed: Option<Box<dyn FnOnce() + Send>> = None;
    may_go_on(receiver_of(|tx| boxed = Some(Box::new(move || drop(tx)))));
    // At an odd place.
    #[repr(C, packed)]
    struct Packed(u8, Sender<u32>);
    let mut packed = Vec::new();
    may_go_on(receiver_of(|tx| packed.push(Packed(1, tx))));
    // In a message, and in one that waits to be received.
    let (letters, letter_box) = unbounded();
    may_go_on(receiver_of(|tx| letters.send(tx).expect("open")));
    let (carry, carried) = bounded(0);
    may_go_on(receiver_of(|tx| drop(rt0::go(move || carry.send(tx).is_ok()))));
    // In a result that nobody has taken yet.
    let mut result = None;
    may_go_on(receiver_of(|tx| result = Some(rt0::go(move || tx))));
    // With a timer.
    let mut timer = None;
    let hour = Duration::from_secs(3600);
    may_go_on(receiver_of(|tx| {
        timer = Some(rt0::time::Timer::after_func(hour, move || assert!(tx.try_send(1).is_err())));
    }));
    drop((heap, boxed, packed, letter_box, carried, result, timer));
}

#[rt0::test]
fn handles_of_others_count() {
    let _alone = ALONE.lock();
    // Of this goroutine.
    let mut own = None;
    may_go_on(receiver_of(|tx| own = Some(tx)));
    // Of a plain thread that sleeps, and of one that computes.
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for computes in [false, true] {
        let stop = Arc::clone(&stop);
        may_go_on(receiver_of(|tx| {
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !computes {
                        thread::sleep(Duration::from_millis(300));
                    }
                }
                drop(tx);
            }));
        }));
    }
    // Of a goroutine that sleeps, computes, or is in a call.
    let mut goroutines = Vec::new();
    for what in 0..3 {
        let stop = Arc::clone(&stop);
        may_go_on(receiver_of(|tx| {
            goroutines.push(rt0::go(move || {
                while !stop.load(Ordering::Relaxed) {
                    match what {
                        0 => rt0::time::sleep(Duration::from_millis(100)),
                        1 => {}
                        _ => rt0::blocking(|| thread::sleep(Duration::from_millis(100))),
                    }
                }
                drop(tx);
            }));
        }));
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    goroutines.into_iter().for_each(|g| g.join().expect("no panic"));
    drop(own);
}

/// A sender that is in a register only, of a thread or goroutine that is in a system call.
#[inline(never)]
fn in_a_register(tx: Sender<u32>, pipe: &std::io::PipeReader) {
    let (fd, mut byte) = (pipe.as_raw_fd() as usize, 0_u8);
    // SAFETY: a handle is one word, and goes back to what it was below.
    let mut word: usize = unsafe { std::mem::transmute(tx) };
    // SAFETY: read(2) of one byte, which preserves all but rax, rcx and r11.
    unsafe {
        std::arch::asm!("syscall",
            inout("rax") 0_usize => _, in("rdi") fd, in("rsi") &raw mut byte, in("rdx") 1_usize,
            out("rcx") _, out("r11") _, inout("r12") word);
    }
    // SAFETY: the word that a handle was made into.
    drop(unsafe { std::mem::transmute::<usize, Sender<u32>>(word) });
}

#[rt0::test]
fn handles_in_registers_count() {
    let _alone = ALONE.lock();
    for plain in [true, false] {
        let (pipe, end) = std::io::pipe().expect("two descriptors");
        let mut ended = None;
        let waits = receiver_of(|tx| {
            ended = Some(if plain {
                let thread = thread::spawn(move || in_a_register(tx, &pipe));
                rt0::go(move || thread.join().is_ok())
            } else {
                rt0::go(move || {
                    rt0::blocking(|| in_a_register(tx, &pipe));
                    true
                })
            });
        });
        may_go_on(waits);
        drop(end);
        assert!(ended.expect("started").join().expect("no panic"));
    }
}

/// Of code that is asynchronous: of a task, and of a goroutine that waits for one.
#[rt0::test]
fn handles_of_tasks_count() {
    let _alone = ALONE.lock();
    let (go_on, goes_on) = bounded::<()>(0);
    let mut tasks = Vec::new();
    may_go_on(receiver_of(|tx| {
        let goes_on = goes_on.clone();
        tasks.push(rt0::future::spawn_future(async move {
            let _ = goes_on.recv_async().await;
            drop(tx);
        }));
    }));
    let waits = receiver_of(|tx| {
        tasks.push(rt0::go(move || {
            rt0::future::block_on(async { goes_on.recv_async().await.is_ok() });
            drop(tx);
        }));
    });
    may_go_on(waits);
    drop(go_on);
    tasks.into_iter().for_each(|t| t.join().expect("no panic"));
}

/// A goroutine waits inside a scope for what another one, which borrows its handle, will send.
#[rt0::test]
fn borrowed_handles_count() {
    let _alone = ALONE.lock();
    let (end, ended) = bounded::<()>(0);
    let waits = rt0::go(move || {
        let (tx, rx) = bounded::<u32>(0);
        rt0::scope(|s| {
            s.go(|| {
                let _ = ended.recv_timeout(Duration::from_secs(10_000));
                let _ = tx.send(1);
            });
            rx.recv()
        })
    });
    may_go_on(id(&waits));
    drop(end);
    assert_eq!(waits.join().expect("no panic"), Ok(1));
}

/// Those that wait for the clock, for a signal or a context are never in it.
#[rt0::test]
fn the_clock_is_nobody_that_waits() {
    let _alone = ALONE.lock();
    use rt0::context::{background, with_cancel};
    let hour = Duration::from_secs(3600);
    let (ctx, cancel) = with_cancel(&background());
    let (told, signals) = bounded(1);
    rt0::signal::notify(&told, &[rt0::signal::Signal::USR2]).expect("a descriptor");
    drop(told);
    let timer = rt0::time::Timer::new(hour);
    timer.stop();
    let stopped = timer.receiver().clone();
    let parties = [
        id(&rt0::go(move || rt0::chan::after(hour).recv().is_ok())),
        id(&rt0::go(move || rt0::chan::tick(hour).recv().is_ok())),
        id(&rt0::go(move || stopped.recv().is_ok())),
        id(&rt0::go(move || signals.recv().is_ok())),
        id(&rt0::go(move || {
            let (_tx, rx) = bounded::<u32>(0);
            let done = ctx.done();
            rt0::select! { recv(done) -> _ => (), recv(rx) -> _ => () }
        })),
    ];
    parties.iter().for_each(|party| may_go_on(*party));
    drop((cancel, timer));
}
