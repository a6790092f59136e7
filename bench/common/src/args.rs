//! The command line: `prog BENCH N [key=value ...]`.

use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::{env, io};

/// A parsed command line.
pub struct Args {
    /// The benchmark's name.
    pub bench: String,
    /// How much of it: operations, goroutines or milliseconds; each benchmark says which.
    pub n: u64,
    options: Vec<(String, String)>,
}

impl Args {
    /// Parses this process's arguments; exits with 2 and a line of usage if they make no sense.
    pub fn parse() -> Args {
        let (mut words, mut options) = (Vec::new(), Vec::new());
        for arg in env::args().skip(1) {
            match arg.split_once('=') {
                Some((key, value)) => options.push((key.to_owned(), value.to_owned())),
                None => words.push(arg),
            }
        }
        match (words.as_slice(), words.get(1).and_then(|n| n.parse().ok())) {
            // Tenths of anything else never come to one leaf.
            ([bench, _], Some(n)) if bench == "spawn_tree" && !is_power_of_ten(n) => {
                exit_usage("spawn_tree N, a power of ten")
            }
            ([bench, _], Some(n)) => Args { bench: bench.clone(), n, options },
            _ => exit_usage("BENCH N [key=value ...]"),
        }
    }

    /// What is given as `key=`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The number given as `key=`, or `default`.
    pub fn number(&self, key: &str, default: u64) -> u64 {
        match self.text(key) {
            None => default,
            Some(value) => value.parse().unwrap_or_else(|_| exit_usage("key=NUMBER")),
        }
    }

    /// Capacity of the channels: `cap=`, or `default`.
    pub fn cap(&self, default: u64) -> usize {
        self.number("cap", default).try_into().expect("usize has 64 bits")
    }

    /// How many threads the runtime may run goroutines on at once: `workers=`, 2 if not given.
    pub fn workers(&self) -> usize {
        self.number("workers", 2).try_into().expect("usize has 64 bits")
    }

    /// Sees to it that the environment says `key=value`, for runtimes that read it when they start:
    /// starts this program anew if it does not.
    pub fn require_env(&self, key: &str, value: &str) -> io::Result<()> {
        if env::var_os(key).is_some_and(|v| v == value) {
            return Ok(());
        }
        Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(key, value).exec())
    }
}

fn is_power_of_ten(n: u64) -> bool {
    n > 0 && 10_u64.pow(n.ilog10()) == n
}

fn exit_usage(what: &str) -> ! {
    eprintln!("usage: {} {what}", env::args().next().unwrap_or_default());
    exit(2)
}

/// Ends a program that lacks the benchmark; the runner leaves its cell empty.
pub fn exit_unsupported() -> ! {
    println!("{{\"unsupported\":\"no such benchmark\"}}");
    exit(3)
}
