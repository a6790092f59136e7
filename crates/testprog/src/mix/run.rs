//! Runs the mix, watches it, and reports.

use super::KINDS;
use super::worker::{Kind, Worker};
use crate::soundness::clock::{Clock, threads};
use crate::soundness::panic_text;
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Options {
    total: Duration,
    /// A goroutine that finishes no round for so long ends the run. By [`Clock`], as all pauses.
    stall: Duration,
    goroutines: Option<usize>,
    kinds: Vec<&'static Kind>,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            total: Duration::from_secs(5),
            stall: Duration::from_secs(60),
            goroutines: None,
            kinds: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let mut number = || {
                let n = args.next().and_then(|n| n.parse().ok());
                n.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--secs" => options.total = Duration::from_secs(number()?),
                "--stall" => options.stall = Duration::from_secs(number()?),
                "--goroutines" => options.goroutines = Some(number()? as usize),
                name => {
                    let kind = KINDS.iter().find(|kind| kind.name == name);
                    options.kinds.push(kind.ok_or_else(|| format!("no kind {arg:?}"))?);
                }
            }
        }
        if options.kinds.is_empty() {
            options.kinds.extend(KINDS);
        }
        Ok(options)
    }
}

/// What the watchdog and the report see of a goroutine.
struct Progress {
    kind: &'static Kind,
    rounds: AtomicU64,
    ended: AtomicBool,
    /// By the watchdog: the longest time without a round, in ms.
    longest_pause_ms: AtomicU64,
}

impl Progress {
    fn moves(&self) -> bool {
        self.rounds.load(Relaxed) > 0 || self.ended.load(Relaxed)
    }
}

/// Runs the mix for the time that was asked for, longer if a goroutine had no turn yet.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut kinds = Vec::new();
    for kind in &options.kinds {
        match (kind.skip)() {
            None => kinds.push(*kind),
            Some(why) => println!("skip {}: {why}", kind.name),
        }
    }
    let goroutines = options.goroutines.unwrap_or(3 * kinds.len());
    let all: Arc<[Progress]> = (0..goroutines)
        .map(|i| Progress {
            kind: kinds[i % kinds.len()],
            rounds: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            longest_pause_ms: AtomicU64::new(0),
        })
        .collect();
    let start = Instant::now();
    let most_threads = watch_from_a_thread(&all, options.stall);
    let (printed, old_stdout) = catch_stdout().expect("a pipe");
    let mut failures = run_all(&all, start + options.total);
    restore_stdout(old_stdout).expect("it was there before");
    failures.extend(printed.join().expect("it does not panic"));
    report(&kinds, &all, &failures);
    println!(
        "{} kinds, {goroutines} goroutines, {} threads at most, {} failed, {:.1?}",
        kinds.len(),
        most_threads.load(Relaxed),
        failures.len(),
        start.elapsed(),
    );
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// The goroutines, until `deadline` is over and each has done a round. What failed, by kind.
fn run_all(all: &Arc<[Progress]>, deadline: Instant) -> Vec<(&'static str, String)> {
    let stop = Arc::new(AtomicBool::new(false));
    let handles: Vec<_> = (0..all.len())
        .map(|i| {
            let (all, stop) = (Arc::clone(all), Arc::clone(&stop));
            rt0::go(move || work(i, &all[i], &stop))
        })
        .collect();
    while Instant::now() < deadline || !all.iter().all(Progress::moves) {
        rt0::time::sleep(Duration::from_millis(50));
    }
    stop.store(true, Relaxed);
    let outcomes = handles.into_iter().map(|handle| handle.join());
    let failed = all
        .iter()
        .zip(outcomes)
        .filter_map(|(progress, outcome)| Some((progress.kind.name, panic_text(&*outcome.err()?))));
    failed.collect()
}

fn work(index: usize, progress: &Progress, stop: &AtomicBool) {
    /// Also when a round panics.
    struct Ended<'a>(&'a AtomicBool);
    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let _ended = Ended(&progress.ended);
    let mut worker = Worker::new(index);
    while !stop.load(Relaxed) {
        (progress.kind.round)(&mut worker);
        worker.rounds += 1;
        progress.rounds.store(worker.rounds, Relaxed);
    }
}

fn report(kinds: &[&'static Kind], all: &[Progress], failures: &[(&'static str, String)]) {
    for kind in kinds {
        let of_kind = || all.iter().filter(|p| p.kind.name == kind.name);
        let rounds = || of_kind().map(|p| p.rounds.load(Relaxed));
        let pause = of_kind().map(|p| p.longest_pause_ms.load(Relaxed)).max().unwrap_or(0);
        let ok = failures.iter().all(|(name, _)| *name != kind.name);
        println!(
            "{} {}: {} goroutines, rounds {} to {}, longest pause {pause} ms",
            if ok { "ok" } else { "FAIL" },
            kind.name,
            of_kind().count(),
            rounds().min().unwrap_or(0),
            rounds().max().unwrap_or(0),
        );
    }
    failures.iter().for_each(|(name, why)| println!("FAIL {name}: {why}"));
}

/// Ends the process when a goroutine stalls. On a plain thread, which goes on when the runtime does
/// not. Also counts threads.
fn watch_from_a_thread(all: &Arc<[Progress]>, stall: Duration) -> Arc<AtomicUsize> {
    let most_threads = Arc::new(AtomicUsize::new(0));
    let (all, most) = (Arc::clone(all), Arc::clone(&most_threads));
    thread::spawn(move || {
        let (start, mut clock) = (Instant::now(), Clock::start());
        let mut seen = vec![(0, Duration::ZERO); all.len()];
        loop {
            thread::sleep(LOOK_EVERY);
            most.fetch_max(threads().len(), Relaxed);
            let now = clock.now();
            for (index, (progress, (rounds, since))) in all.iter().zip(&mut seen).enumerate() {
                let pause = now - *since;
                if progress.ended.load(Relaxed) {
                    continue;
                }
                progress.longest_pause_ms.fetch_max(pause.as_millis() as u64, Relaxed);
                if pause > stall {
                    let had = format!("the process had {now:.1?} of {:.1?}", start.elapsed());
                    stalled(index, progress, pause, &had);
                }
                if progress.rounds.load(Relaxed) != *rounds {
                    (*rounds, *since) = (progress.rounds.load(Relaxed), now);
                }
            }
        }
    });
    most_threads
}

fn stalled(index: usize, progress: &Progress, pause: Duration, had: &str) -> ! {
    let name = progress.kind.name;
    let mut text = format!("FAIL {name}: goroutine {index} did no round for {pause:.1?}, {had}\n");
    for thread in threads() {
        let read = |file| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let (stat, wait) = (read("stat"), read("wchan"));
        let stat: Vec<_> = stat.split(' ').take(3).collect();
        text.push_str(&format!("thread {} {wait} {}", stat.join(" "), read("syscall")));
    }
    // Not by std: its lock may be held by whoever is stuck. Standard output is a pipe of our own.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    std::process::abort();
}

type Checked = thread::JoinHandle<Vec<(&'static str, String)>>;

/// Standard output goes to a thread that checks it: lines are whole and none is lost.
fn catch_stdout() -> io::Result<(Checked, OwnedFd)> {
    io::stdout().flush()?;
    let old = rustix::stdio::stdout().try_clone_to_owned()?;
    let (reader, writer) = io::pipe()?;
    rustix::stdio::dup2_stdout(&writer)?;
    Ok((thread::spawn(move || check_printed(reader)), old))
}

/// Closes the pipe, which ends the thread that reads it.
fn restore_stdout(old: OwnedFd) -> io::Result<()> {
    io::stdout().flush()?;
    Ok(rustix::stdio::dup2_stdout(old)?)
}

fn check_printed(pipe: PipeReader) -> Vec<(&'static str, String)> {
    let mut next: HashMap<u64, u64> = HashMap::new();
    let mut wrong = Vec::new();
    for line in BufReader::new(pipe).lines() {
        let line = line.unwrap_or_else(|e| e.to_string());
        let numbers = line.strip_prefix("goroutine ").and_then(|rest| rest.split_once(" line "));
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let expected = numbers.is_some_and(|(i, n)| {
            let next = next.entry(i).or_default();
            let expected = *next == n;
            *next = n + 1;
            expected
        });
        if !expected && wrong.len() < 10 {
            wrong.push(("print", format!("unexpected line {line:?}")));
        }
    }
    wrong
}
