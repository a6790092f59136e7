//! malloc, small and large, and the functions that move memory.

use super::worker::Worker;
use std::hint::black_box;

pub(crate) fn malloc(worker: &mut Worker) {
    let mine = format!("{}-", worker.index);
    let mut kept: Vec<String> = Vec::new();
    for k in 0..300 {
        kept.push(format!("{mine}{k}"));
        if k % 3 == 0 {
            kept.swap_remove(worker.next() % kept.len());
        }
    }
    assert!(kept.iter().all(|text| text.starts_with(&mine)), "{mine}: {kept:?}");
}

/// Sizes that malloc keeps in no cache of the thread's: it locks its arena.
pub(crate) fn mbig(worker: &mut Worker) {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for k in 0..50 {
        let mut block = Vec::with_capacity(1200 + worker.next() % 30_000);
        block.push(worker.index as u8);
        kept.push(block);
        if k % 3 == 0 {
            kept.swap_remove(worker.next() % kept.len());
        }
    }
    assert!(kept.iter().all(|block| block[0] == worker.index as u8), "another's block");
}

/// Lists that grow in turn, none in place: `realloc` copies with its arena locked, for the longer
/// the larger they are.
pub(crate) fn grow(worker: &mut Worker) {
    const LISTS: usize = 4;
    let mut lists: [Vec<usize>; LISTS] = Default::default();
    let first = worker.next();
    for k in 0..1 << 18 {
        lists[k % LISTS].push(first ^ k);
    }
    let is_whole = |(l, list): (usize, &Vec<usize>)| {
        list.iter().enumerate().all(|(k, v)| *v == first ^ (k * LISTS + l))
    };
    assert!(lists.iter().enumerate().all(is_whole), "a copy differs");
}

/// A megabyte, copied by the function that libc has for this CPU.
pub(crate) fn memcpy(worker: &mut Worker) {
    let word = worker.next() as u64;
    let words = vec![word; 1 << 17];
    let copy = black_box(words.clone());
    assert!(words == copy && copy.iter().all(|w| *w == word), "a copy differs");
}
