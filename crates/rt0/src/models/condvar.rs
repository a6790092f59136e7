//! sync/raw/condvar.rs with sync/raw/mutex.rs: a notification after the condition changed is not
//! lost.
//!
//! Covers: two waiters, one that gives up, notify_one and notify_all. Abstracts away: as
//! models/sema.rs.

use super::sema::Table;
use super::{Token, check, leak, must_catch};
use crate::sync::raw::condvar::CondWord;
use crate::sync::raw::mutex::MutexWord;
use loom::cell::UnsafeCell;
use loom::thread;

struct World {
    mutex: MutexWord,
    cond: CondWord,
    ready: UnsafeCell<usize>,
    data: Token,
    table: &'static Table,
}

impl World {
    fn new() -> &'static World {
        leak(World {
            mutex: MutexWord::new(),
            cond: CondWord::new(),
            ready: UnsafeCell::new(0),
            data: Token::new(),
            table: Table::new(0),
        })
    }

    fn lock(&self) {
        let locked = self.mutex.try_fast() || self.mutex.lock_slow(&self.table, (), None);
        assert!(locked);
        self.data.use_alone();
    }

    fn unlock(&self) {
        self.mutex.unlock(&self.table);
    }

    /// With the mutex held.
    #[allow(unsafe_code, reason = "the model's data, under its mutex; loom checks that")]
    fn with_ready<R>(&self, f: impl FnOnce(&mut usize) -> R) -> R {
        // SAFETY: the mutex is held.
        self.ready.with_mut(|p| f(unsafe { &mut *p }))
    }

    /// Waits until it can take one, or gives up.
    fn consume(&self, deadline: Option<i64>) -> bool {
        self.lock();
        loop {
            if self.with_ready(|n| n.checked_sub(1).map(|left| *n = left).is_some()) {
                self.unlock();
                return true;
            }
            let notified = self.cond.wait(&self.table, (), deadline, || self.unlock());
            self.lock();
            if !notified {
                self.unlock();
                return false;
            }
        }
    }

    fn produce(&self, n: usize, wake: usize) {
        self.lock();
        self.with_ready(|r| *r += n);
        self.unlock();
        self.cond.notify(&self.table, wake);
    }
}

fn one_waiter() {
    let w = World::new();
    let t = thread::spawn(move || w.consume(None));
    w.produce(1, 1);
    assert!(t.join().expect("no panic"));
}

fn two_waiters() {
    let w = World::new();
    let t = thread::spawn(move || w.consume(None));
    let p = thread::spawn(move || w.produce(2, usize::MAX));
    assert!(w.consume(None));
    assert!(t.join().expect("no panic"));
    p.join().expect("no panic");
}

fn one_gives_up() {
    let w = World::new();
    let t = thread::spawn(move || w.consume(Some(0)));
    w.produce(1, usize::MAX);
    let taken = t.join().expect("no panic");
    w.lock();
    assert_eq!(w.with_ready(|n| *n), usize::from(!taken));
}

#[test]
fn no_notification_is_lost() {
    check(one_waiter);
    super::check_within(2, two_waiters);
    check(one_gives_up);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("condvar.early", one_waiter);
}
