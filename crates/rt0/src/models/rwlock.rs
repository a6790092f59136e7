//! sync/raw/rwlock.rs: writers alone, readers together, nobody left behind.
//!
//! Covers: two writers and a reader, two readers and a writer, both modes of the writers' mutex,
//! readers and writers that give up, downgrade. Abstracts away: as models/raw_mutex.rs.

use super::sema::Table;
use super::{Token, check_within, leak, must_catch};
use crate::sync::raw::rwlock::RwWord;
use loom::cell::UnsafeCell;
use loom::thread;

struct World {
    word: RwWord,
    data: Token,
    shared: UnsafeCell<()>,
    table: &'static Table,
}

impl World {
    fn new(waited_ns: i64) -> &'static World {
        leak(World {
            word: RwWord::new(),
            data: Token::new(),
            shared: UnsafeCell::new(()),
            table: Table::new(waited_ns),
        })
    }

    fn read(&self, deadline: Option<i64>) {
        if self.word.try_read() || self.word.read_slow(&self.table, (), deadline) {
            self.shared.with(|_| ());
            self.word.unlock_read(&self.table);
        }
    }

    fn write(&self, deadline: Option<i64>) {
        if self.word.try_write_fast() || self.word.write_slow(&self.table, (), deadline, |_| ()) {
            self.data.use_alone();
            self.shared.with_mut(|_| ());
            self.word.unlock_write(&self.table);
        }
    }

    fn end(&self) {
        assert!(self.word.try_write_fast(), "something is left in the word");
    }
}

fn with(waited_ns: i64, bodies: &[fn(&'static World)], own: fn(&'static World)) {
    let w = World::new(waited_ns);
    let threads: Vec<_> = bodies.iter().map(|&f| thread::spawn(move || f(w))).collect();
    own(w);
    for t in threads {
        t.join().expect("it does not panic");
    }
    w.end();
}

fn reader_and_writer() {
    with(0, &[|w| w.read(None)], |w| (0..2).for_each(|_| w.write(None)));
}

fn two_readers() {
    with(0, &[|w| w.read(None), |w| w.read(None)], |w| w.write(None));
}

fn two_writers() {
    with(2_000_000, &[|w| w.write(None), |w| w.read(None)], |w| w.write(None));
}

fn giving_up() {
    with(0, &[|w| w.read(Some(0)), |w| w.write(Some(0))], |w| w.write(None));
}

fn writer_gives_up() {
    with(0, &[|w| w.write(Some(0)), |w| w.read(None)], |w| w.read(None));
}

fn downgrading() {
    with(0, &[|w| w.read(None), |w| w.write(None)], |w| {
        if w.word.try_write_fast() || w.word.write_slow(&w.table, (), None, |_| ()) {
            w.shared.with_mut(|_| ());
            w.word.downgrade(&w.table);
            w.shared.with(|_| ());
            w.word.unlock_read(&w.table);
        }
    });
}

#[test]
fn writers_are_alone() {
    check_within(2, reader_and_writer);
    // Three threads and two buckets: with two preemptions it takes minutes.
    for model in [two_readers, two_writers, downgrading] {
        check_within(1, model);
    }
}

#[test]
fn who_gives_up_leaves_nothing_behind() {
    check_within(2, giving_up);
    check_within(2, writer_gives_up);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("rwlock.recheck", reader_and_writer);
    must_catch("rwlock.drain", reader_and_writer);
    must_catch("rwlock.release", reader_and_writer);
}
