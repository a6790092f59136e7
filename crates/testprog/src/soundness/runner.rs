//! Runs the cases and reports; ends the process when one makes no progress.

use super::clock::Clock;
use super::{CASES, harness};
use std::any::Any;
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// A round of a case takes well under a second; the slowest machine is allowed this, by [`Clock`].
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The payload of a panic that a case makes on purpose: the hook is silent about it.
pub(crate) struct Planned(pub(crate) usize);

pub(crate) struct Case {
    name: &'static str,
    /// One round. It fails by a panic.
    run: fn(),
    /// Why it cannot run here, if so.
    skip: fn() -> Option<String>,
}

impl Case {
    pub(crate) const fn new(name: &'static str, run: fn()) -> Case {
        Case { name, run, skip: || None }
    }

    pub(crate) const fn unless(self, skip: fn() -> Option<String>) -> Case {
        Case { skip, ..self }
    }
}

#[derive(Default)]
pub(crate) struct Options {
    total: Duration,
    list: bool,
    names: Vec<String>,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--secs" => {
                    let secs = args.next().and_then(|n| n.parse().ok());
                    options.total = Duration::from_secs(secs.ok_or("--secs needs a number")?);
                }
                "--list" => options.list = true,
                name if CASES.iter().any(|case| case.name == name) => options.names.push(arg),
                _ => return Err(format!("no case {arg:?}")),
            }
        }
        Ok(options)
    }

    fn cases(&self) -> Vec<&'static Case> {
        let wanted =
            |case: &&Case| self.names.is_empty() || self.names.iter().any(|n| n == case.name);
        CASES.iter().filter(wanted).collect()
    }
}

/// Runs the cases one after the other: each once, or as often as its share of the time allows.
pub(crate) fn run(options: &Options) -> ExitCode {
    let cases = options.cases();
    if options.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    hide_planned_panics();
    thread::spawn(watch);

    let start = Instant::now();
    let mut failed = 0;
    for (i, case) in (1u32..).zip(&cases) {
        let deadline = start + options.total * i / cases.len() as u32;
        failed += usize::from(!run_case(case, deadline));
    }
    // In the fallback each goroutine is a thread, and none moves.
    let could_move =
        rt0::gomaxprocs() > 1 && !std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"));
    if failed == 0 && options.names.is_empty() && could_move && harness::counts().1 == 0 {
        println!("FAIL migration: no goroutine ever moved to another thread, so nothing was shown");
        failed += 1;
    }
    println!("{} cases, {failed} failed, {:.1?}", cases.len(), start.elapsed());
    ExitCode::from(u8::from(failed > 0))
}

/// True unless it failed.
fn run_case(case: &Case, deadline: Instant) -> bool {
    if let Some(why) = (case.skip)() {
        println!("skip {}: {why}", case.name);
        return true;
    }
    let (goroutines, migrations) = harness::counts();
    loop {
        set_current(Some(case.name));
        let outcome = rt0::go(case.run).join();
        set_current(None);
        if let Err(payload) = outcome {
            println!("FAIL {}: {}", case.name, text(&*payload));
            return false;
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    let (goroutines, migrations) =
        (harness::counts().0 - goroutines, harness::counts().1 - migrations);
    println!("ok {}: {goroutines} goroutines, {migrations} migrations", case.name);
    true
}

/// What a panic said, in one line.
pub(crate) fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic whose payload is no text").replace('\n', "; ")
}

fn hide_planned_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Planned>() {
            default(info);
        }
    }));
}

/// The case whose round is running, and the round's number.
static CURRENT: Mutex<(Option<&'static str>, u64)> = Mutex::new((None, 0));

fn set_current(name: Option<&'static str>) {
    let mut current = CURRENT.lock().expect("nothing panics with it held");
    *current = (name, current.1 + 1);
}

/// On a plain thread, which goes on when the runtime does not.
fn watch() {
    let mut clock = Clock::start();
    let mut seen = (0, Duration::ZERO);
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = clock.now();
        let (name, round) = *CURRENT.lock().expect("nothing panics with it held");
        if round != seen.0 {
            seen = (round, now);
        }
        if let Some(name) = name
            && now - seen.1 > STUCK_AFTER
        {
            // std's stdout lock may be held by whoever is stuck.
            let line = format!("FAIL {name}: a round did not end in {STUCK_AFTER:?}\n");
            let _ = raw_stdout().write_all(line.as_bytes());
            std::process::abort();
        }
    }
}

/// Standard output without std's lock and buffer.
fn raw_stdout() -> impl Write {
    struct Raw;
    impl Write for Raw {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    Raw
}
