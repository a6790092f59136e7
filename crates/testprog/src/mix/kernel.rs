//! System calls, files, sleeps, threads, processes; and goroutines.

use super::worker::Worker;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, thread};

pub(crate) fn sys(_: &mut Worker) {
    let parent = rustix::process::getppid();
    assert_eq!(rustix::process::getppid(), parent);
}

pub(crate) fn file(_: &mut Worker) {
    static NAME: OnceLock<String> = OnceLock::new();
    let read = || fs::read_to_string("/proc/self/comm").expect("proc is mounted");
    assert_eq!(NAME.get_or_init(read), &read());
}

pub(crate) fn sleep(_: &mut Worker) {
    thread::sleep(Duration::from_millis(2));
}

pub(crate) fn spawn(worker: &mut Worker) {
    let index = worker.index;
    let thread = thread::spawn(move || (index, thread::current().id()));
    let (from, id) = thread.join().expect("it does not panic");
    assert!(from == index && id != worker.thread);
}

pub(crate) fn cmd(_: &mut Worker) {
    assert!(Command::new("true").status().expect("it is everywhere").success());
}

/// Half of them are joined, half are left alone; those that were left do not pile up.
pub(crate) fn go(worker: &mut Worker) {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    let joined: Vec<_> = (0..10).map(|k| rt0::go(move || vec![k; 100])).collect();
    for _ in 0..10 {
        if LEFT.fetch_add(1, Relaxed) < 1000 {
            rt0::go(|| {
                rt0::gosched();
                LEFT.fetch_sub(1, Relaxed);
            });
        } else {
            LEFT.fetch_sub(1, Relaxed);
        }
    }
    for (k, handle) in joined.into_iter().enumerate() {
        let list = handle.join().expect("it does not panic");
        assert!(list.len() == 100 && list.iter().all(|v| *v == k), "{}: {list:?}", worker.index);
    }
}
