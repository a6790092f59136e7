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

/// The string literals that follow `call` and an opening parenthesis.
fn arguments(text: &str, call: &str) -> Vec<String> {
    let opening = format!("{call}(\"");
    let parts = text.split(opening.as_str()).skip(1);
    parts.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_string()).collect()
}

#[test]
fn every_planted_fault_is_caught_by_a_test() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let (mut planted, mut caught) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let text = fs::read_to_string(&file).expect("a source of this crate");
        planted.extend(arguments(&text, "mutated"));
        caught.extend(arguments(&text, "must_catch"));
    }
    assert!(planted.len() >= 12, "the sources were not found: {planted:?}");
    assert_eq!(planted, caught);
}
