//! Init tasks: what packages do before main.
//!
//! Go: proc.go `doInit`, `doInit1`; the linker orders packages by their imports. Rust has no
//! life before main; a crate that wants to set something up registers a task with a name and an
//! order, and the runtime runs the tasks on goroutine 1 before `main`:
//!
//! ```
//! rt0::init_task! { name: "metrics", order: 10, run: || { /* open the registry */ } }
//! ```
//! `GODEBUG=inittrace=1` prints a line for each. Tasks of one order run by name. A task that panics
//! ends the process as a panic in `main` does.

use crate::atomic::{AtomicRef, AtomicU32, Ordering};
use crate::debug::ms::Ms;
use crate::sys::{nanotime, stderr::rtprint};

/// A registered task. Made by [`init_task!`](crate::init_task).
#[doc(hidden)]
pub struct InitTask {
    name: &'static str,
    order: i32,
    run: fn(),
    /// Go's states: 0 not run, 1 running, 2 done.
    state: AtomicU32,
    next: AtomicRef<InitTask>,
}

impl InitTask {
    #[doc(hidden)]
    pub const fn new(name: &'static str, order: i32, run: fn()) -> InitTask {
        InitTask { name, order, run, state: AtomicU32::new(0), next: AtomicRef::none() }
    }

    fn key(&self) -> (i32, &'static str) {
        (self.order, self.name)
    }
}

static TASKS: AtomicRef<InitTask> = AtomicRef::none();

/// Called by the constructors that [`init_task!`](crate::init_task) plants.
#[doc(hidden)]
pub fn register(task: &'static InitTask) {
    loop {
        // ORDERING: pairs with tasks
        let head = TASKS.load(Ordering::Acquire);
        task.next.set(head);
        if TASKS.compare_exchange(head, Some(task)) {
            return;
        }
    }
}

fn tasks() -> impl Iterator<Item = &'static InitTask> {
    // ORDERING: pairs with register
    core::iter::successors(TASKS.load(Ordering::Acquire), |t| t.next.get())
}

/// Runs the registered tasks that have not run, by order and name; a library that a task loads may
/// add more. Go: doInit(main_inittask).
pub(crate) fn do_init_main() {
    // Selection by key: a handful of tasks, and nothing allocated.
    // ORDERING: goroutine 1 alone runs tasks
    let todo = |t: &&'static InitTask| t.state.load(Ordering::Relaxed) == 0;
    while let Some(task) = tasks().filter(todo).min_by_key(|t| t.key()) {
        do_init1(task);
    }
}

/// Go: doInit1.
fn do_init1(task: &'static InitTask) {
    // ORDERING: goroutine 1 alone runs tasks
    if task.state.swap(1, Ordering::Relaxed) == 1 {
        crate::throw::throw("recursive call during initialization - linker skew");
    }
    do_init(task.name, task.run);
    task.state.store(2, Ordering::Relaxed); // ORDERING: goroutine 1 alone runs tasks
}

/// Runs one piece of initialisation and prints Go's line for it if asked to. Bytes and allocations
/// are those of the runtime's slabs; it does not see the program's allocator.
pub(crate) fn do_init(name: &str, run: impl FnOnce()) {
    if crate::debug::vars::get().inittrace.get() <= 0 {
        return run();
    }
    let (start, before) = (nanotime(), crate::malloc::stats());
    run();
    let (end, after) = (nanotime(), crate::malloc::stats());
    rtprint!(
        "init {name} @{} ms, {} ms clock, {} bytes, {} allocs\n",
        Ms(start - crate::debug::vars::runtime_init_time()),
        Ms(end - start),
        after.0 - before.0,
        after.1 - before.1
    );
}

/// Registers something to do before `main`, on goroutine 1, once. At module level.
///
/// `order` sorts tasks across crates (lower first), `name` breaks ties and appears in
/// `GODEBUG=inittrace=1`. Go: a package's `init` function.
#[macro_export]
macro_rules! init_task {
    (name: $name:literal, order: $order:literal, run: $run:expr $(,)?) => {
        const _: () = {
            static TASK: $crate::__private::InitTask =
                $crate::__private::InitTask::new($name, $order, $run);
            extern "C" fn construct() {
                $crate::__private::register_init_task(&TASK);
            }
            $crate::__private::constructor!(construct);
        };
    };
}
