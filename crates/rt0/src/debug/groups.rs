//! Goroutines with equal stacks, counted; the longest wait is shown. See [`super::Dump::grouped`].
//!
//! Go: pprof.go `writeGoroutine` with debug=1, `countProfile`. In user context: it allocates.

use super::dump::Snapshot;
use super::frame::{Frame, Registers, Symbolised};
use super::json;
use super::print::{self, Detail, Sink};
use super::stacks::{Outcome, Patience, Stack, Tool};
use core::fmt::{self, Result, Write};
use core::panic::Location;
use std::collections::HashMap;

/// Ids of a group that are shown.
const SHOWN_IDS: usize = 10;

/// What makes goroutines equal.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    state: &'static str,
    is_locked: bool,
    labels: Vec<u8>,
    created: Option<&'static Location<'static>>,
    addresses: Vec<usize>,
}

/// One goroutine that stands for all of its group.
struct Group {
    count: usize,
    ids: Vec<u64>,
    first: Snapshot,
    stack: Box<Stack>,
}

pub(super) fn write(out: &mut dyn Write, at: Registers, detail: Detail, is_json: bool) -> Result {
    let mut taken = super::api::tool_with_own(at).ok_or(fmt::Error)?;
    let tool = taken.get();
    let mut groups: HashMap<Key, Group> = HashMap::new();
    let own = crate::tls::getg();
    if let Some(gp) = own {
        let snapshot = Snapshot::running(gp);
        add(&mut groups, tool, snapshot, detail)?;
    }
    let mut patience = Patience::new();
    for gp in super::dump::shown(detail) {
        if own.is_some_and(|own| core::ptr::eq(own, gp)) {
            continue;
        }
        let mut snapshot = None;
        let outcome = tool.goroutine(gp, &mut patience, |gp, status| {
            snapshot = Some(Snapshot::of(gp, status));
        });
        if let Some(snapshot) = snapshot.filter(|_| outcome != Outcome::Gone) {
            add(&mut groups, tool, snapshot, detail)?;
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|g| (core::cmp::Reverse(g.count), g.ids.first().copied()));
    for (i, group) in groups.into_iter().enumerate() {
        tool.stack = *group.stack;
        if is_json {
            write!(out, "{{\"count\":{},\"ids\":{:?},", group.count, group.ids)?;
            json::goroutine(out, tool, &group.first, detail)?;
            continue;
        }
        if i > 0 {
            out.write_str("\n")?;
        }
        if group.count > 1 {
            writeln!(out, "{} goroutines like this, {:?}:", group.count, group.ids)?;
        }
        group.first.header(out, detail)?;
        print::stack(out, tool, detail)?;
        group.first.created_by(out)?;
    }
    Ok(())
}

fn add(
    groups: &mut HashMap<Key, Group>,
    tool: &mut Tool,
    snapshot: Snapshot,
    detail: Detail,
) -> Result {
    let mut shown = Addresses(Vec::new());
    print::each(&mut tool.names, &tool.stack, detail, &mut shown)?;
    let key = Key {
        state: snapshot.state,
        is_locked: snapshot.is_locked,
        labels: snapshot.labels.bytes().to_vec(),
        created: snapshot.created,
        addresses: shown.0,
    };
    let (id, minutes) = (snapshot.id, snapshot.minutes);
    let group = groups.entry(key).or_insert_with(|| Group {
        count: 0,
        ids: Vec::new(),
        first: snapshot,
        stack: Box::new(tool.stack),
    });
    group.count += 1;
    group.first.minutes = group.first.minutes.max(minutes);
    if group.ids.len() < SHOWN_IDS {
        group.ids.push(id);
    }
    Ok(())
}

/// The frames that are shown: the runtime's own may differ.
struct Addresses(Vec<usize>);

impl Sink for Addresses {
    fn function(&mut self, _: &Symbolised, at: &Frame) -> Result {
        self.0.push(at.pc);
        Ok(())
    }

    fn elided(&mut self, n: usize) -> Result {
        self.0.push(n);
        Ok(())
    }
}
