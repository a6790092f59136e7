//! `rt0::process`, `rt0::io::pipe`, `rt0::fs`.

mod again;

use rt0::debug::waits;
use rt0::io::{PipeReader, pipe};
use rt0::process::{Command, Stdio};
use rt0::time::{Duration, Instant, sleep};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::thread;

#[rt0::test]
fn cat_returns_what_it_gets() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat is here");
    let mut stdin = child.stdin.take().expect("piped");
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let want = data.clone();
    let writer = rt0::go(move || stdin.write_all(&data).expect("it reads"));
    let mut got = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut got).expect("it ends");
    writer.join().expect("no panic");
    assert!(got == want);
    assert!(child.wait().expect("ours").success());
    assert!(child.wait().expect("known").success(), "again");
}

#[rt0::test]
fn output_takes_both_streams() {
    let script = "head -c 1000000 /dev/zero; head -c 900000 /dev/zero >&2; cat; exit 3";
    let out = Command::new("sh").args(["-c", script]).output().expect("sh is here");
    assert_eq!((out.stdout.len(), out.stderr.len()), (1_000_000, 900_000));
    assert_eq!(out.status.code(), Some(3));
    let env = Command::new("sh")
        .args(["-c", "echo $A-$PWD"])
        .env("A", "b")
        .current_dir("/")
        .output()
        .expect("sh is here");
    assert_eq!(String::from_utf8_lossy(&env.stdout), "b-/\n");
    let e = Command::new("/does/not/exist").output().expect_err("no such program");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(Command::new("true").status().expect("true is here").success());
}

/// A child that is started by another method has our streams, not the pipes of the one before.
#[rt0::test]
fn output_leaves_nothing_behind() {
    let mut command = Command::new("true");
    assert!(command.output().expect("true is here").status.success());
    let mut child = command.spawn().expect("true is here");
    assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
    assert!(child.wait().expect("ours").success());
    command.stdout(Stdio::piped());
    assert!(command.output().expect("true is here").status.success());
    let mut child = command.spawn().expect("true is here");
    assert!(child.stdout.is_some(), "as it was set");
    assert!(child.wait().expect("ours").success());
}

/// `GODEBUG=tlsmode=3`: each goroutine is a thread.
fn is_one_to_one() -> bool {
    std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"))
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("procfs is mounted").count()
}

/// Until there are fewer threads than that: those that were needed before end after a while.
fn few_threads(most: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    while threads() >= most && !is_one_to_one() {
        assert!(Instant::now() < end, "{} threads", threads());
        sleep(Duration::from_millis(10));
    }
}

/// In a process of its own: other tests here have threads, too.
#[test]
fn waiting_takes_no_thread() {
    again::alone("waiting_takes_no_thread", || rt0::run(wait_for_sixty));
}

fn wait_for_sixty() {
    let before = threads();
    let (own, ends) = std::io::pipe().expect("a pipe");
    let waiting: Vec<_> = (0..60)
        .map(|i| {
            let own = own.try_clone().expect("a descriptor");
            rt0::go(move || {
                // Until the writing end is gone.
                let mut child = Command::new("cat").stdin(own).spawn().expect("cat is here");
                if i % 2 == 0 {
                    assert!(child.try_wait().expect("ours").is_none());
                }
                assert!(child.wait().expect("ours").success());
            })
        })
        .collect();
    drop(own);
    while waits().iter().filter(|w| w.reason == "IO wait").count() < 60 {
        sleep(Duration::from_millis(1));
    }
    few_threads(before + 30);
    assert!(waiting.iter().all(|h| !h.is_finished()), "they wait still");
    drop(ends);
    waiting.into_iter().for_each(|h| h.join().expect("no panic"));
}

#[rt0::test]
fn children_are_killed() {
    use std::os::unix::process::ExitStatusExt;
    let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep is here");
    let id = rustix::process::Pid::from_raw(child.id() as i32).expect("not zero");
    let waiting = rt0::go(move || child.wait().expect("ours").signal());
    sleep(Duration::from_millis(5));
    rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("ours");
    assert_eq!(waiting.join().expect("no panic"), Some(9));

    let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep is here");
    child.kill().expect("ours");
    assert_eq!(child.wait().expect("ours").signal(), Some(9));

    let child = Command::new("sleep").arg("2000").kill_on_drop(true).spawn().expect("sleep");
    let id = child.id();
    drop(child);
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "it is gone, and reaped");
}

/// Without a goroutine, and between two children.
#[test]
fn threads_and_pipelines() {
    let mut first = Command::new("printf")
        .arg("b\\na\\nc\\n")
        .stdout(Stdio::piped())
        .spawn()
        .expect("printf is here");
    let between = first.stdout.take().expect("piped");
    let out = Command::new("sort").stdin(between).output().expect("sort is here");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "a\nb\nc\n");
    assert!(first.wait().expect("ours").success());
}

#[rt0::test]
fn pipes_between_goroutines_and_threads() {
    let (reader, mut writer) = pipe().expect("a pipe");
    let mut again = writer.try_clone().expect("a descriptor");
    let goroutine = rt0::go(move || writer.write_all(&[1; 300_000]).expect("it reads"));
    let thread = thread::spawn(move || again.write_all(&[2; 300_000]).expect("it reads"));
    let mut got = Vec::new();
    (&reader).read_to_end(&mut got).expect("it ends");
    assert_eq!(got.iter().filter(|b| **b == 1).count(), 300_000);
    assert_eq!(got.len(), 600_000);
    goroutine.join().expect("no panic");
    thread.join().expect("no panic");

    let (reader, mut writer) = pipe().expect("a pipe");
    reader.set_read_timeout(Some(Duration::from_millis(5))).expect("not zero");
    assert_eq!((&reader).read(&mut [0]).expect_err("nothing").kind(), ErrorKind::TimedOut);
    reader.set_read_timeout(None).expect("a pipe");
    reader.set_read_deadline(Some(Instant::now()));
    assert_eq!((&reader).read(&mut [0]).expect_err("too late").kind(), ErrorKind::TimedOut);
    drop(reader);
    // A child that another test is starting has the reading end until its exec.
    let refused = loop {
        match writer.write_all(b"x") {
            Ok(()) => rt0::time::sleep(Duration::from_millis(1)),
            Err(e) => break e,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
}

#[rt0::test]
fn a_fifo_can_be_waited_for() {
    let path = std::env::temp_dir().join(format!("rt0-fifo-{}", std::process::id()));
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo is here").success());
    let to = path.clone();
    let writer = rt0::go(move || {
        let mut f = rt0::fs::OpenOptions::new().write(true).open(&to).expect("somebody reads");
        for i in 0..3 {
            sleep(Duration::from_millis(2));
            writeln!(f, "line {i}").expect("somebody reads");
        }
    });
    let file = rt0::fs::File::open(&path).expect("it is there");
    let lines: Vec<_> = BufReader::new(PipeReader::from(OwnedFd::from(file)))
        .lines()
        .map(|line| line.expect("text"))
        .collect();
    assert_eq!(lines, ["line 0", "line 1", "line 2"]);
    writer.join().expect("no panic");
    rt0::fs::remove_file(&path).expect("ours");
}

/// Opened by their names they park and have deadlines: a hundred need no hundred threads. In a
/// process of its own: other tests here have threads, too.
#[test]
fn fifos_are_opened_by_name() {
    again::alone("fifos_are_opened_by_name", || rt0::run(open_a_hundred));
}

fn open_a_hundred() {
    let path = |i: usize| std::env::temp_dir().join(format!("rt0-fifo-{}-{i}", std::process::id()));
    let both: Vec<_> = (0..100)
        .map(|i| {
            assert!(Command::new("mkfifo").arg(path(i)).status().expect("mkfifo").success());
            let writer = rt0::go(move || rt0::io::PipeWriter::open(path(i)).expect("a reader"));
            let reader = PipeReader::open(path(i)).expect("a writer");
            rt0::fs::remove_file(path(i)).expect("ours");
            (reader, writer.join().expect("no panic"))
        })
        .collect();
    let (readers, mut writers): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    let before = threads();
    let reading: Vec<_> = readers
        .into_iter()
        .map(|mut r| {
            rt0::go(move || {
                let mut text = String::new();
                r.read_to_string(&mut text).expect("text");
                text
            })
        })
        .collect();
    while waits().iter().filter(|w| w.reason == "IO wait").count() < 100 {
        sleep(Duration::from_millis(1));
    }
    few_threads(before + 20);
    for (i, w) in writers.iter_mut().enumerate() {
        write!(w, "{i}").expect("somebody reads");
    }
    drop(writers);
    for (i, r) in reading.into_iter().enumerate() {
        assert_eq!(r.join().expect("no panic"), i.to_string());
    }

    // A full one, an empty one, one that is closed.
    assert!(Command::new("mkfifo").arg(path(0)).status().expect("mkfifo").success());
    let writer = rt0::go(move || rt0::io::PipeWriter::open(path(0)).expect("a reader"));
    let reader = PipeReader::open(path(0)).expect("a writer");
    let mut writer = writer.join().expect("no panic");
    reader.set_read_timeout(Some(Duration::from_millis(5))).expect("not zero");
    assert_eq!((&reader).read(&mut [0]).expect_err("empty").kind(), ErrorKind::TimedOut);
    writer.write_all(&[0; 65536]).expect("room");
    writer.set_write_deadline(Some(Instant::now() + Duration::from_millis(5)));
    assert_eq!(writer.write(&[0]).expect_err("full").kind(), ErrorKind::TimedOut);
    (&reader).read_exact(&mut vec![0; 65536]).expect("it is there");
    reader.set_read_timeout(None).expect("a pipe");
    let reader = std::sync::Arc::new(reader);
    let waiting = std::sync::Arc::clone(&reader);
    let waiting = rt0::go(move || (&*waiting).read(&mut [0]));
    sleep(Duration::from_millis(5));
    reader.close();
    let e = waiting.join().expect("no panic").expect_err("closed");
    assert!(e.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>()), "{e}");
    rt0::fs::remove_file(path(0)).expect("ours");

    // What cannot be waited for is read all the same.
    let mut text = String::new();
    PipeReader::open("/proc/self/stat").expect("procfs").read_to_string(&mut text).expect("text");
    assert!(text.ends_with('\n'), "{text}");
    rt0::io::PipeWriter::open("/dev/null").expect("there").write_all(b"x").expect("taken");
    assert_eq!(PipeReader::open(path(1)).expect_err("gone").kind(), ErrorKind::NotFound);
}

/// It is in no other mode afterwards: who shares the open file may not expect that.
#[rt0::test]
fn what_is_taken_over_keeps_its_mode() {
    let is_nonblocking = |fd: &OwnedFd| {
        rustix::fs::fcntl_getfl(fd).expect("open").contains(rustix::fs::OFlags::NONBLOCK)
    };
    let (ours, theirs) = std::io::pipe().expect("a pipe");
    let [a, b] = [OwnedFd::from(ours), OwnedFd::from(theirs)];
    let again = |fd: &OwnedFd| fd.try_clone().expect("a descriptor");
    let (mut reader, mut writer) =
        (PipeReader::from(again(&a)), rt0::io::PipeWriter::from(again(&b)));
    reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(5)));
    assert_eq!(reader.read(&mut [0]).expect_err("nothing").kind(), ErrorKind::TimedOut);
    reader.set_read_deadline(None);
    // More than there is room for, in pieces.
    let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let want = data.clone();
    let writing = rt0::go(move || {
        let (first, rest) = data.split_at(300_000);
        writer.write_all(first).expect("somebody reads");
        let mut slices: Vec<_> = rest.chunks(1000).map(std::io::IoSlice::new).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let n = writer.write_vectored(slices).expect("somebody reads");
            std::io::IoSlice::advance_slices(&mut slices, n);
        }
        writer
    });
    let mut got = vec![0; want.len()];
    reader.read_exact(&mut got).expect("all of it");
    assert!(got == want);
    assert!(!is_nonblocking(&a) && !is_nonblocking(&b));
    let writer = OwnedFd::from(writing.join().expect("no panic"));
    assert!(!is_nonblocking(&writer));

    // What is non-blocking already stays so.
    rustix::io::ioctl_fionbio(&a, true).expect("a pipe");
    let reading = rt0::go(move || reader.read(&mut [0]).expect("a byte"));
    sleep(Duration::from_millis(5));
    rustix::io::write(&writer, b"x").expect("a pipe");
    assert_eq!(reading.join().expect("no panic"), 1);
    let reader = PipeReader::from(again(&a));
    let waiting = rt0::go(move || (&reader).read(&mut [0]).map(|n| (n, reader)));
    sleep(Duration::from_millis(5));
    rustix::io::write(&writer, b"x").expect("a pipe");
    let (n, reader) = waiting.join().expect("no panic").expect("a byte");
    assert_eq!(n, 1);
    assert!(is_nonblocking(&OwnedFd::from(reader)));

    // Files are always ready.
    let file = rt0::fs::File::open("/proc/self/stat").expect("procfs");
    let mut text = String::new();
    PipeReader::from(file).read_to_string(&mut text).expect("text");
    assert!(text.starts_with(&format!("{} (", std::process::id())), "{text}");
}
