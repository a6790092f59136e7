//! A pipeline with a pool of workers and cancellation: `pipeline [STOP_AFTER]`.
//!
//! A source makes jobs, a pool of workers does them, the sink adds the results up. After STOP_AFTER
//! results (default: all) the sink ends the context that all of them wait under, and everybody
//! returns, wherever that is: a wait under a context that has ended is an error, and `?` passes it
//! on. The scope ends when all have returned.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::chan::{Receiver, Sender, bounded};
use rt0::context::{Context, Error, RecvError, SendError, background, with_cancel};
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

    let (ctx, cancel) = with_cancel(&background());
    let (mut n, mut sum) = (0, 0);
    let ended = rt0::try_scope(&ctx, |s| {
        let (jobs, todo) = bounded(16);
        let (results, done) = bounded(16);
        let ctx = s.context();
        s.go(move || source(&ctx, &jobs));
        for _ in 0..WORKERS {
            let (ctx, todo, results) = (s.context(), todo.clone(), results.clone());
            s.go(move || worker(&ctx, &todo, &results));
        }
        drop(results); // the workers have theirs: `done` ends with the last of them
        for result in &done {
            (n, sum) = (n + 1, sum + result);
            if n == stop_after {
                cancel.cancel();
                break;
            }
        }
        Ok(())
    });
    assert!(matches!(ended, Ok(()) | Err(Error::Cancelled)));
    println!("{n} results, sum {sum}");
    ExitCode::SUCCESS
}

fn source(ctx: &Context, jobs: &Sender<u64>) -> Result<(), Error> {
    for n in 0..JOBS {
        if let Err(SendError::Context(e, _)) = ctx.send(jobs, n) {
            return Err(e);
        }
    }
    Ok(())
}

fn worker(ctx: &Context, todo: &Receiver<u64>, results: &Sender<u64>) -> Result<(), Error> {
    loop {
        let n = match ctx.recv(todo) {
            Ok(n) => n,
            Err(RecvError::Disconnected) => return Ok(()),
            Err(RecvError::Context(e)) => return Err(e),
        };
        if let Err(SendError::Context(e, _)) = ctx.send(results, n * n) {
            return Err(e);
        }
    }
}
