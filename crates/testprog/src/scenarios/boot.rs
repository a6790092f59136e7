//! Before, around and after the runtime's life.

use super::{DONE, Entry, Run::Main, Run::Plain};
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Mutex;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("PrintGOMAXPROCS", Main(print_gomaxprocs)),
    ("PrintProcs", Main(print_procs)),
    ("NumGoroutine", Main(num_goroutine)),
    ("InitOrder", Main(init_order)),
    ("ClosedFds", Main(closed_fds)),
    ("GoBeforeBoot", Plain(go_before_boot)),
    ("BuilderBeforeBoot", Plain(builder_before_boot)),
    ("GoAfterRun", Plain(go_after_run)),
    ("GoAfterRunFromThread", Plain(go_after_run_from_thread)),
    ("GoAfterRunAtExit", Plain(go_after_run_at_exit)),
    ("GoAtExit", Main(go_at_exit)),
    ("RunTwice", Plain(run_twice)),
    ("MainInsideRun", Plain(main_inside_run)),
];

static STEPS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

fn step(name: &'static str) {
    STEPS.lock().expect("no panic in a task").push(name);
}

rt0::init_task! { name: "testprog/zeta", order: 10, run: || step("zeta") }
rt0::init_task! { name: "testprog/last", order: 20, run: || step("last") }
rt0::init_task! { name: "testprog/alpha", order: 10, run: || step("alpha") }
rt0::init_task! {
    name: "testprog/first",
    order: -5,
    run: || {
        // Tasks run on goroutine 1 and may start others.
        assert_eq!(rt0::current().map(|g| g.id()), Some(1));
        rt0::gosched();
        step("first");
    }
}

fn init_order() -> ExitCode {
    println!("{}", STEPS.lock().expect("no panic in a task").join(" "));
    DONE
}

fn print_gomaxprocs() -> ExitCode {
    println!("{}", rt0::gomaxprocs());
    DONE
}

fn print_procs() -> ExitCode {
    let (p, c, g) = (rt0::gomaxprocs(), rt0::num_cpu(), rt0::num_goroutine());
    println!("GOMAXPROCS {p} NumCPU {c} NumGoroutine {g}");
    DONE
}

fn num_goroutine() -> ExitCode {
    println!("{}", rt0::num_goroutine());
    let me = rt0::current().expect("goroutine 1");
    let handles: Vec<_> = (0..10).map(|_| rt0::go(rt0::park)).collect();
    println!("{}", rt0::num_goroutine());
    for h in handles {
        while !h.is_finished() {
            h.goroutine().unpark();
            rt0::gosched();
        }
        h.join().expect("no panic");
    }
    while rt0::num_goroutine() != 1 {
        rt0::gosched();
    }
    println!("{} {}", rt0::num_goroutine(), me.id());
    DONE
}

/// Started with descriptors 0 to 2 closed; reports to the file that its argument names.
fn closed_fds() -> ExitCode {
    let path = std::env::args().nth(2).expect("a path");
    let mut file = fs::File::create(path).expect("it can be made");
    println!("this goes nowhere, not into the file");
    eprintln!("nor does this");
    let fd = file.as_raw_fd();
    writeln!(file, "fd above 2: {}", fd > 2).expect("it can be written");
    DONE
}

fn go_before_boot() -> ExitCode {
    drop(rt0::go(|| 1));
    DONE
}

fn builder_before_boot() -> ExitCode {
    show_error();
    println!("{} {} {}", rt0::gomaxprocs(), rt0::num_cpu(), rt0::num_goroutine());
    rt0::gosched();
    println!("{:?}", rt0::current());
    DONE
}

fn show_error() {
    match rt0::Builder::new().go(|| 1) {
        Ok(_) => println!("a goroutine was made"),
        Err(e) => println!("{e}"),
    }
}

fn go_after_run() -> ExitCode {
    rt0::run(|| ());
    show_error();
    drop(rt0::go(|| 1));
    DONE
}

fn go_after_run_from_thread() -> ExitCode {
    rt0::run(|| rt0::go(|| ()).join()).expect("no panic");
    std::thread::spawn(show_error).join().expect("no panic");
    DONE
}

extern "C" fn at_exit_handler() {
    show_error();
}

#[allow(unsafe_code, reason = "libc's atexit")]
fn register_handler() {
    // SAFETY: the handler is a function without arguments.
    unsafe { libc::atexit(at_exit_handler) };
}

fn go_after_run_at_exit() -> ExitCode {
    register_handler();
    rt0::run(|| rt0::go(|| ()).join()).expect("no panic");
    DONE
}

/// Under `#[rt0::main]` libc's handlers run on goroutine 1: the runtime is still there.
fn go_at_exit() -> ExitCode {
    extern "C" fn handler() {
        println!("{:?}", rt0::go(|| "joined at exit").join().ok());
    }
    #[allow(unsafe_code, reason = "libc's atexit")]
    // SAFETY: the handler is a function without arguments.
    unsafe {
        libc::atexit(handler)
    };
    DONE
}

fn run_twice() -> ExitCode {
    let first = rt0::run(|| rt0::current().map(|g| g.id()));
    let second = rt0::run(|| rt0::go(|| rt0::current().map(|g| g.id() > 1)).join());
    println!("{first:?} {:?}", second.ok());
    DONE
}

/// `#[rt0::main]` after `run` has booted: its body is one more goroutine, and its status counts.
fn main_inside_run() -> ExitCode {
    mod late {
        #[rt0::main]
        pub(crate) fn main() -> std::process::ExitCode {
            println!("{}", rt0::current().is_some_and(|g| g.id() > 1));
            std::process::ExitCode::from(4)
        }
    }
    rt0::run(|| ());
    late::main();
    DONE
}
