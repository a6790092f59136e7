//! Dumps of a process that goes on: whose stack, in what state, and that nothing is torn.

#![cfg(feature = "backtrace")]

use rt0::debug::{Dump, dump_all, stack};
use rt0::sync::Mutex;
use rt0::time::sleep;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Goroutines that are in the function that they are named after.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// One dump at a time has this process to itself.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(f: impl FnOnce() + Send) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    STARTED.store(0, SeqCst);
    rt0::run(f);
}

fn text(dump: Dump) -> String {
    let mut bytes = Vec::new();
    dump.write_to(&mut bytes).expect("a Vec takes all");
    String::from_utf8(bytes).expect("dumps are UTF-8")
}

/// The part of a dump that is about the goroutine with this name.
fn part<'a>(dump: &'a str, name: &str) -> &'a str {
    let quoted = format!(" \"{name}\":\n");
    let parts: Vec<_> = dump.split("\n\n").filter(|p| p.contains(&quoted)).collect();
    assert_eq!(parts.len(), 1, "{name} in {dump}");
    parts[0]
}

/// The functions in a part, the innermost first.
fn functions(part: &str) -> Vec<&str> {
    part.lines().filter_map(|l| l.strip_suffix("(...)")).collect()
}

#[inline(never)]
fn waits_for_its_turn(lock: &Mutex<()>) {
    STARTED.fetch_add(1, SeqCst);
    drop(lock.lock());
    black_box(());
}

#[inline(never)]
fn computes(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        black_box(());
    }
}

#[inline(never)]
fn sleeps_in_libc(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[inline(never)]
fn is_in_a_blocking_call(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    rt0::blocking(|| {
        while !stop.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    black_box(());
}

#[inline(never)]
fn parks(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        sleep(Duration::from_millis(100));
    }
}

fn start<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> rt0::JoinHandle<T> {
    rt0::Builder::new().name(name.into()).go(f).expect("a goroutine")
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1));
    }
}

#[inline(never)]
fn tells() -> String {
    black_box(stack())
}

#[test]
fn ones_own_stack() {
    alone(|| {
        let text = start("me", tells).join().expect("no panic");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(" [running] \"me\":"), "{text}");
        assert_eq!(lines[1], "rt0::debug::api::stack(...)", "{text}");
        assert!(lines[3].starts_with("dump::tells("), "{text}");
        assert!(lines[4].starts_with("\tcrates/rt0/tests/dump.rs:"), "{text}");
        assert!(lines[5].starts_with("created by rt0::go in goroutine "), "{text}");
        assert_eq!(lines.len(), 7, "{text}");
    });
    let text = std::thread::Builder::new().name("plain".into()).spawn(stack);
    let text = text.expect("a thread").join().expect("no panic");
    assert!(text.starts_with("thread ") && text.contains(" \"plain\":\n"), "{text}");
    assert!(text.contains("rt0::debug::api::stack(...)\n"), "{text}");
}

#[test]
fn every_state_is_named_and_its_stack_is_whole() {
    alone(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock().expect("nobody panicked");
        let (s1, s2) = (Arc::clone(&stop), Arc::clone(&stop));
        let sleeper = start("sleeper", move || parks(&s1));
        let mut handles = vec![sleeper, start("libc", move || sleeps_in_libc(&s2))];
        let (l, s) = (Arc::clone(&lock), Arc::clone(&stop));
        handles.push(start("waiter", move || waits_for_its_turn(&l)));
        handles.push(start("hog", move || computes(&s)));
        let s = Arc::clone(&stop);
        handles.push(start("call", move || is_in_a_blocking_call(&s)));
        wait_until(|| STARTED.load(SeqCst) == handles.len());
        sleep(Duration::from_millis(100));
        let dump = text(Dump::new());
        let own = functions(dump.split("\n\n").next().unwrap_or_default());
        assert!(dump.lines().next().is_some_and(|l| l.ends_with(" [running]:")), "{dump}");
        assert_eq!(own[0], "rt0::debug::api::Dump::write_to", "{dump}");
        for (name, state, function) in [
            ("sleeper", "[sleep]", "dump::parks"),
            ("libc", "[syscall: clock_nanosleep]", "dump::sleeps_in_libc"),
            ("waiter", "[sync.Mutex.Lock]", "dump::waits_for_its_turn"),
            ("call", "[syscall]", "dump::is_in_a_blocking_call"),
            ("hog", "", "dump::computes"),
        ] {
            let part = part(&dump, name);
            let header = part.lines().next().unwrap_or_default();
            let functions = functions(part);
            assert!(functions.contains(&function), "{function} in {part}");
            // One that sleeps may just be awake.
            let state = if cfg!(feature = "interpose") { state } else { "" };
            let is_awake = ["[running]", "[runnable]"].iter().any(|s| header.contains(s));
            assert!(header.contains(state) || is_awake, "{part}");
            let root = functions.last().copied().unwrap_or_default();
            assert!(root.starts_with("dump::"), "{part}");
            assert!(part.contains("\n\tcrates/rt0/tests/dump.rs:"), "{part}");
        }
        stop.store(true, SeqCst);
        drop(guard);
        for h in handles {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn preempted_goroutines_have_their_stacks() {
    alone(|| {
        let procs = rt0::set_gomaxprocs(1);
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..4)
            .map(|i| {
                let s = Arc::clone(&stop);
                start(&format!("hog {i}"), move || computes(&s))
            })
            .collect();
        wait_until(|| STARTED.load(SeqCst) == 4);
        for _ in 0..20 {
            let dump = text(Dump::new());
            for i in 0..4 {
                let part = part(&dump, &format!("hog {i}"));
                let functions = functions(part);
                // It may be on its way into the runtime or out of it.
                let whole = functions.contains(&"dump::computes");
                assert!(whole, "{part}");
            }
            sleep(Duration::from_millis(2));
        }
        stop.store(true, SeqCst);
        for h in hogs {
            h.join().expect("no panic");
        }
        rt0::set_gomaxprocs(procs);
    });
}

#[allow(unsafe_code, reason = "a function without call frame information")]
mod undescribed {
    std::arch::global_asm!(
        ".globl undescribed_spin",
        "undescribed_spin:",
        "2:",
        "pause",
        "cmp byte ptr [rdi], 0",
        "je 2b",
        "ret"
    );

    // SAFETY: it reads the flag until it is set, and returns.
    unsafe extern "C" {
        pub(crate) safe fn undescribed_spin(stop: &std::sync::atomic::AtomicBool);
    }
}

#[inline(never)]
fn is_in_assembly(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    undescribed::undescribed_spin(stop);
    black_box(());
}

/// So is the linkage table of a linker that does not describe it. Who was preempted there has been
/// called just before.
#[test]
fn code_without_call_frame_information_was_just_called() {
    alone(|| {
        let procs = rt0::set_gomaxprocs(1);
        let stop = Arc::new(AtomicBool::new(false));
        let s = Arc::clone(&stop);
        let h = start("spins", move || is_in_assembly(&s));
        wait_until(|| STARTED.load(SeqCst) == 1);
        for _ in 0..20 {
            let dump = text(Dump::new());
            let part = part(&dump, "spins");
            assert!(functions(part).contains(&"dump::is_in_assembly"), "{part}");
            // Not the name of some function further up.
            assert!(part.contains(":\n?(...)\n") || !part.contains("?"), "{part}");
            sleep(Duration::from_millis(2));
        }
        stop.store(true, SeqCst);
        h.join().expect("no panic");
        rt0::set_gomaxprocs(procs);
    });
}

/// Of who has not run yet nothing is known but where it comes from.
#[test]
fn who_has_not_run_yet_has_no_frames() {
    alone(|| {
        let has_seen = |_| {
            let fresh = rt0::Builder::new().name("fresh".into()).go(|| {}).expect("room");
            let dump = text(Dump::new());
            fresh.join().expect("it does nothing");
            // It may have run by then: another thread was faster.
            let found = dump.split("\n\n").find(|p| p.contains(" [runnable] \"fresh\":\n"));
            found.inspect(|part| {
                assert!(functions(part).is_empty(), "{part}");
                assert!(part.contains("\ncreated by rt0::go in goroutine "), "{part}");
            });
            found.is_some()
        };
        let procs = rt0::set_gomaxprocs(1);
        assert!((0..100).any(has_seen), "it always runs before it is looked at");
        rt0::set_gomaxprocs(procs);
    });
}

#[test]
fn json_has_an_object_for_each() {
    alone(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let s = Arc::clone(&stop);
        let h = start("a \"quoted\" one", move || parks(&s));
        let line = loop {
            let dump = text(Dump::new().json(true));
            let line = dump.lines().find(|l| l.contains("quoted")).expect("the goroutine");
            if line.contains("\"state\":\"sleep\"") {
                break line.to_owned(); // it has begun, and is not awake just now
            }
            sleep(Duration::from_millis(1));
        };
        assert!(line.starts_with("{\"id\":") && line.ends_with("]}"), "{line}");
        assert!(line.contains(",\"name\":\"a \\\"quoted\\\" one\",\"state\":\"sleep\","), "{line}");
        assert!(
            line.contains("\"function\":\"dump::parks\",\"file\":\"crates/rt0/tests/"),
            "{line}"
        );
        assert!(line.contains("\"created_by\":{\"goroutine\":"), "{line}");
        stop.store(true, SeqCst);
        h.join().expect("no panic");
    });
}

#[test]
fn json_says_what_is_waited_for() {
    alone(|| {
        let (tx, rx) = rt0::chan::bounded::<u8>(0);
        let lock = Arc::new(rt0::sync::RwLock::new(()));
        let (held, rx2) = (Arc::clone(&lock), rx.clone());
        let receives = start("receives", move || {
            let _reads = held.read();
            let _ = rx2.recv();
        });
        let line = |name: &str| {
            let dump = text(Dump::new().json(true));
            dump.lines().find(|l| l.contains(name)).unwrap_or_default().to_owned()
        };
        wait_until(|| line("receives").contains("\"state\":\"chan receive\""));
        let writer = Arc::clone(&lock);
        let writes = start("writes", move || drop(writer.write()));
        wait_until(|| line("writes").contains("\"state\":\"sync.RWMutex.Lock\""));
        let last = Arc::clone(&lock);
        let reads = start("reads", move || drop(last.read()));
        wait_until(|| line("reads").contains("\"state\":\"sync.RWMutex.RLock\""));
        let of = |name: &str, part: &str| {
            let line = line(name);
            assert!(line.contains(part), "{part} in {line}");
        };
        of("receives", "\"waits_for\":{\"kind\":\"chan\",\"on\":[\"0x");
        of("receives", "\"],\"senders\":[1],\"receivers\":[2]},");
        of("writes", "\"waits_for\":{\"kind\":\"sync.RWMutex\",\"on\":[\"0x");
        let reader = receives.goroutine().id();
        of("writes", &format!("\"],\"readers\":[{{\"goroutine\":{reader}}}]}},"));
        let writer = writes.goroutine().id();
        of("reads", &format!("\"],\"holder\":{{\"goroutine\":{writer}}}}},"));
        drop((tx, rx));
        for h in [receives, writes, reads] {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn equal_stacks_are_counted() {
    alone(|| {
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock().expect("nobody panicked");
        let many: Vec<_> = (0..500)
            .map(|_| {
                let lock = Arc::clone(&lock);
                rt0::go(move || waits_for_its_turn(&lock))
            })
            .collect();
        // Until the last one waits.
        wait_until(|| text(Dump::new().grouped(true)).starts_with("500 goroutines like this, ["));
        let dump = text(Dump::new().grouped(true));
        assert_eq!(dump.matches("dump::waits_for_its_turn(...)").count(), 1, "{dump}");
        let json = text(Dump::new().grouped(true).json(true));
        assert!(json.starts_with("{\"count\":500,\"ids\":["), "{json}");
        drop(guard);
        for h in many {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn detail_shows_the_runtime() {
    alone(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let s = Arc::clone(&stop);
        let h = rt0::go(move || parks(&s));
        wait_until(|| STARTED.load(SeqCst) == 1);
        let dump = || text(Dump::new().system(true));
        wait_until(|| dump().contains("GC sweep wait")); // it may just sweep
        let dump = dump();
        assert!(dump.contains("\nrt0::sched::park::switch_away(...)\n"), "{dump}");
        assert!(dump.contains(" fp=0x") && dump.contains(" gp=0x"), "{dump}");
        stop.store(true, SeqCst);
        h.join().expect("no panic");
    });
}

/// What a writer says is returned, and what it does may need the scheduler.
#[test]
fn writers_may_fail_and_wait() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            sleep(Duration::from_millis(1));
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    alone(|| {
        let e = dump_all(&mut Full).expect_err("it is full");
        assert_eq!(e.kind(), std::io::ErrorKind::StorageFull);
    });
}

/// Dumps under full load: all Ps busy, stealing, resizing; goroutines that yield, start and end,
/// sleep, lock, compute and call. `RT0_DUMPS` of them (20 unless set), on up to `RT0_PROCS` Ps (4
/// unless set).
#[test]
fn dumps_under_load_neither_hang_nor_tear() {
    let number = |name, usual| {
        std::env::var(name).ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(usual)
    };
    let (dumps, most_procs) = (number("RT0_DUMPS", 20), number("RT0_PROCS", 4));
    alone(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let load = load(&stop);
        wait_until(|| STARTED.load(SeqCst) == load.len());
        let s = Arc::clone(&stop);
        let procs = rt0::gomaxprocs();
        let resizer = start("resizer", move || {
            for n in (1..=most_procs).cycle().take_while(|_| !s.load(SeqCst)) {
                rt0::set_gomaxprocs(n);
                sleep(Duration::from_millis(3));
            }
        });
        let start = Instant::now();
        let (mut whole, mut unknown) = (0, 0);
        for _ in 0..dumps {
            let dump = text(Dump::new());
            assert!(!dump.contains("\n\n\n"), "{dump}");
            for part in dump.split("\n\n") {
                check(part, &mut whole, &mut unknown);
            }
        }
        #[expect(clippy::disallowed_macros, reason = "a test's own words")]
        let () =
            println!("{dumps} dumps, {whole} stacks, {unknown} unknown, {:?}", start.elapsed());
        assert!(whole > unknown * 10, "{whole} stacks, {unknown} unknown");
        stop.store(true, SeqCst);
        for h in load {
            h.join().expect("no panic");
        }
        resizer.join().expect("no panic");
        rt0::set_gomaxprocs(procs);
    });
}

#[inline(never)]
fn yields(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        rt0::gosched();
    }
}

#[inline(never)]
fn starts_others(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        let named = rt0::Builder::new().name("short-lived".into()).go(|| black_box(1));
        black_box(named.expect("a goroutine").join().expect("no panic"));
    }
}

#[inline(never)]
fn naps(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        sleep(Duration::from_micros(100));
    }
}

#[inline(never)]
fn calls(stop: &AtomicBool) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[inline(never)]
fn locks(stop: &AtomicBool, lock: &Mutex<u64>) {
    STARTED.fetch_add(1, SeqCst);
    while !stop.load(SeqCst) {
        *lock.lock().expect("nobody panicked") += 1;
    }
}

fn load(stop: &Arc<AtomicBool>) -> Vec<rt0::JoinHandle<()>> {
    let lock = Arc::new(Mutex::new(0));
    let mut handles = Vec::new();
    for n in 0..4 {
        for (name, f) in [
            ("yields", yields as fn(&AtomicBool)),
            ("starts_others", starts_others),
            ("naps", naps),
            ("calls", calls),
            ("computes", computes),
        ] {
            let stop = Arc::clone(stop);
            handles.push(start(name, move || f(&stop)));
        }
        if n % 2 == 0 {
            let (s, lock) = (Arc::clone(stop), Arc::clone(&lock));
            handles.push(start("locks", move || locks(&s, &lock)));
        }
    }
    handles
}

/// A goroutine is shown in its own function, from the root on, or not at all.
fn check(part: &str, whole: &mut usize, unknown: &mut usize) {
    let header = part.lines().next().unwrap_or_default();
    let name = header.split('"').nth(1).unwrap_or_default();
    if part.contains("stack unavailable") {
        #[expect(clippy::disallowed_macros, reason = "a test's own words")]
        let () = println!("unknown: {part}");
        *unknown += 1;
        return;
    }
    let waits = part.contains("\nwaits for ");
    assert!(!waits || !header.contains("[run"), "torn: {part}");
    let functions = functions(part);
    if name == "resizer" || name == "short-lived" || name.is_empty() || functions.is_empty() {
        return; // of one that has not run yet there is nothing to see
    }
    let own = format!("dump::{name}");
    let at = functions.iter().position(|f| *f == own);
    assert!(at.is_some(), "torn: {part}");
    // The goroutine's closure: with line tables only, an inlined function has no path.
    let is_root = |f: &&str| f.starts_with("dump::") || f.starts_with("{closure#");
    assert!(functions.last().is_some_and(is_root), "torn: {part}");
    *whole += 1;
}
