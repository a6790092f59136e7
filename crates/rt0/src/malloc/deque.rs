//! A growing ring of plain values in the runtime's own memory.
//!
//! # Invariants
//! * `RD1`: `ring` has a power of two of slots or none; the `len` values from `head` on are valid.

use super::vec::RtVec;

pub(crate) struct RtDeque<T: Copy> {
    ring: RtVec<T>, // RD1
    head: usize,
    len: usize,
}

const FIRST: usize = 512;

impl<T: Copy> RtDeque<T> {
    pub(crate) const fn new() -> Self {
        RtDeque { ring: RtVec::new(), head: 0, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn mask(&self) -> usize {
        self.ring.len().wrapping_sub(1)
    }

    pub(crate) fn push_back(&mut self, v: T) {
        self.make_room(v);
        let at = (self.head + self.len) & self.mask();
        self.ring[at] = v;
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, v: T) {
        self.make_room(v);
        self.head = self.head.wrapping_sub(1) & self.mask();
        let at = self.head;
        self.ring[at] = v;
        self.len += 1;
    }

    pub(crate) fn front(&self) -> Option<T> {
        (self.len > 0).then(|| self.ring[self.head])
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let v = self.ring[self.head];
        self.head = (self.head + 1) & self.mask();
        self.len -= 1;
        Some(v)
    }

    pub(crate) fn pop_back(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        Some(self.ring[(self.head + self.len) & self.mask()])
    }

    /// Doubles a full ring; `filler` fills the new slots, which nobody reads before they are set.
    fn make_room(&mut self, filler: T) {
        if self.len < self.ring.len() {
            return;
        }
        let mut bigger = RtVec::new();
        bigger.fill_to((self.ring.len() * 2).max(FIRST), filler);
        for i in 0..self.len {
            bigger[i] = self.ring[(self.head + i) & self.mask()];
        }
        self.ring = bigger;
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn it_does_what_a_vecdeque_does() {
        let (mut ours, mut std) = (RtDeque::new(), VecDeque::new());
        let mut x = 1u64;
        for i in 0..100_000u64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match x >> 61 {
                0..=2 => {
                    ours.push_back(i);
                    std.push_back(i);
                }
                3 => {
                    ours.push_front(i);
                    std.push_front(i);
                }
                4 => assert_eq!(ours.pop_back(), std.pop_back()),
                _ if i > 60_000 || x >> 60 & 1 == 0 => {
                    assert_eq!(ours.pop_front(), std.pop_front())
                }
                _ => {}
            }
            assert_eq!(ours.len(), std.len());
        }
    }
}
