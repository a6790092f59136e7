//! Dumps as JSON lines. See [`super::Dump::json`].

use super::dump::Snapshot;
use super::frame::{Frame, Registers, Symbolised};
use super::print::{self, Detail, Lossy, Name, Path, Sink};
use super::stacks::{Outcome, Patience, Tool};
use super::waits::{Holder, Party, Seen, handles, kind};
use crate::g::{G, Status};
use core::fmt::{self, Display, Result, Write};
use core::mem::replace;

/// Every goroutine, the running one first.
pub(super) fn all(out: &mut dyn Write, at: Registers, detail: Detail) -> Result {
    let mut taken = super::api::tool_with_own(at).ok_or(fmt::Error)?;
    let tool = taken.get();
    let own = crate::tls::getg();
    if let Some(gp) = own {
        let snapshot = Snapshot::running(gp);
        write!(out, "{{\"id\":{},", snapshot.id)?;
        goroutine(out, tool, &snapshot, detail)?;
    }
    let mut patience = Patience::new();
    let is_own = |gp: &&'static G| own.is_some_and(|own| core::ptr::eq(own, *gp));
    for gp in super::dump::shown(detail).filter(|gp| !is_own(gp)) {
        let (mut snapshot, mut wait) = (None, None);
        let outcome = tool.goroutine(gp, &mut patience, |gp, status| {
            snapshot = Some(Snapshot::of(gp, status));
            wait = Seen::of_g(gp).filter(|_| status == Status::Waiting as u32);
        });
        if let Some(snapshot) = snapshot.filter(|_| outcome != Outcome::Gone) {
            write!(out, "{{\"id\":{},", snapshot.id)?;
            if let Some(seen) = wait {
                waits_for(out, &seen)?;
            }
            goroutine(out, tool, &snapshot, detail)?;
        }
    }
    Ok(())
}

/// What it waits for; nothing if that has no address.
fn waits_for(out: &mut dyn Write, seen: &Seen) -> Result {
    let (mut any, mut result) = (false, Ok(()));
    seen.each_object(|object| {
        let head = format_args!("\"waits_for\":{{\"kind\":{},\"on\":[", Text(kind(seen.reason)));
        let r = if replace(&mut any, true) { out.write_str(",") } else { out.write_fmt(head) };
        result = result.and(r).and_then(|()| write!(out, "\"{object:#x}\""));
    });
    result?;
    if !any {
        return Ok(());
    }
    out.write_str("]")?;
    if seen.is_at_channels() {
        handles_of_each(out, seen)?;
    }
    if let Some(Holder { party, at }) = seen.holder() {
        out.write_str(",\"holder\":{")?;
        party_as_member(out, party)?;
        if let Some(at) = at {
            write!(out, ",\"file\":{},\"line\":{}", Text(at.file()), at.line())?;
        }
        out.write_str("}")?;
    }
    let (mut any, mut result) = (false, Ok(()));
    seen.each_reader(|party| {
        let head = if replace(&mut any, true) { ",{" } else { ",\"readers\":[{" };
        let r = out.write_str(head).and_then(|()| party_as_member(out, party));
        result = result.and(r).and_then(|()| out.write_str("}"));
    });
    result?;
    out.write_str(if any { "]}," } else { "}," })
}

/// How many senders and receivers each of its channels has.
fn handles_of_each(out: &mut dyn Write, seen: &Seen) -> Result {
    for (i, side) in ["senders", "receivers"].into_iter().enumerate() {
        let (mut comma, mut result) = ("", Ok(()));
        write!(out, ",\"{side}\":[")?;
        seen.each_channel(|name| {
            let n = handles(name).map_or(0, |both| both[i]);
            result = result.and(write!(out, "{}{n}", replace(&mut comma, ",")));
        });
        result?;
        out.write_str("]")?;
    }
    Ok(())
}

/// Who waits for ever. See [`super::Dump::deadlocks`].
pub(super) fn deadlock(
    out: &mut dyn Write,
    circle: impl Iterator<Item = Party>,
    behind: impl Iterator<Item = Party>,
) -> Result {
    out.write_str("{\"deadlock\":{\"circle\":[")?;
    parties(out, circle)?;
    out.write_str("],\"behind\":[")?;
    parties(out, behind)?;
    out.write_str("]}}\n")
}

fn parties(out: &mut dyn Write, all: impl Iterator<Item = Party>) -> Result {
    for (i, party) in all.enumerate() {
        out.write_str(if i == 0 { "{" } else { ",{" })?;
        party_as_member(out, party)?;
        out.write_str("}")?;
    }
    Ok(())
}

/// Why it is not known who waits for ever at channels.
pub(super) fn unknown(out: &mut dyn Write, why: &dyn Display) -> Result {
    writeln!(out, "{{\"unknown\":{}}}", Text(why))
}

fn party_as_member(out: &mut dyn Write, party: Party) -> Result {
    match party {
        Party::Goroutine(id) => write!(out, "\"goroutine\":{id}"),
        Party::Thread(tid) => write!(out, "\"thread\":{tid}"),
    }
}

/// The rest of an object, behind what identifies it.
pub(super) fn goroutine(
    out: &mut dyn Write,
    tool: &mut Tool,
    s: &Snapshot,
    detail: Detail,
) -> Result {
    if s.has_name {
        write!(out, "\"name\":{},", Text(s.name()))?;
    }
    write!(out, "\"state\":{},\"locked\":{},", Text(s.state), s.is_locked)?;
    if let Some(minutes) = s.minutes {
        write!(out, "\"minutes\":{minutes},")?;
    }
    for (i, (key, value)) in s.labels.each().enumerate() {
        out.write_str(if i == 0 { "\"labels\":{" } else { "," })?;
        write!(out, "{}:{}", Text(key), Text(value))?;
    }
    if s.labels.each().next().is_some() {
        out.write_str("},")?;
    }
    if let Some(at) = s.created {
        let (file, line) = (Text(at.file()), at.line());
        let by = s.parent;
        write!(out, "\"created_by\":{{\"goroutine\":{by},\"file\":{file},\"line\":{line}}},")?;
    }
    out.write_str("\"ancestors\":[")?;
    for (i, a) in s.ancestors.iter().flatten().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let (file, line) = (Text(a.gopc.file()), a.gopc.line());
        write!(out, "{comma}{{\"goroutine\":{},\"file\":{file},\"line\":{line}}}", a.goid)?;
    }
    out.write_str("],\"frames\":[")?;
    let Tool { names, stack, .. } = tool;
    print::each(names, stack, detail, &mut Frames { out, first: true })?;
    out.write_str("]}\n")
}

struct Frames<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl Sink for Frames<'_> {
    fn function(&mut self, s: &Symbolised, at: &Frame) -> Result {
        let comma = if core::mem::take(&mut self.first) { "" } else { "," };
        write!(self.out, "{comma}{{\"pc\":{}", at.pc)?;
        if !s.name.is_empty() {
            write!(self.out, ",\"function\":{}", Text(Name(s.name)))?;
        }
        if s.line != 0 {
            write!(self.out, ",\"file\":{},\"line\":{}", Text(Path(s)), s.line)?;
        } else if let Some(image) = super::images::find(at.lookup)
            && let Some(path) = image.shown_path(&mut [0; 1024])
        {
            write!(self.out, ",\"image\":{}", Text(Lossy(path)))?;
        }
        self.out.write_str("}")
    }

    fn elided(&mut self, n: usize) -> Result {
        let comma = if core::mem::take(&mut self.first) { "" } else { "," };
        write!(self.out, "{comma}{{\"elided\":{n}}}")
    }
}

/// A JSON string.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        f.write_char('"')?;
        write!(Escape(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, s: &str) -> Result {
        for c in s.chars() {
            match c {
                '"' | '\\' => {
                    self.0.write_char('\\')?;
                    self.0.write_char(c)?;
                }
                c if c < ' ' => write!(self.0, "\\u{:04x}", c as u32)?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(Text("a\"b\\c\nd\u{1}é").to_string(), r#""a\"b\\c\u000ad\u0001é""#);
    }
}
