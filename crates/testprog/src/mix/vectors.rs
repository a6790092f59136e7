//! Vector and mask registers, which the trampoline of a preemption has to save whole.

#![allow(unsafe_code, reason = "assembly, and functions for a CPU that was asked whether it can")]

use super::worker::Worker;
use std::arch::{asm, is_x86_feature_detected};

pub(crate) fn no_ymm() -> Option<String> {
    (!is_x86_feature_detected!("avx2")).then(|| "this CPU has no AVX2".to_owned())
}

pub(crate) fn no_zmm() -> Option<String> {
    let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    (!has).then(|| "this CPU has no AVX-512".to_owned())
}

pub(crate) fn ymm(worker: &mut Worker) {
    let pattern = (worker.index as u64 + 1) * 0x0101_0101;
    // SAFETY: `no_ymm` has seen that the CPU can.
    assert_eq!(unsafe { through_ymm(pattern) }, [pattern; 4]);
}

pub(crate) fn zmm(worker: &mut Worker) {
    let pattern = (worker.index as u64 + 1) * 0x0101_0101;
    // SAFETY: `no_zmm` has seen that the CPU can.
    assert_eq!(unsafe { through_zmm(pattern) }, ([pattern; 8], pattern));
}

/// Doubles `pattern` in ymm14, takes it off in ymm15, many times; what is there at the end.
#[target_feature(enable = "avx2")]
fn through_ymm(pattern: u64) -> [u64; 4] {
    let mut out = [0; 4];
    // SAFETY: writes the registers that are named and 32 bytes of `out`.
    unsafe {
        asm!(
            "vmovq xmm15, {pattern}",
            "vpbroadcastq ymm15, xmm15",
            "2:",
            "vpaddq ymm14, ymm15, ymm15",
            "vpsubq ymm15, ymm14, ymm15",
            "dec {count}",
            "jnz 2b",
            "vmovdqu [{out}], ymm15",
            pattern = in(reg) pattern,
            count = inout(reg) 300_000u64 => _,
            out = in(reg) out.as_mut_ptr(),
            out("ymm14") _,
            out("ymm15") _,
            options(nostack),
        );
    }
    out
}

/// The same in zmm30 and zmm31, which are in a state component of their own, as is the mask k5.
#[target_feature(enable = "avx512f,avx512bw")]
fn through_zmm(pattern: u64) -> ([u64; 8], u64) {
    let mut out = [0; 8];
    let mask;
    // SAFETY: writes the registers that are named and 64 bytes of `out`.
    unsafe {
        asm!(
            "vpbroadcastq zmm31, {pattern}",
            "kmovq k5, {pattern}",
            "2:",
            "vpaddq zmm30, zmm31, zmm31",
            "vpsubq zmm31, zmm30, zmm31",
            "dec {count}",
            "jnz 2b",
            "vmovdqu64 [{out}], zmm31",
            "kmovq {count}, k5",
            pattern = in(reg) pattern,
            count = inout(reg) 300_000u64 => mask,
            out = in(reg) out.as_mut_ptr(),
            out("zmm30") _,
            out("zmm31") _,
            out("k5") _,
            options(nostack),
        );
    }
    (out, mask)
}
