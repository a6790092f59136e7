//! C functions that block, called on goroutines by std and by C code.

#![cfg(feature = "interpose")]
#![allow(clippy::disallowed_types, reason = "the tests are a user's code")]
#![allow(unsafe_code, reason = "the tests call C functions, as C code does")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The tests count this process's threads, or depend on who runs: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn one() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("procfs is mounted").count()
}

/// `GODEBUG=tlsmode=3`: each goroutine is a thread.
fn one_to_one() -> bool {
    std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not in 20 s");
        rt0::time::sleep(Duration::from_millis(1));
    }
}

/// Runs `block` on twelve goroutines, more than there are Ps; they are let go by `release` only
/// after another goroutine has ticked on beside them.
fn beside_a_ticker(
    block: impl Fn(usize) + Send + Sync + 'static,
    release: impl FnOnce() + Send + 'static,
) {
    let _one = one();
    rt0::run(move || {
        let block = Arc::new(block);
        let blocked: Vec<_> = (0..12)
            .map(|i| {
                let block = Arc::clone(&block);
                rt0::go(move || block(i))
            })
            .collect();
        for _ in 0..20 {
            rt0::time::sleep(Duration::from_millis(1));
            rt0::go(|| ()).join().expect("no panic");
        }
        release();
        for h in blocked {
            h.join().expect("no panic");
        }
    });
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: just made, and nobody else's.
    let [r, w] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    (r, w)
}

fn pipes(n: usize) -> (Vec<OwnedFd>, Vec<OwnedFd>) {
    (0..n).map(|_| pipe()).unzip()
}

fn read_byte(fd: i32) -> isize {
    let mut byte = 0_u8;
    // SAFETY: room for one byte.
    unsafe { libc::read(fd, (&raw mut byte).cast(), 1) }
}

#[test]
fn read() {
    let (readers, writers) = pipes(12);
    beside_a_ticker(move |i| assert_eq!(read_byte(readers[i].as_raw_fd()), 0), || drop(writers));
}

#[test]
fn poll_and_select_and_epoll() {
    let (readers, writers) = pipes(12);
    let block = move |i: usize| {
        let fd = readers[i].as_raw_fd();
        let mut p = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        match i % 4 {
            // SAFETY: one entry.
            0 => assert_eq!(unsafe { libc::poll(&mut p, 1, -1) }, 1),
            1 => {
                let null = std::ptr::null();
                // SAFETY: one entry, no timeout, no mask.
                assert_eq!(unsafe { libc::ppoll(&mut p, 1, null, null.cast()) }, 1);
            }
            2 => {
                // SAFETY: zeroed memory is an empty set.
                let mut set: libc::fd_set = unsafe { std::mem::zeroed() };
                // SAFETY: a small descriptor.
                unsafe { libc::FD_SET(fd, &mut set) };
                let null = std::ptr::null_mut();
                // SAFETY: one set, no timeout.
                let n = unsafe { libc::select(fd + 1, &mut set, null, null, null.cast()) };
                assert_eq!(n, 1);
            }
            _ => {
                // SAFETY: no precondition.
                let ep = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
                // SAFETY: just made, and nobody else's.
                let ep = unsafe { OwnedFd::from_raw_fd(ep) };
                let mut ev = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
                let (e, add) = (ep.as_raw_fd(), libc::EPOLL_CTL_ADD);
                // SAFETY: an event.
                assert_eq!(unsafe { libc::epoll_ctl(e, add, fd, &mut ev) }, 0);
                // SAFETY: room for an event.
                assert_eq!(unsafe { libc::epoll_wait(e, &mut ev, 1, -1) }, 1);
            }
        }
    };
    beside_a_ticker(block, || drop(writers));
}

#[test]
fn sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let (to, to_udp) = (listener.local_addr().expect("bound"), udp.local_addr().expect("bound"));
    let block = move |i: usize| {
        if i < 6 {
            let mut s = listener.accept().expect("a connection").0;
            s.read_exact(&mut [0]).expect("a byte");
        } else {
            assert_eq!(udp.recv_from(&mut [0; 8]).expect("a datagram").0, 1);
        }
    };
    beside_a_ticker(block, move || {
        for _ in 0..6 {
            let mut s = TcpStream::connect(to).expect("a listener");
            s.write_all(b"x").expect("it fits");
            let from = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            from.send_to(b"x", to_udp).expect("it fits");
        }
    });
}

#[test]
fn fifos() {
    let dir = std::env::temp_dir().join(format!("rt0-fifo-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a temporary directory");
    let names: Vec<_> = (0..12).map(|i| dir.join(i.to_string())).collect();
    let mut mkfifo = Command::new("mkfifo");
    assert!(mkfifo.args(&names).status().expect("mkfifo is everywhere").success());
    let open = names.clone();
    beside_a_ticker(
        move |i| assert_eq!(fs::read(&open[i]).expect("a writer"), b"x"),
        move || names.iter().for_each(|n| fs::write(n, "x").expect("a reader")),
    );
    fs::remove_dir_all(dir).expect("our own");
}

#[test]
fn record_locks_and_flock() {
    let path = std::env::temp_dir().join(format!("rt0-lock-{}", std::process::id()));
    let open = move || fs::File::options().create(true).append(true).open(&path);
    let held = open().expect("a temporary file");
    held.lock().expect("nobody has it");
    // SAFETY: plain numbers.
    let mut l: libc::flock = unsafe { std::mem::zeroed() };
    l.l_type = libc::F_WRLCK as i16;
    // SAFETY: a lock's description.
    let r = unsafe { libc::fcntl(held.as_raw_fd(), libc::F_OFD_SETLK, &l) };
    assert_eq!(r, 0);
    let block = move |i: usize| {
        let f = open().expect("a temporary file");
        if i < 6 {
            return f.lock().expect("it comes free");
        }
        // SAFETY: a lock's description.
        let r = unsafe { libc::fcntl(f.as_raw_fd(), libc::F_OFD_SETLKW, &l) };
        assert_eq!(r, 0);
    };
    beside_a_ticker(block, || drop(held));
}

#[test]
fn threads_children_and_semaphores() {
    static GO: AtomicBool = AtomicBool::new(false);
    /// A semaphore that is shared by address.
    struct Sem(std::cell::UnsafeCell<libc::sem_t>);
    // SAFETY: semaphores are for several threads.
    unsafe impl Sync for Sem {}
    // SAFETY: a semaphore of zeroes is one with count 0.
    static SEM: Sem = Sem(std::cell::UnsafeCell::new(unsafe { std::mem::zeroed() }));
    let block = |i: usize| match i % 3 {
        0 => thread::spawn(|| {
            while !GO.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        })
        .join()
        .expect("no panic"),
        1 => assert!(Command::new("sleep").arg("0.1").status().expect("it is there").success()),
        // SAFETY: a semaphore that lives for ever.
        _ => assert_eq!(unsafe { libc::sem_wait(SEM.0.get()) }, 0),
    };
    beside_a_ticker(block, || {
        GO.store(true, SeqCst);
        // SAFETY: a semaphore that lives for ever.
        (0..4).for_each(|_| assert_eq!(unsafe { libc::sem_post(SEM.0.get()) }, 0));
    });
}

#[test]
fn sleeps() {
    let end = Instant::now() + Duration::from_millis(100);
    let block = move |i: usize| {
        while Instant::now() < end {
            match i % 3 {
                0 => thread::sleep(Duration::from_millis(20)),
                // SAFETY: a number.
                1 => assert_eq!(unsafe { libc::usleep(20_000) }, 0),
                _ => {
                    let t = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
                    // SAFETY: a time.
                    assert_eq!(unsafe { libc::nanosleep(&t, std::ptr::null_mut()) }, 0);
                }
            }
        }
    };
    beside_a_ticker(block, || ());
}

#[test]
fn locks_of_std() {
    let (tx, rx) = mpsc::channel::<()>();
    let rx = Mutex::new(rx);
    let barrier = Arc::new(Barrier::new(7));
    let last = Arc::clone(&barrier);
    let block = move |i: usize| {
        if i < 6 {
            barrier.wait();
        } else {
            // One waits in the channel, the others for the lock.
            let _ = rx.lock().expect("no panic").recv();
        }
    };
    beside_a_ticker(block, move || {
        drop(tx);
        last.wait();
    });
}

#[test]
fn errors_are_reported() {
    let _one = one();
    rt0::run(|| {
        rt0::go(|| {
            assert_eq!(read_byte(-1), -1);
            rt0::gosched();
            assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
            let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
            let null = std::ptr::null_mut();
            // SAFETY: a time, though not a valid one.
            let r = unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &bad, null) };
            assert_eq!(r, libc::EINVAL);
            // SAFETY: a number that no call has.
            assert_eq!(unsafe { libc::syscall(100_000) }, -1);
            assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS));
            let word = 1_u32;
            let none = std::ptr::null::<libc::timespec>();
            // SAFETY: a word, which has another value.
            let r = unsafe { libc::syscall(libc::SYS_futex, &word, libc::FUTEX_WAIT, 0, none) };
            assert_eq!((r, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EAGAIN)));
            let file = fs::File::open("/dev/null").expect("it is there");
            // SAFETY: numbers.
            let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags, libc::FD_CLOEXEC);
        })
        .join()
        .expect("no panic");
    });
}

/// Each needs a thread; the others go on, on as few as before.
#[test]
fn a_hundred_blocking_reads() {
    let _one = one();
    rt0::run(|| {
        let before = threads();
        let (readers, writers) = pipes(100);
        let waiting = Arc::new(AtomicU64::new(0));
        let handles: Vec<_> = readers
            .into_iter()
            .map(|r| {
                let waiting = Arc::clone(&waiting);
                rt0::go(move || {
                    waiting.fetch_add(1, SeqCst);
                    assert_eq!(read_byte(r.as_raw_fd()), 0);
                })
            })
            .collect();
        wait_until("all read", || waiting.load(SeqCst) == 100);
        let sum: u64 = (0..1000).map(|i| rt0::go(move || i).join().expect("no panic")).sum();
        assert_eq!(sum, 499_500);
        let now = threads();
        assert!(now <= before + 100 + 8 || one_to_one(), "{now} threads, {before} before");
        drop(writers);
        for h in handles {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn a_thousand_on_one_lock_need_few_threads() {
    let _one = one();
    rt0::run(|| {
        let before = threads();
        let lock = Arc::new(Mutex::new(0_u64));
        let most = Arc::new(AtomicU64::new(0));
        let handles: Vec<_> = (0..1000)
            .map(|_| {
                let (lock, most) = (Arc::clone(&lock), Arc::clone(&most));
                rt0::go(move || {
                    for _ in 0..20 {
                        *lock.lock().expect("no panic") += 1;
                    }
                    most.fetch_max(threads() as u64, SeqCst);
                })
            })
            .collect();
        for h in handles {
            h.join().expect("no panic");
        }
        assert_eq!(*lock.lock().expect("no panic"), 20_000);
        let most = most.load(SeqCst) as usize;
        assert!(most < before + 64 || one_to_one(), "{most} threads, {before} before");
    });
}

/// Short calls keep their P while others are queued, but not for longer than anybody.
#[test]
fn short_calls_cost_no_threads_and_share_the_time() {
    let _one = one();
    rt0::run(|| {
        let before = threads();
        let done = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = (0..4)
            .map(|_| {
                let done = Arc::clone(&done);
                rt0::go(move || {
                    let mut turns = 0_u64;
                    while !done.load(SeqCst) {
                        rt0::gosched();
                        turns += 1;
                    }
                    turns
                })
            })
            .collect();
        let zero = fs::File::open("/dev/zero").expect("it is there");
        let reads = rt0::go(move || {
            (0..100_000).for_each(|_| assert_eq!(read_byte(zero.as_raw_fd()), 1));
        });
        reads.join().expect("no panic");
        done.store(true, SeqCst);
        for h in others {
            assert!(h.join().expect("no panic") > 0);
        }
        let now = threads();
        assert!(now <= before + 8, "{now} threads, {before} before");
    });
}

static PIPE: AtomicI32 = AtomicI32::new(-1);
static HANDLED: AtomicU64 = AtomicU64::new(0);
static READ: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: i32) {
    let byte = 1_u8;
    // SAFETY: one byte, into a pipe that another thread empties.
    let r = unsafe { libc::write(PIPE.load(SeqCst), (&raw const byte).cast(), 1) };
    // SAFETY: numbers.
    unsafe { libc::usleep(300) };
    HANDLED.fetch_add(u64::from(r == 1), SeqCst);
}

/// Handlers write and sleep on the goroutine's own stack, or on an alternate one, wherever the
/// signal finds the goroutine: computing, in the runtime, in a call.
#[test]
fn handlers_may_call() {
    let _one = one();
    for flags in [0, libc::SA_ONSTACK] {
        // SAFETY: zeroed memory is an action to fill in.
        let mut act: libc::sigaction = unsafe { std::mem::zeroed() };
        act.sa_sigaction = handler as *const () as usize;
        act.sa_flags = flags | libc::SA_RESTART;
        // SAFETY: a valid action.
        assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &act, std::ptr::null_mut()) }, 0);
        let (r, w) = pipe();
        PIPE.store(w.as_raw_fd(), SeqCst);
        HANDLED.store(0, SeqCst);
        READ.store(0, SeqCst);
        thread::spawn(move || {
            while read_byte(r.as_raw_fd()) == 1 {
                READ.fetch_add(1, SeqCst);
            }
        });
        rt0::run(|| {
            let handles: Vec<_> = (0..8)
                .map(|i| {
                    rt0::go(move || {
                        for _ in 0..40 {
                            match i % 3 {
                                // SAFETY: the signal has a handler.
                                0 => assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0),
                                1 => rt0::gosched(),
                                _ => thread::sleep(Duration::from_micros(200)),
                            }
                            let me = std::process::id() as i32;
                            // SAFETY: the signal has a handler.
                            let r = unsafe { libc::kill(me, libc::SIGUSR1) };
                            assert_eq!(r, 0);
                            rt0::time::sleep(Duration::from_micros(100));
                        }
                    })
                })
                .collect();
            for h in handles {
                h.join().expect("no panic");
            }
        });
        // The last of them may still be on its way, for as long as its thread gets no CPU: the pipe
        // stays open.
        std::mem::forget(w);
        wait_until("all are counted", || READ.load(SeqCst) == HANDLED.load(SeqCst));
        assert!(HANDLED.load(SeqCst) >= 120, "{} were handled", HANDLED.load(SeqCst));
    }
}

/// What a child does between fork and `_exit`; the status tells what went wrong.
fn child(r: i32, w: i32) -> i32 {
    let byte = 7_u8;
    for _ in 0..20 {
        // SAFETY: one byte, which fits.
        if unsafe { libc::write(w, (&raw const byte).cast(), 1) } != 1 || read_byte(r) != 1 {
            return 1;
        }
    }
    let t = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let null = std::ptr::null_mut();
    // SAFETY: a time.
    if unsafe { libc::nanosleep(&t, null) } != 0 {
        return 2;
    }
    let mut p = libc::pollfd { fd: r, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    if unsafe { libc::poll(&mut p, 1, 2) } != 0 {
        return 3;
    }
    // SAFETY: there is no child, and no status is wanted.
    if unsafe { libc::waitpid(-1, null.cast(), 0) } != -1 { 4 } else { 0 }
}

/// Nobody in the child wakes a thread or waits for one.
#[test]
fn fork_under_load() {
    let _one = one();
    rt0::run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let load: Vec<_> = (0..4)
            .map(|i| {
                let stop = Arc::clone(&stop);
                rt0::go(move || {
                    while !stop.load(SeqCst) {
                        match i {
                            0 => thread::sleep(Duration::from_micros(100)),
                            1 => (0..10_000).for_each(|n| _ = std::hint::black_box(n)),
                            _ => rt0::gosched(),
                        }
                    }
                })
            })
            .collect();
        let parents: Vec<_> = (0..4)
            .map(|_| {
                rt0::go(|| {
                    for _ in 0..10 {
                        let (r, w) = pipe();
                        let (r_fd, w_fd) = (r.as_raw_fd(), w.as_raw_fd());
                        // SAFETY: the child makes system calls and ends.
                        let pid = unsafe { libc::fork() };
                        if pid == 0 {
                            let status = child(r_fd, w_fd);
                            // SAFETY: ends the child.
                            unsafe { libc::_exit(status) };
                        }
                        let mut status = 0;
                        // SAFETY: our child; room for its status.
                        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
                        assert_eq!(status, 0);
                    }
                })
            })
            .collect();
        for h in parents {
            h.join().expect("no panic");
        }
        stop.store(true, SeqCst);
        for h in load {
            h.join().expect("no panic");
        }
    });
}

/// A goroutine that computed for so long that it is asked to park, and calls just then.
#[test]
fn preemption_does_not_end_a_call() {
    let _one = one();
    rt0::run(|| {
        let end = Instant::now() + Duration::from_secs(1);
        let until = |at: Instant| while Instant::now() < at {};
        for _ in 0..20 {
            rt0::go(move || {
                while Instant::now() < end {
                    rt0::time::sleep(Duration::from_micros(500)); // who is due shortens the slices
                }
            });
        }
        let callers: Vec<_> = (0..8)
            .map(|_| {
                rt0::go(move || {
                    while Instant::now() < end {
                        until(Instant::now() + Duration::from_micros(900));
                        // SAFETY: no descriptors.
                        let r = unsafe { libc::poll(std::ptr::null_mut(), 0, 1) };
                        assert_eq!(r, 0, "{}", io::Error::last_os_error());
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("no call was interrupted");
        }
    });
}
