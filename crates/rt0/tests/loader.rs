//! Who holds all other threads to look at them asks nothing of the loader: one of them may have its
//! lock. A process looks each of its functions up once, so each try has a process of its own.
#![allow(unsafe_code, reason = "a thread that is in the loader most of the time")]

mod again;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// Looks for what nobody defines until told to stop.
fn looks_up(stop: &AtomicBool, begun: &AtomicU32) {
    while !stop.load(SeqCst) {
        // SAFETY: a C string; what is not found is null.
        let p = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"rt0_nobody_defines_this".as_ptr()) };
        assert!(p.is_null());
        begun.fetch_add(1, SeqCst);
    }
}

fn first_look_beside_the_loader() {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(AtomicU32::new(0));
    let (s, b) = (Arc::clone(&stop), Arc::clone(&begun));
    let loader = std::thread::spawn(move || looks_up(&s, &b));
    while begun.load(SeqCst) < 100 {
        std::thread::yield_now();
    }
    rt0::run(|| {
        let waits = rt0::go(|| {
            let (tx, rx) = rt0::chan::bounded::<u32>(0);
            let _ = rx.recv(); // for ever: it has the only sender itself
            drop(tx);
        });
        let party = rt0::debug::Party::Goroutine(waits.goroutine().id());
        let is_in = |d: &rt0::debug::Deadlock| {
            d.circle.iter().chain(&d.behind).any(|waits| waits.party == party)
        };
        while !rt0::debug::deadlocks().iter().any(is_in) {
            rt0::time::sleep(Duration::from_millis(1));
        }
    });
    stop.store(true, SeqCst);
    loader.join().expect("no panic");
}

#[test]
fn a_look_does_not_wait_for_a_thread_in_the_loader() {
    let name = "a_look_does_not_wait_for_a_thread_in_the_loader";
    if again::is_again(name) {
        return first_look_beside_the_loader();
    }
    for _ in 0..10 {
        // In its default mode: where each goroutine is a thread nobody looks.
        again::again(name, &[("GODEBUG", "")]);
    }
}
