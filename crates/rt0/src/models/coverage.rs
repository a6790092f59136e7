//! Every fault planted in a source has a test that expects it to be caught, and the other way
//! round.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the crate's own directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The string literals that are the first argument of a call of `name`. A definition has none; a
/// call of `mutated` with anything else would plant a fault that nobody can list.
fn arguments(text: &str, name: &str) -> Vec<String> {
    let opening = format!("{name}(");
    let calls = text.split(opening.as_str()).skip(1);
    let literals = calls.filter_map(|rest| rest.trim_start().strip_prefix('"'));
    literals.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_string()).collect()
}

fn compare(texts: &[String]) -> (BTreeSet<String>, BTreeSet<String>) {
    let of = |names: &[&str]| {
        let all = texts.iter().flat_map(|t| names.iter().flat_map(|n| arguments(t, n)));
        all.collect::<BTreeSet<_>>()
    };
    (of(&["mutated"]), of(&["must_catch", "must_catch_within"]))
}

#[test]
fn every_planted_fault_is_caught_by_a_test() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let read = |f: &PathBuf| fs::read_to_string(f).expect("a source of this crate");
    let texts: Vec<_> =
        files.iter().filter(|f| !f.ends_with("models/coverage.rs")).map(read).collect();
    let (planted, caught) = compare(&texts);
    assert!(planted.len() >= 40, "the sources were not found: {planted:?}");
    let unlisted: Vec<_> = planted.symmetric_difference(&caught).collect();
    assert!(unlisted.is_empty(), "planted or caught only: {unlisted:?}");
}

#[test]
fn a_fault_that_no_test_names_is_noticed() {
    let text = r#"if mutated("a.b") || mutated(
        "c.d",
    ) {} must_catch("a.b", f); must_catch_within("e.f", 2, f); fn mutated(name: &str)"#;
    let (planted, caught) = compare(&[text.to_string()]);
    assert_eq!(Vec::from_iter(planted), ["a.b", "c.d"]);
    assert_eq!(Vec::from_iter(caught), ["a.b", "e.f"]);
}
