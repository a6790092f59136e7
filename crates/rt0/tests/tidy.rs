//! Polices what a program can check of the rules in which this code is written.
//!
//! Each test lists every place that breaks its rule. `RT0_TIDY_BLESS=1` records the counts of
//! `unsafe` anew; the other rules have no exception but those listed here.

#![forbid(unsafe_code)]

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use source::{Source, repository, sources, words};

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_WIDTH: usize = 100;

const UNSAFE_ALLOW: &str = "crates/rt0/tests/tidy/unsafe_allow.txt";

#[test]
fn files_are_short() {
    check(file_length);
}

fn file_length(source: &Source, broken: &mut Vec<String>) {
    let lines = source.lines().count();
    if lines > MAX_FILE_LINES {
        broken.push(format!("{}: {lines} lines, {MAX_FILE_LINES} allowed", source.path));
    }
}

#[test]
fn lines_are_short() {
    check(line_width);
}

fn line_width(source: &Source, broken: &mut Vec<String>) {
    for (number, line) in source.lines() {
        let width = line.chars().count();
        if width > MAX_WIDTH {
            broken.push(format!("{}:{number}: {width} columns", source.path));
        }
    }
}

#[test]
fn functions_are_short() {
    check(function_length);
}

fn function_length(source: &Source, broken: &mut Vec<String>) {
    for (name, first, last) in source.functions() {
        let lines = last - first + 1;
        if lines > MAX_FUNCTION_LINES {
            broken.push(format!("{}:{first}: fn {name} has {lines} lines", source.path));
        }
    }
}

#[test]
fn imports_point_down() {
    check(layers::check);
}

/// `// SAFETY:`, `// ORDERING:` and `// INVARIANT:`, in this form only, each with something to say.
#[test]
fn tags_are_well_formed() {
    check(tags);
}

fn tags(source: &Source, broken: &mut Vec<String>) {
    for (number, comment) in source.comments() {
        let comment = comment.trim();
        let text = comment.trim_start_matches(['/', '!', '*', ' ']);
        for tag in ["SAFETY", "ORDERING", "INVARIANT"] {
            let is_tag = text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag))
                && text[tag.len()..].trim_start().starts_with(':');
            let says = comment.strip_prefix(&format!("// {tag}: ")).unwrap_or_default();
            let vague = says.to_lowercase();
            let vague = ["", "as above", "see above", "ok", "fine", "safe", "trivial"]
                .contains(&vague.trim_end_matches('.'));
            if is_tag && vague {
                let at = format!("{}:{number}", source.path);
                broken.push(format!("{at}: write `// {tag}: <why>`, not `{comment}`"));
            }
        }
    }
}

#[test]
fn nothing_is_unfinished() {
    check(unfinished);
}

fn unfinished(source: &Source, broken: &mut Vec<String>) {
    const MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
    const PHRASES: [&str; 3] = ["for now", "placeholder", "not yet implemented"];
    for (number, comment) in source.comments() {
        let lower = comment.to_lowercase();
        if words(comment).any(|word| MARKS.contains(&word))
            || PHRASES.iter().any(|phrase| lower.contains(phrase))
        {
            broken.push(format!("{}:{number}: {}", source.path, comment.trim()));
        }
    }
    for (number, code) in source.code_lines() {
        if ["todo!", "unimplemented!", "#[ignore"].iter().any(|mark| code.contains(mark)) {
            broken.push(format!("{}:{number}: {}", source.path, code.trim()));
        }
    }
}

/// One door to atomics, so that what a loom model explores is what ships; and no `unwrap`: a broken
/// assumption of the runtime throws, with a message.
#[test]
fn runtime_code_has_one_door_to_atomics_and_no_unwrap() {
    check(runtime_code);
}

fn runtime_code(source: &Source, broken: &mut Vec<String>) {
    if !source.path.starts_with("crates/rt0/src/") {
        return;
    }
    for (number, code) in source.code_lines().filter(|(number, _)| !source.is_test(*number)) {
        let at = format!("{}:{number}", source.path);
        if code.contains("sync::atomic") && !source.path.ends_with("/src/atomic.rs") {
            broken.push(format!("{at}: import atomics from crate::atomic"));
        }
        if code.contains(".unwrap()") {
            broken.push(format!("{at}: say what cannot fail, or throw, instead of unwrap()"));
        }
    }
}

/// The count of `unsafe` in each file is on record and may only shrink.
#[test]
fn unsafe_does_not_spread() {
    let counts: BTreeMap<String, usize> = SOURCES
        .iter()
        .map(|source| {
            let count = words(&source.code).filter(|word| *word == "unsafe").count();
            (source.path.clone(), count)
        })
        .filter(|(_, count)| *count > 0)
        .collect();

    let record = repository().join(UNSAFE_ALLOW);
    if std::env::var_os("RT0_TIDY_BLESS").is_some() {
        let lines: String = counts.iter().map(|(path, n)| format!("{path} {n}\n")).collect();
        return fs::write(&record, lines).expect("the record is writable");
    }

    let allowed = read_record(&record);
    let mut broken = Vec::new();
    for (path, &count) in &counts {
        let allowed = allowed.get(path).copied().unwrap_or(0);
        if count > allowed {
            broken.push(format!("{path}: {count} times unsafe, {allowed} allowed"));
        } else if count < allowed {
            broken.push(format!("{path}: only {count} of {allowed} unsafe left; record it"));
        }
    }
    for path in allowed.keys().filter(|path| !counts.contains_key(*path)) {
        broken.push(format!("{path}: no unsafe left, or no such file; take it off the record"));
    }
    assert!(
        broken.is_empty(),
        "{}\nIf each new unsafe is needed and says why it is sound: \
         RT0_TIDY_BLESS=1 cargo test -p rt0 --test tidy",
        broken.join("\n")
    );
}

fn read_record(path: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let (path, count) = line.rsplit_once(' ').expect("`path count`");
            (path.to_owned(), count.parse().expect("a count"))
        })
        .collect()
}

/// Read once for all tests.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(sources);

/// Runs `rule` over every source file; fails with all that it found broken.
fn check(rule: Rule) {
    let mut broken = Vec::new();
    for source in &*SOURCES {
        rule(source, &mut broken);
    }
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

/// A rule that finds nothing is worth only as much as its eye for a fault.
#[test]
fn each_rule_sees_its_fault() {
    let rt0 = "crates/rt0/src/sched/x.rs";
    let long_function = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(69));
    let faults: [(Rule, &str, &str); 19] = [
        (file_length, rt0, &"\n".repeat(601)),
        (line_width, rt0, &"x".repeat(101)),
        (function_length, rt0, &long_function),
        (layers::check, rt0, "use crate::boot::main;"),
        (layers::check, rt0, "use crate::{sys::raw,\n    chan::{self, Sender}};"),
        (layers::check, rt0, "fn f() { super::super::boot::exit() }"),
        (layers::check, rt0, "use crate::go;"),
        (layers::check, "crates/rt0/src/unheard_of.rs", ""),
        (tags, rt0, "// Safety: the caller holds the lock"),
        (tags, rt0, "//SAFETY: the caller holds the lock"),
        (tags, rt0, "f(); /* ORDERING: pairs with g */"),
        (tags, rt0, "// SAFETY: ok"),
        (unfinished, rt0, "// TODO write this"),
        (unfinished, rt0, "//! A placeholder of a module."),
        (unfinished, rt0, "fn f() { unimplemented!() }"),
        (unfinished, rt0, "#[ignore = \"slow\"]"),
        (runtime_code, rt0, "use core::sync::atomic::AtomicBool;"),
        (runtime_code, rt0, "fn f() { g().unwrap() }"),
        (runtime_code, rt0, "#[cfg(test)]\nmod tests { fn f() {} }\nfn f() { g().unwrap() }"),
    ];
    for (i, (rule, path, text)) in faults.iter().enumerate() {
        assert_ne!(broken(*rule, path, text), [""; 0], "fault {i} is not seen: {text}");
    }

    let short_enough = long_function.replacen("    g();\n", "", 1);
    let declaration = format!("fn f(x: [u8; 4]);\n{}", "\n".repeat(99));
    let fine: [(Rule, &str, &str); 9] = [
        (function_length, rt0, &short_enough),
        (function_length, rt0, &declaration),
        (layers::check, rt0, "use crate::{g::G, sys::{futex, raw}};\nuse super::wake::wakep;"),
        (tags, rt0, "/// # Safety\n// SAFETY: the caller holds the lock"),
        (tags, rt0, "// SAFETY: RQ2."),
        (unfinished, rt0, "fn f() { g(\"todo!() // TODO\", '\"', r#\"\"todo!()\"#) } // a \"quote"),
        (unfinished, rt0, "fn f<'a>(x: &'a str) -> &'a str { x } // 'todo!'"),
        (runtime_code, rt0, "#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap() }\n}"),
        (runtime_code, rt0, "fn f() { g().unwrap_or(0) } // never .unwrap()"),
    ];
    for (rule, path, text) in fine {
        assert_eq!(broken(rule, path, text), [""; 0], "{text}");
    }
}

type Rule = fn(&Source, &mut Vec<String>);

fn broken(rule: Rule, path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    rule(&Source::new(path.to_owned(), text.to_owned()), &mut broken);
    broken
}
