//! Every function, structure, field and global that the seed article names has a home here.
//!
//! `docs/seed_map.txt` says which. This test holds it to the code: each file defines what the row
//! says it does, each test that a row names exists, no name is missing, and `docs/SEED_MAP.md` is
//! the table made of it (`RT0_TIDY_BLESS=1` makes it anew).

#![forbid(unsafe_code)]

#[path = "seed_map/names.rs"]
mod names;
#[allow(dead_code, reason = "shared with tests/tidy.rs, which uses all of it")]
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use names::NAMES;
use source::{Source, repository};

const MAP: &str = "docs/seed_map.txt";
const TABLE: &str = "docs/SEED_MAP.md";

struct Row {
    line: usize,
    section: String,
    name: String,
    file: String,
    definitions: Vec<String>,
    does: String,
    tests: Vec<String>,
}

#[test]
fn every_name_of_the_seed_has_one_row() {
    let mut rows = BTreeMap::new();
    for row in rows_of(&read(MAP)) {
        *rows.entry(row.name).or_insert(0) += 1;
    }
    let names: BTreeSet<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !rows.contains_key(*name)).collect();
    let unknown: Vec<_> = rows.keys().filter(|name| !names.contains(*name)).collect();
    let repeated: Vec<_> = rows.iter().filter(|(_, n)| **n > 1).map(|(name, _)| name).collect();
    let empty: [&String; 0] = [];
    assert_eq!(missing, empty, "of the seed, without a row in {MAP}");
    assert_eq!(unknown, empty, "in {MAP}, but not of the seed");
    assert_eq!(repeated, empty, "more than once in {MAP}");
}

#[test]
fn each_home_defines_what_its_row_says() {
    let mut sources: BTreeMap<String, Option<Source>> = BTreeMap::new();
    let mut broken = Vec::new();
    for row in rows_of(&read(MAP)) {
        let file = sources.entry(row.file.clone()).or_insert_with(|| {
            let path = format!("crates/rt0/src/{}", row.file);
            let text = fs::read_to_string(repository().join(&path)).ok()?;
            Some(Source::new(path, text))
        });
        let at = format!("{MAP}:{}: {}", row.line, row.name);
        let Some(source) = file else {
            broken.push(format!("{at}: no file {}", row.file));
            continue;
        };
        for definition in &row.definitions {
            if !defines(&source.code, definition) {
                broken.push(format!("{at}: {} has no `{definition}`", row.file));
            }
        }
        if row.does.is_empty() || row.definitions.is_empty() {
            broken.push(format!("{at}: say what it is and does"));
        }
    }
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn each_row_is_tested() {
    let mut broken = Vec::new();
    for row in rows_of(&read(MAP)) {
        let at = format!("{MAP}:{}: {}", row.line, row.name);
        if row.tests.is_empty() {
            broken.push(format!("{at}: no test"));
        }
        for test in &row.tests {
            let exists = test.split_once("::").is_some_and(|(file, function)| {
                let text = fs::read_to_string(repository().join("crates").join(file));
                let code = Source::new(file.to_owned(), text.unwrap_or_default()).code;
                defines(&code, &format!("fn {function}"))
            });
            if !exists {
                broken.push(format!("{at}: no test `{test}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn the_table_is_up_to_date() {
    let table = table(&rows_of(&read(MAP)));
    if std::env::var_os("RT0_TIDY_BLESS").is_some() {
        return fs::write(repository().join(TABLE), table).expect("the table is writable");
    }
    let same = read(TABLE) == table;
    assert!(same, "make {TABLE} anew: RT0_TIDY_BLESS=1 cargo test -p rt0 --test seed_map");
}

#[test]
fn definitions_are_told_from_uses() {
    let code = "struct P { pub(crate) id: u32, }\nfn init<T>() { destroy(); }\n\
                enum S { Idle = 0, Busy(u8), }\nstatic ALLP: [P; 1] = [P { id: 1, link: 2 }];";
    for there in ["struct P", "field P.id", "fn init", "variant S.Idle", "variant S.Busy"] {
        assert!(defines(code, there), "{there}");
    }
    for absent in
        ["struct Q", "field P.link", "fn destroy", "fn ini", "variant S.Dead", "const ALLP"]
    {
        assert!(!defines(code, absent), "{absent}");
    }
    assert!(defines(code, "static ALLP"));
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

fn rows_of(map: &str) -> Vec<Row> {
    let (mut section, mut rows) = (String::new(), Vec::new());
    for (i, line) in map.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [name, file, definitions, does, tests] = cells[..] else {
                panic!("{MAP}:{}: five cells, not {}", i + 1, cells.len());
            };
            let list = |cell: &str| -> Vec<String> {
                cell.split(',')
                    .map(|part| part.trim().to_owned())
                    .filter(|p| !p.is_empty())
                    .collect()
            };
            rows.push(Row {
                line: i + 1,
                section: section.clone(),
                name: name.to_owned(),
                file: file.to_owned(),
                definitions: list(definitions),
                does: does.to_owned(),
                tests: list(tests),
            });
        }
    }
    rows
}

/// Whether `code` has `definition`: `fn x`, `struct X`, …, or `field X.y`, `variant X.Y`.
fn defines(code: &str, definition: &str) -> bool {
    let Some((kind, name)) = definition.split_once(' ') else { return false };
    match (kind, name.split_once('.')) {
        ("field", Some((owner, field))) => {
            body(code, &format!("struct {owner}")).is_some_and(|b| has(b, field, &[":"]))
        }
        ("variant", Some((owner, variant))) => body(code, &format!("enum {owner}"))
            .is_some_and(|b| has(b, variant, &[",", " =", "(", " {", "\n"])),
        ("macro", None) => has(code, &format!("macro_rules! {name}"), &[" "]),
        ("fn", None) => has(code, definition, &["(", "<"]),
        ("static" | "const", None) => has(code, definition, &[":"]),
        ("struct" | "enum" | "union" | "trait" | "type", None) => {
            has(code, definition, &[" ", "<", "(", ";", ":"])
        }
        _ => false,
    }
}

/// Whether `code` has `what` as whole words, followed by one of `ends`.
fn has(code: &str, what: &str, ends: &[&str]) -> bool {
    code.match_indices(what).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + what.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && ends.iter().any(|end| after.starts_with(end))
    })
}

/// What stands between the braces of `item`.
fn body<'a>(code: &'a str, item: &str) -> Option<&'a str> {
    let at = code
        .match_indices(item)
        .find(|(at, _)| code[at + item.len()..].starts_with([' ', '<', '(', ':']));
    let rest = &code[at?.0..];
    let start = rest.find('{')?;
    let mut depth = 0_u32;
    let end = rest[start..].find(|c| {
        depth = depth + u32::from(c == '{') - u32::from(c == '}');
        depth == 0
    })?;
    Some(&rest[start + 1..start + end])
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "# Where each name of the seed lives\n\n\
         The article that this project started from follows a Go program from its ELF entry to\n\
         `main.main`. Each function, structure, field and global that it names, in its order:\n\
         where it is here, what it does, and what tests it.\n\n\
         Made from `docs/seed_map.txt` by `crates/rt0/tests/seed_map.rs`, which checks each row.\n",
    );
    let mut section = "";
    for row in rows {
        if row.section != section {
            section = &row.section;
            write!(
                out,
                "\n## {section}\n\n| Go | here | what it does | tests |\n|---|---|---|---|\n"
            )
            .expect("a String takes all");
        }
        let code = |items: &[String]| -> String {
            items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
        };
        let link = format!("[{0}](../crates/rt0/src/{0})", row.file);
        let here = format!("{link}<br>{}", code(&row.definitions));
        writeln!(out, "| `{}` | {here} | {} | {} |", row.name, row.does, code(&row.tests))
            .expect("a String takes all");
    }
    out
}
