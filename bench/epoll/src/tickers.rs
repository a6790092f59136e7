//! The tickers of `mix_*` without a runtime: one thread keeps them in a heap and sleeps until the
//! next is due. How late it is beside threads that compute or block is how late the kernel lets it
//! run: no runtime whose threads are scheduled like all others can promise less.

use bench_common::{
    Args, BLOCKERS, BLOCKING_CALL, Span, TICKERS, Ticker, Took, block_for, burn_until, offender,
    percentiles,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread;
use std::time::{Duration, Instant};

/// What runs beside the tickers until a moment.
type Other = fn(Instant);

/// How many threads do what, beside the tickers of this benchmark.
pub(crate) fn others(bench: &str) -> Option<(usize, Other)> {
    let block: Other = |end| {
        while Instant::now() < end {
            block_for(BLOCKING_CALL);
        }
    };
    match bench {
        "mix_none" => Some((0, burn_until)),
        "mix_cpu" => Some((4, burn_until)),
        "mix_block" => Some((BLOCKERS, block)),
        _ => offender(bench).map(|other| (BLOCKERS, other)),
    }
}

pub(crate) fn mix(args: &Args, others: usize, other: Other) -> Took {
    let begin = Instant::now();
    let end = begin + Duration::from_millis(args.n);
    let span = Span::start();
    for _ in 0..others {
        thread::spawn(move || other(end));
    }
    let mut tickers: Vec<_> = (0..TICKERS).map(|i| Ticker::new(i, begin, end)).collect();
    let mut heap = BinaryHeap::new();
    let sleep_again = |heap: &mut BinaryHeap<_>, i: usize, ticker: &Ticker| {
        if let Some(rest) = ticker.next_sleep() {
            heap.push(Reverse((Instant::now() + rest, i)));
        }
    };
    for (i, ticker) in tickers.iter().enumerate() {
        sleep_again(&mut heap, i, ticker);
    }
    while let Some(Reverse((due, i))) = heap.pop() {
        let rest = due.saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            thread::sleep(rest);
        }
        tickers[i].woke();
        sleep_again(&mut heap, i, &tickers[i]);
    }
    let late = tickers.into_iter().flat_map(Ticker::into_late_ns).collect();
    percentiles(late, span.stop(args.n))
}
