//! Sleeping, alone and beside goroutines that compute or block.

use bench_common::{
    Args, BLOCKERS, BLOCKING_CALL, Span, TICKERS, Ticker, Took, block_for, burn_until, percentiles,
    sleep_of,
};
use rt0::time::{Duration, Instant, Timer, sleep};

pub(crate) fn timers(n: u64) -> Took {
    let span = Span::start();
    let sleepers: Vec<_> = (0..n)
        .map(|i| {
            rt0::go(move || {
                let due = Instant::now() + sleep_of(i);
                sleep(due.saturating_duration_since(Instant::now()));
                due.elapsed().as_nanos() as u64
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

/// Timers that are pending beside those that are measured.
const PENDING: u64 = 1000;

pub(crate) fn timer_stop(n: u64) -> Took {
    let far = |i| Duration::from_secs(3600 + i);
    let kept: Vec<_> = (0..PENDING).map(|i| Timer::after_func(far(i), || ())).collect();
    let span = Span::start();
    for i in 0..n {
        assert!(Timer::new(Duration::from_secs(1 + i % 10)).stop());
    }
    let took = span.stop(n);
    assert!(kept.iter().all(Timer::stop));
    took
}

pub(crate) fn timer_func_stop(n: u64) -> Took {
    let far = |i| Duration::from_secs(3600 + i);
    let kept: Vec<_> = (0..PENDING).map(|i| Timer::after_func(far(i), || ())).collect();
    let span = Span::start();
    for i in 0..n {
        assert!(Timer::after_func(Duration::from_secs(1 + i % 10), || ()).stop());
    }
    let took = span.stop(n);
    assert!(kept.iter().all(Timer::stop));
    took
}

pub(crate) fn mix_none(args: &Args) -> Took {
    mix(args, 0, |_| ())
}

pub(crate) fn mix_cpu(args: &Args) -> Took {
    mix(args, 2 * args.workers(), burn_until)
}

pub(crate) fn mix_cpu_offload(args: &Args) -> Took {
    mix(args, 2 * args.workers(), |end| rt0::blocking(|| burn_until(end)))
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

pub(crate) fn mix_block_offload(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        while Instant::now() < end {
            rt0::blocking(|| block_for(BLOCKING_CALL));
        }
    })
}

/// Tickers for N ms beside `others` goroutines that run `other`.
fn mix(args: &Args, others: usize, other: fn(Instant)) -> Took {
    let hop = args.number("hop", 0) != 0;
    let begin = Instant::now();
    let end = begin + Duration::from_millis(args.n);
    let span = Span::start();
    let tickers: Vec<_> = (0..TICKERS)
        .map(|i| {
            rt0::go(move || {
                let mut ticker = Ticker::new(i, begin, end);
                while let Some(rest) = ticker.next_sleep() {
                    sleep(rest);
                    if hop {
                        rt0::gosched();
                    }
                    ticker.woke();
                }
                ticker.into_late_ns()
            })
        })
        .collect();
    for _ in 0..others {
        rt0::go(move || other(end));
    }
    let mut late = Vec::new();
    for ticker in tickers {
        late.extend(ticker.join().expect("it does not panic"));
    }
    percentiles(late, span.stop(args.n))
}
