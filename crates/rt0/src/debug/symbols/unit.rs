//! Compilation units, their entries and the addresses they cover. DWARF 4 and 5.

use super::cursor::{Cursor, text_at};
use super::elf::Sections;
use gimli::constants as dw;

/// The head of a unit, and what of its first entry the others refer to.
#[derive(Clone, Copy, Default)]
pub(super) struct Unit {
    /// Where it starts in `.debug_info`, and where the next one does.
    pub(super) at: usize,
    pub(super) end: usize,
    /// Its first entry.
    pub(super) entries: usize,
    pub(super) abbrevs: usize,
    pub(super) version: u16,
    pub(super) is_64: bool,
    pub(super) low: u64,
    pub(super) line: Option<usize>,
    /// The directory that the compiler ran in.
    directory: Option<Value>,
    ranges: Option<Value>,
    high: Option<Value>,
    addr_base: usize,
    text_base: usize,
    rnglists_base: usize,
}

/// An attribute's value, as far as anybody here wants it.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Address(u64),
    AddressIndex(u64),
    Number(u64),
    Text(&'static [u8]),
    /// In `.debug_str`, and in `.debug_line_str`.
    TextAt(usize),
    LineTextAt(usize),
    TextIndex(u64),
    /// An entry, in `.debug_info`.
    Entry(usize),
    /// A place in another section.
    Section(usize),
    ListIndex(u64),
    Other,
}

/// What the entries of a kind look like.
#[derive(Clone, Copy)]
pub(super) struct Abbrev {
    pub(super) tag: dw::DwTag,
    pub(super) has_children: bool,
    /// Where its attributes are in `.debug_abbrev`; 0: there is no such kind.
    attributes: u32,
    /// How many bytes they take in each entry, plus 1; 0: in one more, in another less.
    bytes: u8,
}

impl Abbrev {
    const NONE: Abbrev = Abbrev { tag: dw::DwTag(0), has_children: false, attributes: 0, bytes: 0 };

    fn read(c: &mut Cursor<'_>, is_64: bool) -> Option<Abbrev> {
        let tag = dw::DwTag(c.uleb()? as u16);
        let has_children = c.u8()? != 0;
        let attributes = u32::try_from(c.at).ok()?;
        let mut bytes = Some(1_u8);
        loop {
            let (name, form) = (c.uleb()?, dw::DwForm(c.uleb()? as u16));
            if form == dw::DW_FORM_implicit_const {
                c.sleb()?;
            }
            if name == 0 && form.0 == 0 {
                let bytes = bytes.unwrap_or(0);
                return Some(Abbrev { tag, has_children, attributes, bytes });
            }
            bytes = bytes.and_then(|n| n.checked_add(fixed_bytes(form, is_64)?));
        }
    }
}

/// How many bytes a value of this form takes, if not one more than another.
fn fixed_bytes(form: dw::DwForm, is_64: bool) -> Option<u8> {
    Some(match form {
        dw::DW_FORM_flag_present | dw::DW_FORM_implicit_const => 0,
        dw::DW_FORM_data1 | dw::DW_FORM_flag | dw::DW_FORM_ref1 => 1,
        dw::DW_FORM_addrx1 | dw::DW_FORM_strx1 => 1,
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_addrx2 | dw::DW_FORM_strx2 => 2,
        dw::DW_FORM_addrx3 | dw::DW_FORM_strx3 => 3,
        dw::DW_FORM_data4 | dw::DW_FORM_ref4 | dw::DW_FORM_ref_sup4 => 4,
        dw::DW_FORM_addrx4 | dw::DW_FORM_strx4 => 4,
        dw::DW_FORM_addr | dw::DW_FORM_data8 | dw::DW_FORM_ref8 => 8,
        dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => 8,
        dw::DW_FORM_data16 => 16,
        dw::DW_FORM_strp | dw::DW_FORM_line_strp | dw::DW_FORM_sec_offset => offset_bytes(is_64),
        dw::DW_FORM_ref_addr | dw::DW_FORM_strp_sup => offset_bytes(is_64),
        dw::DW_FORM_GNU_ref_alt | dw::DW_FORM_GNU_strp_alt => offset_bytes(is_64),
        _ => return None,
    })
}

fn offset_bytes(is_64: bool) -> u8 {
    if is_64 { 8 } else { 4 }
}

/// How many codes are found at once; a unit that has more pays a search for each of those.
const DIRECT: usize = 2048;

/// The table of a unit's abbreviations, indexed. Zeros are an empty one.
pub(super) struct Abbrevs {
    /// Where it starts, plus 1; 0: none is indexed.
    of: usize,
    is_64: bool,
    known: [Abbrev; DIRECT],
}

impl Abbrevs {
    /// The abbreviation with this code in the unit's table.
    pub(super) fn get(&mut self, s: &Sections, unit: &Unit, code: u64) -> Option<Abbrev> {
        if self.of != unit.abbrevs + 1 || self.is_64 != unit.is_64 {
            self.known.fill(Abbrev::NONE);
            (self.of, self.is_64) = (unit.abbrevs + 1, unit.is_64);
            each_abbrev(s, unit, |code, abbrev| {
                if let Some(slot) = self.known.get_mut(code as usize) {
                    *slot = abbrev;
                }
                (code as usize) < DIRECT
            });
        }
        match self.known.get(code as usize) {
            Some(known) => (known.attributes != 0).then_some(*known),
            None => find_abbrev(s, unit, code),
        }
    }
}

fn find_abbrev(s: &Sections, unit: &Unit, code: u64) -> Option<Abbrev> {
    let mut found = None;
    each_abbrev(s, unit, |c, abbrev| {
        if c == code {
            found = Some(abbrev);
        }
        c != code
    });
    found
}

/// Calls `f` with each code of the unit's table and what it means until it says false.
fn each_abbrev(s: &Sections, unit: &Unit, mut f: impl FnMut(u64, Abbrev) -> bool) {
    let mut c = Cursor::new(s.abbrev, unit.abbrevs);
    while let Some(code) = c.uleb().filter(|code| *code != 0) {
        let Some(abbrev) = Abbrev::read(&mut c, unit.is_64) else { return };
        if !f(code, abbrev) {
            return;
        }
    }
}

/// Every unit of the file.
pub(super) fn units(s: &Sections) -> impl Iterator<Item = Unit> + '_ {
    let mut at = 0;
    core::iter::from_fn(move || {
        while at < s.info.len() {
            let (unit, end) = Unit::head(s, at)?;
            at = end;
            if let Some(unit) = unit.and_then(|u| u.with_root(s)) {
                return Some(unit);
            }
        }
        None
    })
}

impl Unit {
    /// The unit at an offset.
    pub(super) fn at(s: &Sections, at: usize) -> Option<Unit> {
        Unit::head(s, at)?.0?.with_root(s)
    }

    /// The unit that the entry at an offset belongs to.
    pub(super) fn around(s: &Sections, entry: usize) -> Option<Unit> {
        let mut at = 0;
        loop {
            let (unit, end) = Unit::head(s, at)?;
            if entry < end {
                return unit?.with_root(s);
            }
            at = end;
        }
    }

    /// The head alone (`None` if it is of no use), and where the next one starts.
    fn head(s: &Sections, at: usize) -> Option<(Option<Unit>, usize)> {
        let mut c = Cursor::new(s.info, at);
        let (bytes, is_64) = c.unit_length()?;
        let end = c.at.checked_add(bytes).filter(|end| *end > at && *end <= s.info.len())?;
        let mut u = Unit { at, end, is_64, ..Unit::default() };
        Some((u.rest_of_head(&mut c).map(|()| u), end))
    }

    fn rest_of_head(&mut self, c: &mut Cursor<'_>) -> Option<()> {
        self.version = c.u16()?;
        match self.version {
            2..=4 => {
                self.abbrevs = c.offset(self.is_64)?;
                c.u8()?;
            }
            5 => {
                let kind = dw::DwUt(c.u8()?);
                c.u8()?;
                self.abbrevs = c.offset(self.is_64)?;
                match kind {
                    dw::DW_UT_compile | dw::DW_UT_partial => {}
                    dw::DW_UT_skeleton | dw::DW_UT_split_compile => c.skip(8)?,
                    _ => return None,
                }
            }
            _ => return None,
        }
        self.entries = c.at;
        Some(())
    }

    fn with_root(mut self, s: &Sections) -> Option<Unit> {
        let mut c = Cursor::new(s.info, self.entries);
        let code = c.uleb()?;
        let abbrev = find_abbrev(s, &self, code)?;
        let word = if self.is_64 { 16 } else { 8 };
        self.text_base = word;
        self.addr_base = word;
        let mut low = None;
        let unit = self;
        unit.attributes(s, abbrev, &mut c, |name, value| match (name, value) {
            (dw::DW_AT_low_pc, v) => low = Some(v),
            (dw::DW_AT_high_pc, v) => self.high = Some(v),
            (dw::DW_AT_ranges, v) => self.ranges = Some(v),
            (dw::DW_AT_comp_dir, v) => self.directory = Some(v),
            (dw::DW_AT_stmt_list, Value::Section(at)) => self.line = Some(at),
            (dw::DW_AT_str_offsets_base, Value::Section(at)) => self.text_base = at,
            (dw::DW_AT_addr_base, Value::Section(at)) => self.addr_base = at,
            (dw::DW_AT_rnglists_base, Value::Section(at)) => self.rnglists_base = at,
            _ => {}
        })?;
        self.low = low.and_then(|v| self.address(s, v)).unwrap_or(0);
        Some(self)
    }

    /// Where relative names of files start.
    pub(super) fn directory(&self, s: &Sections) -> Option<&'static [u8]> {
        self.text(s, self.directory?)
    }

    /// Calls `f` with the address ranges of the whole unit.
    pub(super) fn each_range(&self, s: &Sections, f: impl FnMut(u64, u64)) {
        let low = (self.low != 0).then_some(Value::Address(self.low));
        self.ranges_of(s, low, self.high, self.ranges, f);
    }

    /// Goes behind an entry that nobody here wants; `c` is behind its code.
    pub(super) fn pass_entry(
        &self,
        s: &Sections,
        abbrev: Abbrev,
        c: &mut Cursor<'static>,
    ) -> Option<()> {
        match abbrev.bytes.checked_sub(1) {
            Some(bytes) => c.skip(bytes.into()),
            None => self.attributes(s, abbrev, c, |_, _| ()),
        }
    }

    /// Reads an entry's attributes; `c` is behind its code, and afterwards behind it.
    pub(super) fn attributes(
        &self,
        s: &Sections,
        abbrev: Abbrev,
        c: &mut Cursor<'static>,
        mut f: impl FnMut(dw::DwAt, Value),
    ) -> Option<()> {
        let mut specs = Cursor::new(s.abbrev, abbrev.attributes as usize);
        loop {
            let (name, form) = (specs.uleb()?, dw::DwForm(specs.uleb()? as u16));
            if name == 0 && form.0 == 0 {
                return Some(());
            }
            let value = if form == dw::DW_FORM_implicit_const {
                Value::Number(specs.sleb()? as u64)
            } else {
                self.value(form, c)?
            };
            f(dw::DwAt(name as u16), value);
        }
    }

    fn value(&self, form: dw::DwForm, c: &mut Cursor<'static>) -> Option<Value> {
        use Value::{
            Address, AddressIndex, Entry, LineTextAt, ListIndex, Number, Other, Section, Text,
            TextAt, TextIndex,
        };
        let relative = |v: u64| Some(Entry(self.at.checked_add(usize::try_from(v).ok()?)?));
        Some(match form {
            dw::DW_FORM_addr => Address(c.u64()?),
            dw::DW_FORM_addrx | dw::DW_FORM_GNU_addr_index => AddressIndex(c.uleb()?),
            dw::DW_FORM_addrx1 => AddressIndex(c.uint(1)?),
            dw::DW_FORM_addrx2 => AddressIndex(c.uint(2)?),
            dw::DW_FORM_addrx3 => AddressIndex(c.uint(3)?),
            dw::DW_FORM_addrx4 => AddressIndex(c.uint(4)?),
            dw::DW_FORM_data1 | dw::DW_FORM_flag => Number(c.uint(1)?),
            dw::DW_FORM_data2 => Number(c.uint(2)?),
            dw::DW_FORM_data4 => Number(c.uint(4)?),
            dw::DW_FORM_data8 => Number(c.uint(8)?),
            dw::DW_FORM_udata => Number(c.uleb()?),
            dw::DW_FORM_sdata => Number(c.sleb()? as u64),
            dw::DW_FORM_flag_present => Number(1),
            dw::DW_FORM_string => Text(c.text()?),
            dw::DW_FORM_strp => TextAt(c.offset(self.is_64)?),
            dw::DW_FORM_line_strp => LineTextAt(c.offset(self.is_64)?),
            dw::DW_FORM_strx | dw::DW_FORM_GNU_str_index => TextIndex(c.uleb()?),
            dw::DW_FORM_strx1 => TextIndex(c.uint(1)?),
            dw::DW_FORM_strx2 => TextIndex(c.uint(2)?),
            dw::DW_FORM_strx3 => TextIndex(c.uint(3)?),
            dw::DW_FORM_strx4 => TextIndex(c.uint(4)?),
            dw::DW_FORM_ref1 => relative(c.uint(1)?)?,
            dw::DW_FORM_ref2 => relative(c.uint(2)?)?,
            dw::DW_FORM_ref4 => relative(c.uint(4)?)?,
            dw::DW_FORM_ref8 => relative(c.uint(8)?)?,
            dw::DW_FORM_ref_udata => relative(c.uleb()?)?,
            dw::DW_FORM_ref_addr => Entry(c.offset(self.is_64)?),
            dw::DW_FORM_sec_offset => Section(c.offset(self.is_64)?),
            dw::DW_FORM_rnglistx | dw::DW_FORM_loclistx => ListIndex(c.uleb()?),
            _ => {
                self.pass(form, c)?;
                Other
            }
        })
    }

    /// Values that nobody here wants.
    fn pass(&self, form: dw::DwForm, c: &mut Cursor<'static>) -> Option<()> {
        let bytes = match form {
            dw::DW_FORM_block1 => c.uint(1)? as usize,
            dw::DW_FORM_block2 => c.uint(2)? as usize,
            dw::DW_FORM_block4 => c.uint(4)? as usize,
            dw::DW_FORM_block | dw::DW_FORM_exprloc => usize::try_from(c.uleb()?).ok()?,
            _ => fixed_bytes(form, self.is_64)?.into(),
        };
        c.skip(bytes)
    }

    pub(super) fn address(&self, s: &Sections, v: Value) -> Option<u64> {
        match v {
            Value::Address(a) => Some(a),
            Value::AddressIndex(i) => {
                let at = self.addr_base.checked_add(usize::try_from(i).ok()?.checked_mul(8)?)?;
                Cursor::new(s.addr, at).u64()
            }
            _ => None,
        }
    }

    pub(super) fn text(&self, s: &Sections, v: Value) -> Option<&'static [u8]> {
        match v {
            Value::Text(t) => Some(t),
            Value::TextAt(at) => Some(text_at(s.text, at).unwrap_or_default()),
            Value::LineTextAt(at) => Some(text_at(s.line_text, at).unwrap_or_default()),
            Value::TextIndex(i) => {
                let word = offset_bytes(self.is_64).into();
                let at = self.text_base.checked_add(usize::try_from(i).ok()?.checked_mul(word)?)?;
                let at = Cursor::new(s.text_offsets, at).offset(self.is_64)?;
                text_at(s.text, at)
            }
            _ => None,
        }
    }

    /// Calls `f` with each range that these attributes of an entry describe.
    pub(super) fn ranges_of(
        &self,
        s: &Sections,
        low: Option<Value>,
        high: Option<Value>,
        ranges: Option<Value>,
        mut f: impl FnMut(u64, u64),
    ) -> Option<()> {
        if let Some(ranges) = ranges {
            return match (self.version, ranges) {
                (5, Value::ListIndex(i)) => {
                    let word = offset_bytes(self.is_64).into();
                    let at = usize::try_from(i).ok()?.checked_mul(word)?;
                    let at = self.rnglists_base.checked_add(at)?;
                    let offset = Cursor::new(s.rnglists, at).offset(self.is_64)?;
                    self.rnglist(s, self.rnglists_base.checked_add(offset)?, f)
                }
                (5, Value::Section(at)) => self.rnglist(s, at, f),
                (_, Value::Section(at)) => self.old_ranges(s, at, f),
                (_, Value::Number(at)) => self.old_ranges(s, usize::try_from(at).ok()?, f),
                _ => None,
            };
        }
        let low = self.address(s, low?)?;
        match high? {
            Value::Number(bytes) => f(low, low.checked_add(bytes)?),
            v => f(low, self.address(s, v)?),
        }
        Some(())
    }

    /// `.debug_ranges`.
    fn old_ranges(&self, s: &Sections, at: usize, mut f: impl FnMut(u64, u64)) -> Option<()> {
        let mut c = Cursor::new(s.ranges, at);
        let mut base = self.low;
        loop {
            match (c.u64()?, c.u64()?) {
                (0, 0) => return Some(()),
                (u64::MAX, new) => base = new,
                (lo, hi) => f(base.wrapping_add(lo), base.wrapping_add(hi)),
            }
        }
    }

    /// `.debug_rnglists`.
    fn rnglist(&self, s: &Sections, at: usize, mut f: impl FnMut(u64, u64)) -> Option<()> {
        let mut c = Cursor::new(s.rnglists, at);
        let mut base = self.low;
        loop {
            let kind = dw::DwRle(c.u8()?);
            let index = |c: &mut Cursor<'_>| self.address(s, Value::AddressIndex(c.uleb()?));
            match kind {
                dw::DW_RLE_end_of_list => return Some(()),
                dw::DW_RLE_base_addressx => base = index(&mut c)?,
                dw::DW_RLE_base_address => base = c.u64()?,
                dw::DW_RLE_startx_endx => f(index(&mut c)?, index(&mut c)?),
                dw::DW_RLE_startx_length => {
                    let lo = index(&mut c)?;
                    f(lo, lo.wrapping_add(c.uleb()?));
                }
                dw::DW_RLE_offset_pair => {
                    let (lo, hi) = (c.uleb()?, c.uleb()?);
                    f(base.wrapping_add(lo), base.wrapping_add(hi));
                }
                dw::DW_RLE_start_end => f(c.u64()?, c.u64()?),
                dw::DW_RLE_start_length => {
                    let lo = c.u64()?;
                    f(lo, lo.wrapping_add(c.uleb()?));
                }
                _ => return None,
            }
        }
    }
}
