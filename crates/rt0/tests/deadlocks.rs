//! `rt0::debug::deadlocks`: what waits for ever in a process that lives.

use rt0::debug::{Deadlock, Dump, Party, deadlocks};
use rt0::sync::{Barrier, Mutex, Once, RwLock};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(10_000);

fn forever<T>(t: T) -> &'static T {
    Box::leak(Box::new(t))
}

fn id<T>(h: &rt0::JoinHandle<T>) -> Party {
    Party::Goroutine(h.goroutine().id())
}

/// Waits for the deadlock that `party` is in.
fn deadlock_of(party: Party) -> Deadlock {
    loop {
        let met = |d: &Deadlock| d.circle.iter().chain(&d.behind).any(|w| w.party == party);
        if let Some(found) = deadlocks().into_iter().find(met) {
            return found;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn circle(d: &Deadlock) -> Vec<Party> {
    let mut parties: Vec<_> = d.circle.iter().map(|w| w.party).collect();
    parties.sort();
    parties
}

/// In [`circle`]'s order. Who makes goroutines may be moved to another P between two of them, and
/// each P gives numbers from a block of its own.
fn sorted<const N: usize>(mut parties: [Party; N]) -> [Party; N] {
    parties.sort();
    parties
}

/// Goroutines in a ring, each with a lock that the one before wants. Sorted.
fn ring(n: usize) -> Vec<Party> {
    let locks: Vec<&'static Mutex<()>> = (0..n).map(|_| forever(Mutex::new(()))).collect();
    let all_have = Arc::new(Barrier::new(n));
    let ring = (0..n).map(|i| {
        let (own, next, all_have) = (locks[i], locks[(i + 1) % n], Arc::clone(&all_have));
        id(&rt0::go(move || {
            let _own = own.lock();
            all_have.wait();
            drop(next.lock());
        }))
    });
    let mut parties: Vec<_> = ring.collect();
    parties.sort();
    parties
}

#[rt0::test]
fn a_ring_is_shown_in_order_with_the_places() {
    for n in [1, 2, 5, 100] {
        let parties = ring(n);
        let d = deadlock_of(parties[0]);
        assert_eq!(circle(&d), parties, "{d:?}");
        for (i, w) in d.circle.iter().enumerate() {
            let holder = w.holder.expect("a holder");
            assert_eq!(holder.party, d.circle[(i + 1) % n].party, "{d:?}");
            assert_eq!(holder.at.expect("a place").file(), file!());
        }
        assert!(d.behind.is_empty());
        let text = d.to_string();
        let head = match n {
            1 => "deadlock: one waits for itself:".to_owned(),
            _ => format!("deadlock: {n} wait for each other:"),
        };
        assert!(text.starts_with(&head) && text.lines().count() == n + 1, "{text}");
        let told = text.lines().skip(1).zip(&d.circle).all(|(line, w)| {
            line.starts_with(&format!("\t{} [sync.Mutex.Lock]: waits for ", w.party))
                && line.contains(", held by goroutine ")
                && line.contains(file!())
        });
        assert!(told, "{text}");
    }
}

#[rt0::test]
fn who_waits_behind_is_shown_too() {
    let (a, b) = (forever(Mutex::new(())), forever(RwLock::new(())));
    let both = forever(Barrier::new(2));
    let first = rt0::go(|| {
        let _a = a.lock();
        both.wait();
        drop(b.read());
    });
    let second = rt0::go(|| {
        let _b = b.write();
        both.wait();
        drop(a.lock());
    });
    let ends = sorted([id(&first), id(&second)]);
    assert_eq!(circle(&deadlock_of(ends[0])), ends);
    let joins = rt0::go(move || first.join().is_ok());
    let behind = [id(&joins), id(&rt0::go(move || joins.join().is_ok()))];
    let scope = id(&rt0::go(|| {
        rt0::scope(|s| {
            s.go(|| drop(a.lock()));
            s.go(|| drop(b.write()));
        });
    }));
    let d = deadlock_of(scope);
    assert_eq!(circle(&d), ends);
    deadlock_of(behind[1]);
    let d = deadlock_of(scope);
    assert!(behind.iter().all(|p| d.behind.iter().any(|w| w.party == *p)), "{d:?}");
    assert_eq!(d.behind.len(), 5, "{d:?}");
}

#[rt0::test]
fn threads_are_in_it() {
    let (a, b) = (forever(Mutex::new(())), forever(Mutex::new(())));
    let both = forever(Barrier::new(2));
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // SAFETY: no precondition.
        #[allow(unsafe_code, reason = "the kernel's number of this thread")]
        tell.send(unsafe { libc::gettid() } as u32).expect("the test listens");
        let _a = a.lock();
        both.wait();
        drop(b.lock());
    });
    let g = rt0::go(|| {
        let _b = b.lock();
        both.wait();
        drop(a.lock());
    });
    let thread = Party::Thread(told.recv().expect("a number"));
    assert_eq!(circle(&deadlock_of(thread)), [id(&g), thread]);
}

#[rt0::test]
fn a_party_can_wait_for_itself() {
    let lock = forever(RwLock::new(()));
    let twice = rt0::go(|| {
        let _own = lock.write();
        drop(lock.write());
    });
    assert_eq!(circle(&deadlock_of(id(&twice))), [id(&twice)]);
    let once = forever(Once::new());
    let again = rt0::go(|| once.call_once(|| once.call_once(|| ())));
    assert_eq!(circle(&deadlock_of(id(&again))), [id(&again)]);
}

#[rt0::test]
fn a_lock_whose_holder_ended_is_nobodys() {
    let lock = forever(Mutex::new(()));
    rt0::go(|| std::mem::forget(lock.lock())).join().expect("no panic");
    let waits = id(&rt0::go(|| drop(lock.lock())));
    let d = deadlock_of(waits);
    assert!(d.circle.is_empty() && d.behind.len() == 1, "{d:?}");
    let nothing = rt0::go(|| rt0::chan::never::<()>().recv());
    let nothing_party = id(&nothing);
    let d = deadlock_of(id(&rt0::go(move || nothing.join().is_ok())));
    assert!(d.circle.is_empty() && d.behind.len() == 2, "{d:?}");
    assert_eq!(d.behind[0].party, nothing_party);
}

/// Dumps have the same at their head, if they are asked to.
#[rt0::test]
fn dumps_show_them_first() {
    let parties = ring(3);
    deadlock_of(parties[0]);
    let dump = |dump: Dump| {
        let mut text = Vec::new();
        dump.write_to(&mut text).expect("a Vec takes all");
        String::from_utf8(text).expect("text")
    };
    for dump in [dump(Dump::new().deadlocks(true)), dump(Dump::new().grouped(true).deadlocks(true))]
    {
        let (head, rest) = dump.split_once("\n\ngoroutine ").unwrap_or_else(|| panic!("{dump}"));
        assert!(head.starts_with("deadlock: "), "{dump}");
        for party in &parties {
            assert!(head.contains(&format!("\t{party} [sync.Mutex.Lock]: waits for ")), "{dump}");
        }
        assert!(!rest.contains("\ndeadlock: "), "{dump}");
    }
    let text = dump(Dump::new().json(true).deadlocks(true));
    let member = |party: &Party| format!("{{\"{}}}", party.to_string().replace(' ', "\":"));
    let is_its = |l: &&str| parties.iter().all(|p| l.contains(&member(p)));
    let line = text.lines().find(is_its).unwrap_or_else(|| panic!("{text}"));
    assert!(line.starts_with("{\"deadlock\":{\"circle\":[{\"goroutine\":"), "{line}");
    assert!(line.contains("}],\"behind\":[") && line.ends_with("]}}"), "{line}");
    assert!(!dump(Dump::new()).contains("deadlock: "), "not asked for");
}

/// Whether anything that waits for ever is among `parties`.
fn any_stuck(parties: &[Party]) -> Option<Deadlock> {
    let met = |d: &Deadlock| d.circle.iter().chain(&d.behind).any(|w| parties.contains(&w.party));
    deadlocks().into_iter().find(met)
}

/// Waits until goroutine `party` waits with this reason.
fn until_waits(party: Party, reason: &str) {
    let waits = || rt0::debug::waits().iter().any(|w| w.party == party && w.reason == reason);
    while !waits() {
        thread::sleep(Duration::from_millis(1));
    }
}

const WRITES: &str = "sync.RWMutex.Lock";
const READS: &str = "sync.RWMutex.RLock";

#[rt0::test]
fn a_reader_that_reads_again_behind_a_writer_waits_for_itself() {
    let lock = forever(RwLock::new(()));
    let (tell, told) = rt0::chan::bounded(0);
    let reader = rt0::go(move || {
        let _first = lock.read();
        told.recv().expect("the writer is told of");
        drop(lock.read());
    });
    until_waits(id(&reader), "chan receive");
    let writer = id(&rt0::go(|| drop(lock.write())));
    until_waits(writer, WRITES);
    assert!(any_stuck(&[writer]).is_none(), "the reader goes on when it is told");
    tell.send(()).expect("it listens");
    let d = deadlock_of(writer);
    let both = sorted([id(&reader), writer]);
    assert_eq!(circle(&d), both, "{d:?}");
    let of = |party| d.circle.iter().find(|w| w.party == party).expect("in the circle");
    assert_eq!(of(writer).readers, [id(&reader)]);
    assert_eq!(of(id(&reader)).holder.map(|h| h.party), Some(writer));
    let next = id(&rt0::go(|| drop(lock.write())));
    let d = deadlock_of(next);
    assert_eq!((circle(&d), d.behind.len()), (both.to_vec(), 1), "{d:?}");
}

/// Of several readers all have to be stuck.
#[rt0::test]
fn a_writer_waits_for_all_readers() {
    let (lock, other) = (forever(RwLock::new(())), forever(Mutex::new(())));
    let all_read = forever(Barrier::new(5));
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            id(&rt0::go(|| {
                let _reads = lock.read();
                all_read.wait();
                drop(other.lock());
            }))
        })
        .collect();
    let (end, ended) = rt0::chan::bounded::<()>(0);
    let patient = rt0::go(move || {
        let reads = lock.read();
        all_read.wait();
        let _ = ended.recv();
        drop(reads);
    });
    let writer = id(&rt0::go(|| {
        let _other = other.lock();
        all_read.wait();
        drop(lock.write());
    }));
    all_read.wait();
    until_waits(writer, WRITES);
    until_waits(id(&patient), "chan receive");
    let mut parties = [stuck, vec![writer]].concat();
    parties.sort();
    for _ in 0..50 {
        if let Some(d) = any_stuck(&parties) {
            panic!("one reader may go on: {d:?}");
        }
    }
    drop(end);
    patient.join().expect("no panic");
    let d = deadlock_of(writer);
    let mut met: Vec<_> = d.circle.iter().chain(&d.behind).map(|w| w.party).collect();
    met.sort();
    assert_eq!(met, parties, "{d:?}");
}

/// Readers that are not all known: nothing is said, however it stands.
#[rt0::test]
fn readers_that_nobody_recorded_may_go_on() {
    // A plain thread reads, too.
    let lock = forever(RwLock::new(()));
    let (end, ended) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let reads = lock.read();
        tell.send(()).expect("the test listens");
        let _ = ended.recv();
        drop(reads);
    });
    told.recv().expect("it reads");
    // One that reads three locks at once records two.
    let locks: [&'static RwLock<()>; 3] = [(); 3].map(|()| forever(RwLock::new(())));
    let greedy = rt0::go(move || {
        let _all = locks.map(RwLock::read);
        rt0::park();
    });
    until_waits(id(&greedy), "park");
    // One that has forgotten a guard, and is stuck.
    let lost = forever(Mutex::new(()));
    let held = lost.lock();
    let forgets = rt0::go(move || {
        std::mem::forget(lock.read());
        drop(lost.lock());
    });
    until_waits(id(&forgets), "sync.Mutex.Lock");
    let writers: Vec<_> = locks
        .iter()
        .chain([&lock])
        .map(|lock| {
            let lock: &'static RwLock<()> = lock;
            id(&rt0::go(move || drop(lock.write())))
        })
        .collect();
    writers.iter().for_each(|w| until_waits(*w, WRITES));
    let behind = id(&rt0::go(move || drop(lock.read())));
    until_waits(behind, READS);
    for _ in 0..50 {
        let found = any_stuck(&writers).or_else(|| any_stuck(&[behind]));
        assert!(found.is_none(), "{found:?}");
    }
    drop((end, held));
    thread.join().expect("no panic");
    greedy.goroutine().unpark();
    greedy.join().expect("no panic");
}

/// A guard that is forgotten is never dropped: by a goroutine that lives in a deadlock it counts.
#[rt0::test]
fn a_writer_that_may_give_up_lets_readers_in() {
    let (lock, lost) = (forever(RwLock::new(())), forever(Mutex::new(())));
    let reader = rt0::go(|| {
        let _reads = lock.read();
        let _lost = lost.lock();
        drop(lost.lock());
    });
    deadlock_of(id(&reader));
    let writer = id(&rt0::go(|| assert!(lock.try_write_for(LONG).is_err())));
    until_waits(writer, WRITES);
    let behind = [id(&rt0::go(|| drop(lock.read()))), id(&rt0::go(|| drop(lock.write())))];
    until_waits(behind[0], READS);
    until_waits(behind[1], WRITES);
    for _ in 0..50 {
        assert!(any_stuck(&[writer, behind[0], behind[1]]).is_none(), "the writer gives up");
    }
}

/// None of these is in a deadlock, however long one looks, while rings come and go beside them.
#[rt0::test]
fn what_can_go_on_is_not_reported() {
    let (a, b) = (forever(Mutex::new(0_u64)), forever(Mutex::new(0_u64)));
    let stop = forever(RwLock::new(false));
    let busy: Vec<_> = (0..4)
        .map(|i| {
            rt0::go(move || {
                while !*stop.read().expect("not poisoned") {
                    // In the same order, so there is always one that goes on.
                    let mut first = a.lock().expect("not poisoned");
                    *first += 1;
                    if i % 2 == 0 {
                        rt0::gosched();
                    }
                    *b.lock().expect("not poisoned") += 1;
                    drop(first);
                    let inner = rt0::go(|| drop(b.lock()));
                    rt0::scope(|s| {
                        s.go(|| drop(a.lock()));
                    });
                    inner.join().expect("no panic");
                }
            })
        })
        .collect();
    let read = forever(RwLock::new(0_u64));
    let readers: Vec<_> = (0..4)
        .map(|i| {
            rt0::go(move || {
                while !*stop.read().expect("not poisoned") {
                    let outer = read.read().expect("not poisoned");
                    if i % 2 == 0 {
                        drop(a.lock());
                    }
                    drop(outer);
                    *read.write().expect("not poisoned") += 1;
                }
            })
        })
        .collect();
    let parties: Vec<_> = busy.iter().chain(&readers).map(id).collect();
    let sleeper = rt0::go(|| rt0::time::sleep(LONG));
    let held = forever(Mutex::new(()));
    let holder = rt0::go(|| {
        let _guard = held.lock();
        rt0::time::sleep(LONG);
    });
    let waits = [
        id(&rt0::go(move || sleeper.join().is_ok())),
        id(&rt0::go(|| drop(held.lock()))),
        id(&rt0::go(|| drop(held.try_lock_for(LONG)))),
        id(&holder),
        id(&rt0::go(|| rt0::chan::never::<()>().recv())),
    ];
    for _ in 0..2000 {
        for d in deadlocks() {
            for w in d.circle.iter().chain(&d.behind) {
                assert!(!parties.contains(&w.party) && !waits.contains(&w.party), "{d:?}");
            }
        }
        rt0::gosched();
    }
    *stop.write().expect("not poisoned") = true;
    busy.into_iter().chain(readers).for_each(|h| h.join().expect("no panic"));
}

/// A lock that is waited for under a context may be given up: no deadlock before, one after.
#[rt0::test]
fn what_may_be_cancelled_is_no_deadlock() {
    use rt0::context::{background, with_cancel};
    let (a, b) = (forever(Mutex::new(())), forever(Mutex::new(())));
    let both = forever(Barrier::new(2));
    let (ctx, cancel) = with_cancel(&background());
    let patient = rt0::go(move || {
        let _a = a.lock();
        both.wait();
        drop(b.lock());
    });
    let cancelled = rt0::go(move || {
        let _b = b.lock();
        both.wait();
        assert!(ctx.lock(a).is_err());
    });
    let party = id(&patient);
    for _ in 0..50 {
        let met = |d: &Deadlock| d.circle.iter().chain(&d.behind).any(|w| w.party == party);
        assert!(!deadlocks().iter().any(met), "one of the two can be cancelled");
        thread::sleep(Duration::from_millis(1));
    }
    cancel.cancel();
    cancelled.join().unwrap();
    patient.join().unwrap();
}
