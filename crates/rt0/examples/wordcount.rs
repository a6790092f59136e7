//! The ten most frequent words of a directory tree, one goroutine per file: `wordcount DIR`.
//!
//! The code that reads is plain blocking `std::fs`. With `--threads` the same program runs on
//! threads: only the function that starts a unit of work changes.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, thread};

type Counts = HashMap<String, u64>;

/// Files in flight at once. A goroutine is cheap, an open file is not: 1024 is a usual limit.
const MAX_GOROUTINES: usize = 256;
const MAX_THREADS: usize = 16;

#[rt0::main]
fn main() -> ExitCode {
    let (threads, dir) = match parse_args() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("wordcount: {message}\nusage: wordcount [--threads] DIR");
            return ExitCode::from(2);
        }
    };

    let (files, unlisted) = list_files(&dir);
    let (counts, unread) = if threads {
        let start = |path| thread::spawn(move || count_words(path));
        count_all(files, MAX_THREADS, start, thread::JoinHandle::join)
    } else {
        let start = |path| rt0::go(move || count_words(path));
        count_all(files, MAX_GOROUTINES, start, rt0::JoinHandle::join)
    };

    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    for (word, count) in words.iter().take(10) {
        println!("{count:>9} {word}");
    }
    if unlisted + unread > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Counts every file with at most `limit` of them in flight, and the files that could not be read.
fn count_all<H>(
    files: Vec<PathBuf>,
    limit: usize,
    start: impl Fn(PathBuf) -> H,
    join: impl Fn(H) -> thread::Result<io::Result<Counts>>,
) -> (Counts, usize) {
    let mut total = Counts::new();
    let mut unread = 0;
    let mut finish = |(path, handle): (PathBuf, H)| {
        let counted = join(handle).expect("counting does not panic");
        match counted {
            Ok(counts) => counts.into_iter().for_each(|(w, n)| *total.entry(w).or_default() += n),
            Err(err) => {
                report(&path, &err);
                unread += 1;
            }
        }
    };

    let mut in_flight = VecDeque::with_capacity(limit);
    for path in files {
        if in_flight.len() == limit {
            in_flight.pop_front().map(&mut finish);
        }
        in_flight.push_back((path.clone(), start(path)));
    }
    in_flight.into_iter().for_each(&mut finish);
    (total, unread)
}

/// A word is a run of letters and digits; case does not matter.
fn count_words(path: PathBuf) -> io::Result<Counts> {
    let mut counts = Counts::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).to_lowercase();
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => _ = counts.insert(word.to_owned(), 1),
            }
        }
    }
    Ok(counts)
}

/// The regular files below `dir` in a fixed order, and how many entries could not be listed.
/// Symbolic links are not followed, so the walk ends.
fn list_files(dir: &Path) -> (Vec<PathBuf>, usize) {
    let (mut files, mut unlisted) = (Vec::new(), 0);
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let list = || -> io::Result<Vec<_>> {
            fs::read_dir(&dir)?.map(|e| e.and_then(|e| Ok((e.path(), e.file_type()?)))).collect()
        };
        match list() {
            Ok(entries) => {
                for (path, kind) in entries {
                    if kind.is_dir() {
                        dirs.push(path);
                    } else if kind.is_file() {
                        files.push(path);
                    }
                }
            }
            Err(err) => {
                report(&dir, &err);
                unlisted += 1;
            }
        }
    }
    files.sort();
    (files, unlisted)
}

fn report(path: &Path, err: &io::Error) {
    eprintln!("wordcount: {}: {err}", path.display());
}

fn parse_args() -> Result<(bool, PathBuf), String> {
    let (mut threads, mut dir) = (false, None);
    for arg in env::args_os().skip(1) {
        if arg == "--threads" {
            threads = true;
        } else if arg.as_encoded_bytes().starts_with(b"-") {
            return Err(format!("unknown option {}", arg.display()));
        } else if dir.replace(PathBuf::from(arg)).is_some() {
            return Err("more than one directory".into());
        }
    }
    let dir = dir.ok_or("no directory given")?;
    match fs::metadata(&dir) {
        Ok(meta) if meta.is_dir() => Ok((threads, dir)),
        Ok(_) => Err(format!("{}: not a directory", dir.display())),
        Err(err) => Err(format!("{}: {err}", dir.display())),
    }
}
