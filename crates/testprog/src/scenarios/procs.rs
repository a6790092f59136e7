//! GOMAXPROCS where nobody sets it, and how quiet a process is that has nothing to do.

use super::{DONE, Entry, Run};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, iter};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("FollowAffinity", Run::Main(follow_affinity)),
    ("IgnoreAffinity", Run::Main(ignore_affinity)),
    ("IdleSwitches", Run::Main(idle_switches)),
    ("HandOffWithoutMembarrier", Run::Plain(hand_off_without_membarrier)),
    ("StopWithoutMembarrier", Run::Plain(stop_without_membarrier)),
];

fn tasks() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs is mounted");
    let tid = |t: fs::DirEntry| t.file_name().to_str().and_then(|name| name.parse().ok());
    tasks.filter_map(Result::ok).filter_map(tid).collect()
}

/// Every thread of the process.
fn set_affinity(set: &CpuSet) {
    for tid in tasks() {
        let _ = sched_setaffinity(rustix::thread::Pid::from_raw(tid), set); // it may have ended
    }
}

/// Works a little until the number of Ps is `wanted`; what it is then, or after `limit`.
fn procs_within(limit: Duration, wanted: usize) -> usize {
    let end = Instant::now() + limit;
    while rt0::gomaxprocs() != wanted && Instant::now() < end {
        rt0::time::sleep(Duration::from_millis(5));
    }
    rt0::gomaxprocs()
}

/// Prints the number of Ps: with all CPUs, with one, with all; then, after a call that sets it to
/// 3, with one, after a call for the default, with all.
fn follow_affinity() -> ExitCode {
    const SOON: Duration = Duration::from_secs(20);
    let all = sched_getaffinity(None).expect("the CPUs of this thread");
    let mut one = CpuSet::new();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a CPU");
    one.set(first);
    rt0::go(|| ()).join().expect("no panic"); // threads are there
    let n = rt0::num_cpu();
    let mut seen = vec![rt0::gomaxprocs()];
    for (set, wanted) in [(&one, 1), (&all, n)] {
        set_affinity(set);
        seen.push(procs_within(SOON, wanted));
    }
    rt0::set_gomaxprocs(3);
    set_affinity(&one);
    seen.push(procs_within(Duration::from_millis(2500), 1));
    rt0::set_default_gomaxprocs();
    seen.push(rt0::gomaxprocs());
    set_affinity(&all);
    seen.push(procs_within(SOON, n));
    println!("{}", seen.iter().map(usize::to_string).collect::<Vec<_>>().join(" "));
    DONE
}

/// Prints the number of Ps with all CPUs, and with one.
fn ignore_affinity() -> ExitCode {
    rt0::go(|| ()).join().expect("no panic"); // threads are there
    let before = rt0::gomaxprocs();
    let mut one = CpuSet::new();
    let all = sched_getaffinity(None).expect("the CPUs of this thread");
    one.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a CPU"));
    set_affinity(&one);
    println!("{before} {}", procs_within(Duration::from_millis(2500), 1));
    DONE
}

/// How often each thread but the calling one has gone to sleep.
fn switches() -> BTreeMap<i32, u64> {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let of = |tid: i32| {
        let status = fs::read_to_string(format!("/proc/self/task/{tid}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((tid, line.trim().parse().ok()?))
    };
    tasks().into_iter().filter(|tid| *tid != own).filter_map(of).collect()
}

/// Prints how often threads of the runtime woke up in each of three seconds in which every
/// goroutine was parked.
fn idle_switches() -> ExitCode {
    static DONE_WATCHING: AtomicBool = AtomicBool::new(false);
    let parked: Vec<_> = (0..100).map(|_| rt0::go(rt0::park)).collect();
    drop(rt0::go(|| rt0::time::sleep(Duration::from_secs(3600))));
    for h in (0..1000).map(|_| rt0::go(rt0::gosched)).collect::<Vec<_>>() {
        h.join().expect("no panic");
    }
    let main = rt0::current().expect("a goroutine");
    let watcher = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500)); // the runtime's background work ends
        let second = || {
            let before = switches();
            thread::sleep(Duration::from_secs(1));
            let grown = |(tid, n)| n - before.get(&tid).copied().unwrap_or(0);
            switches().into_iter().map(grown).sum::<u64>()
        };
        let seen: Vec<_> = iter::repeat_with(second).take(3).collect();
        DONE_WATCHING.store(true, Ordering::SeqCst); // before the wake-up: is_finished comes after
        main.unpark();
        seen
    });
    while !DONE_WATCHING.load(Ordering::SeqCst) {
        rt0::park();
    }
    let seen = watcher.join().expect("no panic");
    println!("{}", seen.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    parked.iter().for_each(|h| h.goroutine().unpark());
    parked.into_iter().for_each(|h| h.join().expect("no panic"));
    DONE
}

/// From here on the kernel knows no membarrier for this thread and those that it makes.
#[allow(unsafe_code, reason = "two prctl calls, one with a filter program")]
fn refuse_membarrier() {
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the call
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_membarrier as u32),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers only.
    let r = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(r, 0, "no_new_privs");
    // SAFETY: the kernel copies the program, which lives until the call returns.
    let r = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) };
    assert_eq!(r, 0, "seccomp");
}

/// On one P, a goroutine that sleeps beside one in a loop without a call that waits for it to end,
/// where no barrier can be had on other threads.
fn hand_off_without_membarrier() -> ExitCode {
    refuse_membarrier();
    rt0::run(|| {
        rt0::set_gomaxprocs(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let hog = rt0::go(move || {
            while !stopped.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        });
        for _ in 0..20 {
            rt0::time::sleep(Duration::from_millis(1));
            rt0::go(|| {}).join().expect("no panic");
        }
        stop.store(true, Ordering::SeqCst);
        hog.join().expect("no panic");
        println!("ok");
    });
    DONE
}

/// Resizes beside a loop without a call, where no barrier can be had on other threads; prints
/// whether that took less than the five seconds of the loop.
fn stop_without_membarrier() -> ExitCode {
    refuse_membarrier();
    rt0::run(|| {
        rt0::set_gomaxprocs(2);
        let (running, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let hog = {
            let (running, stop) = (Arc::clone(&running), Arc::clone(&stop));
            rt0::go(move || {
                running.store(true, Ordering::SeqCst);
                while !stop.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            })
        };
        while !running.load(Ordering::SeqCst) {
            rt0::gosched();
        }
        let late = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(5));
                stop.swap(true, Ordering::SeqCst)
            })
        };
        rt0::set_gomaxprocs(3);
        println!("{}", !stop.swap(true, Ordering::SeqCst));
        hog.join().expect("no panic");
        drop(late);
    });
    DONE
}
