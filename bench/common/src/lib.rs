//! What the Rust benchmark programs share: arguments, clocks, memory readings, the one-line report
//! and the parts of each benchmark that must be the same everywhere.
//!
//! Nothing here depends on a runtime, and nothing here is inside a measured loop except where the
//! measurement is of it ([`Ticker`], [`burn_until`], [`block_for`]).

mod args;
pub mod http;
mod report;
mod work;

pub use args::{Args, exit_unsupported};
pub use report::{Memory, Span, Took, percentiles, waves};
pub use work::{
    BLOCKERS, BLOCKING_CALL, BURST, BUSY, COMPUTING, TICKERS, TURN, Ticker, WAVES, ask_in_turn,
    batches, block_for, burn_until, each_of, fib_spawns, offender, sieve_work, skynet_sum,
    sleep_of,
};
