//! Which types implement which traits, for values whose type is not known.
//!
//! Go: type.go `typelinksinit`, iface.go `itabsinit`, `getitab`, `assertE2I`. Go's compiler emits
//! the tables; Rust has none, so a program registers what it wants found:
//!
//! ```
//! use std::fmt::Display;
//! struct Celsius(f32);
//! impl Display for Celsius {
//!     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
//!         write!(f, "{} °C", self.0)
//!     }
//! }
//! rt0::register_itab!(Celsius: dyn Display);
//!
//! let any: Box<dyn std::any::Any> = Box::new(Celsius(21.5));
//! let shown: &dyn Display = rt0::assert_itab::<dyn Display>(&*any).expect("registered above");
//! assert_eq!(shown.to_string(), "21.5 °C");
//! ```
//! A panic payload whose type is registered as `dyn Display` or `dyn Debug` is printed by it.
//!
//! # Invariants
//! * `IT1`: an `Itab`'s `cast` is a `fn(&dyn Any) -> Option<&D>` for the `D` whose id is `inter`.

#![allow(unsafe_code, reason = "IT1: recovers a function's type by a type id")]

use crate::atomic::{AtomicRef, AtomicUsize, Ordering};
use crate::sys::hash::memhash64;
use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};

/// One implementation: `type_id` implements the trait `inter`. Made by [`register_itab!`].
#[doc(hidden)]
pub struct Itab {
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) inter: fn() -> TypeId,
    pub(crate) type_name: fn() -> &'static str,
    cast: *const (),
    next: AtomicRef<Itab>,
}

// SAFETY: functions and an atomic link.
unsafe impl Sync for Itab {}

/// A cast to the trait object `D`.
#[doc(hidden)]
pub(crate) type Cast<D> = for<'a> fn(&'a dyn Any) -> Option<&'a D>;

impl Itab {
    #[doc(hidden)]
    pub const fn new<T: 'static, D: ?Sized + 'static>(
        cast: for<'a> fn(&'a dyn Any) -> Option<&'a D>,
    ) -> Itab {
        Itab {
            type_id: TypeId::of::<T>,
            inter: TypeId::of::<D>,
            type_name: std::any::type_name::<T>,
            cast: cast as *const (),
            next: AtomicRef::none(),
        }
    }
}

/// Registrations, newest first: constructors of the loaded images push here, before main.
static TYPELINKS: AtomicRef<Itab> = AtomicRef::none();

/// Adds a registration; called by the constructors that [`register_itab!`] plants.
#[doc(hidden)]
pub fn register(itab: &'static Itab) {
    loop {
        // ORDERING: pairs with typelinks
        let head = TYPELINKS.load(Ordering::Acquire);
        itab.next.set(head);
        if TYPELINKS.compare_exchange(head, Some(itab)) {
            return;
        }
    }
}

/// Every registration. Go: typelinks.
fn typelinks() -> impl Iterator<Item = &'static Itab> {
    // ORDERING: pairs with register
    core::iter::successors(TYPELINKS.load(Ordering::Acquire), |t| t.next.get())
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Counts the types and finds double registrations, which would make a lookup's answer depend on
/// link order. Go: typelinksinit removes duplicates between modules.
pub(crate) fn typelinksinit() {
    let mut n = 0;
    for t in typelinks() {
        n += 1;
        let twice = core::iter::successors(t.next.get(), |u| u.next.get())
            .any(|u| (u.type_id)() == (t.type_id)() && (u.inter)() == (t.inter)());
        if twice {
            crate::throw::fatal_with(
                format_args!(
                    "register_itab!: {} is registered twice for one trait",
                    (t.type_name)()
                ),
                "duplicate itab",
            );
        }
    }
    COUNT.store(n, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// The open-addressing table: addresses of Itabs. Go: itabTable.
static TABLE: AtomicUsize = AtomicUsize::new(0);
static TABLE_LEN: AtomicUsize = AtomicUsize::new(0);

struct OneWord(u64);

impl Hasher for OneWord {
    fn finish(&self) -> u64 {
        memhash64(self.0)
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = self.0.rotate_left(29) ^ v;
    }
}

fn hash(ty: TypeId, inter: TypeId) -> usize {
    let mut h = OneWord(0);
    ty.hash(&mut h);
    inter.hash(&mut h);
    h.finish() as usize
}

/// Builds the hash table of all registrations. Go: itabsinit.
pub(crate) fn itabsinit() {
    let n = COUNT.load(Ordering::Relaxed); // ORDERING: boot, one thread
    if n == 0 {
        return;
    }
    let len = (n * 2).next_power_of_two();
    let table = crate::malloc::immortal_words(len);
    for t in typelinks() {
        let mut i = hash((t.type_id)(), (t.inter)()) & (len - 1);
        while table[i].load(Ordering::Relaxed) != 0 {
            // ORDERING: boot, one thread
            i = (i + 1) & (len - 1);
        }
        // ORDERING: boot, one thread
        table[i].store(core::ptr::from_ref(t) as usize, Ordering::Relaxed);
    }
    TABLE_LEN.store(len, Ordering::Relaxed); // ORDERING: published by TABLE
    TABLE.store(table.as_ptr() as usize, Ordering::Release); // ORDERING: pairs with getitab
}

/// Go: getitab. Before boot, and for libraries loaded later, the list is searched.
fn getitab(ty: TypeId, inter: TypeId) -> Option<&'static Itab> {
    // ORDERING: pairs with itabsinit
    let table = TABLE.load(Ordering::Acquire) as *const AtomicUsize;
    if !table.is_null() {
        let len = TABLE_LEN.load(Ordering::Relaxed); // ORDERING: published by TABLE
        // SAFETY: itabsinit stored a table of `len` words that lives for ever.
        let table = unsafe { core::slice::from_raw_parts(table, len) };
        let mut i = hash(ty, inter) & (len - 1);
        loop {
            // ORDERING: published by TABLE
            let p = table[i].load(Ordering::Relaxed) as *const Itab;
            if p.is_null() {
                break;
            }
            // SAFETY: itabsinit stored addresses of `'static` registrations.
            let t = unsafe { &*p };
            if (t.type_id)() == ty && (t.inter)() == inter {
                return Some(t);
            }
            i = (i + 1) & (len - 1);
        }
    }
    typelinks().find(|t| (t.type_id)() == ty && (t.inter)() == inter)
}

/// The value as `&D`, if its type was registered for the trait object type `D` by
/// [`register_itab!`](crate::register_itab).
///
/// Never blocks. Go: the type assertion `v.(I)`, `assertE2I`.
pub fn assert_itab<D: ?Sized + 'static>(value: &dyn Any) -> Option<&D> {
    let itab = getitab(value.type_id(), TypeId::of::<D>())?;
    // SAFETY: IT1: `inter` is D's id, so `cast` is a `Cast<D>`.
    let cast = unsafe { core::mem::transmute::<*const (), Cast<D>>(itab.cast) };
    cast(value)
}

/// Registers that a type implements a trait, so that [`assert_itab`](crate::assert_itab) finds it
/// and panic reports print it. At module level: `rt0::register_itab!(MyError: dyn
/// std::fmt::Display);`
#[macro_export]
macro_rules! register_itab {
    ($t:ty : $d:ty) => {
        const _: () = {
            // By its own name the object's lifetime is 'static, not the reference's.
            type Trait = $d;
            fn cast(v: &dyn ::std::any::Any) -> ::std::option::Option<&Trait> {
                v.downcast_ref::<$t>().map(|v| v as &Trait)
            }
            static ITAB: $crate::__private::Itab = $crate::__private::Itab::new::<$t, Trait>(cast);
            extern "C" fn construct() {
                $crate::__private::register_itab(&ITAB);
            }
            $crate::__private::constructor!(construct);
        };
    };
}

/// Plants a function to be called when the image is loaded.
///
/// `.init_array` works with every linker, in static and position-independent programs and in
/// libraries, and is never garbage-collected: sections found by `__start_` symbols are, by lld.
#[doc(hidden)]
#[macro_export]
macro_rules! __rt0_constructor {
    ($f:path) => {
        #[used]
        // SAFETY: the section holds pointers to `extern "C" fn()`, and this is one.
        #[unsafe(link_section = ".init_array")]
        static CONSTRUCT: extern "C" fn() = $f;
    };
}
