//! The Rust files of this repository, with code and comments told apart.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) struct Source {
    /// Relative to the repository.
    pub(super) path: String,
    text: String,
    /// The text with comments and the contents of literals blanked; lines are where they were.
    pub(super) code: String,
    /// The text with all but comments blanked.
    comments: String,
}

pub(super) fn repository() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    top.expect("crates/rt0 is two levels down").to_owned()
}

/// Every `.rs` file outside `target` directories, by path.
pub(super) fn sources() -> Vec<Source> {
    let top = repository();
    let (mut dirs, mut sources) = (vec![top.join("crates"), top.join("bench")], Vec::new());
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.map(|entry| entry.expect("a readable entry")) {
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            if kind.is_dir() && !path.ends_with("target") {
                dirs.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let path = path.strip_prefix(&top).expect("below the top");
                sources.push(Source::new(path.display().to_string(), text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The identifiers, keywords and numbers of `text`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let (code, comments) = separate(&text);
        Source { path, text, code, comments }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }

    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.code)
    }

    /// The lines that hold a comment, without what stands before it.
    pub(super) fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.comments).filter(|(_, comment)| !comment.trim().is_empty())
    }

    /// Name, first and last line of each function that has a body.
    pub(super) fn functions(&self) -> Vec<(&str, usize, usize)> {
        let code = self.code.as_str();
        let mut found = Vec::new();
        for (at, _) in code.match_indices("fn ") {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            // `fn(` in a type has no name; a declaration without a body ends in `;`.
            let name = words(&code[at + 3..]).next().unwrap_or_default();
            if let Some(end) = item_end(code, at).filter(|end| code[..*end].ends_with('}')) {
                found.push((name, line_of(code, at), line_of(code, end - 1)));
            }
        }
        found
    }

    /// Whether line `number` is compiled for tests and models only.
    pub(super) fn is_test(&self, number: usize) -> bool {
        if self.path.split('/').any(|part| ["tests", "tests.rs", "models"].contains(&part)) {
            return true;
        }
        ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(loom)]", "#[cfg(all(loom"].iter().any(|cfg| {
            self.code.match_indices(cfg).any(|(at, _)| {
                // Past the attribute, which brackets would hide, the item it belongs to.
                let item = self.code[at..].find('\n').map_or(at, |n| at + n);
                let end = item_end(&self.code, item).unwrap_or(self.code.len());
                (line_of(&self.code, at)..=line_of(&self.code, end - 1)).contains(&number)
            })
        })
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where the item that starts at `at` ends: after its `;`, or after the brace that closes its body.
fn item_end(code: &str, at: usize) -> Option<usize> {
    let (mut braces, mut others) = (0_u32, 0_u32);
    for (i, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.checked_sub(1)?,
            '{' => braces += 1,
            '}' => braces = braces.checked_sub(1)?,
            _ => {}
        }
        if matches!(c, ';' | '}') && braces == 0 && others == 0 {
            return Some(at + i + 1);
        }
    }
    None
}

/// Splits `text` into its code and its comments, each blanked where the other is.
fn separate(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (len, is_comment, is_literal) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true, false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), true, false)
        } else if let Some(len) = literal(&text[..at], rest) {
            (len, false, true)
        } else {
            (rest.chars().next().map_or(1, char::len_utf8), false, false)
        };
        for c in rest[..len].chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            code.push(if is_comment || is_literal { blank } else { c });
            comments.push(if is_comment { c } else { blank });
        }
        at += len;
    }
    (code, comments)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string or character literal that `rest` starts with.
fn literal(before: &str, rest: &str) -> Option<usize> {
    let mid_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let quoted = rest.strip_prefix(prefix);
        (prefix.is_empty() || !mid_word)
            && quoted.is_some_and(|q| {
                let hashes = if prefix.ends_with('r') { q.trim_start_matches('#') } else { q };
                hashes.starts_with('"') || (q.starts_with('\'') && ["b", ""].contains(prefix))
            })
    })?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body[hashes + 1..].find(&close)?;
        return Some(prefix.len() + hashes + 1 + end + close.len());
    }
    let quote = body.chars().next()?;
    let mut chars = body.char_indices().skip(1);
    if quote == '\'' {
        // 'a' and '\n' are literals, 'a in a type is a lifetime.
        let (_, first) = chars.next()?;
        if first != '\\' {
            let (end, close) = chars.next()?;
            return (close == '\'').then_some(prefix.len() + end + 1);
        }
        chars.next()?;
    }
    while let Some((i, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(prefix.len() + i + 1);
        }
    }
    None
}
