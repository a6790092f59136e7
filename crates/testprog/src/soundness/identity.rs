//! Who am I: std's and libc's notion of the current thread.

use super::c;
use super::harness::{goroutines, hop, hops};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;

/// `thread::current().id()` stays what it is and was nobody's before, also where goroutines reuse
/// the memory of dead ones.
pub(crate) fn thread_id() {
    let seen = Mutex::new(HashSet::from([thread::current().id()]));
    for _wave in 0..2 {
        goroutines(150, |_| {
            let id = thread::current().id();
            for _ in 0..10 {
                hop();
                assert_eq!(thread::current().id(), id);
            }
            assert!(seen.lock().expect("no panic under it").insert(id), "{id:?} twice");
        });
    }
}

/// A `Thread` handle wakes the goroutine that it was taken on.
pub(crate) fn park_unpark() {
    goroutines(10, |_| {
        let (tell, told) = mpsc::channel();
        let go_on = AtomicBool::new(false);
        rt0::scope(|scope| {
            let parked = scope.go(|| {
                hop();
                tell.send(thread::current()).expect("the other side waits");
                while !go_on.load(SeqCst) {
                    thread::park();
                    hop();
                }
            });
            let sleeper = told.recv().expect("the other side sends");
            hops(3);
            go_on.store(true, SeqCst);
            sleeper.unpark();
            parked.join().expect("it does not panic");
        });
    });
}

/// `pthread_self` is constant and unique among living goroutines.
pub(crate) fn pthread_self() {
    let live = Mutex::new(HashSet::new());
    goroutines(150, |_| {
        let mine = c::pthread_self();
        assert!(live.lock().expect("no panic under it").insert(mine), "two goroutines, one self");
        for _ in 0..20 {
            hop();
            assert_eq!(c::pthread_self(), mine);
        }
        live.lock().expect("no panic under it").remove(&mine);
    });
}
