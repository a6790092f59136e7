//! The numbers of signals.

use std::fmt;

/// A signal that a program can handle: any but SIGKILL and SIGSTOP, and the two of glibc's own. Go:
/// `syscall.Signal`.
///
/// [`Display`](fmt::Display) says what Go says (`terminated`), `Debug` the name (`SIGTERM`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

macro_rules! signals {
    ($($short:ident = $name:ident, $text:literal;)*) => {
        impl Signal {$(
            #[doc = concat!("`", stringify!($name), "`")]
            pub const $short: Signal = Signal(libc::$name as u8);
        )*}

        /// Name, and Go's text.
        const TEXTS: &[(Signal, &str, &str)] =
            &[$((Signal::$short, stringify!($name), $text)),*];
    };
}

signals! {
    HUP = SIGHUP, "hangup";
    INT = SIGINT, "interrupt";
    QUIT = SIGQUIT, "quit";
    ILL = SIGILL, "illegal instruction";
    TRAP = SIGTRAP, "trace/breakpoint trap";
    ABRT = SIGABRT, "aborted";
    BUS = SIGBUS, "bus error";
    FPE = SIGFPE, "floating point exception";
    USR1 = SIGUSR1, "user defined signal 1";
    SEGV = SIGSEGV, "segmentation fault";
    USR2 = SIGUSR2, "user defined signal 2";
    PIPE = SIGPIPE, "broken pipe";
    ALRM = SIGALRM, "alarm clock";
    TERM = SIGTERM, "terminated";
    STKFLT = SIGSTKFLT, "stack fault";
    CHLD = SIGCHLD, "child exited";
    CONT = SIGCONT, "continued";
    TSTP = SIGTSTP, "stopped";
    TTIN = SIGTTIN, "stopped (tty input)";
    TTOU = SIGTTOU, "stopped (tty output)";
    URG = SIGURG, "urgent I/O condition";
    XCPU = SIGXCPU, "CPU time limit exceeded";
    XFSZ = SIGXFSZ, "file size limit exceeded";
    VTALRM = SIGVTALRM, "virtual timer expired";
    PROF = SIGPROF, "profiling timer expired";
    WINCH = SIGWINCH, "window changed";
    IO = SIGIO, "I/O possible";
    PWR = SIGPWR, "power failure";
    SYS = SIGSYS, "bad system call";
}

/// How many there are: 64, less SIGKILL, SIGSTOP, and two of glibc's.
const COUNT: usize = 60;

impl Signal {
    /// All of them. Go: an empty list.
    pub const ALL: &'static [Signal] = &{
        let mut all = [Signal::HUP; COUNT];
        let (mut n, mut count) = (1, 0);
        while n <= 64 {
            if let Some(sig) = Signal::from_raw(n) {
                all[count] = sig;
                count += 1;
            }
            n += 1;
        }
        assert!(count == COUNT);
        all
    };

    /// The signal of this number. `None`: there is none, or it cannot be handled.
    pub const fn from_raw(number: i32) -> Option<Signal> {
        match number {
            libc::SIGKILL | libc::SIGSTOP | 32 | 33 => None,
            1..=64 => Some(Signal(number as u8)),
            _ => None,
        }
    }

    /// Its number.
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TEXTS.iter().find(|(sig, ..)| sig == self) {
            Some((.., text)) => f.pad(text),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TEXTS.iter().find(|(sig, ..)| sig == self) {
            Some((_, name, _)) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}
