//! Labels of goroutines: what a goroutine works on, for those who read dumps.
//!
//! Go: runtime/pprof `Do`, `WithLabels`, `SetGoroutineLabels`, `Label`; traceback.go
//! `goroutineheader`, which shows them since 1.27.

use super::dump::Quoted;
use super::print::Lossy;
use crate::g::G;
use crate::g::extras::{Extras, Labels, will_inherit};
use core::fmt;

/// Calls `f` with these labels (key and value) added to those that the goroutine has; afterwards,
/// also after a panic, it has what it had before.
///
/// Dumps show them in the goroutine's header: `goroutine 7 [sleep] {user: ann}:`. Goroutines that
/// are started in `f` have them for good. Of two with one key the later counts. Where there is no
/// goroutine it only calls `f`. Go: `pprof.Do`.
///
/// ```
/// # #[rt0::main] fn main() {
/// rt0::debug::with_labels(&[("user", "ann")], || {
///     assert!(rt0::debug::stack().contains(" [running] {user: ann}"));
/// });
/// # }
/// ```
pub fn with_labels<T>(labels: &[(&str, &str)], f: impl FnOnce() -> T) -> T {
    let Some(gp) = crate::tls::getg() else { return f() };
    let _restore = Restore { gp, old: own(gp) };
    let new = labels.iter().fold(own(gp), |all, (key, value)| Some(with(all, key, Some(value))));
    set(gp, new);
    f()
}

/// Gives the goroutine a label; one with this key is replaced. Those that it starts from now on
/// inherit it. Where there is no goroutine it does nothing. Go: `pprof.SetGoroutineLabels`.
pub fn set_label(key: &str, value: &str) {
    if let Some(gp) = crate::tls::getg() {
        set(gp, Some(with(own(gp), key, Some(value))));
    }
}

/// Takes a label away from the goroutine, if it has one with this key.
pub fn remove_label(key: &str) {
    if let Some(gp) = crate::tls::getg() {
        set(gp, Some(with(own(gp), key, None)));
    }
}

/// The labels of the goroutine, by key. Go: `pprof.ForLabels`.
pub fn labels() -> Vec<(String, String)> {
    let all = crate::tls::getg().and_then(own);
    let words = |(key, value): &(Box<str>, Box<str>)| (key.to_string(), value.to_string());
    all.iter().flat_map(|all| all.iter()).map(words).collect()
}

struct Restore {
    gp: &'static G,
    old: Option<Labels>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        set(self.gp, self.old.take());
    }
}

fn own(gp: &'static G) -> Option<Labels> {
    gp.extras().and_then(|e| e.labels.clone())
}

/// The running goroutine.
fn set(gp: &'static G, labels: Option<Labels>) {
    will_inherit();
    let labels = labels.filter(|all| !all.is_empty());
    let old = gp.extras().cloned().unwrap_or_default();
    let new = Extras { labels, ..old };
    let is_empty = new.name.is_none() && new.labels.is_none() && new.ancestors[0].is_none();
    gp.set_extras((!is_empty).then(|| Box::new(new)));
}

/// These with the key's value set, or without it.
fn with(all: Option<Labels>, key: &str, value: Option<&str>) -> Labels {
    let mut new: Vec<_> =
        all.iter().flat_map(|all| all.iter()).filter(|(k, _)| **k != *key).cloned().collect();
    if let Some(value) = value {
        let at = new.partition_point(|(k, _)| **k < *key);
        new.insert(at, (key.into(), value.into()));
    }
    new.into()
}

/// The labels of a goroutine of one moment, as many as there is room for. A copy without references
/// or allocation: the goroutine may end meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    /// Each: the lengths of key and value, a byte each, and the two.
    bytes: [u8; 256],
    len: usize,
    /// There was no room for all.
    is_cut: bool,
}

impl Copied {
    pub(super) const fn none() -> Copied {
        Copied { bytes: [0; 256], len: 0, is_cut: false }
    }

    pub(super) fn of(all: &Labels) -> Copied {
        let mut copied = Copied::none();
        for (key, value) in all.iter() {
            copied.is_cut |= copied.push(key.as_bytes(), value.as_bytes()).is_none();
        }
        copied
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let lengths = [u8::try_from(key.len()).ok()?, u8::try_from(value.len()).ok()?];
        let to = self.bytes.get_mut(self.len..self.len + 2 + key.len() + value.len())?;
        let (head, rest) = to.split_at_mut(2);
        let (k, v) = rest.split_at_mut(key.len());
        head.copy_from_slice(&lengths);
        k.copy_from_slice(key);
        v.copy_from_slice(value);
        self.len += 2 + key.len() + value.len();
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && !self.is_cut
    }

    /// What makes two equal.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Key and value of each.
    pub(super) fn each(&self) -> impl Iterator<Item = (Lossy<'_>, Lossy<'_>)> {
        let mut left = self.bytes();
        core::iter::from_fn(move || {
            let [k, v, rest @ ..] = left else { return None };
            let (key, rest) = rest.split_at_checked(usize::from(*k))?;
            let (value, rest) = rest.split_at_checked(usize::from(*v))?;
            left = rest;
            Some((Lossy(key), Lossy(value)))
        })
    }
}

impl fmt::Display for Copied {
    /// ` {key: value, key: value}`; nothing if there is none. Go: goroutineheader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        f.write_str(" {")?;
        for (i, (key, value)) in self.each().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            word(f, key)?;
            f.write_str(": ")?;
            word(f, value)?;
        }
        match (self.is_cut, self.len) {
            (false, _) => f.write_str("}"),
            (true, 0) => f.write_str("...}"),
            (true, _) => f.write_str(", ...}"),
        }
    }
}

/// In quotes where it is not plain.
fn word(f: &mut fmt::Formatter<'_>, w: Lossy<'_>) -> fmt::Result {
    let is_plain = |c: &u8| c.is_ascii_alphanumeric() || b"._-/".contains(c);
    if !w.0.is_empty() && w.0.iter().all(is_plain) {
        return write!(f, "{w}");
    }
    write!(f, "{:?}", Quoted(w))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn shown(pairs: &[(&str, &str)]) -> String {
        let all: Vec<(Box<str>, Box<str>)> =
            pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Copied::of(&all.into()).to_string()
    }

    #[test]
    fn labels_as_go_shows_them() {
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[("job", "ingest"), ("tenant", "a-1")]), " {job: ingest, tenant: a-1}");
        assert_eq!(shown(&[("pattern", "GET /p"), ("e", "")]), r#" {pattern: "GET /p", e: ""}"#);
        assert_eq!(shown(&[("k\n", "\"")]), r#" {"k\n": "\""}"#);
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let (long, fits) = ("x".repeat(300), "y".repeat(100));
        assert_eq!(shown(&[("a", &long)]), " {...}");
        assert_eq!(shown(&[("a", &long), ("b", "c")]), " {b: c, ...}");
        let three = [("a", &*fits), ("b", &fits), ("c", &fits)];
        assert_eq!(shown(&three), format!(" {{a: {fits}, b: {fits}, ...}}"));
    }

    #[test]
    fn each_key_is_there_once_and_in_order() {
        let all = with(Some(with(None, "b", Some("1"))), "a", Some("2"));
        let all = with(Some(all), "b", Some("3"));
        let pairs: Vec<_> = all.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(pairs, [("a", "2"), ("b", "3")]);
        assert!(with(Some(with(Some(all), "a", None)), "b", None).is_empty());
    }
}
