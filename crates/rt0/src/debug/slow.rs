//! What sysmon has noted of goroutines that stayed on their thread for long (sched/slow.rs).
//!
//! sysmon writes, takes no lock that it could wait for long, and allocates nothing: the last notes
//! lie in a ring, each in memory from the kernel. It puts addresses down and leaves their names to
//! those who read: [`slow`], and with `GODEBUG=slowtrace=1` a thread that prints. Names take
//! milliseconds at first, and standard error may block.
//!
//! Stacks are taken only if somebody asked for notes: to look at a goroutine that computes its
//! thread has to be signalled. A thread that sleeps is never signalled, for that would end calls
//! that the kernel does not restart.

use super::dump::Snapshot;
use super::frame::Frame;
use super::print::{self, Detail};
use super::stacks::{Tool, is_in_state, tool};
use super::vars;
use crate::atomic::{AtomicI64, AtomicU32, Ordering, Word};
use crate::g::{G, Status};
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::m::M;
use crate::sys::raw::thread_cpu_ns;
use crate::sys::stderr::{Line, Stderr};
use crate::sys::{futex, mem, nanotime, threads};
use core::ffi::c_void;
use core::fmt::{self, Write};
use std::time::Duration;

/// Notes that are kept.
const KEPT: usize = 32;
/// Frames of each.
const FRAMES: usize = 32;

/// What a goroutine does that stays on its thread. See [`Slow`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SlowKind {
    /// It is in a call that the runtime knows of: a function of the C library that may block, or
    /// [`blocking`](crate::blocking). Its P runs others.
    Call,
    /// It sleeps in the kernel without having said so: an inline system call, a page fault, a lock
    /// of C code's. Its P was taken from it if others waited.
    Asleep,
    /// It computes. It was preempted, or its P taken, if others waited.
    Running,
}

/// How often each kind has been noted. See [`slow_counts`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct SlowCounts {
    /// [`SlowKind::Call`].
    pub calls: u64,
    /// [`SlowKind::Asleep`].
    pub asleep: u64,
    /// [`SlowKind::Running`].
    pub running: u64,
}

/// A goroutine that stayed on its thread for longer than the threshold. See [`slow`].
///
/// Its `Display` is the text that `GODEBUG=slowtrace=1` prints.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Slow {
    /// Counts all that were noted, from 1: who saw number 7 has not seen those above it. A thread
    /// that does not let its stack be taken is noted without; if it does later it is noted anew, in
    /// place of the first.
    pub number: u64,
    /// Its number.
    pub goroutine: u64,
    /// What it did.
    pub kind: SlowKind,
    /// The function of the C library, `rt0::blocking`, or the system call that it slept in, as far
    /// as there is one and its name is known.
    pub call: Option<String>,
    /// How long it has lasted, or did: exact to some milliseconds.
    pub lasted: Duration,
    /// It has ended.
    pub is_over: bool,
    /// The goroutine as [`dump_all`](super::dump_all) shows it, when it was noted. With frames if
    /// somebody had asked for notes by then: see [`watch_slow`].
    pub stack: String,
    since: Duration,
    text: String,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, ms) = ((self.since + self.lasted).as_millis(), self.lasted.as_millis());
        write!(f, "SLOW {at}ms: {ms}ms {}\n{}", self.text, self.stack)
    }
}

/// Goroutines that stayed on their thread for longer than the threshold: in one call, asleep in the
/// kernel, or computing without a switch. The last 32, the newest last; also those that still do.
///
/// sysmon looks at the threads every few milliseconds, whether somebody asks or not; goroutines pay
/// nothing for it. Before there is a second goroutine there is no sysmon. What was preempted in
/// time is not slow. The threshold is 20 ms, or `GODEBUG=slowthreshold=MS` (0: nothing is noted),
/// or what [`watch_slow`] sets. With `GODEBUG=slowtrace=1` each is printed on standard error, with
/// its stack, when it is noted.
///
/// Never blocks; from any thread.
pub fn slow() -> Vec<Slow> {
    let last = u64::from(NOTED.load(Ordering::Acquire)); // ORDERING: pairs with note
    let mut taken = tool();
    let notes = (last.saturating_sub(KEPT as u64)..last).filter_map(|n| copy(n + 1));
    notes.map(|note| note.in_words(taken.as_mut().map(|t| t.get()))).collect()
}

/// How often goroutines have been noted as slow: for a metric. See [`slow`]. Never blocks.
pub fn slow_counts() -> SlowCounts {
    SlowCounts { calls: COUNTS[0].get(), asleep: COUNTS[1].get(), running: COUNTS[2].get() }
}

/// Sets the threshold of [`slow`], and that stacks are taken from now on, for which goroutines that
/// compute are held for some microseconds; `None`: as `GODEBUG` says again, without stacks unless
/// `slowtrace=1`. With `asyncpreemptoff=1` nothing is held, and goroutines that compute have no
/// frames. At least a millisecond.
pub fn watch_slow(threshold: Option<Duration>) {
    let ns = threshold.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX / 4));
    let ns = if threshold.is_some() { ns.clamp(1_000_000, i64::MAX / 4) } else { 0 };
    THRESHOLD_NS.store(ns, Ordering::Relaxed); // ORDERING: a word of its own
}

/// As `watch_slow` set it; 0: it did not.
static THRESHOLD_NS: AtomicI64 = AtomicI64::new(0);

/// What is long, and whether stacks are shown then.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// 0: nothing is long.
    pub(crate) ns: i64,
    pub(crate) stacks: bool,
}

/// One look has one answer, and what it notes goes by that: `watch_slow` may change it meanwhile.
pub(crate) fn limit() -> Limit {
    let asked = vars::get().slowtrace.get() > 0;
    // ORDERING: a word of its own
    match THRESHOLD_NS.load(Ordering::Relaxed) {
        0 => {
            let ms = vars::get().slowthreshold.get().clamp(0, i64::MAX / 4_000_000);
            Limit { ns: ms * 1_000_000, stacks: asked }
        }
        ns => Limit { ns, stacks: true },
    }
}

/// A stretch of a goroutine's, as sysmon sees it.
pub(crate) struct Seen {
    pub(crate) gp: &'static G,
    pub(crate) mp: &'static M,
    pub(crate) status: u32,
    pub(crate) contexts: u32,
    pub(crate) since: i64,
    /// Its stack is wanted.
    pub(crate) stacks: bool,
    /// The number of the note that it has already, without its stack; 0: none.
    pub(crate) noted: u64,
    /// It is noted also if its stack cannot be had.
    pub(crate) is_last_try: bool,
}

/// What became of a stretch that was to be noted.
pub(crate) enum Noted {
    /// It has this number.
    Whole(u64),
    /// The same, but its stack could not be had.
    WithoutStack(u64),
    /// Not this time: it changes, or its thread does not answer.
    Refused,
    /// Not this time: its thread could not answer, for it had no CPU.
    NoCpu,
}

#[derive(Clone, Copy)]
struct Note {
    number: u64,
    snapshot: Snapshot,
    kind: SlowKind,
    /// The function's number in interpose/table.rs.
    call: u32,
    /// The system call, and the kernel's function: of a thread that sleeps.
    system_call: Option<u64>,
    wait_channel: Line<32>,
    since: i64,
    /// When it was over; 0: not yet.
    until: i64,
    frames: [Frame; FRAMES],
    n_frames: usize,
}

/// Number n lies in slot n % KEPT.
static RING: RtMutex<[Option<&'static mut Note>; KEPT]> =
    RtMutex::new(Rank::Misc, [const { None }; KEPT]);
/// The number of the last one.
static NOTED: AtomicU32 = AtomicU32::new(0);
/// sysmon writes.
static COUNTS: [Word; 3] = [const { Word::new(0) }; 3];

/// sysmon: the stretch is long.
pub(crate) fn note(seen: &Seen) -> Noted {
    let (gp, tid) = (seen.gp, seen.mp.procid.get() as u32);
    let asleep = threads::asleep(tid);
    let wait_channel = asleep.map_or_else(Line::new, |_| threads::wait_channel(tid));
    let is_call = seen.status == Status::Syscall as u32;
    let mut note = Note {
        number: u64::from(NOTED.load(Ordering::Relaxed)) + 1, // ORDERING: the only writer
        snapshot: Snapshot::of(gp, seen.status),
        kind: match asleep {
            _ if is_call => SlowKind::Call,
            Some(_) => SlowKind::Asleep,
            None => SlowKind::Running,
        },
        call: gp.call(),
        system_call: asleep.and_then(|a| a.call),
        wait_channel,
        since: seen.since,
        until: 0,
        frames: [Frame::default(); FRAMES],
        n_frames: 0,
    };
    let cpu_ns = thread_cpu_ns(tid as i32);
    let is_whole = !seen.stacks || note.take_stack(seen, asleep, tid);
    if !is_whole && asleep.is_none() && cpu_ns.is_some() && thread_cpu_ns(tid as i32) == cpu_ns {
        return Noted::NoCpu;
    }
    if !is_whole && (seen.noted != 0 || !seen.is_last_try) {
        return Noted::Refused;
    }
    if !is_in_state(gp, seen.status, seen.contexts) {
        return Noted::Refused; // what was read may be another's
    }
    if seen.noted == 0 {
        COUNTS[note.kind as usize].bump();
    }
    let number = note.number;
    if !note.keep(seen.noted) {
        return Noted::Refused;
    }
    NOTED.store(number as u32, Ordering::Release); // ORDERING: pairs with slow and tracer
    futex::wake(&NOTED, 1);
    if is_whole { Noted::Whole(number) } else { Noted::WithoutStack(number) }
}

/// sysmon: it has ended.
pub(crate) fn over(number: u64, now: i64) {
    if let Some(note) = RING.lock()[number as usize % KEPT].as_mut().filter(|n| n.number == number)
    {
        note.until = now;
    }
}

fn copy(number: u64) -> Option<Note> {
    let _pin = crate::tls::pin::pin();
    let ring = RING.lock();
    ring[number as usize % KEPT].as_deref().filter(|n| n.number == number).copied()
}

impl Note {
    /// Puts it into the ring, in the place of its stretch's earlier one if there is one. False: no
    /// memory.
    fn keep(self, earlier: u64) -> bool {
        let mut ring = RING.lock();
        let old = ring[earlier as usize % KEPT].as_mut().filter(|n| n.number == earlier);
        if let Some(old) = old {
            old.number = 0;
        }
        match &mut ring[self.number as usize % KEPT] {
            Some(slot) => **slot = self,
            free => match mem::fresh() {
                Some(room) => *free = Some(room.write(self)),
                None => return false,
            },
        }
        true
    }

    /// False: another time, perhaps.
    fn take_stack(&mut self, seen: &Seen, asleep: Option<threads::Asleep>, tid: u32) -> bool {
        let Some(mut taken) = tool() else { return false };
        let tool = taken.get();
        match (self.kind, asleep) {
            (SlowKind::Asleep, Some(a)) => {
                tool.asleep(seen.gp, a.pc, a.sp);
                if threads::asleep(tid) != asleep {
                    return false; // it went on meanwhile
                }
            }
            (SlowKind::Running, _) if vars::get().asyncpreemptoff.get() != 0 => return true,
            _ if !tool.in_state(seen.gp, seen.status, seen.contexts) => return false,
            _ => {}
        }
        self.n_frames = tool.stack.copy_to(&mut self.frames);
        true
    }

    fn lasted(&self) -> i64 {
        let until = if self.until == 0 { nanotime() } else { self.until };
        (until - self.since).max(0)
    }

    /// The call's name, if it has one.
    fn call(&self) -> Option<&'static str> {
        if self.kind == SlowKind::Call {
            let known = crate::interpose::call_text(self.call).strip_prefix("syscall: ");
            return Some(known.unwrap_or("rt0::blocking"));
        }
        system_call_name(self.system_call?)
    }

    /// What it does, behind how long.
    fn what(&self, out: &mut dyn Write) -> fmt::Result {
        match self.kind {
            SlowKind::Running => return out.write_str("without yielding"),
            SlowKind::Call => write!(out, "in {}", self.call().unwrap_or_default())?,
            SlowKind::Asleep => out.write_str("asleep")?,
        }
        let is_named = self.kind == SlowKind::Call && self.call != 0;
        match (self.system_call, self.system_call.and_then(system_call_name)) {
            _ if is_named => {}
            (Some(_), Some(name)) => write!(out, ", system call {name}")?,
            (Some(number), None) => write!(out, ", system call {number}")?,
            (None, _) => {}
        }
        if self.wait_channel.bytes().is_empty() {
            return Ok(());
        }
        write!(out, " ({})", print::Lossy(self.wait_channel.bytes()))
    }

    fn stack(&self, out: &mut dyn Write, tool: Option<&mut Tool>) -> fmt::Result {
        self.snapshot.header(out, Detail::Program)?;
        if let Some(tool) = tool {
            tool.stack.copy_from(&self.frames[..self.n_frames]);
            print::stack(out, tool, Detail::Program)?;
        }
        self.snapshot.created_by(out)
    }

    /// Allocates.
    fn in_words(&self, tool: Option<&mut Tool>) -> Slow {
        let (mut text, mut stack) = (String::new(), String::new());
        let _ = self.what(&mut text); // a String takes all
        let _ = self.stack(&mut stack, tool); // the same
        Slow {
            number: self.number,
            goroutine: self.snapshot.id,
            kind: self.kind,
            call: self.call().map(String::from),
            lasted: Duration::from_nanos(self.lasted() as u64),
            is_over: self.until != 0,
            stack,
            since: Duration::from_nanos(since_start(self.since)),
            text,
        }
    }
}

fn since_start(ns: i64) -> u64 {
    (ns - vars::runtime_init_time()).max(0) as u64
}

/// Calls that block, as Linux numbers them on x86-64.
fn system_call_name(number: u64) -> Option<&'static str> {
    const NAMES: [(i64, &str); 30] = [
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_poll, "poll"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_select, "select"),
        (libc::SYS_pselect6, "pselect6"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_pread64, "pread64"),
        (libc::SYS_pwrite64, "pwrite64"),
        (libc::SYS_readv, "readv"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_recvfrom, "recvfrom"),
        (libc::SYS_recvmsg, "recvmsg"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_accept, "accept"),
        (libc::SYS_accept4, "accept4"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_pause, "pause"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_waitid, "waitid"),
        (libc::SYS_futex, "futex"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_fcntl, "fcntl"),
        (libc::SYS_fsync, "fsync"),
        (libc::SYS_epoll_wait, "epoll_wait"),
        (libc::SYS_epoll_pwait, "epoll_pwait"),
    ];
    NAMES.iter().find(|(n, _)| *n as u64 == number).map(|(_, name)| *name)
}

static TRACER_TID: AtomicU32 = AtomicU32::new(0);

/// Whether this is the thread that prints.
pub(crate) fn is_tracer(tid: u32) -> bool {
    TRACER_TID.load(Ordering::Relaxed) == tid // ORDERING: a report
}

/// `GODEBUG=slowtrace=1`: prints what is noted.
pub(crate) extern "C" fn tracer(_: *mut c_void) -> *mut c_void {
    crate::sys::proc::name_thread(format_args!("rt0-slowtrace"));
    TRACER_TID.store(crate::sys::gettid() as u32, Ordering::Relaxed); // ORDERING: a report
    let mut printed = 0_u32;
    loop {
        super::halted::stay_if_frozen();
        let noted = NOTED.load(Ordering::Acquire); // ORDERING: pairs with note
        if noted == printed {
            futex::wait(&NOTED, noted, None);
            continue;
        }
        printed = printed.wrapping_add(1);
        if let Some(note) = copy(u64::from(printed)) {
            let _ = print(&note); // there is nowhere to say so
        }
    }
}

fn print(note: &Note) -> fmt::Result {
    let mut out = Stderr::new();
    let lasted = note.lasted();
    let at = since_start(note.since + lasted) / 1_000_000;
    write!(out, "SLOW {at}ms: {}ms ", lasted / 1_000_000)?;
    note.what(&mut out)?;
    out.write_str("\n")?;
    let mut taken = tool();
    note.stack(&mut out, taken.as_mut().map(|t| t.get()))?;
    out.write_str("\n")
}
