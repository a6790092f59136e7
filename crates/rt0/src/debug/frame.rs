//! What a walk of a stack starts from and finds.

/// Where a walk starts.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Registers {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    pub(crate) bp: usize,
}

/// A call frame on the way.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Frame {
    /// The address that is executed, or the one to return to.
    pub(crate) pc: usize,
    /// An address of the instruction that is executed or that called: what to look names up by.
    pub(crate) lookup: usize,
    pub(crate) sp: usize,
    /// The stack pointer of the caller.
    pub(crate) fp: usize,
}

/// What a function is to those who read a dump.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// The program's, a library's, std's.
    #[default]
    Program,
    /// Called by the program.
    Runtime,
    /// A C function that rt0 stands in front of.
    Interposed,
    /// What calls a closure.
    Shim,
    /// What is below is the runtime's and std's.
    Root,
}

/// A function at an address. `name` may be mangled, or not be UTF-8.
#[derive(Clone, Copy, Default)]
pub(super) struct Symbolised {
    pub(super) name: &'static [u8],
    /// Empty: the file's name says it all.
    pub(super) dir: &'static [u8],
    /// Where a relative directory starts, if that is to be shown.
    pub(super) base: &'static [u8],
    pub(super) file: &'static [u8],
    /// 0: not known.
    pub(super) line: u64,
    /// Where the function starts, in memory; 0 for an inlined one.
    pub(super) entry: usize,
    /// What it is to readers of dumps.
    pub(super) kind: Kind,
}
