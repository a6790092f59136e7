//! Too many threads, too little address space.

use super::{DONE, Entry, Run::Main};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("ThreadExhaustion", Main(thread_exhaustion)),
    ("MaxThreads", Main(max_threads)),
    ("AddressSpace", Main(address_space)),
    ("AddressSpaceGo", Main(address_space_go)),
    ("HugeStack", Main(huge_stack)),
    ("Hello", Main(hello)),
];

fn thread_exhaustion() -> ExitCode {
    rt0::set_max_threads(10);
    for _ in 0..100 {
        drop(rt0::go(|| {
            rt0::blocking(|| std::thread::sleep(Duration::from_secs(2)));
        }));
    }
    rt0::time::sleep(Duration::from_secs(5));
    DONE
}

fn max_threads() -> ExitCode {
    let first = rt0::set_max_threads(50);
    println!("{first} {}", rt0::set_max_threads(first));
    DONE
}

fn sleep_long() {
    rt0::time::sleep(Duration::from_secs(3600));
}

/// Threads that idle when the address space is used up: to need one then is fatal.
fn make_spare_threads() {
    let block = || rt0::blocking(|| std::thread::sleep(Duration::from_millis(10)));
    let blocked: Vec<_> = (0..2).map(|_| rt0::Builder::new().go(block)).collect();
    blocked.into_iter().flatten().for_each(|handle| handle.join().expect("no panic"));
}

/// Makes goroutines until none can be made.
fn address_space() -> ExitCode {
    make_spare_threads();
    for n in 0..1_000_000 {
        match rt0::Builder::new().go(sleep_long) {
            Ok(h) => drop(h),
            Err(e) => {
                println!("{n} {:?} {e}", e.kind());
                return DONE;
            }
        }
    }
    println!("no limit");
    DONE
}

fn address_space_go() -> ExitCode {
    make_spare_threads();
    for _ in 0..1_000_000 {
        drop(rt0::go(sleep_long));
    }
    println!("no limit");
    DONE
}

fn huge_stack() -> ExitCode {
    match rt0::Builder::new().stack_size(1 << 30).go(|| 1).map(rt0::JoinHandle::join) {
        Ok(r) => println!("ran {:?}", r.ok()),
        Err(e) => println!("{:?} {e}", e.kind()),
    }
    DONE
}

fn hello() -> ExitCode {
    println!("{}", rt0::go(|| "hello").join().expect("no panic"));
    DONE
}
