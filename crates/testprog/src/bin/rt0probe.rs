//! What std does in a program whose main is goroutine 1. See `src/probe/mod.rs`.

#[path = "../probe/mod.rs"]
mod probe;

#[rt0::main]
fn main() -> probe::Ending {
    probe::run()
}
