//! Against a plain model: first in first out for each address, whatever the hashes.

use super::{Node, Place, Queue};
use crate::sys::hash::memhash64;
use std::collections::{HashMap, VecDeque};

/// Hashes that differ in no bit, in few, and in all.
fn hash(kind: u64, key: usize) -> u64 {
    match kind {
        0 => 0,
        1 => (key as u64 % 3) << 8,
        _ => memhash64(key as u64),
    }
}

#[test]
#[allow(unsafe_code, reason = "the nodes outlive the queue")]
fn it_is_a_list_for_each_key() {
    let mut seed = 1_u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % n
    };
    for kind in 0..3 {
        let mut queue: Queue<usize> = Queue::new();
        let mut model: HashMap<usize, VecDeque<usize>> = HashMap::new();
        let nodes: Vec<Node<usize>> = (0..400)
            .map(|id| {
                let key = random(40) as usize;
                Node::new(key, hash(kind, key), 0, 0, id)
            })
            .collect();
        for _ in 0..20_000 {
            let id = random(400) as usize;
            let node = &nodes[id];
            let waiting = model.entry(node.key).or_default();
            if node.is_queued() {
                if random(2) == 0 {
                    queue.remove(node);
                    waiting.retain(|w| *w != id);
                } else {
                    let popped = queue.pop(node.key, node.hash).map(|n| n.wait);
                    assert_eq!(popped, waiting.pop_front());
                }
            } else if random(3) == 0 {
                // SAFETY: SQ1: the nodes live as long as the queue.
                unsafe { queue.push(node, Place::Front) };
                waiting.push_front(id);
            } else {
                // SAFETY: SQ1: the nodes live as long as the queue.
                unsafe { queue.push(node, Place::Back) };
                waiting.push_back(id);
            }
            let key = random(40) as usize;
            let first = queue.first(key, hash(kind, key)).map(|n| n.wait);
            assert_eq!(first, model.get(&key).and_then(|w| w.front().copied()));
        }
        for (key, waiting) in model {
            let left: VecDeque<usize> =
                std::iter::from_fn(|| queue.pop(key, hash(kind, key))).map(|n| n.wait).collect();
            assert_eq!(left, waiting);
        }
        assert!(queue.root.get().is_none());
    }
}
