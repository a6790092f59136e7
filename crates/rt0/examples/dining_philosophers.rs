//! Five philosophers, five forks, and a waiter who lets four of them sit down: nobody starves, and
//! they cannot all hold their left fork.

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::sync::{Mutex, Semaphore, WaitGroup};
use std::sync::Arc;

const SEATS: usize = 5;
const MEALS: usize = 1000;

struct Table {
    forks: [Mutex<usize>; SEATS],
    waiter: Semaphore,
}

fn dine(table: &Table, seat: usize) -> Result<(), Box<dyn std::error::Error + '_>> {
    for _ in 0..MEALS {
        let _seated = table.waiter.acquire()?;
        let mut left = table.forks[seat].lock()?;
        rt0::gosched(); // thinks with one fork in the hand: the dangerous moment
        let mut right = table.forks[(seat + 1) % SEATS].lock()?;
        *left += 1;
        *right += 1;
    }
    Ok(())
}

#[rt0::main]
fn main() {
    let table = Arc::new(Table {
        forks: [const { Mutex::new(0) }; SEATS],
        waiter: Semaphore::new(SEATS - 1),
    });
    let dinner = Arc::new(WaitGroup::new());
    for seat in 0..SEATS {
        let table = Arc::clone(&table);
        dinner.go(move || dine(&table, seat).expect("nobody panics or closes"));
    }
    dinner.wait();
    let uses: usize = table.forks.iter().map(|f| *f.lock().expect("nobody panicked")).sum();
    println!("{} meals, {uses} uses of forks", SEATS * MEALS);
}
