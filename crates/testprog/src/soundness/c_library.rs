//! Shared libraries with thread-local variables, loaded while goroutines run.

use super::c::Library;
use super::harness::{goroutines, hop, hops, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{env, fs, process};

/// `counter` is initialised, `many` is zeroed; the general-dynamic model finds both.
const SOURCE: &str = "
__thread int counter = START;
__thread int many[1000];
int bump(void) { counter++; many[7]++; return counter + (many[7] != counter - START); }
";

pub(crate) fn no_dlopen() -> Option<String> {
    cfg!(target_feature = "crt-static").then(|| "static glibc cannot load libraries".to_owned())
}

/// Goroutines from before the `dlopen`, from after it, and such that reuse the memory of dead ones
/// each have a copy, as threads would; so it is with the library that comes after a `dlclose`.
pub(crate) fn dlopen_tls() {
    for (name, start) in [("first", 41), ("second", 1000)] {
        let path = fresh_library(name, start);
        let library: OnceLock<Library> = OnceLock::new();
        let finished = AtomicUsize::new(0);
        let (older, newer) = (5, 40);
        goroutines(older + 1, |i| {
            if i < older {
                wait_until("the library is loaded", || library.get().is_some());
                expect_own_copy(library.get().expect("just seen"), start);
                finished.fetch_add(1, SeqCst);
                return;
            }
            hops(5);
            let library = library.get_or_init(|| Library::open(&path));
            for _wave in 0..2 {
                goroutines(newer, |_| {
                    expect_own_copy(library, start);
                    finished.fetch_add(1, SeqCst);
                });
            }
        });
        assert_eq!(finished.load(SeqCst), older + 2 * newer);
        fs::remove_file(path).expect("our own file");
    }
}

fn expect_own_copy(library: &Library, start: i32) {
    for k in 1..=5 {
        assert_eq!(library.bump(), start + k);
        hop();
    }
}

/// A library whose `bump` returns one more than `start` at first. The same file loads once only, so
/// every call makes a copy of its own.
pub(crate) fn fresh_library(name: &str, start: i32) -> PathBuf {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let built = directory().join(format!("{name}.so"));
    if !built.exists() {
        build(&built, start);
    }
    let round = ROUND.fetch_add(1, SeqCst);
    let copy = directory().join(format!("{name}-{round}.so"));
    fs::copy(&built, &copy).expect("room in the temporary directory");
    copy
}

fn build(library: &Path, start: i32) {
    let source = library.with_extension("c");
    fs::write(&source, SOURCE).expect("room in the temporary directory");
    let gcc = Command::new("gcc")
        .args(["-shared", "-fPIC", "-ftls-model=global-dynamic"])
        .arg(format!("-DSTART={start}"))
        .arg("-o")
        .args([library, &source])
        .output()
        .expect("gcc is installed");
    assert!(gcc.status.success(), "gcc: {}", String::from_utf8_lossy(&gcc.stderr));
}

/// Vanishes with the process.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let path = env::temp_dir().join(format!("rt0-soundness-{}", process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        let remove = path.clone();
        rt0::at_exit(move || {
            // What stays behind in a temporary directory is no failure.
            let _ = fs::remove_dir_all(remove);
        });
        path
    })
}
