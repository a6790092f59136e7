//! Line number programs: which line of which file an address belongs to.

use super::cursor::{Cursor, text_at};
use super::elf::Sections;
use gimli::constants as dw;

/// The head of a program.
#[derive(Clone, Copy)]
pub(super) struct Program {
    version: u16,
    is_64: bool,
    min_bytes: u64,
    line_base: i64,
    line_range: u64,
    opcode_base: u8,
    /// The lengths of standard opcodes, the tables, the instructions and the end.
    lengths: usize,
    tables: usize,
    code: usize,
    end: usize,
}

#[derive(Clone, Copy)]
struct Row {
    at: u64,
    file: u64,
    line: u64,
}

impl Program {
    pub(super) fn new(s: &Sections, at: usize) -> Option<Program> {
        let mut c = Cursor::new(s.line, at);
        let (bytes, is_64) = c.unit_length()?;
        let end = c.at.checked_add(bytes).filter(|end| *end <= s.line.len())?;
        let version = c.u16()?;
        if version == 5 {
            c.skip(2)?;
        } else if !(2..=4).contains(&version) {
            return None;
        }
        let bytes = c.offset(is_64)?;
        let code = c.at.checked_add(bytes)?;
        let min_bytes = c.uint(1)?;
        if version >= 4 {
            c.skip(1)?;
        }
        c.skip(1)?;
        let line_base = i64::from(c.u8()? as i8);
        let line_range = c.uint(1)?;
        let opcode_base = c.u8()?;
        let lengths = c.at;
        c.skip(usize::from(opcode_base).checked_sub(1)?)?;
        let sound = line_range != 0 && code <= end;
        sound.then_some(Program {
            version,
            is_64,
            min_bytes,
            line_base,
            line_range,
            opcode_base,
            lengths,
            tables: c.at,
            code,
            end,
        })
    }

    /// File number and line of `pc`.
    pub(super) fn line_of(&self, s: &Sections, pc: u64) -> Option<(u64, u64)> {
        let mut c = Cursor::new(&s.line[..self.end], self.code);
        let start = Row { at: 0, file: 1, line: 1 };
        let (mut row, mut last) = (start, None::<Row>);
        while c.at < self.end {
            let opcode = c.u8()?;
            let (mut emit, mut ends) = (false, false);
            if opcode >= self.opcode_base {
                let adjusted = u64::from(opcode - self.opcode_base);
                row.at = row.at.wrapping_add(self.min_bytes * (adjusted / self.line_range));
                let lines = self.line_base + (adjusted % self.line_range) as i64;
                row.line = row.line.wrapping_add_signed(lines);
                emit = true;
            } else if opcode == 0 {
                ends = self.extended(&mut c, &mut row)?;
            } else {
                emit = self.standard(s, opcode, &mut c, &mut row)?;
            }
            if !emit && !ends {
                continue;
            }
            if let Some(l) = last
                && l.at <= pc
                && pc < row.at
            {
                return Some((l.file, l.line));
            }
            last = Some(row);
            if ends {
                (row, last) = (start, None);
            }
        }
        None
    }

    /// True at the end of a sequence.
    fn extended(&self, c: &mut Cursor<'_>, row: &mut Row) -> Option<bool> {
        let bytes = usize::try_from(c.uleb()?).ok()?;
        let next = c.at.checked_add(bytes)?;
        let ends = match dw::DwLne(c.u8()?) {
            dw::DW_LNE_end_sequence => true,
            dw::DW_LNE_set_address => {
                row.at = c.u64()?;
                false
            }
            _ => false,
        };
        c.at = next;
        Some(ends)
    }

    /// True if it makes a row.
    fn standard(&self, s: &Sections, op: u8, c: &mut Cursor<'_>, row: &mut Row) -> Option<bool> {
        match dw::DwLns(op) {
            dw::DW_LNS_copy => return Some(true),
            dw::DW_LNS_advance_pc => {
                row.at = row.at.wrapping_add(self.min_bytes.wrapping_mul(c.uleb()?));
            }
            dw::DW_LNS_advance_line => row.line = row.line.wrapping_add_signed(c.sleb()?),
            dw::DW_LNS_set_file => row.file = c.uleb()?,
            dw::DW_LNS_const_add_pc => {
                let adjusted = u64::from(255 - self.opcode_base);
                row.at = row.at.wrapping_add(self.min_bytes * (adjusted / self.line_range));
            }
            dw::DW_LNS_fixed_advance_pc => row.at = row.at.wrapping_add(c.uint(2)?),
            _ => {
                let n = *s.line.get(self.lengths + usize::from(op) - 1)?;
                for _ in 0..n {
                    c.uleb()?;
                }
            }
        }
        Some(false)
    }

    /// Directory and name of a file; the directory is empty where it is the compiler's own.
    pub(super) fn file(&self, s: &Sections, n: u64) -> Option<(&'static [u8], &'static [u8])> {
        if self.version == 5 { self.new_file(s, n) } else { self.old_file(s, n) }
    }

    fn old_file(&self, s: &Sections, n: u64) -> Option<(&'static [u8], &'static [u8])> {
        let mut c = Cursor::new(s.line, self.tables);
        while !c.text()?.is_empty() {}
        for i in 1.. {
            let (name, dir) = (c.text()?, c.uleb()?);
            if name.is_empty() {
                return None;
            }
            c.uleb()?;
            c.uleb()?;
            if i == n {
                return Some((self.old_dir(s, dir).unwrap_or_default(), name));
            }
        }
        None
    }

    fn old_dir(&self, s: &Sections, n: u64) -> Option<&'static [u8]> {
        let mut c = Cursor::new(s.line, self.tables);
        for _ in 1..n {
            c.text()?;
        }
        if n == 0 { None } else { c.text() }
    }

    fn new_file(&self, s: &Sections, n: u64) -> Option<(&'static [u8], &'static [u8])> {
        let dirs = Cursor::new(s.line, self.tables);
        let mut files = dirs;
        self.entry(s, &mut files, None)?;
        let (name, dir) = self.entry(s, &mut files, Some(n))??;
        let dir = match dir {
            0 => None,
            dir => self.entry(s, &mut dirs.clone(), Some(dir))?,
        };
        Some((dir.map(|(name, _)| name).unwrap_or_default(), name))
    }

    /// Entry `n` of the table at `c`, or with `None` the place behind the table.
    fn entry(
        &self,
        s: &Sections,
        c: &mut Cursor<'static>,
        n: Option<u64>,
    ) -> Option<Option<(&'static [u8], u64)>> {
        let kinds = c.u8()?;
        let formats = *c;
        for _ in 0..kinds {
            c.uleb()?;
            c.uleb()?;
        }
        let count = c.uleb()?;
        for i in 0..count {
            let (mut formats, mut name, mut dir) = (formats, &[][..], 0);
            for _ in 0..kinds {
                let (kind, form) = (formats.uleb()?, dw::DwForm(formats.uleb()? as u16));
                match dw::DwLnct(kind as u16) {
                    dw::DW_LNCT_path => name = self.name(s, form, c)?,
                    dw::DW_LNCT_directory_index => dir = self.number(form, c)?,
                    _ => {
                        self.number(form, c)?;
                    }
                }
            }
            if n == Some(i) {
                return Some(Some((name, dir)));
            }
        }
        Some(None)
    }

    fn name(
        &self,
        s: &Sections,
        form: dw::DwForm,
        c: &mut Cursor<'static>,
    ) -> Option<&'static [u8]> {
        match form {
            dw::DW_FORM_string => c.text(),
            dw::DW_FORM_line_strp => text_at(s.line_text, c.offset(self.is_64)?),
            dw::DW_FORM_strp => text_at(s.text, c.offset(self.is_64)?),
            _ => None,
        }
    }

    fn number(&self, form: dw::DwForm, c: &mut Cursor<'static>) -> Option<u64> {
        match form {
            dw::DW_FORM_udata => c.uleb(),
            dw::DW_FORM_data1 => c.uint(1),
            dw::DW_FORM_data2 => c.uint(2),
            dw::DW_FORM_data4 => c.uint(4),
            dw::DW_FORM_data8 => c.uint(8),
            dw::DW_FORM_data16 => c.skip(16).map(|()| 0),
            dw::DW_FORM_block => {
                let n = usize::try_from(c.uleb()?).ok()?;
                c.skip(n).map(|()| 0)
            }
            _ => None,
        }
    }
}
