//! `rt0::debug::waits`: each blocking call records why it waits, for what, and who has that.

use rt0::context::{background, with_cancel};
use rt0::debug::{Holder, Party, Waiting, waits};
use rt0::sync::{
    Barrier, Condvar, LazyLock, Mutex, Notify, Once, OnceLock, RwLock, Semaphore, WaitGroup,
    broadcast, oneshot, watch,
};
use std::cell::Cell;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(10_000);

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of) as usize
}

/// Waits until `party` waits, and for this reason.
fn waiting(party: Party, reason: &str) -> Waiting {
    loop {
        if let Some(w) = waits().into_iter().find(|w| w.party == party && w.reason == reason) {
            return w;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `f`, which waits for ever, on a goroutine and on a thread, and looks at what it waits for.
fn on_both(reason: &str, f: impl Fn() + Clone + Send + 'static, check: impl Fn(&Waiting)) {
    let id = rt0::go(f.clone()).goroutine().id();
    check(&waiting(Party::Goroutine(id), reason));
    let (tell, told) = channel();
    thread::spawn(move || {
        // SAFETY: no precondition.
        #[allow(unsafe_code, reason = "the kernel's number of this thread")]
        tell.send(unsafe { libc::gettid() } as u32).expect("the test listens");
        f();
    });
    check(&waiting(Party::Thread(told.recv().expect("a number")), reason));
}

fn forever<T>(t: T) -> &'static T {
    Box::leak(Box::new(t))
}

fn here() -> Party {
    Party::Goroutine(rt0::current().expect("a goroutine").id())
}

#[rt0::test]
fn channels_say_which() {
    let (full, _r) = rt0::chan::bounded::<u8>(0);
    let (_s, empty) = rt0::chan::bounded::<u8>(0);
    for timed in [false, true] {
        let full = full.clone();
        let send = move || {
            let _ = if timed { full.send_timeout(1, LONG).is_ok() } else { full.send(1).is_ok() };
        };
        let empty = empty.clone();
        let recv = move || {
            let _ = if timed { empty.recv_timeout(LONG).is_ok() } else { empty.recv().is_ok() };
        };
        let check = |w: &Waiting| {
            assert_eq!((w.on.len(), w.timed, w.holder), (1, timed, None), "{w:?}");
        };
        on_both("chan send", send, check);
        on_both("chan receive", recv, check);
    }
    let nil = || assert!(rt0::chan::never::<u8>().recv().is_err());
    on_both("chan receive (nil chan)", nil, |w| assert!(w.on.is_empty()));
}

#[rt0::test]
fn a_select_says_all_its_channels() {
    let (ends, channels): (Vec<_>, Vec<_>) = (0..20).map(|_| rt0::chan::bounded::<u8>(0)).unzip();
    for n in [1, 2, 4, 9, 20] {
        let receivers = channels[..n].to_vec();
        let select = move || {
            let mut sel = rt0::chan::Select::new();
            for r in &receivers {
                sel.recv(r);
            }
            sel.ready();
        };
        on_both("select", select, |w| {
            let mut on = w.on.clone();
            on.sort_unstable();
            on.dedup();
            assert_eq!((on.len(), w.timed), (n, false), "{w:?}");
        });
    }
    drop(ends);
    let none = || assert!(rt0::chan::Select::new().ready_timeout(LONG).is_err());
    on_both("select (no cases)", none, |w| assert!(w.on.is_empty() && w.timed));
}

#[rt0::test]
fn locks_say_who_has_them_and_since_where() {
    let mutex = forever(Mutex::new(0));
    let guard = mutex.lock().expect("not poisoned");
    let line = line!() - 1;
    let check = |w: &Waiting| {
        let Holder { party, at, .. } = w.holder.expect("a holder");
        let at = at.expect("a place");
        assert_eq!((party, at.file(), at.line()), (here(), file!(), line), "{w:?}");
        assert_eq!(w.on, [address(mutex)]);
    };
    on_both("sync.Mutex.Lock", || drop(mutex.lock()), check);
    on_both("sync.Mutex.Lock", || drop(mutex.try_lock_for(LONG)), check);
    drop(guard);

    let lock = forever(RwLock::new(0));
    let guard = lock.write().expect("not poisoned");
    let line = line!() - 1;
    let check = |w: &Waiting| {
        let Holder { party, at, .. } = w.holder.expect("a holder");
        let at = at.expect("a place");
        assert_eq!((party, at.file(), at.line()), (here(), file!(), line), "{w:?}");
        assert_eq!(w.on, [address(lock)]);
    };
    on_both("sync.RWMutex.RLock", || drop(lock.read()), check);
    on_both("sync.RWMutex.Lock", || drop(lock.write()), check);
    drop(guard);
    let unheld = forever(RwLock::new(0));
    let _readers = unheld.read();
    let first = Cell::new(None);
    on_both(
        "sync.RWMutex.Lock",
        || drop(unheld.write()),
        |w| {
            // The second one waits for the first, which waits for the readers.
            let holder = w.holder.map(|h| (h.party, h.at));
            assert_eq!((w.on.as_slice(), holder), (&[address(unheld)][..], first.get()), "{w:?}");
            first.set(Some((w.party, None)));
        },
    );
}

#[rt0::test]
fn a_lock_of_a_thread_says_so() {
    let mutex = forever(Mutex::new(0));
    let (tell, told) = channel();
    thread::spawn(move || {
        let _guard = mutex.lock();
        // SAFETY: no precondition.
        #[allow(unsafe_code, reason = "the kernel's number of this thread")]
        tell.send(unsafe { libc::gettid() } as u32).expect("the test listens");
        thread::sleep(LONG);
    });
    let holder = Party::Thread(told.recv().expect("a number"));
    on_both(
        "sync.Mutex.Lock",
        || drop(mutex.lock()),
        |w| {
            assert_eq!(w.holder.map(|h| h.party), Some(holder));
        },
    );
}

#[rt0::test]
fn a_condvar_gives_its_mutex_up_and_says_where_it_has_it_again() {
    let (mutex, condvar) = (forever(Mutex::new(())), forever(Condvar::new()));
    let wait = || drop(condvar.wait(mutex.lock().expect("not poisoned")));
    on_both("sync.Cond.Wait", wait, |w| assert_eq!(w.on, [address(condvar)]));
    let guard = mutex.lock();
    condvar.notify_all();
    let id = rt0::go(|| drop(mutex.lock())).goroutine().id();
    let w = waiting(Party::Goroutine(id), "sync.Mutex.Lock");
    assert_eq!(w.holder.map(|h| h.party), Some(here()));
    drop(guard);
}

#[rt0::test]
fn once_says_who_is_at_it() {
    let (once, cell) = (forever(Once::new()), forever(OnceLock::new()));
    let (in_once, in_cell) = (channel(), channel());
    let a = rt0::go(move || {
        once.call_once(|| {
            in_once.0.send(()).expect("the test listens");
            rt0::time::sleep(LONG);
        });
    });
    let b = rt0::go(move || {
        cell.get_or_init(|| {
            in_cell.0.send(()).expect("the test listens");
            rt0::time::sleep(LONG);
        });
    });
    in_once.1.recv().expect("it runs");
    in_cell.1.recv().expect("it runs");
    let holder = |w: &Waiting| w.holder.map(|h| h.party);
    let a = Some(Party::Goroutine(a.goroutine().id()));
    on_both("sync.Once.Do", || once.call_once(|| ()), |w| assert_eq!(holder(w), a));
    on_both("sync.Once.Do", || once.wait(), |w| assert_eq!(holder(w), a));
    let b = Some(Party::Goroutine(b.goroutine().id()));
    on_both("sync.Once.Do", || *cell.get_or_init(|| ()), |w| assert_eq!(holder(w), b));
    // A value that is made when it is first used: where, not how the lock does it.
    let made: &LazyLock<()> = forever(LazyLock::new(|| rt0::time::sleep(LONG)));
    let c = rt0::go(move || **made);
    let c = Party::Goroutine(c.goroutine().id());
    let line = line!() - 2;
    while !waits().iter().any(|w| w.party == c && w.reason == "sleep") {
        rt0::gosched();
    }
    on_both(
        "sync.Once.Do",
        || **made,
        |w| {
            let holder = w.holder.expect("it is being made");
            let at = holder.at.expect("known");
            assert_eq!((holder.party, at.file(), at.line()), (c, file!(), line));
        },
    );
}

/// Also of a wait that a context can end: its place is read where the lock lies.
#[rt0::test]
fn waits_under_a_context_say_who_holds() {
    type Waits = Box<dyn FnOnce() + Send>;
    let (ctx, _cancel) = with_cancel(&background());
    let mutex = forever(Mutex::new(1_u64 << 40));
    let rwlock = forever(RwLock::new(()));
    let _held = (mutex.lock().expect("not poisoned"), rwlock.write().expect("not poisoned"));
    let waits: [(&str, usize, Waits); 3] = [
        ("sync.Mutex.Lock", address(mutex), {
            let ctx = ctx.clone();
            Box::new(move || drop(ctx.lock(mutex)))
        }),
        ("sync.RWMutex.RLock", address(rwlock), {
            let ctx = ctx.clone();
            Box::new(move || drop(ctx.read(rwlock)))
        }),
        ("sync.RWMutex.Lock", address(rwlock), {
            let ctx = ctx.clone();
            Box::new(move || drop(ctx.write(rwlock)))
        }),
    ];
    for (reason, on, wait) in waits {
        let party = Party::Goroutine(rt0::go(wait).goroutine().id());
        let w = waiting(party, reason);
        assert_eq!((&*w.on, w.timed), (&[on][..], true));
        let holder = w.holder.expect("it is held");
        assert_eq!(holder.party, here());
        assert!(holder.at.is_some_and(|at| at.file().ends_with("waits.rs")), "{holder:?}");
    }
}

#[rt0::test]
fn what_counts_says_itself() {
    let group = forever(WaitGroup::new());
    group.add(1);
    on_both("sync.WaitGroup.Wait", || group.wait(), |w| assert_eq!(w.on, [address(group)]));
    let semaphore = forever(Semaphore::new(0));
    let acquire = || drop(semaphore.acquire());
    on_both("semacquire", acquire, |w| assert_eq!(w.on, [address(semaphore)]));
    let barrier = forever(Barrier::new(100));
    on_both(
        "barrier wait",
        || assert!(!barrier.wait().is_leader()),
        |w| assert_eq!(w.on, [address(barrier)]),
    );
    let notify = forever(Notify::new());
    on_both("notify wait", || notify.notified(), |w| assert_eq!(w.on.len(), 1));
}

#[rt0::test]
fn messages_say_their_channel() {
    let (_s, r) = watch::channel(0);
    let changed = move || assert!(r.clone().changed().is_err());
    on_both("watch wait", changed, |w| assert_eq!(w.on.len(), 1));
    let (s, _r) = broadcast::channel::<u8>(1);
    let recv = move || assert!(s.subscribe().recv().is_err());
    on_both("broadcast receive", recv, |w| assert_eq!(w.on.len(), 1));
    let recv = || {
        let (_s, mut r) = oneshot::channel::<u8>();
        assert!(r.recv().is_err());
    };
    on_both("oneshot receive", recv, |w| assert_eq!(w.on.len(), 1));
}

#[rt0::test]
fn ends_and_sleeps_are_waits() {
    let sleeper = rt0::go(|| rt0::time::sleep(LONG));
    let sleeps = Party::Goroutine(sleeper.goroutine().id());
    let w = waiting(sleeps, "sleep");
    assert!(w.timed && w.on.is_empty() && w.holder.is_none(), "{w:?}");
    let joiner = rt0::go(move || drop(sleeper.join()));
    let w = waiting(Party::Goroutine(joiner.goroutine().id()), "join");
    assert_eq!((w.holder.map(|h| h.party), w.timed), (Some(sleeps), false));

    let parks = rt0::go(|| {
        loop {
            rt0::park();
        }
    });
    waiting(Party::Goroutine(parks.goroutine().id()), "park");
    let scope = || {
        rt0::scope(|s| {
            s.go(|| rt0::time::sleep(LONG));
        });
    };
    on_both("scope wait", scope, |w| assert_eq!((w.on.len(), w.timed), (1, false)));
    let blocking = rt0::go(|| rt0::blocking(|| thread::sleep(LONG)));
    waiting(Party::Goroutine(blocking.goroutine().id()), "syscall");
}
