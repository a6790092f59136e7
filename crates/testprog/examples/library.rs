//! A library with a C interface that uses rt0 inside: there is no `main` to start the runtime, so
//! `rt0::run` does. tests/entry.rs loads it into a C program and into Python.

#![allow(unsafe_code, reason = "a symbol that C programs find has to keep its name")]

use std::cell::Cell;

thread_local! {
    static SQUARE: Cell<u64> = const { Cell::new(0) };
}

/// The sum of the squares below `n`, one goroutine each.
// SAFETY: nothing else in the programs that load this library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn rt0_sum_of_squares(n: u64) -> u64 {
    rt0::run(|| {
        let squares: Vec<_> = (0..n)
            .map(|i| {
                rt0::go(move || {
                    SQUARE.set(i * i);
                    rt0::gosched();
                    SQUARE.get()
                })
            })
            .collect();
        squares.into_iter().map(|square| square.join().unwrap_or(0)).sum()
    })
}

/// How many arguments the program that loaded this library was started with.
// SAFETY: nothing else in the programs that load this library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn rt0_argument_count() -> u64 {
    rt0::run(|| std::env::args_os().count() as u64)
}
