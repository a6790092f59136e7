//! Frames in words, as Go writes them.
//!
//! Go: traceback.go `traceback2`, `showframe`, `printFuncName`.
//!
//! ```text
//! name(...)
//! <tab>file:line +0xoffset
//! ```
//! Of a run of frames of the runtime's only the outermost is shown, the function that the program
//! called, as Go shows `time.Sleep` and not `runtime.gopark`; none where the program called none
//! (the C functions that rt0 stands in front of). Below the frame at which std ends its backtraces
//! nothing is shown. `GOTRACEBACK=system` shows everything, with the frames' addresses.

use super::frame::{Frame, Kind, Symbolised};
use super::stacks::{Stack, Tool};
use super::symbols::Symboliser;
use crate::sys::stderr::Line;
use core::fmt::{self, Display, Result, Write};

/// A text that should be UTF-8.
pub(super) struct Lossy<'a>(pub(super) &'a [u8]);

impl Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char('\u{fffd}')?;
            }
        }
        Ok(())
    }
}

/// A function's name, demangled and without its hash.
pub(super) struct Name<'a>(pub(super) &'a [u8]);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        #[cfg(feature = "backtrace")]
        if let Ok(name) = core::str::from_utf8(self.0) {
            return write!(f, "{:#}", rustc_demangle::demangle(name));
        }
        Lossy(self.0).fmt(f)
    }
}

/// Directory and file. In names that are relative the compiler's own directory comes first, but
/// where this process is in it.
pub(super) struct Path<'a>(pub(super) &'a Symbolised);

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        let s = self.0;
        let (dir, is_relative) = (s.dir, |name: &[u8]| !name.starts_with(b"/"));
        if !s.base.is_empty() && is_relative(dir) && is_relative(s.file) {
            write!(f, "{}/", Lossy(s.base))?;
        }
        if !dir.is_empty() && is_relative(s.file) {
            write!(f, "{}/", Lossy(dir))?;
        }
        Lossy(s.file).fmt(f)
    }
}

/// The directory of rt0's sources, as the compiler was told it: below the workspace's directory if
/// it is a member, else with its whole name.
const OWN: &str = file!().split_at(file!().len() - "debug/print.rs".len()).0;
/// The same with its whole name, unless the compiler was told to write other names.
const OWN_WHOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");

/// By its name; by its file where the name has no path, as an inlined function's if the program was
/// built with line tables only. `s.base` is where the compiler was, so that files that are relative
/// to different directories are told apart.
pub(super) fn kind(s: &Symbolised) -> Kind {
    let mut line = Line::<128>::new();
    let _ = write!(line, "{}", Name(s.name)); // what does not fit does not matter
    let text = line.bytes();
    let has = |part: &[u8]| text.windows(part.len()).any(|w| w == part);
    if has(b"__rust_begin_short_backtrace") {
        return Kind::Root;
    }
    let path = &text[text.iter().take_while(|c| matches!(**c, b'<' | b'&')).count()..];
    if path.starts_with(b"rt0::interpose::") {
        return Kind::Interposed;
    }
    if path.starts_with(b"core::ops::function::Fn") {
        return Kind::Shim;
    }
    if path.starts_with(b"rt0::") { Kind::Runtime } else { kind_by_file(s) }
}

fn kind_by_file(s: &Symbolised) -> Kind {
    let mut line = Line::<512>::new();
    let _ = write!(line, "{}", Path(s));
    match own_file(line.bytes(), OWN) {
        Some(own) if own.starts_with(b"interpose/") => Kind::Interposed,
        Some(_) => Kind::Runtime,
        None if line.bytes().ends_with(b"/core/src/ops/function.rs") => Kind::Shim,
        None => Kind::Program,
    }
}

/// The part of a file's name below the directory of rt0's sources, which the compiler calls `own`.
fn own_file<'a>(file: &'a [u8], own: &str) -> Option<&'a [u8]> {
    let of = |dir: &str| file.strip_prefix(dir.as_bytes());
    if let Some(rest) = of(OWN_WHOLE).or_else(|| of(own)) {
        return Some(rest);
    }
    // Its directory's name is another one than the package's: the compiler was told to write other
    // names. That of a workspace's member still says enough, `src/` does not.
    let is_member = !own.starts_with('/') && own != "src/";
    let found = file.windows(own.len()).rposition(|w| is_member && w == own.as_bytes())?;
    let is_whole = found.checked_sub(1).is_some_and(|before| file[before] == b'/');
    is_whole.then(|| &file[found + own.len()..])
}

/// Gives the functions of one address whose kind their names do not tell, for the compiler does not
/// always know the line of an inlined call, the kind of what is around them. The innermost first.
pub(super) fn settle_kinds(functions: &mut [Symbolised]) {
    let is_own = |s: &Symbolised| matches!(s.kind, Kind::Runtime | Kind::Interposed);
    for i in (1..functions.len().saturating_sub(1)).rev() {
        let (inner, outer) = (&functions[..i], functions[i + 1]);
        let is_unknown = |s: &Symbolised| s.line == 0 && s.kind == Kind::Program;
        let calls_own = inner.iter().rfind(|s| !is_unknown(s)).is_some_and(is_own);
        if is_unknown(&functions[i]) && is_own(&outer) && calls_own {
            functions[i].kind = outer.kind;
        }
    }
}

/// How much is shown. Go: the level of GOTRACEBACK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The program's frames.
    Program,
    /// All frames, with their addresses.
    System,
}

/// What is done with the frames that are shown.
pub(super) trait Sink {
    fn function(&mut self, s: &Symbolised, at: &Frame) -> Result;
    fn elided(&mut self, n: usize) -> Result;
}

/// Passes on the frames that `detail` shows, the innermost first.
pub(super) fn each(
    names: &mut Symboliser,
    stack: &Stack,
    detail: Detail,
    sink: &mut dyn Sink,
) -> Result {
    through(names, stack, Filter { detail, last: None, is_empty: true, panics: false }, sink)
}

fn through(
    names: &mut Symboliser,
    stack: &Stack,
    mut filter: Filter,
    sink: &mut dyn Sink,
) -> Result {
    let (inner, elided, outer) = stack.parts();
    // The function that took a panic's stack down is the first of it.
    let first = usize::from(filter.panics && filter.detail == Detail::Program);
    for frame in inner.iter().skip(first) {
        if filter.frame(names, frame, sink)? == Kind::Root {
            return Ok(());
        }
    }
    if elided > 0 {
        sink.elided(elided)?;
    }
    for frame in outer {
        if filter.frame(names, frame, sink)? == Kind::Root {
            return Ok(());
        }
    }
    Ok(())
}

struct Filter {
    detail: Detail,
    /// A function of the runtime's that is shown if the program called it.
    last: Option<(Symbolised, Frame)>,
    /// Nothing was shown yet.
    is_empty: bool,
    /// What was there so far belongs to a panic.
    panics: bool,
}

/// Whether it is a part of how std panics, by its name or its file. Go: `panic` is shown only if
/// another one follows.
fn is_panic(s: &Symbolised) -> bool {
    let starts = [
        "_Unwind_",
        "__rust",
        "panic_unwind::",
        "std::panic",
        "core::panic",
        "std::sys::backtrace::__rust_end_short_backtrace",
        "core::option::",
        "core::result::",
        "rt0::debug::uncaught::",
        "rt0::arch::",
    ];
    let files = ["/std/src/panicking.rs", "/std/src/panic.rs", "/core/src/panicking.rs"];
    let (mut name, mut file) = (Line::<128>::new(), Line::<512>::new());
    let _ = write!(name, "{}", Name(s.name)); // what does not fit does not matter
    let _ = write!(file, "{}", Path(s));
    s.name.is_empty()
        || starts.iter().any(|p| name.bytes().starts_with(p.as_bytes()))
        || files.iter().any(|p| file.bytes().ends_with(p.as_bytes()))
}

impl Filter {
    fn frame(
        &mut self,
        names: &mut Symboliser,
        frame: &Frame,
        sink: &mut dyn Sink,
    ) -> core::result::Result<Kind, fmt::Error> {
        let functions = names.functions(frame.lookup);
        if functions.is_empty() && self.panics && self.detail == Detail::Program {
            return Ok(Kind::Program);
        }
        if functions.is_empty() {
            self.last = None;
            sink.function(&Symbolised::default(), frame)?;
            return Ok(Kind::Program);
        }
        for s in functions {
            if self.detail == Detail::System {
                sink.function(s, frame)?;
                continue;
            }
            self.panics = self.panics && is_panic(s);
            if self.panics {
                continue;
            }
            match s.kind {
                Kind::Root => {
                    // The goroutine's closure is a function of the runtime's.
                    if let Some((s, frame)) = self.last.take().filter(|_| self.is_empty) {
                        sink.function(&s, &frame)?;
                    }
                    return Ok(Kind::Root);
                }
                Kind::Shim => {}
                Kind::Interposed => self.last = None,
                Kind::Runtime => self.last = Some((*s, *frame)),
                Kind::Program => {
                    if let Some((s, frame)) = self.last.take() {
                        sink.function(&s, &frame)?;
                    }
                    sink.function(s, frame)?;
                    self.is_empty = false;
                }
            }
        }
        Ok(Kind::Program)
    }
}

/// Go's text.
struct Text<'a> {
    out: &'a mut dyn Write,
    texts: &'a mut Texts,
    detail: Detail,
}

impl Sink for Text<'_> {
    fn function(&mut self, s: &Symbolised, at: &Frame) -> Result {
        if !self.texts.write(self.out, s, at)? {
            function(self.out, s, at)?;
        }
        if self.detail == Detail::System {
            write!(self.out, " fp={:#x} sp={:#x} pc={:#x}", at.fp, at.sp, at.pc)?;
        }
        self.out.write_str("\n")
    }

    fn elided(&mut self, n: usize) -> Result {
        writeln!(self.out, "...{n} frames elided...")
    }
}

/// Name and place, without the line's end.
fn function(out: &mut dyn Write, s: &Symbolised, at: &Frame) -> Result {
    if s.name.is_empty() {
        out.write_str("?")?;
    } else {
        write!(out, "{}", Name(s.name))?;
    }
    out.write_str("(...)\n\t")?;
    place(out, s, at)
}

/// How many functions are remembered as they are written.
const WRITTEN: usize = 256;

/// Functions as they are written: very many goroutines have few different ones. All zero when new.
pub(super) struct Texts {
    known: [Written; WRITTEN],
}

struct Written {
    pc: usize,
    /// Of the inlined functions at an address: which.
    name: usize,
    line: u64,
    /// 0: nothing yet.
    len: usize,
    bytes: [u8; 480],
}

impl Texts {
    /// False if it is too long to be remembered, or has no name.
    fn write(
        &mut self,
        out: &mut dyn Write,
        s: &Symbolised,
        at: &Frame,
    ) -> core::result::Result<bool, fmt::Error> {
        let (pc, name) = (at.pc, s.name.as_ptr().addr());
        if s.name.is_empty() {
            return Ok(false);
        }
        let known = &mut self.known[(pc ^ pc >> 8 ^ name ^ s.line as usize) % WRITTEN];
        if known.len == 0 || (known.pc, known.name, known.line) != (pc, name, s.line) {
            let mut line = Line::<480>::new();
            function(&mut line, s, at)?;
            let bytes = line.bytes();
            if bytes.len() == known.bytes.len() {
                return Ok(false);
            }
            known.bytes[..bytes.len()].copy_from_slice(bytes);
            (known.pc, known.name, known.line) = (pc, name, s.line);
            known.len = bytes.len();
        }
        let text = core::str::from_utf8(&known.bytes[..known.len]);
        out.write_str(text.map_err(|_| fmt::Error)?)?;
        Ok(true)
    }
}

/// File and line, or the image and the place in it; and how far into the function.
fn place(out: &mut dyn Write, s: &Symbolised, at: &Frame) -> Result {
    if s.line != 0 {
        write!(out, "{}:{}", Path(s), s.line)?;
        if s.entry != 0 {
            write!(out, " +{:#x}", at.pc.wrapping_sub(s.entry))?;
        }
        return Ok(());
    }
    match super::images::find(at.lookup) {
        Some(image) => {
            let mut room = [0; 1024];
            let path = image.shown_path(&mut room).unwrap_or(b"?");
            write!(out, "{} +{:#x}", Lossy(path), at.pc.wrapping_sub(image.bias))
        }
        None => write!(out, "pc={:#x}", at.pc),
    }
}

/// The stack that the tool holds.
pub(super) fn stack(out: &mut dyn Write, tool: &mut Tool, detail: Detail) -> Result {
    let Tool { names, texts, stack, .. } = tool;
    each(names, stack, detail, &mut Text { out, texts, detail })
}

/// The stack of a panic that the tool holds: from the function on that panicked.
pub(super) fn stack_of_panic(out: &mut dyn Write, tool: &mut Tool, detail: Detail) -> Result {
    let Tool { names, texts, stack, .. } = tool;
    // In a program without names, which only libraries have then, nothing tells where it begins.
    let panics = stack.parts().0.iter().any(|f| !names.functions(f.lookup).iter().all(is_panic));
    let filter = Filter { detail, last: None, is_empty: true, panics };
    through(names, stack, filter, &mut Text { out, texts, detail })
}

/// Whether the panic whose stack the tool holds was thrown without the panic hook.
pub(super) fn is_resumed(tool: &mut Tool) -> bool {
    let Tool { names, stack, .. } = tool;
    let has = |name: &[u8], part: &[u8]| name.windows(part.len()).any(|w| w == part);
    let without = |s: &Symbolised| has(s.name, b"resume_unwind");
    stack.parts().0.iter().take(20).any(|f| names.functions(f.lookup).iter().any(without))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_without_paths_are_known_by_their_file() {
        let of = |name: &'static str, file: &'static str| {
            kind(&Symbolised {
                name: name.as_bytes(),
                file: file.as_bytes(),
                ..Symbolised::default()
            })
        };
        assert!(of("switch_away", file!()) == Kind::Runtime);
        assert!(of("{closure#0}", "src/main.rs") == Kind::Program);
        let shim = "/lib/rustlib/src/rust/library/core/src/ops/function.rs";
        assert!(of("call_once<fn(), ()>", shim) == Kind::Shim);
        assert!(of("rt0::join::__rust_begin_short_backtrace", file!()) == Kind::Root);
    }

    /// In a program elsewhere rt0 is compiled in its own directory, and the program in another one:
    /// both have files that are called `src/…` then.
    #[test]
    fn files_are_relative_to_where_their_crate_was_compiled() {
        let of = |base: &'static str, dir: &'static str, file: &'static str| {
            let [base, dir, file] = [base, dir, file].map(str::as_bytes);
            kind(&Symbolised { name: b"wait_ticket", base, dir, file, ..Symbolised::default() })
        };
        let package = env!("CARGO_MANIFEST_DIR");
        assert!(of(package, "src/sched", "park.rs") == Kind::Runtime);
        assert!(of(package, "", "src/interpose/enter.rs") == Kind::Interposed);
        assert!(
            of("/program", "", concat!(env!("CARGO_MANIFEST_DIR"), "/src/g/mod.rs"))
                == Kind::Runtime
        );
        assert!(of("/program", "src", "main.rs") == Kind::Program);
        assert!(of(package, "tests", "peers.rs") == Kind::Program);
    }

    #[test]
    fn names_that_the_compiler_was_told_to_change_are_known_if_they_can_be() {
        let own = |file: &'static str, own| own_file(file.as_bytes(), own).is_some();
        assert!(own("/build/crates/rt0/src/g/mod.rs", "crates/rt0/src/"));
        assert!(own("crates/rt0/src/g/mod.rs", "crates/rt0/src/"));
        assert!(!own("/build/my-crates/rt0/src/g/mod.rs", "crates/rt0/src/"));
        assert!(own("/deps/rt0-0.1.0/src/g/mod.rs", "/deps/rt0-0.1.0/src/"));
        assert!(!own("/program/src/main.rs", "src/"));
    }

    #[test]
    fn who_is_called_in_an_unknown_line_is_as_what_is_around() {
        let of = |kind, line| Symbolised { name: b"f", line, kind, ..Symbolised::default() };
        let (own, unknown) = (of(Kind::Runtime, 7), of(Kind::Program, 0));
        let program = of(Kind::Program, 7);
        for (mut functions, runtime) in [
            ([own, unknown, unknown, own], 4),
            ([own, own, unknown, own], 4),
            ([own, own, program, own], 3),
            ([program, unknown, own, own], 2),
            ([unknown, own, program, unknown], 1),
        ] {
            settle_kinds(&mut functions);
            assert_eq!(functions.iter().filter(|f| f.kind == Kind::Runtime).count(), runtime);
        }
    }
}
