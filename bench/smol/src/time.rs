//! Sleeping, alone and beside tasks that compute or block.

use bench_common::{
    Args, BLOCKERS, BLOCKING_CALL, Span, TICKERS, Ticker, Took, block_for, burn_until, percentiles,
    sleep_of,
};
use smol::future::yield_now;
use smol::{Timer, spawn, unblock};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

pub(crate) async fn timers(n: u64) -> Took {
    let span = Span::start();
    let sleepers: Vec<_> = (0..n)
        .map(|i| {
            spawn(async move {
                let due = Instant::now() + sleep_of(i);
                Timer::at(due).await;
                due.elapsed().as_nanos() as u64
            })
        })
        .collect();
    let mut late = Vec::with_capacity(sleepers.len());
    for sleeper in sleepers {
        late.push(sleeper.await);
    }
    percentiles(late, span.stop(n))
}

/// A timer is there from the first poll of its future on.
async fn poll_once(timer: &mut Timer) {
    poll_fn(|cx| Poll::Ready(pin!(&mut *timer).poll(cx).is_ready())).await;
}

pub(crate) async fn timer_stop(n: u64) -> Took {
    let mut kept = Vec::new();
    for i in 0..1000 {
        let mut timer = Timer::after(Duration::from_secs(3600 + i));
        poll_once(&mut timer).await;
        kept.push(timer);
    }
    let span = Span::start();
    for i in 0..n {
        poll_once(&mut Timer::after(Duration::from_secs(1 + i % 10))).await;
    }
    span.stop(n)
}

pub(crate) async fn sleeps(n: u64) -> Took {
    let span = Span::start();
    for _ in 0..n {
        Timer::after(Duration::from_micros(100)).await;
    }
    span.stop(n)
}

pub(crate) async fn mix_none(args: &Args) -> Took {
    mix(args, 0, |_| ()).await
}

pub(crate) async fn mix_cpu(args: &Args) -> Took {
    mix(args, 2 * args.workers(), |end| spawn(async move { burn_until(end) }).detach()).await
}

pub(crate) async fn mix_cpu_offload(args: &Args) -> Took {
    mix(args, 2 * args.workers(), |end| unblock(move || burn_until(end)).detach()).await
}

pub(crate) async fn mix_other(args: &Args, other: fn(Instant)) -> Took {
    mix(args, BLOCKERS, move |end| spawn(async move { other(end) }).detach()).await
}

pub(crate) async fn mix_block(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        spawn(async move {
            while Instant::now() < end {
                block_for(BLOCKING_CALL);
            }
        })
        .detach();
    })
    .await
}

pub(crate) async fn mix_block_offload(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        spawn(async move {
            while Instant::now() < end {
                unblock(|| block_for(BLOCKING_CALL)).await;
            }
        })
        .detach();
    })
    .await
}

/// Tickers for N ms beside what `others` calls of `start_other` start.
async fn mix(args: &Args, others: usize, start_other: impl Fn(Instant)) -> Took {
    let hop = args.number("hop", 0) != 0;
    let begin = Instant::now();
    let end = begin + Duration::from_millis(args.n);
    let span = Span::start();
    let tickers: Vec<_> = (0..TICKERS)
        .map(|i| {
            spawn(async move {
                let mut ticker = Ticker::new(i, begin, end);
                while let Some(rest) = ticker.next_sleep() {
                    Timer::after(rest).await;
                    if hop {
                        yield_now().await;
                    }
                    ticker.woke();
                }
                ticker.into_late_ns()
            })
        })
        .collect();
    for _ in 0..others {
        start_other(end);
    }
    let mut late = Vec::new();
    for ticker in tickers {
        late.extend(ticker.await);
    }
    percentiles(late, span.stop(args.n))
}
