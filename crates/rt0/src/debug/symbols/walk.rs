//! The functions, inlined ones included, that an address belongs to.

use super::cursor::Cursor;
use super::elf::Sections;
use super::line::Program;
use super::unit::{Abbrevs, Unit, Value};
use gimli::constants as dw;

/// How deep functions may be inlined into each other; what is deeper is left out.
pub(super) const DEEPEST: usize = 24;

/// A function, outer ones first.
#[derive(Clone, Copy, Default)]
pub(super) struct Function {
    pub(super) name: &'static [u8],
    /// Where it was inlined: file number and line; 0 for what was not.
    pub(super) call: (u64, u64),
}

/// What an entry says that may be a function.
#[derive(Clone, Copy, Default)]
struct Entry {
    low: Option<Value>,
    high: Option<Value>,
    ranges: Option<Value>,
    linkage: Option<Value>,
    name: Option<Value>,
    origin: Option<usize>,
    call: (u64, u64),
}

impl Entry {
    fn note(&mut self, name: dw::DwAt, value: Value) {
        match (name, value) {
            (dw::DW_AT_low_pc, v) => self.low = Some(v),
            (dw::DW_AT_high_pc, v) => self.high = Some(v),
            (dw::DW_AT_ranges, v) => self.ranges = Some(v),
            (dw::DW_AT_linkage_name | dw::DW_AT_MIPS_linkage_name, v) => self.linkage = Some(v),
            (dw::DW_AT_name, v) => self.name = Some(v),
            (dw::DW_AT_abstract_origin | dw::DW_AT_specification, Value::Entry(at)) => {
                self.origin = Some(at);
            }
            (dw::DW_AT_call_file, Value::Number(n)) => self.call.0 = n,
            (dw::DW_AT_call_line, Value::Number(n)) => self.call.1 = n,
            _ => {}
        }
    }
}

/// Reads units with two tables of abbreviations at hand: the unit's own, and that of the unit that
/// its entries refer to.
pub(super) struct Walk<'a> {
    pub(super) sections: &'a Sections,
    pub(super) own: &'a mut Abbrevs,
    pub(super) other: &'a mut Abbrevs,
}

impl Walk<'_> {
    /// Fills `found` with the functions around `pc`, the outermost first; returns how many.
    pub(super) fn functions(&mut self, unit: &Unit, pc: u64, found: &mut [Function]) -> usize {
        let mut n = 0;
        // What was found before damage is better than nothing.
        let _ = self.walk(unit, pc, found, &mut n);
        n
    }

    fn walk(&mut self, u: &Unit, pc: u64, found: &mut [Function], n: &mut usize) -> Option<()> {
        let s = self.sections;
        let mut c = Cursor::new(s.info.get(..u.end)?, u.entries);
        let (mut depth, mut inside) = (0_usize, None);
        loop {
            let code = c.uleb()?;
            if code == 0 {
                depth = depth.checked_sub(1)?;
                if depth == 0 || inside.is_some_and(|d| depth <= d) {
                    return Some(());
                }
                continue;
            }
            let abbrev = self.own.get(s, u, code)?;
            let mut entry = Entry::default();
            let is_inlined = abbrev.tag == dw::DW_TAG_inlined_subroutine;
            if is_inlined || abbrev.tag == dw::DW_TAG_subprogram {
                u.attributes(s, abbrev, &mut c, |name, v| entry.note(name, v))?;
                let mut around = false;
                let mut see = |lo, hi| around |= (lo..hi).contains(&pc) && lo != 0;
                u.ranges_of(s, entry.low, entry.high, entry.ranges, &mut see);
                if around && (is_inlined == inside.is_some()) {
                    let name = self.name_of(u, entry).unwrap_or_default();
                    *found.get_mut(*n)? = Function { name, call: entry.call };
                    *n += 1;
                    inside = inside.or(Some(depth));
                    if !abbrev.has_children && !is_inlined {
                        return Some(());
                    }
                }
            } else {
                u.pass_entry(s, abbrev, &mut c)?;
            }
            depth += usize::from(abbrev.has_children);
        }
    }

    /// The mangled name if there is one; following references.
    fn name_of(&mut self, unit: &Unit, mut entry: Entry) -> Option<&'static [u8]> {
        let s = self.sections;
        let (mut unit, mut plain) = (*unit, None);
        for _ in 0..8 {
            if let Some(name) = entry.linkage.and_then(|v| unit.text(s, v)) {
                return Some(name);
            }
            plain = plain.or(entry.name.and_then(|v| unit.text(s, v)));
            let Some(at) = entry.origin else { break };
            if !(unit.at..unit.end).contains(&at) {
                unit = Unit::around(s, at)?;
            }
            let mut c = Cursor::new(s.info, at);
            let code = c.uleb()?;
            let abbrev = self.other.get(s, &unit, code)?;
            entry = Entry::default();
            unit.attributes(s, abbrev, &mut c, |name, v| entry.note(name, v))?;
        }
        plain
    }

    /// The unit's line program.
    pub(super) fn program(&self, unit: &Unit) -> Option<Program> {
        Program::new(self.sections, unit.line?)
    }
}
