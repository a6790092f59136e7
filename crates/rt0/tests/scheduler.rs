//! Many goroutines, and goroutines of every size. Allocation on g0 throws in this program.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::hint::black_box;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

#[global_allocator]
static A: rt0::debug::NoAllocOnG0<std::alloc::System> = rt0::debug::NoAllocOnG0(std::alloc::System);

#[rt0::test]
fn ten_thousand_run_once_each() {
    let count = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..10_000)
        .map(|_| {
            let count = Arc::clone(&count);
            rt0::go(move || count.fetch_add(1, Ordering::Relaxed))
        })
        .collect();
    let mut seen: Vec<usize> = handles.into_iter().map(|h| h.join().expect("no panic")).collect();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..10_000));
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let left = rt0::go(move || fib(n - 1));
    fib(n - 2) + left.join().expect("no panic")
}

#[rt0::test]
fn goroutines_start_goroutines() {
    assert_eq!(fib(16), 987);
}

#[rt0::test]
fn a_chain_passes_a_value_on() {
    fn link(left: u32) -> u32 {
        if left == 0 { 0 } else { 1 + rt0::go(move || link(left - 1)).join().expect("no panic") }
    }
    assert_eq!(link(2000), 2000);
}

#[rt0::test]
fn yielding_goroutines_take_turns() {
    let turns = Arc::new(AtomicU64::new(0));
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let turns = Arc::clone(&turns);
            rt0::go(move || {
                for _ in 0..200 {
                    turns.fetch_add(1, Ordering::Relaxed);
                    rt0::gosched();
                }
            })
        })
        .collect();
    for h in handles {
        h.join().expect("no panic");
    }
    assert_eq!(turns.load(Ordering::Relaxed), 20_000);
}

/// Debug builds copy a closure, or a value of its size, several times on its way.
fn roomy() -> rt0::Builder {
    rt0::Builder::new().stack_size(4 << 20)
}

#[rt0::test]
fn closures_of_any_size_and_alignment() {
    #[repr(align(256))]
    struct Aligned(u32);
    #[repr(align(8192))]
    struct PageAligned(u32);

    let all = || {
        big::<100>();
        big::<8_191>();
        big::<8_193>();
        big::<100_000>();
        let a = Aligned(1);
        let h = roomy().go(move || at_multiple(&a, 256) + a.0).expect("a goroutine");
        assert_eq!(h.join().expect("no panic"), 2);
        let a = PageAligned(1);
        let h = roomy().go(move || at_multiple(&a, 8192) + a.0).expect("a goroutine");
        assert_eq!(h.join().expect("no panic"), 2);
    };
    roomy().go(all).expect("a goroutine").join().expect("no panic");
}

fn big<const N: usize>() {
    let bytes = [3_u8; N];
    let h = roomy().go(move || bytes.iter().map(|b| usize::from(*b)).sum::<usize>());
    assert_eq!(h.expect("a goroutine").join().expect("no panic"), 3 * N);
}

fn at_multiple<T>(value: &T, of: usize) -> u32 {
    u32::from(std::ptr::from_ref(black_box(value)).addr().is_multiple_of(of))
}

/// Uses about `kib` KiB of stack and says how many calls deep that was.
fn use_stack(kib: usize) -> usize {
    let mut frame = [0_u8; 1024];
    black_box(&mut frame);
    if kib <= 1 { 1 } else { 1 + use_stack(kib - 1) }
}

#[rt0::test]
fn stacks_of_every_size() {
    for (bytes, kib) in [(0, 8), (1, 8), (64 << 10, 8), (1 << 20, 400), (100 << 20, 50_000)] {
        let h = rt0::Builder::new().stack_size(bytes).go(move || use_stack(kib));
        let h = h.unwrap_or_else(|e| panic!("stack_size({bytes}): {e}"));
        assert_eq!(h.join().expect("no panic"), kib, "stack_size({bytes})");
    }
}

#[rt0::test]
fn a_stack_beyond_any_reason_is_refused() {
    for bytes in [(1 << 30) + 1, usize::MAX / 2, usize::MAX] {
        let e = rt0::Builder::new().stack_size(bytes).go(|| ()).expect_err("too large");
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        let text = e.to_string();
        assert!(text.contains(&format!("stack_size({bytes})")), "{text}");
        assert!(text.contains("1 GiB"), "{text}");
    }
}

#[rt0::test]
fn a_mix_of_everything() {
    let mut handles = Vec::new();
    for n in 0..3000_u64 {
        handles.push(rt0::go(move || match n % 5 {
            0 => {
                rt0::gosched();
                n
            }
            1 => {
                rt0::time::sleep(Duration::from_micros(n));
                n
            }
            2 => rt0::go(move || n).join().expect("no panic"),
            3 => rt0::scope(|s| s.go(|| n).join().expect("no panic")),
            _ if n % 100 == 4 => rt0::blocking(|| {
                std::thread::sleep(Duration::from_micros(200));
                n
            }),
            _ => n,
        }));
        if n % 64 == 0 {
            rt0::gosched();
        }
    }
    let sum: u64 = handles.into_iter().map(|h| h.join().expect("no panic")).sum();
    assert_eq!(sum, 3000 * 2999 / 2);
}

#[rt0::test]
fn the_numbers_of_cpus_and_ps_are_positive() {
    assert!(rt0::num_cpu() >= 1);
    assert!(rt0::gomaxprocs() >= 1);
    assert!(rt0::num_goroutine() >= 1);
}
