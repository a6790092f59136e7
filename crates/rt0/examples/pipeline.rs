//! A pipeline with a pool of workers and cancellation: `pipeline [STOP_AFTER]`.
//!
//! A source makes jobs, a pool of workers does them, the sink adds the results up. After STOP_AFTER
//! results (default: all) the sink closes `stop`, and everybody ends, wherever they are waiting: a
//! receive from a closed channel is ready in each `select!`.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::chan::{Receiver, Sender, bounded};
use rt0::select;
use std::env;
use std::process::ExitCode;

const JOBS: u64 = 1000;
const WORKERS: usize = 8;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let stop_after = match (args.next().map(|n| n.parse()), args.next()) {
        (None, _) => JOBS,
        (Some(Ok(n)), None) => n,
        _ => {
            eprintln!("usage: pipeline [STOP_AFTER]    (default {JOBS}: all)");
            return ExitCode::from(2);
        }
    };

    let (cancel, stop) = bounded::<()>(0);
    let (jobs, todo) = bounded(16);
    let (results, done) = bounded(16);
    let mut handles = vec![rt0::go({
        let stop = stop.clone();
        move || source(&jobs, &stop)
    })];
    handles.extend((0..WORKERS).map(|_| {
        let (todo, results, stop) = (todo.clone(), results.clone(), stop.clone());
        rt0::go(move || worker(&todo, &results, &stop))
    }));
    drop(results); // the workers have theirs: `done` ends with the last of them

    let (mut n, mut sum) = (0, 0);
    for result in &done {
        (n, sum) = (n + 1, sum + result);
        if n == stop_after {
            cancel.close();
            break;
        }
    }
    drop(done);
    for handle in handles {
        handle.join().expect("nobody panics");
    }
    println!("{n} results, sum {sum}");
    ExitCode::SUCCESS
}

fn source(jobs: &Sender<u64>, stop: &Receiver<()>) {
    for n in 0..JOBS {
        select! {
            send(jobs, n) -> sent => if sent.is_err() { return },
            recv(stop) -> _ => return,
        }
    }
}

/// A worker that holds no result waits for a job only; one that has a result offers it only.
fn worker(todo: &Receiver<u64>, results: &Sender<u64>, stop: &Receiver<()>) {
    loop {
        let job = select! {
            recv(todo) -> job => job,
            recv(stop) -> _ => return,
        };
        let Ok(n) = job else { return };
        select! {
            send(results, n * n) -> sent => if sent.is_err() { return },
            recv(stop) -> _ => return,
        }
    }
}
