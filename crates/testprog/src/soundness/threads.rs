//! Goroutines and plain threads side by side.

use super::harness::{goroutines, hop};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

/// Threads and goroutines send, threads and goroutines receive.
pub(crate) fn mpsc() {
    const EACH: usize = 50;
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let sum = AtomicUsize::new(0);
    let send = |tell: mpsc::Sender<usize>| {
        for k in 0..EACH {
            tell.send(k).expect("receivers are there");
            if k % 10 == 0 {
                hop();
            }
        }
    };
    let receive = || {
        for _ in 0..EACH {
            let n = told.lock().expect("nobody panics").recv().expect("senders are there");
            sum.fetch_add(n, SeqCst);
        }
    };
    thread::scope(|threads| {
        for _ in 0..3 {
            let tell = tell.clone();
            threads.spawn(|| send(tell));
            threads.spawn(receive);
        }
        let senders = Mutex::new(vec![tell; 5]);
        goroutines(10, |i| {
            if i % 2 == 0 {
                let tell = senders.lock().expect("nobody panics").pop().expect("one for each");
                send(tell);
            } else {
                receive();
            }
        });
    });
    assert_eq!(sum.load(SeqCst), 8 * (0..EACH).sum::<usize>());
}

/// A channel without a buffer between a goroutine and a thread: each waits for the other.
pub(crate) fn rendezvous() {
    goroutines(6, |i| {
        let (ask, asked) = mpsc::sync_channel::<usize>(0);
        let (answer, answered) = mpsc::sync_channel::<usize>(0);
        let other = thread::spawn(move || {
            for n in asked {
                answer.send(n * 2).expect("it waits for the answer");
            }
        });
        for n in i..i + 10 {
            ask.send(n).expect("it listens");
            assert_eq!(answered.recv(), Ok(n * 2));
            hop();
        }
        drop(ask);
        other.join().expect("it does not panic");
    });
}

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(0) };
}

/// A thread that a goroutine starts is a thread: other id, other TLS, joined as ever.
pub(crate) fn spawn_and_join() {
    goroutines(30, |i| {
        MINE.set(i + 1);
        let goroutine = thread::current().id();
        let other = thread::Builder::new().name(format!("thread {i}")).spawn(move || {
            assert_eq!(MINE.replace(99), 0);
            let me = thread::current();
            (me.id(), me.name().map(str::to_owned))
        });
        hop();
        let (id, name) = other.expect("a thread").join().expect("it does not panic");
        assert_ne!(id, goroutine);
        assert_eq!(name, Some(format!("thread {i}")));
        assert_eq!(MINE.get(), i + 1);
    });
}

/// Scoped threads borrow from a goroutine's stack; goroutines started from threads do too.
pub(crate) fn scopes() {
    goroutines(20, |i| {
        let mut numbers = [0; 4];
        thread::scope(|threads| {
            for (k, n) in numbers.iter_mut().enumerate() {
                threads.spawn(move || *n = i + k);
            }
            hop();
        });
        hop();
        assert_eq!(numbers, [i, i + 1, i + 2, i + 3]);

        let from_thread = thread::scope(|threads| {
            let handle = threads
                .spawn(|| rt0::scope(|scope| scope.go(|| numbers.iter().sum::<usize>()).join()));
            handle.join()
        });
        let sum = from_thread.expect("no panic").expect("no panic");
        assert_eq!(sum, 4 * i + 6);
    });
}
