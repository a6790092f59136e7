//! Iterators over what is received.

use super::receiver::Receiver;
use std::fmt;
use std::iter::FusedIterator;

/// The messages of a channel as they come: each `next` waits for one, and returns `None` when the
/// channel is empty and closed. Made by [`Receiver::iter`].
pub struct Iter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
}

/// The messages that are there: `next` does not wait. Made by [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
}

/// As [`Iter`], owning the receiver. Made by `for msg in receiver`.
pub struct IntoIter<T> {
    pub(crate) receiver: Receiver<T>,
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
