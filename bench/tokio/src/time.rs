//! Sleeping, alone and beside tasks that compute or block.

use bench_common::{
    Args, BLOCKERS, BLOCKING_CALL, Span, TICKERS, Ticker, Took, block_for, burn_until, percentiles,
    sleep_of,
};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::spawn;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{sleep, sleep_until};

pub(crate) async fn timers(n: u64) -> Took {
    let span = Span::start();
    let sleepers: Vec<_> = (0..n)
        .map(|i| {
            spawn(async move {
                let due = Instant::now() + sleep_of(i);
                sleep_until(due.into()).await;
                due.elapsed().as_nanos() as u64
            })
        })
        .collect();
    let mut late = Vec::with_capacity(sleepers.len());
    for sleeper in sleepers {
        late.push(sleeper.await.expect("it does not panic"));
    }
    percentiles(late, span.stop(n))
}

/// A timer is there from the first poll of its future on.
async fn poll_once(f: impl Future<Output = ()>) {
    let mut f = pin!(f);
    poll_fn(|cx| Poll::Ready(f.as_mut().poll(cx).is_ready())).await;
}

pub(crate) async fn timer_stop(n: u64) -> Took {
    let mut kept = Vec::new();
    for i in 0..1000 {
        let mut timer = Box::pin(sleep(Duration::from_secs(3600 + i)));
        poll_once(timer.as_mut()).await;
        kept.push(timer);
    }
    let span = Span::start();
    for i in 0..n {
        poll_once(sleep(Duration::from_secs(1 + i % 10))).await;
    }
    span.stop(n)
}

pub(crate) async fn sleeps(n: u64) -> Took {
    let span = Span::start();
    for _ in 0..n {
        sleep(Duration::from_micros(100)).await;
    }
    span.stop(n)
}

pub(crate) async fn mix_none(args: &Args) -> Took {
    mix(args, 0, |_| ()).await
}

pub(crate) async fn mix_cpu(args: &Args) -> Took {
    mix(args, 2 * args.workers(), |end| {
        spawn(async move { burn_until(end) });
    })
    .await
}

pub(crate) async fn mix_cpu_offload(args: &Args) -> Took {
    mix(args, 2 * args.workers(), |end| {
        spawn_blocking(move || burn_until(end));
    })
    .await
}

pub(crate) async fn mix_other(args: &Args, other: fn(Instant)) -> Took {
    mix(args, BLOCKERS, move |end| {
        spawn(async move { other(end) });
    })
    .await
}

pub(crate) async fn mix_block(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        spawn(async move {
            while Instant::now() < end {
                block_for(BLOCKING_CALL);
            }
        });
    })
    .await
}

pub(crate) async fn mix_block_offload(args: &Args) -> Took {
    mix(args, BLOCKERS, |end| {
        spawn(async move {
            while Instant::now() < end {
                spawn_blocking(|| block_for(BLOCKING_CALL)).await.expect("it does not panic");
            }
        });
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
                    sleep(rest).await;
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
        late.extend(ticker.await.expect("it does not panic"));
    }
    percentiles(late, span.stop(args.n))
}
