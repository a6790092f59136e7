//! sched/newm/nap.rs: the template thread does not sleep while a request is in the list.
//!
//! Covers: one and two requesters against the sleeper's going to sleep, its waking and its next
//! sleep, with the real note. Abstracts away: the making of threads, and `sched.lock` (loom's mutex
//! here; models/mutex.rs has the runtime's).

use super::{check, leak, must_catch};
use crate::sched::newm::nap::Nap;
use loom::sync::Mutex;
use loom::thread;

struct World {
    nap: Nap,
    /// Requests in the list.
    list: Mutex<usize>,
}

impl World {
    fn request(&self) {
        *self.list.lock().expect("nobody panics") += 1;
        self.nap.requested();
    }

    /// The template thread, until it has served `n` requests: a request that it misses is a
    /// deadlock.
    fn serve(&self, n: usize) {
        let mut served = 0;
        while served < n {
            {
                let mut list = self.list.lock().expect("nobody panics");
                if *list > 0 {
                    *list -= 1;
                    served += 1;
                    continue;
                }
            }
            self.nap.sleep_if(|| *self.list.lock().expect("nobody panics") == 0);
        }
    }
}

fn world() -> &'static World {
    leak(World { nap: Nap::new(), list: Mutex::new(0) })
}

fn one_requester() {
    let w = world();
    let requester = thread::spawn(|| {
        w.request();
        w.request();
    });
    w.serve(2);
    requester.join().expect("it does not panic");
}

fn two_requesters() {
    let w = world();
    let requesters = [(); 2].map(|()| thread::spawn(|| w.request()));
    w.serve(2);
    for r in requesters {
        r.join().expect("it does not panic");
    }
}

#[test]
fn no_request_is_left_while_it_sleeps() {
    check(one_requester);
    check(two_requesters);
}

#[test]
fn catches_a_look_before_the_mark() {
    must_catch("nap.look_first", one_requester);
}

#[test]
fn catches_a_mark_that_stays() {
    must_catch("nap.keep", one_requester);
}
