//! Overflow of every kind of stack, and memory that dead stacks give back.

use super::{DONE, Entry, Run::Main};
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("StackOverflow", Main(stack_overflow)),
    ("StackOverflowNamed", Main(stack_overflow_named)),
    ("StackOverflowSmall", Main(stack_overflow_small)),
    ("StackOverflowAmongMany", Main(stack_overflow_among_many)),
    ("StackOverflowThread", Main(stack_overflow_thread)),
    ("Segfault", Main(segfault)),
    ("SegfaultThread", Main(segfault_thread)),
    ("DivideByZero", Main(divide_by_zero)),
    ("BusError", Main(bus_error)),
    ("CallNowhere", Main(call_nowhere)),
    ("KillSegv", Main(kill_segv)),
    ("Abort", Main(abort)),
    ("AbortThread", Main(abort_thread)),
    ("SpawnFlat", Main(spawn_flat)),
    ("StackTrim", Main(stack_trim)),
];

#[expect(unconditional_recursion, reason = "overflowing is the point")]
#[inline(never)]
fn recurse(n: u64) -> u64 {
    let mut frame = [n; 64];
    black_box(&mut frame);
    recurse(n + 1) + black_box(frame[3])
}

fn stack_overflow() -> ExitCode {
    println!("{}", recurse(0));
    DONE
}

fn stack_overflow_named() -> ExitCode {
    let h = rt0::Builder::new().name("deep one".into()).go(|| recurse(0));
    let _ = h.map(rt0::JoinHandle::join);
    DONE
}

fn stack_overflow_small() -> ExitCode {
    let h = rt0::Builder::new().stack_size(64 << 10).go(|| recurse(0));
    let _ = h.map(rt0::JoinHandle::join);
    DONE
}

/// On the last of so many slots that most were carved together: each was written to where it is
/// used first, and each has a guard of its own.
fn stack_overflow_among_many() -> ExitCode {
    const MANY: usize = 400;
    let arrived = Arc::new(AtomicUsize::new(0));
    let wait = |i: usize| {
        let arrived = Arc::clone(&arrived);
        move || {
            arrived.fetch_add(1, Ordering::SeqCst);
            if i < MANY {
                rt0::park();
            }
            while arrived.load(Ordering::SeqCst) < MANY {
                rt0::gosched();
            }
            recurse(0)
        }
    };
    let all: Vec<_> = (1..=MANY).map(|i| rt0::go(wait(i))).collect();
    for h in all {
        let _ = h.join();
    }
    DONE
}

fn stack_overflow_thread() -> ExitCode {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let t = std::thread::Builder::new().name("a thread of std's".into());
    let _ = t.spawn(|| recurse(0)).map(std::thread::JoinHandle::join);
    DONE
}

#[allow(unsafe_code, reason = "a fault on purpose")]
fn fault() -> u8 {
    let p = black_box(std::ptr::without_provenance::<u8>(8));
    // SAFETY: none; the program is to be ended by the fault.
    unsafe { p.read_volatile() }
}

/// The report is to show main where it waits.
fn when_main_waits<T>(f: impl FnOnce() -> T) -> T {
    use rt0::debug::{Party, waits};
    while !waits().iter().any(|w| w.party == Party::Goroutine(1) && w.reason == "join") {
        rt0::time::sleep(Duration::from_millis(1));
    }
    f()
}

fn segfault() -> ExitCode {
    let _ = rt0::go(|| black_box(when_main_waits(fault))).join();
    DONE
}

/// Of a thread that the runtime has nothing to do with.
fn segfault_thread() -> ExitCode {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let _ = std::thread::spawn(fault).join();
    DONE
}

/// Rust checks divisors; C and assembly do not.
#[inline(never)]
#[allow(unsafe_code, reason = "a fault on purpose")]
fn divide(by: u64) -> u64 {
    let result: u64;
    // SAFETY: none; the program is to be ended by the fault.
    unsafe {
        std::arch::asm!("div {by}", by = in(reg) by, inout("rax") 7_u64 => result,
            inout("rdx") 0_u64 => _);
    }
    result
}

fn divide_by_zero() -> ExitCode {
    let h =
        rt0::Builder::new().name("divider".into()).go(|| when_main_waits(|| divide(black_box(0))));
    let _ = h.map(rt0::JoinHandle::join);
    DONE
}

/// A file's mapping beyond its end.
#[allow(unsafe_code, reason = "a fault on purpose")]
fn bus_error() -> ExitCode {
    let file = fs::File::open("/proc/self/exe").expect("our own program");
    let bytes = file.metadata().expect("a file").len() as usize;
    let page = (bytes + 4096).next_multiple_of(4096);
    let (prot, flags) = (rustix::mm::ProtFlags::READ, rustix::mm::MapFlags::PRIVATE);
    // SAFETY: a new mapping.
    let p = unsafe {
        rustix::mm::mmap(std::ptr::null_mut(), page + 4096, prot, flags, &file, 0).expect("memory")
    };
    let beyond = p.addr() + page;
    let _ = rt0::go(move || {
        let p = black_box(std::ptr::with_exposed_provenance::<u8>(beyond));
        // SAFETY: none; the program is to be ended by the fault.
        unsafe { p.read_volatile() }
    })
    .join();
    DONE
}

/// A call of what is no function.
#[allow(unsafe_code, reason = "a fault on purpose")]
fn call_nowhere() -> ExitCode {
    // SAFETY: none; the program is to be ended by the fault.
    let f = unsafe { std::mem::transmute::<usize, extern "C" fn()>(black_box(16)) };
    f();
    black_box(DONE)
}

fn kill_segv() -> ExitCode {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::SEGV);
    std::thread::sleep(Duration::from_secs(5));
    DONE
}

fn abort() -> ExitCode {
    std::process::abort();
}

fn abort_thread() -> ExitCode {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let _ = std::thread::spawn(|| std::process::abort()).join();
    DONE
}

fn status_kib(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line = text.lines().find_map(|l| l.strip_prefix(key)).expect("a known key");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

fn spawn_and_join(total: usize) {
    const AT_ONCE: usize = 100;
    for _ in 0..total / AT_ONCE {
        let handles: Vec<_> = (0..AT_ONCE).map(|n| rt0::go(move || n)).collect();
        for h in handles {
            h.join().expect("no panic");
        }
    }
}

/// Prints how many KiB 200,000 goroutines, a hundred at a time, leave behind.
fn spawn_flat() -> ExitCode {
    spawn_and_join(20_000);
    let before = status_kib("VmRSS:");
    spawn_and_join(200_000);
    println!("{}", status_kib("VmRSS:").saturating_sub(before));
    DONE
}

const DEEP: usize = 400;

#[inline(never)]
fn use_200_kib() {
    let mut frame = [1_u8; 200 << 10];
    black_box(&mut frame);
}

/// Prints KiB resident: before, with all stacks used, and when they have been given back.
fn stack_trim() -> ExitCode {
    let (arrived, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let before = status_kib("VmRSS:");
    let handles: Vec<_> = (0..DEEP)
        .map(|_| {
            let (arrived, leave) = (Arc::clone(&arrived), Arc::clone(&leave));
            rt0::go(move || {
                use_200_kib();
                arrived.fetch_add(1, Ordering::SeqCst);
                while !leave.load(Ordering::SeqCst) {
                    rt0::time::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    while arrived.load(Ordering::SeqCst) < DEEP {
        rt0::time::sleep(Duration::from_millis(1));
    }
    let used = status_kib("VmRSS:");
    leave.store(true, Ordering::SeqCst);
    for h in handles {
        h.join().expect("no panic");
    }
    let mut after = status_kib("VmRSS:");
    for _ in 0..100 {
        if after < before + (used - before) / 2 {
            break;
        }
        rt0::time::sleep(Duration::from_millis(50));
        after = status_kib("VmRSS:");
    }
    println!("{before} {used} {after}");
    DONE
}
