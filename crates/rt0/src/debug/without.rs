//! Stacks without the feature `backtrace`: there are none. Headers and creation sites remain.

pub(super) mod symbols {
    use crate::debug::frame::Symbolised;

    /// Knows nothing.
    pub(in crate::debug) struct Symboliser;

    impl Symboliser {
        pub(in crate::debug) fn functions(&mut self, _pc: usize) -> &[Symbolised] {
            &[]
        }
    }
}

pub(super) mod unwind {
    use crate::debug::frame::{Frame, Registers};
    use core::marker::PhantomData;

    /// Nothing is remembered.
    pub(in crate::debug) struct Rules;

    /// Finds nothing.
    pub(in crate::debug) struct Walk<'a>(PhantomData<&'a Rules>);

    impl<'a> Walk<'a> {
        pub(in crate::debug) fn new(_: &'a mut Rules, _: Registers, _: usize, _: bool) -> Self {
            Walk(PhantomData)
        }
    }

    impl Iterator for Walk<'_> {
        type Item = Frame;

        fn next(&mut self) -> Option<Frame> {
            None
        }
    }
}
