//! Reading bytes of a file that may be anything: every read is checked.
//!
//! A report of a program built without optimisation reads some megabytes with this, unoptimised:
//! no iterators and closures on the paths that most reads take, and what core has compiled already.

use core::ffi::CStr;

/// A place in some bytes.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    pub(super) fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    /// A little-endian number of `n` bytes, eight at most.
    pub(super) fn uint(&mut self, n: usize) -> Option<u64> {
        let bytes = self.take(n)?;
        Some(match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)),
        })
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let b = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(b)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.uint(2).map(|v| v as u16)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.uint(4).map(|v| v as u32)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.uint(8)
    }

    pub(super) fn uleb(&mut self) -> Option<u64> {
        let first = self.u8()?;
        if first & 0x80 == 0 {
            return Some(first.into());
        }
        let (mut v, mut shift) = (u64::from(first & 0x7f), 7_u32);
        loop {
            let b = self.u8()?;
            if shift < 64 {
                v |= u64::from(b & 0x7f) << shift;
            }
            if b & 0x80 == 0 {
                return Some(v);
            }
            shift = shift.saturating_add(7);
        }
    }

    pub(super) fn sleb(&mut self) -> Option<i64> {
        let (mut v, mut shift) = (0_i64, 0_u32);
        loop {
            let b = self.u8()?;
            if shift < 64 {
                v |= i64::from(b & 0x7f) << shift;
            }
            shift = shift.saturating_add(7);
            if b & 0x80 == 0 {
                let negative = b & 0x40 != 0 && shift < 64;
                return Some(if negative { v | -1 << shift } else { v });
            }
        }
    }

    /// Up to a zero byte, which is passed over.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let text = CStr::from_bytes_until_nul(self.bytes.get(self.at..)?).ok()?.to_bytes();
        self.at += text.len() + 1;
        Some(text)
    }

    /// A length as DWARF writes it, and whether offsets have 64 bits.
    pub(super) fn unit_length(&mut self) -> Option<(usize, bool)> {
        match self.u32()? {
            0xffff_ffff => Some((usize::try_from(self.u64()?).ok()?, true)),
            n @ 0..0xffff_fff0 => Some((n as usize, false)),
            _ => None,
        }
    }

    pub(super) fn offset(&mut self, is_64: bool) -> Option<usize> {
        usize::try_from(self.uint(if is_64 { 8 } else { 4 })?).ok()
    }
}

/// The text at an offset of a section of texts.
pub(super) fn text_at(section: &[u8], at: usize) -> Option<&[u8]> {
    Cursor::new(section, at).text()
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn numbers_of_variable_length() {
        let leb = |b: &[u8]| (Cursor::new(b, 0).uleb(), Cursor::new(b, 0).sleb());
        assert_eq!(leb(&[2]), (Some(2), Some(2)));
        assert_eq!(leb(&[0x7f]), (Some(127), Some(-1)));
        assert_eq!(leb(&[0xe5, 0x8e, 0x26]), (Some(624_485), Some(624_485)));
        assert_eq!(leb(&[0x80, 0x7f]), (Some(16_256), Some(-128)));
        assert_eq!(leb(&[0x80]), (None, None));
        assert!(leb(&[0xff; 30]).0.is_none());
    }

    #[test]
    fn numbers_of_each_length() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 0x88];
        for n in 0..=8 {
            let expected = 0x8807_0605_0403_0201 & !(u64::MAX.checked_shl(8 * n).unwrap_or(0));
            let mut c = Cursor::new(&bytes, 0);
            assert_eq!((c.uint(n as usize), c.at), (Some(expected), n as usize));
        }
        let mut c = Cursor::new(&bytes, 1);
        assert_eq!((c.uint(8), c.at), (None, 1));
    }

    #[test]
    fn texts_end_with_a_zero() {
        let mut c = Cursor::new(b"ab\0\0c", 0);
        assert_eq!((c.text(), c.text(), c.text()), (Some(&b"ab"[..]), Some(&b""[..]), None));
        assert_eq!(c.at, 4);
        assert_eq!(Cursor::new(b"ab", 3).text(), None);
    }
}
