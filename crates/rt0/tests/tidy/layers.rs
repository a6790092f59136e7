//! Which module of the runtime may import which: its own layer or a lower one.

use super::source::Source;

/// Each module of `crates/rt0/src` and its layer. An entry `a/b` overrides `a` for that submodule.
/// A file that is not below any entry fails the test: give it a layer here.
const LAYERS: &[(&str, u32)] = &[
    // L0: the system, locks, the end, knobs.
    ("atomic", 0),
    ("sys", 0),
    ("lock", 0),
    ("throw", 0),
    ("debug/vars", 0),
    ("debug/ms", 0),
    // L1: the runtime's memory and registries; protocols, which models check on loom's atomics.
    ("lock/mutex/word", 0),
    ("malloc", 1),
    ("itab", 1),
    ("g/park_state", 1),
    ("g/ticket", 1),
    ("p/owner", 1),
    ("sched/runq", 1),
    ("sched/starters", 1),
    ("sched/spinning", 1),
    ("sched/newm/nap", 1),
    ("sched/deadlock/moment", 1),
    ("g/fresh", 1),
    ("sched/need_p", 1),
    ("sched/sigqueue/pending", 1),
    ("sched/census", 1),
    ("m/request", 1),
    ("m/halt", 1),
    ("m/still", 1),
    ("sched/stop_the_world/world", 1),
    ("g/key", 1),
    ("sema/queue", 1),
    ("sema/lot", 1),
    ("sync/raw", 1),
    ("netpoll/poller", 1),
    ("netpoll/gate", 1),
    ("join/state", 1),
    ("chan/alarm", 1),
    ("chan/lock", 1),
    ("chan/place", 1),
    ("chan/queue", 1),
    ("chan/core", 1),
    ("scope/running", 1),
    // L2: the structs and their status; assembly, which knows their offsets.
    ("g", 2),
    ("m", 2),
    ("p", 2),
    ("time/batch", 2),
    ("time/first", 2),
    ("time/heap", 2),
    ("arch", 2),
    // L3: what a goroutine stands on.
    ("tls", 3),
    ("stack", 3),
    ("m/minit", 3),
    // L4: who runs when, and the timers that are part of that question.
    ("sched", 4),
    ("time", 4),
    ("time/func", 5),
    ("time/timer", 5),
    ("time/timeout", 5),
    ("netpoll", 4),
    ("debug", 4),
    ("interpose", 4),
    ("sema", 4),
    // L5: what goroutines share.
    ("goroutine", 5),
    ("join", 5),
    ("scope", 5),
    ("thread", 5),
    ("chan", 5),
    ("select", 5),
    ("sync", 5),
    ("context", 5),
    ("future", 5),
    // L6: std-shaped.
    ("net", 6),
    ("fs", 6),
    ("process", 6),
    ("os", 6),
    ("signal", 6),
    ("io", 6),
    // L7: nothing imports boot but the crate's root.
    ("boot", 7),
    ("api", 8),
    ("models", 9),
];

/// Imports that point up all the same: file, module, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("atomic.rs", "models", "under loom a model says which fault is planted"),
    ("lock/mutex.rs", "tls/ranks", "debug builds note the ranks of held locks in the M"),
    ("throw.rs", "debug", "the end of the process shows what it can"),
    ("throw.rs", "stack/names", "the end of the process shows what it can"),
    ("throw.rs", "arch/here", "the end of the process shows where it is"),
    ("arch/x86_64/switch.rs", "sched/goexit", "the root frame of a goroutine calls the scheduler"),
    ("arch/x86_64/preempt.rs", "sched/preempt", "the trampoline calls the scheduler"),
    ("process.rs", "boot/exit", "std has `exit` in `process`"),
    ("stack/overflow.rs", "debug", "the report of an overflow shows the goroutine"),
];

pub(super) fn check(source: &Source, broken: &mut Vec<String>) {
    let Some(file) = source.path.strip_prefix("crates/rt0/src/") else { return };
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if module == "lib" {
        return;
    }
    let Some(own) = layer(module) else {
        broken.push(format!("{}: no layer; see tests/tidy/layers.rs", source.path));
        return;
    };
    for (line, import) in imports(source, module) {
        let excepted = EXCEPTIONS.iter().any(|(f, m, _)| *f == file && import.starts_with(m));
        match layer(&import) {
            Some(other) if other <= own || excepted => {}
            Some(other) => broken.push(format!(
                "{}:{line}: layer {own} imports crate::{} of layer {other}",
                source.path,
                import.replace('/', "::")
            )),
            None => broken.push(format!(
                "{}:{line}: `{import}` is not a module; import from where it is defined",
                source.path
            )),
        }
    }
}

/// The layer of `a/b/c`: that of the longest entry which is a prefix of it.
fn layer(module: &str) -> Option<u32> {
    LAYERS
        .iter()
        .filter(|(entry, _)| {
            module.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .max_by_key(|(entry, _)| entry.len())
        .map(|(_, layer)| *layer)
}

/// Every `crate::a::b` in the code, as `a/b`, with its line; so also `super::` chains to the root.
fn imports(source: &Source, module: &str) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(module.split('/').count());
    let mut found = Vec::new();
    for prefix in ["crate::", to_root.as_str()] {
        for (at, _) in source.code.match_indices(prefix) {
            let before = source.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = source.code[..at].matches('\n').count() + 1;
            // `$crate` in an exported macro is a path of the user's, through the crate's root.
            if source.code[..at].ends_with('$') {
                continue;
            }
            for import in heads(&source.code[at + prefix.len()..]) {
                // In a chain of `super`, a name that is no module is the file's own (`mod tests`).
                if prefix == "crate::" || layer(&import).is_some() {
                    found.push((line, import));
                }
            }
        }
    }
    found
}

/// The first two segments of each path that `rest` starts with: one, or a `{group}` of them.
fn heads(rest: &str) -> Vec<String> {
    if !rest.starts_with('{') {
        return vec![head(rest)];
    }
    let (mut depth, mut heads, mut start) = (0, Vec::new(), 1);
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            heads.push(head(rest[start..i].trim()));
            start = i + 1;
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty() && head != "self");
    heads
}

fn head(path: &str) -> String {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let path = path[..end.unwrap_or(path.len())].trim_end_matches(':');
    path.split("::").take(2).collect::<Vec<_>>().join("/")
}
