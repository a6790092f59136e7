//! Sorted sets: members in the order of their scores, and those of the same score in their own.

use crate::protocol::Reply;
use crate::store::{Answer, Bytes, Keys, Value, bulk, count, int};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// A number, which NaN is not; there is one zero only.
#[derive(Clone, Copy, PartialEq)]
struct Score(f64);

impl Score {
    fn parse(text: &Bytes) -> Option<Score> {
        let number: f64 = str::from_utf8(text).ok()?.parse().ok()?;
        (!number.is_nan()).then_some(Score(number + 0.0))
    }

    fn reply(self) -> Reply {
        Reply::Bulk(self.0.to_string().into())
    }
}

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Score) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
pub(crate) struct SortedSet {
    order: BTreeSet<(Score, Bytes)>,
    scores: HashMap<Bytes, Score>,
}

impl SortedSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// True if it was not there yet.
    fn insert(&mut self, score: Score, member: &Bytes) -> bool {
        let old = self.scores.insert(member.clone(), score);
        if let Some(old) = old {
            self.order.remove(&(old, member.clone()));
        }
        self.order.insert((score, member.clone()));
        old.is_none()
    }

    fn remove(&mut self, member: &Bytes) -> bool {
        let score = self.scores.remove(member);
        score.is_some_and(|score| self.order.remove(&(score, member.clone())))
    }

    fn pop_first(&mut self) -> Option<(Score, Bytes)> {
        let first = self.order.pop_first()?;
        self.scores.remove(&first.1);
        Some(first)
    }
}

impl Keys {
    pub(crate) fn sorted(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(match (name, args) {
            ("ZADD", [key, pairs @ ..]) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
                let pairs = pairs.chunks_exact(2);
                let scores = pairs.clone().map(|pair| Score::parse(&pair[0]));
                let Some(scores) = scores.collect::<Option<Vec<_>>>() else {
                    return Some(Err("ERR value is not a valid float".into()));
                };
                self.made(key, Value::Sorted(SortedSet::default()), sorted).map(|set| {
                    let new = scores.into_iter().zip(pairs);
                    count(new.filter(|(score, pair)| set.insert(*score, &pair[1])).count())
                })
            }
            ("ZREM", [key, members @ ..]) if !members.is_empty() => {
                self.found(key, sorted).map(|set| {
                    let Some(set) = set else { return Reply::Int(0) };
                    count(members.iter().filter(|member| set.remove(member)).count())
                })
            }
            ("ZCARD", [key]) => {
                self.found(key, sorted).map(|set| count(set.map_or(0, |s| s.order.len())))
            }
            ("ZSCORE", [key, member]) => self.found(key, sorted).map(|set| {
                let score = set.and_then(|set| set.scores.get(member).copied());
                score.map_or_else(|| bulk(None), Score::reply)
            }),
            ("ZPOPMIN", [key]) => self.pop_first(key, 1),
            ("ZPOPMIN", [key, n]) => match int(n).and_then(|n| usize::try_from(n).ok()) {
                Some(n) => self.pop_first(key, n),
                None => Err("ERR value is out of range, must be positive".into()),
            },
            _ => return None,
        })
    }

    fn pop_first(&mut self, key: &Bytes, n: usize) -> Answer {
        let Some(set) = self.found(key, sorted)? else { return Ok(Reply::Array(Vec::new())) };
        let mut replies = Vec::new();
        for (score, member) in std::iter::from_fn(|| set.pop_first()).take(n) {
            replies.push(Reply::Bulk(member));
            replies.push(score.reply());
        }
        Ok(Reply::Array(replies))
    }
}

fn sorted(value: &mut Value) -> Option<&mut SortedSet> {
    if let Value::Sorted(set) = value { Some(set) } else { None }
}
