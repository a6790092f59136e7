//! A goroutine that computes may lose its P anywhere between two calls. Each function of the
//! runtime's, called just then, gets one first: in the debug build a section that would have to
//! queue for it within another one says so.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod again;

use rt0::chan::{after, bounded, never, unbounded};
use rt0::context::{background, with_cancel, with_timeout, with_value};
use rt0::io::{Polled, Read, Write};
use rt0::net::{TcpListener, TcpStream, UdpSocket, UnixStream, lookup_host};
use rt0::sync::{Condvar, Mutex, Notify, Once, RwLock, Semaphore, WaitGroup, oneshot};
use rt0::time::{Duration, Instant, Ticker, Timer, sleep};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Waker};

const HOUR: Duration = Duration::from_secs(3600);

/// How often the other goroutine had the only P.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// Computes until the P is another goroutine's, which goes on with it.
#[inline(never)]
fn lose_p() {
    let before = TURNS.load(SeqCst);
    while TURNS.load(SeqCst) == before {
        std::hint::spin_loop();
    }
}

fn lost<T>(f: impl FnOnce() -> T) -> T {
    lose_p();
    f()
}

/// Runs `f` beside a goroutine that always wants the P. Without signals a goroutine that computes
/// goes on without the P instead of leaving its thread.
fn beside_another(name: &str, f: impl FnOnce() + Send + 'static) {
    if !again::is_again(name) {
        let godebug = std::env::var("GODEBUG").unwrap_or_default();
        let godebug = format!("{godebug},asyncpreemptoff=1");
        again::again(name, &[("GOMAXPROCS", "1"), ("GODEBUG", &godebug)]);
        return;
    }
    rt0::run(|| {
        drop(rt0::go(|| {
            loop {
                TURNS.fetch_add(1, SeqCst);
                rt0::gosched();
            }
        }));
        f();
    });
}

#[test]
fn goroutines() {
    beside_another("goroutines", || {
        let h = lost(|| rt0::go(|| 7));
        lose_p();
        assert_eq!(h.join().expect("no panic"), 7);
        drop(lost(|| rt0::go(lose_p)));
        let ended = lost(|| rt0::go(|| lost(|| rt0::goexit()))).join().expect_err("no result");
        assert!(ended.is::<rt0::Goexit>());
        rt0::scope(|s| {
            s.go(lose_p);
            lose_p();
        });
        let me = lost(rt0::current).expect("a goroutine");
        lost(|| me.unpark());
        lost(rt0::park);
        lost(|| rt0::park_timeout(Duration::from_nanos(1)));
        lost(rt0::gosched);
        lost(|| sleep(Duration::from_nanos(1)));
        let guard = lost(rt0::lock_os_thread);
        lost(|| drop(guard));
        assert_eq!(lost(|| rt0::blocking(|| 5)), 5);
        lost(|| rt0::blocking(|| lost(rt0::gosched)));
        assert!(lost(rt0::num_goroutine) > 1);
        assert_eq!(lost(|| rt0::set_gomaxprocs(1)), 1);
    });
}

#[test]
fn channels() {
    beside_another("channels", || {
        let (tx, rx) = lost(|| bounded(1));
        lost(|| tx.send(1)).expect("open");
        assert!(lost(|| tx.try_send(2)).is_err());
        assert!(lost(|| tx.send_timeout(2, Duration::from_nanos(1))).is_err());
        assert_eq!(lost(|| rx.recv()), Ok(1));
        assert!(lost(|| rx.try_recv()).is_err());
        assert!(lost(|| rx.recv_timeout(Duration::from_nanos(1))).is_err());
        let other = rx.clone();
        let receives = rt0::go(move || lost(|| other.recv()));
        lost(|| tx.send(3)).expect("open");
        assert_eq!(receives.join().expect("no panic"), Ok(3));
        let ready = lost(|| rt0::select! { recv(rx) -> _ => 0, default => 1 });
        assert_eq!(ready, 1);
        let sent = lost(|| {
            rt0::select! { recv(never::<()>()) -> _ => 0, send(tx, 4) -> r => r.map_or(0, |()| 2) }
        });
        assert_eq!(sent, 2);
        assert!(lost(|| after(Duration::from_nanos(1)).recv()).is_ok());
        let (many, all) = lost(unbounded);
        (0..100).for_each(|n| many.send(n).expect("open"));
        lost(|| drop(many));
        assert_eq!(lost(|| all.iter().count()), 100);
        let waits = rt0::go(move || rx.iter().count());
        lost(rt0::gosched);
        lost(|| drop(tx));
        assert_eq!(lost(|| waits.join()).expect("no panic"), 1);
    });
}

#[test]
fn locks() {
    beside_another("locks", || {
        let lock = Arc::new((Mutex::new(0), Condvar::new(), RwLock::new(0)));
        let theirs = Arc::clone(&lock);
        let held = lost(|| lock.0.lock()).expect("not poisoned");
        let wanted = rt0::go(move || {
            let mut n = lost(|| theirs.0.lock()).expect("not poisoned");
            while *n == 0 {
                n = lost(|| theirs.1.wait(n)).expect("not poisoned");
            }
            *lost(|| theirs.2.write()).expect("not poisoned") += 1;
        });
        assert!(lost(|| lock.0.try_lock()).is_err());
        assert!(lost(|| lock.0.try_lock_for(Duration::from_nanos(1))).is_err());
        let reads = lost(|| lock.2.read()).expect("not poisoned");
        lost(|| drop(held));
        lost(rt0::gosched);
        *lost(|| lock.0.lock()).expect("not poisoned") = 1;
        lost(|| lock.1.notify_all());
        lost(rt0::gosched);
        lost(|| drop(reads));
        lost(|| wanted.join()).expect("no panic");
        lost(|| Once::new().call_once(lose_p));
        let n = Semaphore::new(1);
        let permit = lost(|| n.acquire()).expect("open");
        assert!(lost(|| n.acquire_timeout(1, Duration::from_nanos(1))).is_err());
        lost(|| drop(permit));
        let all = Arc::new(WaitGroup::new());
        let one = Arc::clone(&all);
        all.add(1);
        drop(rt0::go(move || lost(|| one.done())));
        lost(|| all.wait());
        let told = Notify::new();
        lost(|| told.notify_one());
        lost(|| told.notified());
        let (tx, mut rx) = lost(oneshot::channel);
        lost(|| tx.send(1)).expect("it listens");
        assert_eq!(lost(|| rx.recv()), Ok(1));
    });
}

#[test]
fn time_and_contexts() {
    beside_another("time_and_contexts", || {
        let timer = lost(|| Timer::new(HOUR));
        assert!(lost(|| timer.reset(Duration::from_nanos(1))));
        assert!(lost(|| timer.receiver().recv()).is_ok());
        assert!(!lost(|| timer.stop()));
        lost(|| drop(timer));
        let ticker = lost(|| Ticker::new(Duration::from_millis(1)));
        assert!(lost(|| ticker.receiver().recv()).is_ok());
        lost(|| drop(ticker));
        let (ran, has_run) = bounded(1);
        let once = ran.clone();
        let func = lost(|| Timer::after_func(HOUR, move || once.send(()).expect("open")));
        assert!(lost(|| func.reset(Duration::from_nanos(1))));
        assert_eq!(lost(|| has_run.recv()), Ok(()));
        lost(|| drop(func));
        let (ctx, cancel) = lost(|| with_cancel(&background()));
        let under = lost(|| with_value(&ctx, 5_u32));
        let _func = lost(|| under.after_func(move || ran.send(()).expect("open")));
        let (short, keep) = lost(|| with_timeout(&under, HOUR));
        lost(|| cancel.cancel());
        assert!(lost(|| short.done().recv()).is_ok());
        assert_eq!(lost(|| has_run.recv()), Ok(()));
        lost(|| drop((ctx, under, short, keep)));
    });
}

#[test]
fn sockets() {
    beside_another("sockets", || {
        let listener = lost(|| TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let client = rt0::go(move || lost(|| TcpStream::connect(addr)));
        let (mut server, _) = lost(|| listener.accept()).expect("it connects");
        let mut client = client.join().expect("no panic").expect("it listens");
        let reads = rt0::go(move || {
            let mut buf = [0; 3];
            lost(|| server.read_exact(&mut buf)).expect("it comes");
            lost(|| server.set_read_deadline(Some(Instant::now())));
            assert!(lost(|| server.read(&mut buf)).is_err());
            buf
        });
        lost(rt0::gosched);
        lost(|| client.write_all(b"abc")).expect("room");
        assert_eq!(&lost(|| reads.join()).expect("no panic"), b"abc");
        lost(|| drop((client, listener)));
        let udp = lost(|| UdpSocket::bind("127.0.0.1:0")).expect("a free port");
        let to = udp.local_addr().expect("bound");
        lost(|| udp.send_to(b"x", to)).expect("room");
        assert_eq!(lost(|| udp.recv(&mut [0; 9])).expect("it comes"), 1);
        assert!(lost(|| lookup_host("127.0.0.1:80")).is_ok());
    });
}

/// The child of a fork has no P either, and nobody who would give it one: what need not wait goes
/// on all the same, and does not run the copies of the parent's other goroutines.
#[test]
#[allow(unsafe_code, reason = "fork has no safe form")]
fn children() {
    let goes_on = || {
        let before = TURNS.load(SeqCst);
        let (tx, rx) = bounded(1);
        let passed = tx.send(1).is_ok() && rx.recv() == Ok(1) && tx.try_send(2).is_ok();
        let five = rt0::blocking(|| tx.try_send(3).map_or(5, |()| 3));
        std::thread::sleep(Duration::from_millis(1));
        let n = *Mutex::new(6).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        passed && five == 5 && n == 6 && rt0::current().is_some() && TURNS.load(SeqCst) == before
    };
    let fork = move |lasts_long: bool| {
        if !lasts_long {
            lose_p();
        }
        // SAFETY: the child has this thread alone, and no lock that others may have held.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: ends the child.
            unsafe { libc::_exit(if goes_on() { 7 } else { 8 }) };
        }
        let mut status = 0;
        // SAFETY: a child of ours, room for its status.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert!(libc::WIFEXITED(status), "{status:#x}");
        assert_eq!(libc::WEXITSTATUS(status), 7);
    };
    beside_another("children", move || {
        fork(false);
        rt0::blocking(|| fork(false));
        // SAFETY: libc calls it before each fork, on the same thread.
        unsafe { libc::pthread_atfork(Some(lose_p_by_c), None, None) };
        fork(true);
        rt0::blocking(|| fork(true));
    });
}

/// A fork lasts until the P is another goroutine's.
extern "C" fn lose_p_by_c() {
    lose_p();
}

/// What async code leaves behind when it is dropped.
#[test]
fn futures() {
    beside_another("futures", || {
        let mut cx = Context::from_waker(Waker::noop());
        for polls in 0..3 {
            let (a, mut b) = UnixStream::pair().expect("two sockets");
            let a = lost(|| Polled::new(a));
            if polls > 0 {
                assert!(lost(|| a.poll_read(&mut cx, &mut [0])).is_pending());
            }
            if polls > 1 {
                lost(|| b.write_all(b"x")).expect("room");
                while lost(|| a.poll_read(&mut cx, &mut [0])).is_pending() {}
            }
            lost(|| drop(a));
        }
        let (tx, rx) = bounded(0);
        let task = lost(|| rt0::future::spawn_future(async move { rx.recv_async().await }));
        lost(|| tx.send(1)).expect("open");
        assert_eq!(lost(|| task.join()).expect("no panic"), Ok(1));
        let (tx, rx) = bounded::<()>(0);
        let mut waits = Box::pin(async move { rx.recv_async().await });
        assert!(lost(|| waits.as_mut().poll(&mut cx)).is_pending());
        lost(|| drop(waits));
        assert!(lost(|| tx.send(())).is_err());
    });
}

#[test]
fn reports() {
    beside_another("reports", || {
        assert!(!lost(rt0::debug::stack).is_empty());
        lost(rt0::debug::waits);
        lost(rt0::debug::deadlocks);
        lost(|| rt0::debug::Dump::new().write_to(&mut std::io::sink())).expect("a sink");
        lost(|| rt0::debug::watch_slow(Some(HOUR)));
        lost(rt0::debug::slow);
        rt0::debug::with_labels(&[("a", "b")], || assert!(!lost(rt0::debug::labels).is_empty()));
    });
}
