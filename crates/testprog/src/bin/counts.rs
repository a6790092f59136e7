//! See `src/counts/mod.rs`.

#[path = "../counts/mod.rs"]
mod counts;

fn main() -> std::process::ExitCode {
    counts::main()
}
