//! What std does in an ordinary program: the reference for `rt0probe`. See `src/probe/mod.rs`.

#[path = "../probe/mod.rs"]
mod probe;

fn main() -> probe::Ending {
    probe::run()
}
