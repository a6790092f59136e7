//! A context that is a thread of its own, and how it is given an M to run on.
//!
//! For sched/one_to_one.rs, which has the protocol.

use crate::atomic::{AtomicRef, AtomicU32, AtomicUsize, Ordering, Word};
use crate::lock::note::Note;
use crate::m::M;

pub(crate) struct Baton {
    note: Note,
    /// How often the end was put off to let other destructors of the thread run first.
    rounds: AtomicU32,
    m: AtomicRef<M>,
    /// The `pthread_t`; 0: the context is no thread of its own.
    thread: AtomicUsize,
    pub(crate) tid: Word,
    /// What is left to do at the goroutine's end, a box as a word.
    pub(crate) ending: AtomicUsize,
}

impl Baton {
    pub(crate) const fn new() -> Baton {
        Baton {
            note: Note::new(),
            rounds: AtomicU32::new(0),
            m: AtomicRef::none(),
            thread: AtomicUsize::new(0),
            tid: Word::new(0),
            ending: AtomicUsize::new(0),
        }
    }

    /// Whether the context is a thread of its own.
    #[inline]
    pub(crate) fn is_thread(&self) -> bool {
        self.thread() != 0
    }

    pub(crate) fn thread(&self) -> usize {
        self.thread.load(Ordering::Relaxed) // ORDERING: GS2: the owner's
    }

    pub(crate) fn set_thread(&self, thread: usize) {
        self.thread.store(thread, Ordering::Relaxed); // ORDERING: GS2: the owner's
    }

    /// Its thread is a new one.
    pub(crate) fn begin_rounds(&self) {
        self.rounds.store(0, Ordering::Relaxed); // ORDERING: its thread's own
    }

    /// Its thread's destructors go round again: which time this is, the first being 1.
    pub(crate) fn next_round(&self) -> u32 {
        let round = self.rounds.load(Ordering::Relaxed) + 1; // ORDERING: its thread's own
        self.rounds.store(round, Ordering::Relaxed); // ORDERING: its thread's own
        round
    }

    /// Lets the context's thread go on as `mp`. The note publishes what the caller wrote.
    pub(crate) fn hand(&self, mp: &'static M) {
        self.m.set(Some(mp));
        self.note.wakeup();
    }

    /// The context's thread: sleeps until it is handed an M.
    pub(crate) fn wait(&self) -> &'static M {
        self.note.sleep();
        self.note.clear();
        match self.m.get() {
            Some(mp) => mp,
            None => crate::throw::throw("baton: woken without an M"),
        }
    }
}
