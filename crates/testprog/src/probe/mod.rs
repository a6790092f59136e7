//! Behaviours of std that a runtime underneath could change: `stdprobe` and `rt0probe` run the one
//! that their first argument names, and tests/std_behaviours.rs compares what they print and how
//! they end. The first is a plain program; nothing here may mention rt0.

mod crash;
mod exit;
mod input;
mod process;
mod thread;

use std::process::ExitCode;

/// What main returns: a status, or an error that std prints.
pub(crate) type Ending = Result<ExitCode, String>;

type Behaviour = (&'static str, fn() -> Ending);

const BEHAVIOURS: &[Behaviour] = &[
    ("args", input::args),
    ("env", input::env),
    ("stdin", input::stdin),
    ("stdin-lock", input::stdin_lock),
    ("exe", input::exe),
    ("cwd", input::cwd),
    ("fds", input::fds),
    ("signals", input::signals),
    ("float", input::float),
    ("dns", input::dns),
    ("ctor", input::ctor),
    ("noflush", exit::noflush),
    ("exitflush", exit::exitflush),
    ("exit-in-thread", exit::exit_in_thread),
    ("err", exit::err),
    ("code", exit::code),
    ("atexit", exit::atexit),
    ("tls", exit::tls),
    ("tnodtor", exit::tnodtor),
    ("stdout-lock-held", exit::stdout_lock_held),
    ("name", thread::name),
    ("threads", thread::threads),
    ("park", thread::park),
    ("sleep", thread::sleep),
    ("deep", thread::deep),
    ("panic", crash::panic),
    ("panic-any", crash::panic_any),
    ("panic-in-drop", crash::panic_in_drop),
    ("panic-tls", crash::panic_tls),
    ("hook", crash::hook),
    ("threadpanic", crash::threadpanic),
    ("catch", crash::catch),
    ("bt", crash::bt),
    ("bt-panic", crash::panic),
    ("overflow", crash::overflow),
    ("main-overflow", crash::main_overflow),
    ("segv", crash::segv),
    ("abort", crash::abort),
    ("cmd", process::cmd),
    ("pre-exec", process::pre_exec),
    ("exec", process::exec),
    ("sigpipe", process::sigpipe),
    ("epipe", process::epipe),
];

pub(crate) fn run() -> Ending {
    let name = std::env::args_os().nth(1).unwrap_or_default();
    match BEHAVIOURS.iter().find(|(known, _)| name == *known) {
        Some((_, behave)) => behave(),
        None => {
            BEHAVIOURS.iter().for_each(|(known, _)| println!("{known}"));
            Ok(ExitCode::from(64))
        }
    }
}

fn done() -> Ending {
    Ok(ExitCode::SUCCESS)
}
