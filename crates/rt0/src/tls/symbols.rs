//! The few glibc internals that goroutine-local TLS needs.
//!
//! In a dynamic program they are looked up at run time, so that a libc without one of them gives an
//! error and not a program that does not load; a static program binds them when it is linked. The
//! `_thread_db_*` words are glibc's own description of `struct pthread` for debuggers: (size in
//! bits, count, byte offset).
//!
//! # Safety
//! * `SY1`: each address has the type that glibc 2.31–2.41 gives the symbol.

#![allow(unsafe_code, reason = "SY1: glibc's private symbols")]

use core::ffi::c_void;

/// Addresses and offsets within this process's glibc.
pub(crate) struct Symbols {
    pub(crate) allocate_tls: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(crate) ctype_init: unsafe extern "C" fn(),
    pub(crate) call_tls_dtors: unsafe extern "C" fn(),
    pub(crate) thread_freeres: Option<unsafe extern "C" fn()>,
    pub(crate) res_state: unsafe extern "C" fn() -> *mut c_void,
    /// `__pthread_keys`: (sequence, destructor) pairs.
    pub(crate) keys: *const [usize; 2],
    pub(crate) static_size: usize,
    pub(crate) static_align: usize,
    pub(crate) pthread_size: usize,
    pub(crate) tid_off: usize,
    pub(crate) list_off: usize,
    pub(crate) specific_off: usize,
    pub(crate) rseq_off: isize,
}

// SAFETY: SY1: functions and constants of the process.
unsafe impl Send for Symbols {}
// SAFETY: SY1: functions and constants; `keys` is only read, by pthread_key_create's rules.
unsafe impl Sync for Symbols {}

#[cfg(not(target_feature = "crt-static"))]
fn find(name: &'static core::ffi::CStr) -> usize {
    // SAFETY: both strings are C strings; the result is only compared and stored.
    let p =
        unsafe { libc::dlvsym(core::ptr::null_mut(), name.as_ptr(), c"GLIBC_PRIVATE".as_ptr()) };
    if !p.is_null() {
        return p as usize;
    }
    // SAFETY: both strings are C strings; the result is only compared and stored.
    unsafe { libc::dlsym(core::ptr::null_mut(), name.as_ptr()) as usize }
}

#[cfg(target_feature = "crt-static")]
fn find(name: &'static core::ffi::CStr) -> usize {
    unsafe extern "C" {
        fn _dl_allocate_tls();
        fn _dl_get_tls_static_info();
        fn __ctype_init();
        fn __call_tls_dtors();
        fn __libc_thread_freeres();
        fn __res_state();
        static __pthread_keys: usize;
        static _thread_db_sizeof_pthread: u32;
        static _thread_db_pthread_tid: u32;
        static _thread_db_pthread_list: u32;
        static _thread_db_pthread_specific: u32;
        static __rseq_offset: isize;
    }
    match name.to_bytes() {
        b"_dl_allocate_tls" => _dl_allocate_tls as *const () as usize,
        b"_dl_get_tls_static_info" => _dl_get_tls_static_info as *const () as usize,
        b"__ctype_init" => __ctype_init as *const () as usize,
        b"__call_tls_dtors" => __call_tls_dtors as *const () as usize,
        b"__libc_thread_freeres" => __libc_thread_freeres as *const () as usize,
        b"__res_state" => __res_state as *const () as usize,
        b"__pthread_keys" => &raw const __pthread_keys as usize,
        b"_thread_db_sizeof_pthread" => &raw const _thread_db_sizeof_pthread as usize,
        b"_thread_db_pthread_tid" => &raw const _thread_db_pthread_tid as usize,
        b"_thread_db_pthread_list" => &raw const _thread_db_pthread_list as usize,
        b"_thread_db_pthread_specific" => &raw const _thread_db_pthread_specific as usize,
        b"__rseq_offset" => &raw const __rseq_offset as usize,
        _ => 0,
    }
}

/// Casts a symbol's address to its function type.
macro_rules! func {
    ($name:literal as $t:ty) => {{
        match find($name) {
            0 => return Err(concat!("libc has no symbol ", stringify!($name))),
            // SAFETY: SY1.
            p => unsafe { core::mem::transmute::<usize, $t>(p) },
        }
    }};
}

/// Reads word `i` of a `_thread_db_` description.
fn db_word(name: &'static core::ffi::CStr, i: usize) -> Result<usize, &'static str> {
    match find(name) {
        0 => Err("libc lacks its _thread_db_ description of struct pthread"),
        // SAFETY: SY1: an array of at least i + 1 words.
        p => Ok(unsafe { (p as *const u32).wrapping_add(i).read() } as usize),
    }
}

/// Whether the process has never had another thread. Not known of static programs, nor before
/// glibc 2.32.
pub(super) fn is_single_threaded() -> bool {
    match find(c"__libc_single_threaded") {
        0 => false,
        // SAFETY: SY1: a byte, which libc writes when a thread is made; this one makes none now.
        p => unsafe { (p as *const u8).read_volatile() != 0 },
    }
}

impl Symbols {
    pub(crate) fn find() -> Result<Symbols, &'static str> {
        let static_info =
            func!(c"_dl_get_tls_static_info" as unsafe extern "C" fn(*mut usize, *mut usize));
        let (mut size, mut align) = (0, 0);
        // SAFETY: SY1: it writes the two words.
        unsafe { static_info(&mut size, &mut align) };
        let keys = match find(c"__pthread_keys") {
            0 => return Err("libc has no symbol __pthread_keys"),
            p => p as *const [usize; 2],
        };
        let rseq_off = match find(c"__rseq_offset") {
            0 => 0, // glibc before 2.35 registers no rseq area
            // SAFETY: SY1: one word.
            p => unsafe { (p as *const isize).read() },
        };
        let thread_freeres = match find(c"__libc_thread_freeres") {
            0 => None,
            // SAFETY: SY1.
            p => Some(unsafe { core::mem::transmute::<usize, unsafe extern "C" fn()>(p) }),
        };
        Ok(Symbols {
            allocate_tls: func!(
                c"_dl_allocate_tls" as unsafe extern "C" fn(*mut c_void) -> *mut c_void
            ),
            ctype_init: func!(c"__ctype_init" as unsafe extern "C" fn()),
            call_tls_dtors: func!(c"__call_tls_dtors" as unsafe extern "C" fn()),
            thread_freeres,
            res_state: func!(c"__res_state" as unsafe extern "C" fn() -> *mut c_void),
            keys,
            static_size: size,
            static_align: align.max(64),
            pthread_size: db_word(c"_thread_db_sizeof_pthread", 0)?,
            tid_off: db_word(c"_thread_db_pthread_tid", 2)?,
            list_off: db_word(c"_thread_db_pthread_list", 2)?,
            specific_off: db_word(c"_thread_db_pthread_specific", 2)?,
            rseq_off,
        })
    }
}
