//! Sleeping, alone and beside coroutines that compute or block.

use bench_common::{
    Args, BLOCKERS, BLOCKING_CALL, Span, TICKERS, Ticker, Took, block_for, burn_until, percentiles,
    sleep_of,
};
use may::coroutine::{sleep, yield_now};
use may::go;
use std::time::{Duration, Instant};

pub(crate) fn timers(n: u64) -> Took {
    let span = Span::start();
    let sleepers: Vec<_> = (0..n)
        .map(|i| {
            go!(move || {
                let due = Instant::now() + sleep_of(i);
                sleep(due.saturating_duration_since(Instant::now()));
                // It may wake a little early: that is on time.
                Instant::now().saturating_duration_since(due).as_nanos() as u64
            })
        })
        .collect();
    let late = sleepers.into_iter().map(|s| s.join().expect("it does not panic")).collect();
    percentiles(late, span.stop(n))
}

pub(crate) fn sleeps(n: u64) -> Took {
    let span = Span::start();
    for _ in 0..n {
        sleep(Duration::from_micros(100));
    }
    span.stop(n)
}

pub(crate) fn mix_none(args: &Args) -> Took {
    mix(args, 0, |_| ())
}

pub(crate) fn mix_cpu(args: &Args) -> Took {
    mix(args, 2 * args.workers(), burn_until)
}

pub(crate) fn mix_other(args: &Args, other: fn(Instant)) -> Took {
    mix(args, BLOCKERS, other)
}

pub(crate) fn mix_block(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        while Instant::now() < end {
            block_for(BLOCKING_CALL);
        }
    })
}

/// Tickers for N ms beside `others` coroutines that run `other`.
fn mix(args: &Args, others: usize, other: fn(Instant)) -> Took {
    let hop = args.number("hop", 0) != 0;
    let begin = Instant::now();
    let end = begin + Duration::from_millis(args.n);
    let span = Span::start();
    let tickers: Vec<_> = (0..TICKERS)
        .map(|i| {
            go!(move || {
                let mut ticker = Ticker::new(i, begin, end);
                while let Some(rest) = ticker.next_sleep() {
                    sleep(rest);
                    if hop {
                        yield_now();
                    }
                    ticker.woke();
                }
                ticker.into_late_ns()
            })
        })
        .collect();
    for _ in 0..others {
        go!(move || other(end));
    }
    let mut late = Vec::new();
    for ticker in tickers {
        late.extend(ticker.join().expect("it does not panic"));
    }
    percentiles(late, span.stop(args.n))
}
