//! Crates that keep state per thread and know nothing of goroutines.

use super::harness::{goroutines, hop};
use rand::RngCore;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, Once};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// A `ThreadRng` is an `Rc` to its thread's generator: it must stay that of this goroutine.
pub(crate) fn rand_rng() {
    let seen = Mutex::new(HashSet::new());
    goroutines(100, |_| {
        let mut rng = rand::rng();
        let mut numbers = Vec::new();
        for _ in 0..50 {
            numbers.push(rng.next_u64());
            let again = rng.clone();
            hop();
            drop(again);
        }
        let mut seen = seen.lock().expect("no panic under it");
        assert!(numbers.into_iter().all(|n| seen.insert(n)), "a random number came twice");
    });
}

static EVENTS: AtomicUsize = AtomicUsize::new(0);
static MISPLACED: AtomicUsize = AtomicUsize::new(0);

/// Looks at each event: is it in the span whose id it carries, two spans deep?
struct Placement;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Placement {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut wanted = Wanted(0);
        event.record(&mut wanted);
        let span = context.lookup_current().map_or(0, |span| span.id().into_u64());
        let depth = context.event_scope(event).map_or(0, Iterator::count);
        EVENTS.fetch_add(1, SeqCst);
        if span != wanted.0 || depth != 2 {
            MISPLACED.fetch_add(1, SeqCst);
        }
    }
}

struct Wanted(u64);

impl Visit for Wanted {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "wanted" {
            self.0 = value;
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Spans entered over yields: each goroutine has a stack of them of its own.
pub(crate) fn tracing_spans() {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| tracing_subscriber::registry().with(Placement).init());
    EVENTS.store(0, SeqCst);
    goroutines(100, |_| {
        for _ in 0..10 {
            let outer = tracing::info_span!("outer");
            let _in_outer = outer.enter();
            hop();
            let inner = tracing::info_span!("inner");
            let _in_inner = inner.enter();
            hop();
            tracing::info!(wanted = inner.id().map_or(0, |id| id.into_u64()));
        }
    });
    assert_eq!(EVENTS.load(SeqCst), 1000);
    assert_eq!(MISPLACED.load(SeqCst), 0, "events in another goroutine's span");
}
