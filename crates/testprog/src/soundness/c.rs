//! The libc calls of the cases, as functions that are safe to call.

#![allow(unsafe_code, reason = "C functions are unsafe to call; each wrapper says what it upholds")]

use std::ffi::{CStr, CString, c_int, c_void};

pub(crate) fn pthread_self() -> libc::pthread_t {
    // SAFETY: no precondition.
    unsafe { libc::pthread_self() }
}

pub(crate) fn sched_getcpu() -> c_int {
    // SAFETY: no precondition.
    unsafe { libc::sched_getcpu() }
}

/// `isalpha` finds its table by a thread-local pointer.
pub(crate) fn isalpha(c: u8) -> bool {
    // SAFETY: every value of an unsigned char is allowed.
    unsafe { libc::isalpha(c_int::from(c)) != 0 }
}

pub(crate) fn strtod(text: &CStr) -> f64 {
    // SAFETY: a C string; the null end pointer is allowed.
    unsafe { libc::strtod(text.as_ptr(), std::ptr::null_mut()) }
}

/// `strerror` of a number that is no error formats into a buffer of the thread's.
pub(crate) struct UnknownError(*const libc::c_char);

impl UnknownError {
    pub(crate) fn new(number: c_int) -> UnknownError {
        // SAFETY: no precondition.
        UnknownError(unsafe { libc::strerror(number) })
    }

    pub(crate) fn text(&self) -> String {
        // SAFETY: the buffer lives as long as the thread, here the goroutine, and this type is not
        // Send, so it does not outlive it.
        unsafe { CStr::from_ptr(self.0) }.to_string_lossy().into_owned()
    }
}

/// A locale of one's own.
pub(crate) struct Locale(libc::locale_t);

impl Locale {
    pub(crate) fn new(name: &CStr) -> Locale {
        // SAFETY: a C string, and no base locale to be consumed.
        let locale =
            unsafe { libc::newlocale(libc::LC_ALL_MASK, name.as_ptr(), std::ptr::null_mut()) };
        assert!(!locale.is_null(), "no locale {name:?}");
        Locale(locale)
    }

    /// Makes it the locale of this thread, until the value that comes back is dropped.
    pub(crate) fn enter(&self) -> InLocale<'_> {
        // SAFETY: a locale that lives longer than its use.
        InLocale { own: self, before: unsafe { libc::uselocale(self.0) } }
    }
}

impl Drop for Locale {
    fn drop(&mut self) {
        // SAFETY: ours, and no longer any thread's: InLocale borrows it.
        unsafe { libc::freelocale(self.0) };
    }
}

pub(crate) struct InLocale<'a> {
    own: &'a Locale,
    before: libc::locale_t,
}

impl InLocale<'_> {
    /// Whether this thread uses it.
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: a null locale only asks.
        let current = unsafe { libc::uselocale(std::ptr::null_mut()) };
        current == self.own.0
    }
}

impl Drop for InLocale<'_> {
    fn drop(&mut self) {
        // SAFETY: what was the thread's locale before.
        unsafe { libc::uselocale(self.before) };
    }
}

/// The character set of the thread's locale.
pub(crate) fn codeset() -> String {
    // SAFETY: no precondition.
    let text = unsafe { libc::nl_langinfo(libc::CODESET) };
    // SAFETY: a C string of the locale's, which is in use.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Lowest address and size of the stack that libc says this thread has.
pub(crate) fn stack_bounds() -> Result<(usize, usize), c_int> {
    let mut attr = std::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
    // SAFETY: the calling thread lives, and the call initialises the attribute object.
    let status = unsafe { libc::pthread_getattr_np(pthread_self(), attr.as_mut_ptr()) };
    if status != 0 {
        return Err(status);
    }
    let (mut low, mut size) = (std::ptr::null_mut::<c_void>(), 0);
    // SAFETY: initialised above; both results are valid places.
    unsafe { libc::pthread_attr_getstack(attr.as_ptr(), &mut low, &mut size) };
    // SAFETY: initialised above, destroyed once.
    unsafe { libc::pthread_attr_destroy(attr.as_mut_ptr()) };
    Ok((low.addr(), size))
}

/// A library opened with `dlopen` that exports `int bump(void)`.
pub(crate) struct Library {
    handle: *mut c_void,
    bump: extern "C" fn() -> c_int,
}

// SAFETY: dlclose and bump may be called on any thread.
unsafe impl Send for Library {}
// SAFETY: bump changes thread-local state only.
unsafe impl Sync for Library {}

impl Library {
    pub(crate) fn open(path: &std::path::Path) -> Library {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).expect("a path has no NUL");
        // SAFETY: a C string; the library has no constructors.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "dlopen: {}", dl_error());
        // SAFETY: a handle that is open.
        let bump = unsafe { libc::dlsym(handle, c"bump".as_ptr()) };
        assert!(!bump.is_null(), "dlsym: {}", dl_error());
        // SAFETY: the library defines it with this type.
        let bump = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(bump) };
        Library { handle, bump }
    }

    pub(crate) fn bump(&self) -> c_int {
        (self.bump)()
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; nothing of it is in use, for `bump` borrows self.
        unsafe { libc::dlclose(self.handle) };
    }
}

fn dl_error() -> String {
    // SAFETY: no precondition.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no error".to_owned();
    }
    // SAFETY: a C string that lives until the thread's next dl call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
