//! Walking a stack from outside, by the call frame information of the images.
//!
//! Go: traceback.go `unwinder`. It starts from three registers, of a context that was saved or of a
//! thread that was stopped, and needs no help from either.
//!
//! Frame pointers find one frame of a program compiled as usual; so every step asks `.eh_frame`, by
//! the search table that the unwinder of exceptions uses too. What it finds for an address is
//! nearly always "CFA = rsp or rbp + n, rbp at CFA - m", and is remembered.
//!
//! # Invariants
//! * `UW1`: memory is read only where it is known to be a stack, or was found to be mapped.
//! * `UW2`: every step goes up the stack, or the walk ends; so it ends.
//!
//! Of the registers that a function keeps for its caller only rbp is followed: no compiler computes
//! the CFA at a call from another one.

#![allow(unsafe_code, reason = "UW1: reads stacks and .eh_frame")]

use super::frame::{Frame, Registers};
use super::images::{self, Image};
use crate::sys::mem::{PAGE, is_readable};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Operation, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindExpression, UnwindSection,
    UnwindTableRow, X86_64,
};

/// What may be read: a stack from the stack pointer up; with 0 as its end whatever is mapped.
pub(super) struct Walk<'a> {
    rules: &'a mut Rules,
    at: Registers,
    end: usize,
    /// `at.pc` is an instruction to execute, not one to return to.
    is_exact: bool,
    first: bool,
    /// Base of a page that was found to be readable.
    page: usize,
}

const REMEMBERED: usize = 2048;

/// What is remembered. All zero when new.
pub(super) struct Rules([(usize, Rule); REMEMBERED]);

/// How to get from a frame to its caller's.
#[derive(Clone, Copy, Default)]
struct Rule {
    kind: Kind,
    is_signal_frame: bool,
    /// CFA - register, where `kind` says which.
    cfa: i32,
    /// Where rbp is kept, from the CFA; 0: still in rbp.
    bp: i32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)] // of zero bytes: Complex
enum Kind {
    /// Must be asked for anew: expressions.
    #[default]
    Complex,
    FromSp,
    FromBp,
    /// The outermost frame.
    End,
}

impl<'a> Walk<'a> {
    /// A walk up a stack that ends at `end` (0: not known).
    pub(super) fn new(rules: &'a mut Rules, at: Registers, end: usize, is_exact: bool) -> Self {
        Walk { rules, at, end, is_exact, first: true, page: 0 }
    }

    /// UW1.
    fn read(&mut self, at: usize) -> Option<usize> {
        if !at.is_multiple_of(8) {
            return None;
        }
        if self.end != 0 {
            if at < self.at.sp || at.checked_add(8)? > self.end {
                return None;
            }
        } else if self.page != at & !(PAGE - 1) {
            if !is_readable(at) {
                return None;
            }
            self.page = at & !(PAGE - 1);
        }
        // SAFETY: UW1. Volatile: whoever runs on that stack may write it meanwhile.
        Some(unsafe { (at as *const usize).read_volatile() })
    }

    /// CFA, return address, rbp and whether the next frame was interrupted.
    fn step(&mut self, lookup: usize) -> Option<(usize, Registers, bool)> {
        let slot = (lookup ^ lookup >> 11) % REMEMBERED;
        let (known, rule) = self.rules.0[slot];
        let rule = if known == lookup && rule.kind != Kind::Complex {
            rule
        } else {
            match self.look_up(lookup) {
                Some(Looked::Rule(rule)) => {
                    self.rules.0[slot] = (lookup, rule);
                    rule
                }
                Some(Looked::Done(cfa, next, is_signal)) => return Some((cfa, next, is_signal)),
                // A leaf in assembly, a procedure linkage table of a linker that does not describe
                // it, or a jump into nowhere: it was just called.
                None if self.is_exact => {
                    let pc = self.read(self.at.sp)?;
                    images::find(pc)?;
                    let sp = self.at.sp + 8;
                    return Some((sp, Registers { pc, sp, ..self.at }, false));
                }
                None => return None,
            }
        };
        let base = match rule.kind {
            Kind::FromSp => self.at.sp,
            Kind::FromBp => self.at.bp,
            _ => return None,
        };
        let cfa = base.checked_add_signed(rule.cfa as isize)?;
        let bp = match rule.bp {
            0 => self.at.bp,
            at => self.read(cfa.checked_add_signed(at as isize)?)?,
        };
        let pc = self.read(cfa.checked_sub(8)?)?;
        Some((cfa, Registers { pc, sp: cfa, bp }, rule.is_signal_frame))
    }

    fn look_up(&mut self, lookup: usize) -> Option<Looked> {
        let image = images::find(lookup)?;
        let mut context = UnwindContext::<usize, OnStack>::new_in();
        let (row, is_signal_frame, encoding) = row_for(&image, lookup, &mut context)?;
        let pc_rule = row.register(X86_64::RA);
        if pc_rule == RegisterRule::Undefined {
            return Some(Looked::Rule(Rule { kind: Kind::End, ..Rule::default() }));
        }
        let bp_rule = row.register(X86_64::RBP);
        if let (CfaRule::RegisterAndOffset { register, offset }, RegisterRule::Offset(-8)) =
            (row.cfa(), &pc_rule)
            && let (Some(kind), Ok(cfa)) = (kind_of(*register), i32::try_from(*offset))
            && let Some(bp) = plain(&bp_rule)
        {
            return Some(Looked::Rule(Rule { kind, is_signal_frame, cfa, bp }));
        }
        let section = eh_frame(&image)?;
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.register(*register)?.checked_add_signed(*offset as isize)?
            }
            CfaRule::Expression(e) => self.evaluate(e, &section.0, encoding, None)?,
        };
        let value = |walk: &mut Self, rule, same| match rule {
            RegisterRule::SameValue | RegisterRule::Undefined => Some(same),
            RegisterRule::Offset(n) => walk.read(cfa.checked_add_signed(n as isize)?),
            RegisterRule::ValOffset(n) => cfa.checked_add_signed(n as isize),
            RegisterRule::Register(r) => walk.register(r),
            RegisterRule::Expression(e) => {
                let at = walk.evaluate(&e, &section.0, encoding, Some(cfa))?;
                walk.read(at)
            }
            RegisterRule::ValExpression(e) => walk.evaluate(&e, &section.0, encoding, Some(cfa)),
            _ => None,
        };
        let bp = value(self, bp_rule, self.at.bp)?;
        let pc = value(self, pc_rule, 0)?;
        // Of a signal's frame the stack pointer is restored too.
        let sp = match row.register(X86_64::RSP) {
            RegisterRule::Undefined | RegisterRule::SameValue => cfa,
            rule => value(self, rule, cfa)?,
        };
        Some(Looked::Done(cfa, Registers { pc, sp, bp }, is_signal_frame))
    }

    fn register(&self, r: Register) -> Option<usize> {
        match r {
            X86_64::RSP => Some(self.at.sp),
            X86_64::RBP => Some(self.at.bp),
            X86_64::RA => Some(self.at.pc),
            _ => None,
        }
    }

    /// The operations that procedure linkage tables and signal frames use.
    fn evaluate(
        &mut self,
        e: &UnwindExpression<usize>,
        section: &EhFrame<Slice>,
        encoding: gimli::Encoding,
        cfa: Option<usize>,
    ) -> Option<usize> {
        let mut stack = [0_usize; 8];
        let mut n = 0;
        let push = |n: &mut usize, stack: &mut [usize; 8], v: usize| {
            *stack.get_mut(*n)? = v;
            *n += 1;
            Some(())
        };
        if let Some(cfa) = cfa {
            push(&mut n, &mut stack, cfa)?;
        }
        let mut operations = e.get(section).ok()?.operations(encoding);
        while let Some(op) = operations.next().ok()? {
            let one = |n: &mut usize, stack: &[usize; 8]| {
                *n = n.checked_sub(1)?;
                stack.get(*n).copied()
            };
            let value = match op {
                Operation::RegisterOffset { register, offset, .. } => {
                    self.register(register)?.wrapping_add_signed(offset as isize)
                }
                Operation::UnsignedConstant { value } => value as usize,
                Operation::SignedConstant { value } => value as usize,
                Operation::Deref { size: 8, .. } => {
                    let at = one(&mut n, &stack)?;
                    self.read(at)?
                }
                Operation::PlusConstant { value } => {
                    one(&mut n, &stack)?.wrapping_add(value as usize)
                }
                _ => {
                    let (b, a) = (one(&mut n, &stack)?, one(&mut n, &stack)?);
                    match op {
                        Operation::And => a & b,
                        Operation::Plus => a.wrapping_add(b),
                        Operation::Minus => a.wrapping_sub(b),
                        Operation::Shl => a.checked_shl(b as u32)?,
                        Operation::Ge => usize::from(a as isize >= b as isize),
                        _ => return None,
                    }
                }
            };
            push(&mut n, &mut stack, value)?;
        }
        stack.get(n.checked_sub(1)?).copied()
    }
}

impl Iterator for Walk<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let at = self.at;
        if at.pc == 0 && !self.first {
            return None;
        }
        let lookup = if self.is_exact { at.pc } else { at.pc.wrapping_sub(1) };
        let frame = Frame { pc: at.pc, lookup, sp: at.sp, fp: 0 };
        let stepped = self.step(lookup);
        self.first = false;
        let Some((cfa, next, is_signal)) = stepped else {
            self.at.pc = 0;
            return Some(frame);
        };
        // UW2; the frame below a signal's may be on another stack.
        if next.sp <= at.sp && !is_signal {
            self.at.pc = 0;
            return Some(frame);
        }
        self.at = next;
        self.is_exact = is_signal;
        Some(Frame { fp: cfa, ..frame })
    }
}

enum Looked {
    Rule(Rule),
    Done(usize, Registers, bool),
}

fn kind_of(r: Register) -> Option<Kind> {
    match r {
        X86_64::RSP => Some(Kind::FromSp),
        X86_64::RBP => Some(Kind::FromBp),
        _ => None,
    }
}

/// Where rbp is, if it is in a plain place.
fn plain(rule: &RegisterRule<usize>) -> Option<i32> {
    match rule {
        RegisterRule::Offset(n) => i32::try_from(*n).ok().filter(|n| *n != 0),
        RegisterRule::SameValue | RegisterRule::Undefined => Some(0),
        _ => None,
    }
}

type Slice = EndianSlice<'static, LittleEndian>;

/// Rows of call frame information without allocation: x86-64 has 17 registers of interest.
struct OnStack;

impl UnwindContextStorage<usize> for OnStack {
    type Rules = [(Register, RegisterRule<usize>); 24];
    type Stack = [UnwindTableRow<usize, OnStack>; 4];
}

fn eh_frame(
    image: &Image,
) -> Option<(EhFrame<Slice>, gimli::ParsedEhFrameHdr<Slice>, BaseAddresses)> {
    let (hdr, end) = (image.eh_frame_hdr, image.eh_frame_end);
    if hdr == 0 || end <= hdr {
        return None;
    }
    // SAFETY: MD1: the segment is mapped, as is what lies between it and its end.
    let bytes = unsafe { core::slice::from_raw_parts(hdr as *const u8, end - hdr) };
    let bases = BaseAddresses::default().set_eh_frame_hdr(hdr as u64);
    let hdr = EhFrameHdr::new(bytes, LittleEndian).parse(&bases, 8).ok()?;
    let gimli::Pointer::Direct(at) = hdr.eh_frame_ptr() else { return None };
    let at = usize::try_from(at).ok()?;
    let bytes = end.checked_sub(at).filter(|_| at >= image.bias)?;
    // SAFETY: MD1: the header says that the section starts there.
    let section = unsafe { core::slice::from_raw_parts(at as *const u8, bytes) };
    let bases = bases.set_eh_frame(at as u64).set_text(image.text.0 as u64);
    Some((EhFrame::new(section, LittleEndian), hdr, bases))
}

type Row = UnwindTableRow<usize, OnStack>;

fn row_for<'c>(
    image: &Image,
    pc: usize,
    context: &'c mut UnwindContext<usize, OnStack>,
) -> Option<(&'c Row, bool, gimli::Encoding)> {
    let (section, hdr, bases) = eh_frame(image)?;
    let table = hdr.table()?;
    let pc = pc as u64;
    let fde = table.fde_for_address(&section, &bases, pc, EhFrame::cie_from_offset).ok()?;
    let row = fde.unwind_info_for_address(&section, &bases, context, pc).ok()?;
    Some((row, fde.is_signal_trampoline(), fde.cie().encoding()))
}
