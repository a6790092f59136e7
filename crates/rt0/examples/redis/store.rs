//! The keys, and what commands do to them.

use crate::protocol::Reply;
use crate::sorted::SortedSet;
use rt0::sync::{Mutex, PoisonError};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

pub(crate) type Bytes = Vec<u8>;
pub(crate) type Answer = Result<Reply, String>;

pub(crate) enum Value {
    Text(Bytes),
    List(VecDeque<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    Set(BTreeSet<Bytes>),
    Sorted(SortedSet),
}

impl Value {
    fn name(&self) -> &'static str {
        match self {
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Hash(_) => "hash",
            Value::Set(_) => "set",
            Value::Sorted(_) => "zset",
        }
    }

    /// A key without items is as none. A text may be empty.
    fn is_nothing(&self) -> bool {
        match self {
            Value::Text(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Sorted(set) => set.is_empty(),
        }
    }
}

/// All keys. One lock for all of them: each command is done as a whole, as Redis does them.
#[derive(Default)]
pub(crate) struct Store(Mutex<Keys>);

#[derive(Default)]
pub(crate) struct Keys(HashMap<Bytes, Value>);

const NOT_INT: &str = "ERR value is not an integer or out of range";

/// Every command, so that a wrong number of arguments can be told from a wrong name.
const COMMANDS: &str = " PING ECHO COMMAND CONFIG CLIENT SELECT DBSIZE FLUSHALL FLUSHDB DEL EXISTS \
    TYPE SET GET MSET MGET APPEND STRLEN INCR DECR INCRBY DECRBY LPUSH RPUSH LPOP RPOP LLEN LRANGE \
    HSET HGET HDEL HLEN HGETALL SADD SREM SPOP SCARD SISMEMBER SMEMBERS \
    ZADD ZREM ZCARD ZSCORE ZPOPMIN ";

impl Store {
    /// Calls the command `name`, which is in capitals.
    pub(crate) fn call(&self, name: &str, args: &[Bytes]) -> Answer {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = server(name, args)
            .or_else(|| keys.any(name, args))
            .or_else(|| keys.text(name, args))
            .or_else(|| keys.list(name, args))
            .or_else(|| keys.hash(name, args))
            .or_else(|| keys.set(name, args))
            .or_else(|| keys.sorted(name, args));
        if let Some(key) = args.first()
            && keys.0.get(key).is_some_and(Value::is_nothing)
        {
            keys.0.remove(key);
        }
        answer.unwrap_or_else(|| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
            if COMMANDS.contains(&format!(" {name} ")) {
                return Err(format!("ERR wrong number of arguments for '{name}' command"));
            }
            Err(format!("ERR unknown command '{name}'"))
        })
    }
}

/// What clients ask a server before they ask for data.
fn server(name: &str, args: &[Bytes]) -> Option<Answer> {
    Some(Ok(match (name, args) {
        ("PING", []) => Reply::Simple("PONG"),
        ("PING" | "ECHO", [text]) => Reply::Bulk(text.clone()),
        ("CONFIG", [verb, setting]) if verb.eq_ignore_ascii_case(b"get") => {
            let value: &[u8] = match &*setting.to_ascii_lowercase() {
                b"appendonly" => b"no",
                b"save" => b"",
                _ => return Some(Ok(Reply::Array(Vec::new()))),
            };
            Reply::Array(vec![Reply::Bulk(setting.clone()), Reply::Bulk(value.to_vec())])
        }
        ("COMMAND", _) => Reply::Array(Vec::new()),
        ("CLIENT", [_, ..]) => Reply::Simple("OK"),
        ("SELECT", [number]) if *number == b"0" => Reply::Simple("OK"),
        ("SELECT", [_]) => return Some(Err("ERR DB index is out of range".into())),
        _ => return None,
    }))
}

impl Keys {
    /// The value of `key`, made if there is none, if it is of the kind that `as_kind` takes.
    pub(crate) fn made<T>(
        &mut self,
        key: &Bytes,
        new: Value,
        as_kind: impl FnOnce(&mut Value) -> Option<&mut T>,
    ) -> Result<&mut T, String> {
        as_kind(self.0.entry(key.clone()).or_insert(new)).ok_or_else(wrong_type)
    }

    /// The same, but nothing if there is no value.
    pub(crate) fn found<T>(
        &mut self,
        key: &Bytes,
        as_kind: impl FnOnce(&mut Value) -> Option<&mut T>,
    ) -> Result<Option<&mut T>, String> {
        self.0.get_mut(key).map(|value| as_kind(value).ok_or_else(wrong_type)).transpose()
    }

    /// Commands for every kind of value.
    fn any(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(Ok(match (name, args) {
            ("DBSIZE", []) => count(self.0.len()),
            ("FLUSHALL" | "FLUSHDB", _) => {
                self.0.clear();
                Reply::Simple("OK")
            }
            ("DEL", [_, ..]) => count(args.iter().filter_map(|key| self.0.remove(key)).count()),
            ("EXISTS", [_, ..]) => {
                count(args.iter().filter(|key| self.0.contains_key(*key)).count())
            }
            ("TYPE", [key]) => Reply::Simple(self.0.get(key).map_or("none", Value::name)),
            _ => return None,
        }))
    }

    fn text(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(match (name, args) {
            ("SET", [key, value]) => {
                self.0.insert(key.clone(), Value::Text(value.clone()));
                Ok(Reply::Simple("OK"))
            }
            ("SET", [_, _, ..]) => Err("ERR syntax error".into()), // no options
            ("MSET", [_, _, ..]) if args.len().is_multiple_of(2) => {
                for pair in args.chunks_exact(2) {
                    self.0.insert(pair[0].clone(), Value::Text(pair[1].clone()));
                }
                Ok(Reply::Simple("OK"))
            }
            ("GET", [key]) => self.found(key, text).map(|value| bulk(value.cloned())),
            ("MGET", [_, ..]) => {
                let get = |key| bulk(self.found(key, text).ok().flatten().cloned());
                Ok(Reply::Array(args.iter().map(get).collect()))
            }
            ("STRLEN", [key]) => {
                self.found(key, text).map(|value| count(value.map_or(0, |v| v.len())))
            }
            ("APPEND", [key, more]) => {
                self.made(key, Value::Text(Bytes::new()), text).map(|value| {
                    value.extend_from_slice(more);
                    count(value.len())
                })
            }
            ("INCR", [key]) => self.add(key, Some(1)),
            ("DECR", [key]) => self.add(key, Some(-1)),
            ("INCRBY", [key, by]) => self.add(key, int(by)),
            ("DECRBY", [key, by]) => self.add(key, int(by).and_then(i64::checked_neg)),
            _ => return None,
        })
    }

    fn add(&mut self, key: &Bytes, by: Option<i64>) -> Answer {
        let by = by.ok_or(NOT_INT)?;
        let value = self.made(key, Value::Text(b"0".to_vec()), text)?;
        let sum = int(value).and_then(|value| value.checked_add(by)).ok_or(NOT_INT)?;
        *value = sum.to_string().into();
        Ok(Reply::Int(sum))
    }

    fn list(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(match (name, args) {
            ("LPUSH" | "RPUSH", [key, items @ ..]) if !items.is_empty() => {
                self.made(key, Value::List(VecDeque::new()), list).map(|list| {
                    for item in items.iter().cloned() {
                        if name == "LPUSH" { list.push_front(item) } else { list.push_back(item) }
                    }
                    count(list.len())
                })
            }
            ("LPOP" | "RPOP", [key]) => self.found(key, list).map(|list| {
                let Some(list) = list else { return Reply::Nil };
                let item = if name == "LPOP" { list.pop_front() } else { list.pop_back() };
                bulk(item)
            }),
            ("LLEN", [key]) => self.found(key, list).map(|list| count(list.map_or(0, |l| l.len()))),
            ("LRANGE", [key, first, last]) => {
                let Some((first, last)) = int(first).zip(int(last)) else {
                    return Some(Err(NOT_INT.into()));
                };
                self.found(key, list).map(|list| {
                    let Some(list) = list else { return Reply::Array(Vec::new()) };
                    let len = list.len() as i64;
                    let at = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
                    let (first, last) = (at(first).max(0), at(last).min(len - 1));
                    let range = if first > last { 0..0 } else { first as usize..last as usize + 1 };
                    Reply::Array(list.range(range).cloned().map(Reply::Bulk).collect())
                })
            }
            _ => return None,
        })
    }

    fn hash(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(match (name, args) {
            ("HSET", [key, fields @ ..])
                if !fields.is_empty() && fields.len().is_multiple_of(2) =>
            {
                self.made(key, Value::Hash(BTreeMap::new()), hash).map(|hash| {
                    let pairs = fields.chunks_exact(2);
                    let new =
                        |pair: &&[Bytes]| hash.insert(pair[0].clone(), pair[1].clone()).is_none();
                    count(pairs.filter(new).count())
                })
            }
            ("HGET", [key, field]) => {
                self.found(key, hash).map(|hash| bulk(hash.and_then(|h| h.get(field).cloned())))
            }
            ("HDEL", [key, fields @ ..]) if !fields.is_empty() => {
                self.found(key, hash).map(|hash| {
                    let Some(hash) = hash else { return Reply::Int(0) };
                    let gone = fields.iter().filter_map(|field| hash.remove(field)).count();
                    count(gone)
                })
            }
            ("HLEN", [key]) => self.found(key, hash).map(|hash| count(hash.map_or(0, |h| h.len()))),
            ("HGETALL", [key]) => self.found(key, hash).map(|hash| {
                let pairs = hash.into_iter().flat_map(|hash| hash.iter());
                let items = pairs.flat_map(|(field, value)| [field.clone(), value.clone()]);
                Reply::Array(items.map(Reply::Bulk).collect())
            }),
            _ => return None,
        })
    }

    fn set(&mut self, name: &str, args: &[Bytes]) -> Option<Answer> {
        Some(match (name, args) {
            ("SADD", [key, members @ ..]) if !members.is_empty() => {
                self.made(key, Value::Set(BTreeSet::new()), set).map(|set| {
                    count(members.iter().filter(|member| set.insert(member.to_vec())).count())
                })
            }
            ("SREM", [key, members @ ..]) if !members.is_empty() => {
                self.found(key, set).map(|set| {
                    let Some(set) = set else { return Reply::Int(0) };
                    let gone = members.iter().filter(|member| set.remove(*member)).count();
                    count(gone)
                })
            }
            ("SPOP", [key]) => self.found(key, set).map(|set| {
                let Some(set) = set else { return Reply::Nil };
                let member = set.pop_first();
                bulk(member)
            }),
            ("SCARD", [key]) => self.found(key, set).map(|set| count(set.map_or(0, |s| s.len()))),
            ("SISMEMBER", [key, member]) => self
                .found(key, set)
                .map(|set| Reply::Int(set.is_some_and(|set| set.contains(member)).into())),
            ("SMEMBERS", [key]) => self.found(key, set).map(|set| {
                let members = set.into_iter().flat_map(|set| set.iter().cloned());
                Reply::Array(members.map(Reply::Bulk).collect())
            }),
            _ => return None,
        })
    }
}

fn text(value: &mut Value) -> Option<&mut Bytes> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn list(value: &mut Value) -> Option<&mut VecDeque<Bytes>> {
    if let Value::List(list) = value { Some(list) } else { None }
}

fn hash(value: &mut Value) -> Option<&mut BTreeMap<Bytes, Bytes>> {
    if let Value::Hash(hash) = value { Some(hash) } else { None }
}

fn set(value: &mut Value) -> Option<&mut BTreeSet<Bytes>> {
    if let Value::Set(set) = value { Some(set) } else { None }
}

fn wrong_type() -> String {
    "WRONGTYPE Operation against a key holding the wrong kind of value".into()
}

pub(crate) fn count(n: usize) -> Reply {
    Reply::Int(n as i64)
}

pub(crate) fn bulk(bytes: Option<Bytes>) -> Reply {
    bytes.map_or(Reply::Nil, Reply::Bulk)
}

pub(crate) fn int(text: &Bytes) -> Option<i64> {
    str::from_utf8(text).ok()?.parse().ok()
}
