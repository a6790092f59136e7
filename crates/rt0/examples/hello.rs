//! The first program of every tour, here as goroutine 1: `cargo run --release --example hello`.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

#[rt0::main]
fn main() {
    println!("Hello Go");
}
