//! The functions, a row each.
//!
//! `sys!` rows are plain system calls: their number, and the arguments where they differ from the
//! function's. `real!` rows are passed to libc's function on goroutines too: in brackets the name
//! that libc.a has for it, if any. After `long`: when the call surely sleeps for a while. After
//! `only`: which calls are marked at all; the others are just passed on. Optional arguments of
//! variadic functions are words that the caller may not have set, passed on as they are.
//!
//! Left out: what blocks only on local disks by design of the kernel (stat, unlink, …), and
//! `pthread_mutex_lock` and its kin, which are short or long and too frequent to mark; sysmon finds
//! the long ones. `__read_chk` and its kin are what C code compiled with _FORTIFY_SOURCE calls.
//!
//! # Safety
//! * `TA1`: each row has the type of the C function; arguments are the caller's, passed on.

#![allow(unsafe_code, reason = "TA1: defines C symbols and calls the ones they stand in front of")]

use super::enter::{From, begin, result};
use super::real;
use crate::arch::here::here;
use crate::sched::syscall::Expect;
use core::ffi::{CStr, c_int, c_long, c_uint};

type Ptr = *mut core::ffi::c_void;
/// `off_t`, `id_t` and others that fill a register.
type Off = i64;

/// A weak C symbol that jumps to the Rust function of the same name.
macro_rules! weak {
    ($name:ident) => {
        core::arch::global_asm!(
            concat!(".weak ", stringify!($name)),
            concat!(".type ", stringify!($name), ", @function"),
            concat!(stringify!($name), ":"),
            ".cfi_startproc",
            "jmp {function}",
            ".cfi_endproc",
            concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
            function = sym $name,
        );
    };
}
pub(super) use weak;

/// The words of a system call.
fn words<const N: usize>(given: [usize; N]) -> [usize; 6] {
    core::array::from_fn(|i| given.get(i).copied().unwrap_or(0))
}

fn long_if(is: bool) -> Expect {
    if is { Expect::Long } else { Expect::Short }
}

/// Whether a relative timeout is a millisecond or longer.
fn is_long(timeout: *const libc::timespec) -> bool {
    // SAFETY: TA1: null, or a timespec of the caller's.
    unsafe { timeout.as_ref() }.is_some_and(|t| t.tv_sec > 0 || t.tv_nsec >= 1_000_000)
}

macro_rules! sys {
    ($name:ident($($a:ident: $t:ty),*) -> $r:ty, $nr:ident $($kernel:expr),*) => {
        sys!(@ $name($($a: $t),*) -> $r, $nr, sys!(@or [$($kernel),*] [$($a as usize),*]));
    };
    (@or [] [$($a:expr),*]) => { [$($a),*] };
    (@or [$($kernel:expr),+] $rest:tt) => { [$($kernel as usize),+] };
    (@ $name:ident($($a:ident: $t:ty),*) -> $r:ty, $nr:ident, $words:expr) => {
        weak!($name);
        unsafe extern "C" fn $name($($a: $t),*) -> $r {
            let place = here();
            let section = match begin(Id::$name as u32, Expect::Short, &place) {
                From::Goroutine(section) => section,
                From::Libc(section) => match real::find_or_none(Id::$name) {
                    0 => section,
                    p => {
                        // SAFETY: RL1, TA1.
                        let f = unsafe {
                            core::mem::transmute::<usize, unsafe extern "C" fn($($t),*) -> $r>(p)
                        };
                        // SAFETY: TA1.
                        let r = unsafe { f($($a),*) };
                        section.end();
                        return r;
                    }
                },
            };
            // SAFETY: RS1, TA1.
            let r = unsafe { crate::sys::raw::syscall(libc::$nr, words($words)) };
            section.end();
            result(r) as $r
        }
    };
}

macro_rules! real {
    ($name:ident($($a:ident: $t:ty),*) -> $r:ty, [$($alias:ident)?] $($rest:tt)*) => {
        real!(@cfg [$($alias)?] {
            weak!($name);
        });
        real!(@cfg [$($alias)?] {
            unsafe extern "C" fn $name($($a: $t),*) -> $r {
                type Function = unsafe extern "C" fn($($t),*) -> $r;
                let f = real!(@find $name($($a: $t),*) -> $r, [$($alias)?]);
                // SAFETY: RL1, TA1.
                let Some(f) = (unsafe { core::mem::transmute::<usize, Option<Function>>(f) }) else {
                    return result(-(libc::ENOSYS as isize)) as $r;
                };
                let place = here();
                let section = real!(@begin place $name $($rest)*);
                // SAFETY: TA1.
                let r = unsafe { f($($a),*) };
                if let Some(From::Libc(section) | From::Goroutine(section)) = section {
                    section.end();
                }
                r
            }
        });
    };
    (@cfg [] { $($item:tt)* }) => {
        #[cfg(not(target_feature = "crt-static"))]
        $($item)*
    };
    (@cfg [$alias:ident] { $($item:tt)* }) => { $($item)* };
    (@find $name:ident($($a:ident: $t:ty),*) -> $r:ty, []) => { real::find(Id::$name) };
    (@find $name:ident($($a:ident: $t:ty),*) -> $r:ty, [$alias:ident]) => {{
        #[cfg(target_feature = "crt-static")]
        {
            unsafe extern "C" {
                fn $alias($($a: $t),*) -> $r;
            }
            $alias as Function as usize
        }
        #[cfg(not(target_feature = "crt-static"))]
        real::find(Id::$name)
    }};
    (@begin $place:ident $name:ident) => { Some(begin(Id::$name as u32, Expect::Short, &$place)) };
    (@begin $place:ident $name:ident long $is:expr) => {
        Some(begin(Id::$name as u32, long_if($is), &$place))
    };
    (@begin $place:ident $name:ident only $is:expr) => {
        if $is { Some(begin(Id::$name as u32, Expect::Short, &$place)) } else { None }
    };
}

macro_rules! table {
    ($($kind:ident! $name:ident($($a:ident: $t:ty),*) -> $r:ty { $($rest:tt)* })*) => {
        /// The number of each function.
        #[allow(non_camel_case_types, reason = "the functions' own names")]
        #[derive(Clone, Copy)]
        #[repr(u32)]
        #[allow(dead_code, reason = "static programs do not define all of them")]
        pub(super) enum Id {
            none, futex, pthread_getattr_np, pthread_exit, pthread_cancel, pthread_join, $($name),*
        }

        /// What a dump says, with a zero at the end.
        const TEXTS: &[&str] = &[
            "syscall\0",
            "syscall: futex\0",
            "syscall: pthread_getattr_np\0",
            "syscall: pthread_exit\0",
            "syscall: pthread_cancel\0",
            "syscall: pthread_join\0",
            $(concat!("syscall: ", stringify!($name), "\0")),*
        ];

        $($kind!($name($($a: $t),*) -> $r, $($rest)*);)*
    };
}

/// What a dump says of a goroutine in call number `call`.
pub(super) fn text(call: u32) -> &'static str {
    TEXTS.get(call as usize).unwrap_or(&TEXTS[0]).trim_end_matches('\0')
}

const fn name(text: &'static str) -> &'static CStr {
    let (_, after) = text.as_bytes().split_at("syscall: ".len());
    match CStr::from_bytes_with_nul(after) {
        Ok(name) => name,
        Err(_) => panic!("a text without its zero"),
    }
}

/// The functions' names; number 0 is no function.
pub(super) const NAMES: [&CStr; TEXTS.len()] = {
    let mut names = [c""; TEXTS.len()];
    let mut i = 1;
    while i < names.len() {
        names[i] = name(TEXTS[i]);
        i += 1;
    }
    names
};

table! {
    // Files, pipes, and whatever else a descriptor stands for.
    sys! read(fd: c_int, buf: Ptr, n: usize) -> isize { SYS_read }
    sys! write(fd: c_int, buf: Ptr, n: usize) -> isize { SYS_write }
    sys! readv(fd: c_int, iov: Ptr, n: c_int) -> isize { SYS_readv }
    sys! writev(fd: c_int, iov: Ptr, n: c_int) -> isize { SYS_writev }
    sys! pread(fd: c_int, buf: Ptr, n: usize, at: Off) -> isize { SYS_pread64 }
    sys! pread64(fd: c_int, buf: Ptr, n: usize, at: Off) -> isize { SYS_pread64 }
    sys! pwrite(fd: c_int, buf: Ptr, n: usize, at: Off) -> isize { SYS_pwrite64 }
    sys! pwrite64(fd: c_int, buf: Ptr, n: usize, at: Off) -> isize { SYS_pwrite64 }
    sys! preadv(fd: c_int, iov: Ptr, n: c_int, at: Off) -> isize { SYS_preadv }
    sys! preadv64(fd: c_int, iov: Ptr, n: c_int, at: Off) -> isize { SYS_preadv }
    sys! pwritev(fd: c_int, iov: Ptr, n: c_int, at: Off) -> isize { SYS_pwritev }
    sys! pwritev64(fd: c_int, iov: Ptr, n: c_int, at: Off) -> isize { SYS_pwritev }
    sys! open(path: Ptr, flags: c_int, mode: c_uint) -> c_int { SYS_open }
    sys! open64(path: Ptr, flags: c_int, mode: c_uint) -> c_int { SYS_open }
    sys! openat(dir: c_int, path: Ptr, flags: c_int, mode: c_uint) -> c_int { SYS_openat }
    sys! openat64(dir: c_int, path: Ptr, flags: c_int, mode: c_uint) -> c_int { SYS_openat }
    sys! creat(path: Ptr, mode: c_uint) -> c_int { SYS_creat }
    sys! creat64(path: Ptr, mode: c_uint) -> c_int { SYS_creat }
    sys! fsync(fd: c_int) -> c_int { SYS_fsync }
    sys! fdatasync(fd: c_int) -> c_int { SYS_fdatasync }
    sys! msync(at: Ptr, n: usize, flags: c_int) -> c_int { SYS_msync }
    sys! flock(fd: c_int, op: c_int) -> c_int { SYS_flock }
    sys! sendfile(out: c_int, from: c_int, at: Ptr, n: usize) -> isize { SYS_sendfile }
    sys! sendfile64(out: c_int, from: c_int, at: Ptr, n: usize) -> isize { SYS_sendfile }
    sys! splice(from: c_int, a: Ptr, to: c_int, b: Ptr, n: usize, f: c_uint) -> isize { SYS_splice }
    sys! tee(from: c_int, to: c_int, n: usize, flags: c_uint) -> isize { SYS_tee }
    sys! vmsplice(fd: c_int, iov: Ptr, n: usize, flags: c_uint) -> isize { SYS_vmsplice }
    sys! copy_file_range(from: c_int, a: Ptr, to: c_int, b: Ptr, n: usize, f: c_uint) -> isize {
        SYS_copy_file_range
    }
    sys! tcdrain(fd: c_int) -> c_int { SYS_ioctl fd, libc::TCSBRK, 1 }
    real! fcntl(fd: c_int, command: c_int, arg: usize) -> c_int {
        [__fcntl] only command == libc::F_SETLKW || command == libc::F_OFD_SETLKW
    }
    real! fcntl64(fd: c_int, command: c_int, arg: usize) -> c_int {
        [__fcntl] only command == libc::F_SETLKW || command == libc::F_OFD_SETLKW
    }
    real! lockf(fd: c_int, command: c_int, n: Off) -> c_int { [] }
    real! lockf64(fd: c_int, command: c_int, n: Off) -> c_int { [] }

    // Readiness.
    sys! poll(fds: Ptr, n: usize, ms: c_int) -> c_int { SYS_poll }
    real! ppoll(fds: Ptr, n: usize, timeout: Ptr, mask: Ptr) -> c_int { [__ppoll] }
    sys! select(n: c_int, r: Ptr, w: Ptr, x: Ptr, timeout: Ptr) -> c_int { SYS_select }
    real! pselect(n: c_int, r: Ptr, w: Ptr, x: Ptr, timeout: Ptr, mask: Ptr) -> c_int {
        [__pselect]
    }
    sys! epoll_wait(fd: c_int, events: Ptr, n: c_int, ms: c_int) -> c_int { SYS_epoll_wait }
    sys! epoll_pwait(fd: c_int, events: Ptr, n: c_int, ms: c_int, mask: Ptr) -> c_int {
        SYS_epoll_pwait fd, events, n, ms, mask, SIGSET_BYTES
    }
    sys! epoll_pwait2(fd: c_int, events: Ptr, n: c_int, timeout: Ptr, mask: Ptr) -> c_int {
        SYS_epoll_pwait2 fd, events, n, timeout, mask, SIGSET_BYTES
    }

    // Sockets.
    sys! accept(fd: c_int, addr: Ptr, len: Ptr) -> c_int { SYS_accept }
    sys! accept4(fd: c_int, addr: Ptr, len: Ptr, flags: c_int) -> c_int { SYS_accept4 }
    sys! connect(fd: c_int, addr: Ptr, len: c_uint) -> c_int { SYS_connect }
    sys! recv(fd: c_int, buf: Ptr, n: usize, flags: c_int) -> isize { SYS_recvfrom }
    sys! recvfrom(fd: c_int, buf: Ptr, n: usize, flags: c_int, addr: Ptr, len: Ptr) -> isize {
        SYS_recvfrom
    }
    sys! recvmsg(fd: c_int, msg: Ptr, flags: c_int) -> isize { SYS_recvmsg }
    sys! recvmmsg(fd: c_int, msgs: Ptr, n: c_uint, flags: c_int, timeout: Ptr) -> c_int {
        SYS_recvmmsg
    }
    sys! send(fd: c_int, buf: Ptr, n: usize, flags: c_int) -> isize { SYS_sendto }
    sys! sendto(fd: c_int, buf: Ptr, n: usize, flags: c_int, addr: Ptr, len: c_uint) -> isize {
        SYS_sendto
    }
    sys! sendmsg(fd: c_int, msg: Ptr, flags: c_int) -> isize { SYS_sendmsg }
    sys! sendmmsg(fd: c_int, msgs: Ptr, n: c_uint, flags: c_int) -> c_int { SYS_sendmmsg }

    // Time.
    real! nanosleep(want: *const libc::timespec, left: Ptr) -> c_int {
        [__nanosleep] long is_long(want)
    }
    real! clock_nanosleep(c: c_int, flags: c_int, t: *const libc::timespec, left: Ptr) -> c_int {
        [__clock_nanosleep] long flags & libc::TIMER_ABSTIME != 0 || is_long(t)
    }
    real! sleep(s: c_uint) -> c_uint { [__sleep] long s > 0 }
    real! usleep(us: c_uint) -> c_int { [] long us >= 1000 }

    // Children.
    sys! wait(status: Ptr) -> c_int { SYS_wait4 usize::MAX, status }
    sys! waitpid(pid: c_int, status: Ptr, options: c_int) -> c_int { SYS_wait4 }
    sys! wait3(status: Ptr, options: c_int, usage: Ptr) -> c_int {
        SYS_wait4 usize::MAX, status, options, usage
    }
    sys! wait4(pid: c_int, status: Ptr, options: c_int, usage: Ptr) -> c_int { SYS_wait4 }
    sys! waitid(kind: c_int, id: c_uint, info: Ptr, options: c_int) -> c_int { SYS_waitid }
    real! system(command: Ptr) -> c_int { [__libc_system] long !command.is_null() }

    // Threads.
    real! sem_wait(sem: Ptr) -> c_int { [__new_sem_wait] }
    real! sem_timedwait(sem: Ptr, until: Ptr) -> c_int { [] }
    real! sem_clockwait(sem: Ptr, clock: c_int, until: Ptr) -> c_int { [] }
    real! pthread_timedjoin_np(thread: usize, value: Ptr, until: Ptr) -> c_int { [] }
    real! pthread_clockjoin_np(thread: usize, value: Ptr, clock: c_int, until: Ptr) -> c_int { [] }
    real! pthread_cond_wait(cond: Ptr, mutex: Ptr) -> c_int { [__pthread_cond_wait] }
    real! pthread_cond_timedwait(cond: Ptr, mutex: Ptr, until: Ptr) -> c_int {
        [__pthread_cond_timedwait]
    }
    real! pthread_cond_clockwait(cond: Ptr, mutex: Ptr, clock: c_int, until: Ptr) -> c_int { [] }

    // Signals.
    real! sigwait(set: Ptr, sig: Ptr) -> c_int { [__sigwait] }
    real! sigwaitinfo(set: Ptr, info: Ptr) -> c_int { [__sigwaitinfo] }
    real! sigtimedwait(set: Ptr, info: Ptr, timeout: Ptr) -> c_int { [__sigtimedwait] }
    real! sigsuspend(set: Ptr) -> c_int { [__sigsuspend] }
    sys! pause() -> c_int { SYS_pause }

    // Names.
    real! getaddrinfo(node: Ptr, service: Ptr, hints: Ptr, found: Ptr) -> c_int { [] }
    real! getnameinfo(
        addr: Ptr, len: c_uint, host: Ptr, hlen: c_uint, serv: Ptr, slen: c_uint, flags: c_int
    ) -> c_int { [] }
    real! gethostbyname(name: Ptr) -> Ptr { [] }
    real! gethostbyname_r(
        name: Ptr, into: Ptr, buf: Ptr, n: usize, found: Ptr, error: Ptr
    ) -> c_int { [] }

    // System V and POSIX queues.
    sys! msgrcv(id: c_int, msg: Ptr, n: usize, kind: c_long, flags: c_int) -> isize { SYS_msgrcv }
    sys! msgsnd(id: c_int, msg: Ptr, n: usize, flags: c_int) -> c_int { SYS_msgsnd }
    sys! semop(id: c_int, ops: Ptr, n: usize) -> c_int { SYS_semop }
    sys! semtimedop(id: c_int, ops: Ptr, n: usize, timeout: Ptr) -> c_int { SYS_semtimedop }
    sys! mq_receive(q: c_int, msg: Ptr, n: usize, prio: Ptr) -> isize { SYS_mq_timedreceive }
    sys! mq_timedreceive(q: c_int, msg: Ptr, n: usize, prio: Ptr, until: Ptr) -> isize {
        SYS_mq_timedreceive
    }
    sys! mq_send(q: c_int, msg: Ptr, n: usize, prio: c_uint) -> c_int { SYS_mq_timedsend }
    sys! mq_timedsend(q: c_int, msg: Ptr, n: usize, prio: c_uint, until: Ptr) -> c_int {
        SYS_mq_timedsend
    }

    // _FORTIFY_SOURCE.
    real! __read_chk(fd: c_int, buf: Ptr, n: usize, room: usize) -> isize { [] }
    real! __recv_chk(fd: c_int, buf: Ptr, n: usize, room: usize, flags: c_int) -> isize { [] }
    real! __poll_chk(fds: Ptr, n: usize, ms: c_int, room: usize) -> c_int { [] }
    real! __open_2(path: Ptr, flags: c_int) -> c_int { [] }
    real! __open64_2(path: Ptr, flags: c_int) -> c_int { [] }
}

/// The kernel's sigset_t.
const SIGSET_BYTES: usize = 8;

// Somebody has to ask for the archive member that these symbols are in.
#[used]
static KEEP: unsafe extern "C" fn() = rt0_interpose;
unsafe extern "C" {
    fn rt0_interpose();
}
core::arch::global_asm!(".hidden rt0_interpose", ".globl rt0_interpose", "rt0_interpose: ret");
