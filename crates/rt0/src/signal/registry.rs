//! Who wants which signals, and the goroutine that tells them.
//!
//! Go: os/signal `handlers`, `process`, `loop`; runtime `ensureSigM`. The goroutine exists while
//! somebody wants a signal: so a program that waits for one is not deadlocked, and one in which
//! nobody does any more can be found to be.
//!
//! # Invariants
//! * `SR1`: what `PENDING` wants is what some entry wants, between any two holders of the lock.
//! * `SR2`: an entry is removed after what was caught for it has been delivered to it.
//! * `SR3`: under the lock no code of the program's runs: contexts are ended afterwards.

use super::{Received, Signal};
use crate::chan::{Sender, TrySendError};
use crate::context::Cancel;
use crate::io::pollable::Pollable;
use crate::join::Builder;
use crate::netpoll::desc::Dir;
use crate::sched::signal_unix::{catch, ignore, release};
use crate::sched::sigqueue::{self, PENDING};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::sys::signal::{kill_self, set_mask};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Who is told.
pub(super) enum Target {
    Channel(Sender<Signal>),
    Context(Arc<Cancel>),
}

struct Entry {
    target: Target,
    /// Signals; bit `n - 1` stands for signal `n`.
    wants: usize,
}

struct Registry {
    entries: Vec<Entry>,
    /// There is a goroutine that delivers.
    runs: bool,
    /// Catches what Ms block.
    catcher: Option<Catcher>,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { entries: Vec::new(), runs: false, catcher: None });

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done when the lock is free: SR3.
#[derive(Default)]
struct After {
    ended: Vec<(Arc<Cancel>, Signal)>,
    /// Caught, but wanted by nobody that is left.
    raise: usize,
}

impl After {
    fn act(self) {
        for (context, signal) in self.ended {
            context.cancel_with(Received(signal));
        }
        each(self.raise, |sig| kill_self(sig.as_raw()));
    }
}

/// The set of `signals`.
pub(super) fn set_of(signals: &[Signal]) -> usize {
    signals.iter().fold(0, |set, sig| set | sigqueue::bit(sig.as_raw()))
}

fn each(set: usize, mut f: impl FnMut(Signal)) {
    for sig in Signal::ALL {
        if set & sigqueue::bit(sig.as_raw()) != 0 {
            f(*sig);
        }
    }
}

/// `target` is told of the signals of `set`, too.
pub(super) fn add(target: Target, set: usize) -> io::Result<()> {
    if set == 0 {
        return Ok(());
    }
    let event = sigqueue::event()?;
    let mut r = lock();
    if !r.runs {
        let event = Pollable::new(event.try_clone_to_owned()?);
        drop(Builder::new().name("signals".into()).go(move || deliver(&event))?);
        r.runs = true;
    }
    let blocked = set & crate::m::m0().sigmask.get() as usize;
    if blocked != 0 && r.catcher.is_none() {
        match Catcher::start() {
            Ok(catcher) => r.catcher = Some(catcher),
            Err(e) => {
                sigqueue::wake(); // the goroutine ends if it has nothing to do
                return Err(e);
            }
        }
    }
    match r.entries.iter_mut().find(|e| e.is(&target)) {
        Some(entry) => entry.wants |= set,
        None => r.entries.push(Entry { target, wants: set }),
    }
    each(set & !PENDING.wanted(), |sig| catch(sig.as_raw()));
    r.open(|open| open | blocked); // what is pending comes now, and is caught
    Ok(())
}

/// `target` is told of nothing any more. What was caught until now it has been told of.
pub(super) fn remove(target: &Target) {
    give_up(0, |entry| if entry.is(target) { usize::MAX } else { 0 }, release);
}

/// Nobody is told of the signals of `set` any more, and the kernel drops them.
pub(super) fn ignore_all(set: usize) {
    give_up(set, |_| set, ignore);
}

/// Nobody is told of the signals of `set` any more, and the kernel does with them what it did.
pub(super) fn reset_all(set: usize) {
    give_up(set, |_| set, release);
}

/// `which` says what an entry no longer wants; `action` sets what the kernel does with what nobody
/// wants any more, and with `others`.
fn give_up(others: usize, which: impl Fn(&Entry) -> usize, action: fn(i32)) {
    let mut after = After::default();
    {
        let mut r = lock();
        let refused = r.give_up(which, action, &mut after);
        each(others & !refused, |sig| action(sig.as_raw()));
        if r.entries.is_empty() {
            sigqueue::wake(); // the goroutine ends
        }
    }
    after.act();
}

impl Entry {
    fn is(&self, target: &Target) -> bool {
        match (&self.target, target) {
            (Target::Channel(a), Target::Channel(b)) => a.same_channel(b),
            (Target::Context(a), Target::Context(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// False: it is nobody's any more.
    fn tell(&self, signal: Signal, after: &mut After) -> bool {
        match &self.target {
            Target::Channel(to) => {
                !matches!(to.try_send(signal), Err(TrySendError::Disconnected(_)))
            }
            Target::Context(context) => {
                after.ended.push((Arc::clone(context), signal));
                true
            }
        }
    }
}

impl Registry {
    /// SR1, SR2. The order of the steps is sigqueue/pending.rs's. Returns what is wanted no more.
    fn give_up(
        &mut self,
        which: impl Fn(&Entry) -> usize,
        action: fn(i32),
        after: &mut After,
    ) -> usize {
        let kept = self.entries.iter().fold(0, |all, e| all | e.wants & !which(e));
        let refused = PENDING.wanted() & !kept;
        self.open(|open| open & !refused);
        each(refused, |sig| action(sig.as_raw()));
        PENDING.refuse(refused);
        let dead = self.deliver(after);
        for e in &mut self.entries {
            e.wants &= !which(e);
        }
        self.entries.retain(|e| e.wants != 0);
        if dead {
            self.bury(after);
        }
        refused
    }

    /// Tells of what was caught. True: some channel is closed.
    fn deliver(&mut self, after: &mut After) -> bool {
        let mut dead = false;
        each(PENDING.take(), |sig| {
            let bit = sigqueue::bit(sig.as_raw());
            let mut told = false;
            for e in self.entries.iter().filter(|e| e.wants & bit != 0) {
                match e.tell(sig, after) {
                    true => told = true,
                    false => dead = true,
                }
            }
            if !told {
                after.raise |= bit;
            }
        });
        dead
    }

    /// Closed channels go.
    fn bury(&mut self, after: &mut After) {
        let is_dead = |e: &Entry| matches!(&e.target, Target::Channel(to) if to.is_closed());
        self.give_up(|e| if is_dead(e) { usize::MAX } else { 0 }, release, after);
    }

    /// Sets what the catcher lets in, of what all Ms block.
    fn open(&self, f: impl Fn(usize) -> usize) {
        if let Some(catcher) = &self.catcher {
            catcher.open(f);
        }
    }
}

/// A thread that does nothing but not block some signals which all Ms block: programs inherit the
/// mask of who starts them. Go: ensureSigM.
struct Catcher(Arc<(Mutex<Open>, Condvar)>);

#[derive(Default)]
struct Open {
    wanted: usize,
    /// What the thread's mask says.
    done: usize,
}

impl Catcher {
    fn start() -> io::Result<Catcher> {
        let shared = Arc::new((Mutex::new(Open::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let body = move || {
            let (open, changed) = &*theirs;
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                set_mask(!(open.wanted as u64));
                open.done = open.wanted;
                changed.notify_all();
                let same = |open: &mut Open| open.done == open.wanted;
                open = changed.wait_while(open, same).unwrap_or_else(PoisonError::into_inner);
            }
        };
        std::thread::Builder::new().name("rt0-signals".into()).spawn(body)?;
        Ok(Catcher(shared))
    }

    /// Returns when it is so.
    fn open(&self, f: impl Fn(usize) -> usize) {
        let (open, changed) = &*self.0;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.wanted = f(open.wanted);
        changed.notify_all();
        let differs = |open: &mut Open| open.done != open.wanted;
        drop(changed.wait_while(open, differs));
    }
}

const PAUSE: Duration = Duration::from_millis(10);

/// The goroutine. Go: os/signal.loop, signal_recv.
fn deliver(event: &Pollable) {
    loop {
        let read = event.io(Dir::Read, |fd| rustix::io::read(fd, &mut [0_u8; 8]));
        if read.is_err() {
            // Out of descriptors or memory for the epoll set: it looks now and then.
            crate::time::sleep(PAUSE);
        }
        let mut after = After::default();
        let ends = {
            let mut r = lock();
            if r.deliver(&mut after) {
                r.bury(&mut after);
            }
            let ends = r.entries.is_empty();
            r.runs &= !ends;
            ends
        };
        after.act();
        if ends {
            return;
        }
    }
}
