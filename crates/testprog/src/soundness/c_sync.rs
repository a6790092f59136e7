//! pthread mutexes that know their owner, and pthread keys.

#![allow(unsafe_code, reason = "pthread_mutex_t and pthread_key_t are C interfaces")]

use super::harness::{goroutines, hop, hops, wait_until};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A pthread mutex. It stays where it is, for others may wait on its address.
struct CMutex(Box<UnsafeCell<libc::pthread_mutex_t>>);

// SAFETY: a mutex is made for use by several threads.
unsafe impl Sync for CMutex {}

impl CMutex {
    fn new(kind: c_int) -> CMutex {
        let mutex = CMutex(Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER)));
        let mut attr = MaybeUninit::<libc::pthread_mutexattr_t>::zeroed();
        // SAFETY: the call initialises the attribute object.
        unsafe { libc::pthread_mutexattr_init(attr.as_mut_ptr()) };
        // SAFETY: initialised; `kind` is one of libc's.
        unsafe { libc::pthread_mutexattr_settype(attr.as_mut_ptr(), kind) };
        // SAFETY: nobody uses the mutex yet.
        let status = unsafe { libc::pthread_mutex_init(mutex.0.get(), attr.as_ptr()) };
        assert_eq!(status, 0);
        mutex
    }

    fn lock(&self) -> c_int {
        // SAFETY: an initialised mutex.
        unsafe { libc::pthread_mutex_lock(self.0.get()) }
    }

    fn unlock(&self) -> c_int {
        // SAFETY: an initialised mutex, of a kind that refuses when the caller does not hold it.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) }
    }
}

/// Its owner is a goroutine: it locks again after a move, nobody else gets in.
pub(crate) fn recursive_mutex() {
    struct Shared(CMutex, Cell<usize>);
    // SAFETY: the cell is used under the mutex only.
    unsafe impl Sync for Shared {}
    let shared = Shared(CMutex::new(libc::PTHREAD_MUTEX_RECURSIVE), Cell::new(0));
    let shared = &shared;
    goroutines(10, |_| {
        for _ in 0..3 {
            assert_eq!(shared.0.lock(), 0);
            hop();
            assert_eq!(shared.0.lock(), 0);
            let before = shared.1.get();
            hop();
            shared.1.set(before + 1);
            assert_eq!(shared.0.unlock(), 0);
            hop();
            assert_eq!(shared.0.unlock(), 0);
        }
    });
    assert_eq!(shared.1.get(), 30);
}

/// The owner is told of its second lock, others that they do not own it.
pub(crate) fn errorcheck_mutex() {
    let mutex = CMutex::new(libc::PTHREAD_MUTEX_ERRORCHECK);
    let (held, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (turn, turns) = rt0::chan::bounded(0);
    let (end, ends) = rt0::chan::bounded(1);
    goroutines(9, |i| {
        if i > 0 {
            wait_until("the mutex is held", || held.load(SeqCst) == 1);
            let mut told = [mutex.unlock(), 0, 0];
            hop();
            turns.recv().expect("the owner has a turn for each");
            told[1] = mutex.unlock();
            end.send(()).expect("the owner waits");
            hop();
            told[2] = mutex.unlock();
            tried.fetch_add(1, SeqCst);
            assert_eq!(told, [libc::EPERM; 3]);
            return;
        }
        assert_eq!(mutex.lock(), 0);
        held.store(1, SeqCst);
        // Who is woken runs next on the waker's P, once that waits: on the owner's own thread,
        // where goroutines that share its TLS are taken for the owner. By yields alone the owner
        // can stay on one thread and all others on the other.
        for _ in 1..9 {
            turn.send(()).expect("they wait for their turns");
            ends.recv().expect("they answer");
        }
        wait_until("all others have tried", || {
            assert_eq!(mutex.lock(), libc::EDEADLK);
            tried.load(SeqCst) == 8
        });
        assert_eq!(mutex.unlock(), 0);
        assert_eq!(mutex.unlock(), libc::EPERM);
    });
}

static DESTROYED: AtomicUsize = AtomicUsize::new(0);
static DESTROYED_SUM: AtomicUsize = AtomicUsize::new(0);

extern "C" fn destroy(value: *mut c_void) {
    hop();
    DESTROYED_SUM.fetch_add(value.addr(), SeqCst);
    DESTROYED.fetch_add(1, SeqCst);
}

struct Key(libc::pthread_key_t);

impl Key {
    fn new() -> Key {
        let mut key = 0;
        // SAFETY: a valid place for the key; the destructor takes any value.
        let status = unsafe { libc::pthread_key_create(&mut key, Some(destroy_unsafe)) };
        assert_eq!(status, 0);
        Key(key)
    }

    fn get(&self) -> usize {
        // SAFETY: a key that exists.
        unsafe { libc::pthread_getspecific(self.0) }.addr()
    }

    fn set(&self, value: usize) {
        let value = std::ptr::without_provenance::<c_void>(value);
        // SAFETY: a key that exists; its destructor takes any value.
        let status = unsafe { libc::pthread_setspecific(self.0, value) };
        assert_eq!(status, 0);
    }
}

/// libc's type for a destructor is unsafe to call.
unsafe extern "C" fn destroy_unsafe(value: *mut c_void) {
    destroy(value);
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: a key that exists; the goroutines that used it are dead, destructors included.
        unsafe { libc::pthread_key_delete(self.0) };
    }
}

/// Values are a goroutine's own, null at first, and destroyed once each when it ends.
pub(crate) fn keys_with_destructor() {
    const MANY: usize = 100;
    DESTROYED.store(0, SeqCst);
    DESTROYED_SUM.store(0, SeqCst);
    let keys: [Key; 3] = std::array::from_fn(|_| Key::new());
    goroutines(MANY, |i| {
        for (k, key) in keys.iter().enumerate() {
            assert_eq!(key.get(), 0);
            key.set(1 + i + k);
        }
        hops(3);
        for (k, key) in keys.iter().enumerate() {
            assert_eq!(key.get(), 1 + i + k);
        }
    });
    wait_until("every value is destroyed", || DESTROYED.load(SeqCst) >= 3 * MANY);
    hops(10);
    assert_eq!(DESTROYED.load(SeqCst), 3 * MANY);
    let one_key: usize = (1..=MANY).sum();
    assert_eq!(DESTROYED_SUM.load(SeqCst), 3 * one_key + 3 * MANY);
}
