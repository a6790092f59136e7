//! The file with the expected figures.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// More than that is a regression.
const PERCENT: u64 = 5;
const HEADER: &str =
    "# Instructions of an operation, one P, release build; crates/testprog/src/counts.
# `cargo run --release -p testprog --bin counts -- bless` writes it.
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
}

/// Another compiler makes other code: figures are compared with those of the same one.
fn compiler() -> Result<String, String> {
    let out = Command::new("rustc").arg("--version").output().map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

pub(crate) fn text(counts: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (op, n) in counts {
        writeln!(text, "{op:24} {n:6}").expect("a string takes everything");
    }
    text
}

pub(crate) fn bless(counts: &[(&str, u64)]) -> Result<(), String> {
    let text = format!("{HEADER}compiler: {}\n{}", compiler()?, text(counts));
    fs::write(path(), text).map_err(|e| format!("{}: {e}", path().display()))
}

pub(crate) fn check(counts: &[(&str, u64)]) -> Result<(), String> {
    let file = fs::read_to_string(path()).map_err(|e| format!("{}: {e}", path().display()))?;
    let (expected, theirs) = parse(&file)?;
    let ours = compiler()?;
    let mut wrong = String::new();
    for &(op, n) in counts {
        let Some(&(_, was)) = expected.iter().find(|(name, _)| name == op) else {
            writeln!(wrong, "{op}: not in counts.txt; it takes {n}").expect("a string");
            continue;
        };
        let verdict = if n * 100 > was * (100 + PERCENT) { "MORE" } else { "ok" };
        println!("{op:24} {n:6} of {was:6} {verdict}");
        if verdict == "MORE" {
            writeln!(wrong, "{op}: {n} instructions, {was} expected").expect("a string");
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    if ours != theirs {
        println!("counts.txt is of {theirs}, this is {ours}: no verdict. It would be:\n{wrong}");
        return Ok(());
    }
    Err(format!("{wrong}If that is as it must be: `counts bless`, and say why in the commit."))
}

type Counts = Vec<(String, u64)>;

fn parse(file: &str) -> Result<(Counts, String), String> {
    let (mut counts, mut compiler) = (Vec::new(), String::new());
    for line in file.lines().filter(|l| !l.starts_with('#')) {
        match line.split_once(char::is_whitespace) {
            Some(("compiler:", version)) => version.clone_into(&mut compiler),
            Some((op, n)) => {
                let n = n.trim().parse().map_err(|_| format!("counts.txt: no number: {line}"))?;
                counts.push((op.to_owned(), n));
            }
            None => return Err(format!("counts.txt: {line}")),
        }
    }
    Ok((counts, compiler))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_written_is_read() {
        let (counts, compiler) = parse("# no\ncompiler: rustc 1.2.3\nyield        70\n").unwrap();
        assert_eq!(counts, [("yield".to_owned(), 70)]);
        assert_eq!(compiler, "rustc 1.2.3");
        assert!(parse("yield x").is_err());
        assert!(parse("yield").is_err());
    }
}
