//! The auxiliary vector: what the kernel tells every process.
//!
//! Go: os_linux.go's `_AT_*` and the globals that `sysauxv` sets (`physPageSize`, `secureMode`).

use crate::atomic::{AtomicUsize, Ordering};

pub(crate) const AT_NULL: usize = 0;
const AT_PHDR: usize = 3;
const AT_PHNUM: usize = 5;
const AT_PAGESZ: usize = 6;
const AT_SECURE: usize = 23;
const AT_RANDOM: usize = 25;
const AT_HWCAP2: usize = 26;
const AT_SYSINFO_EHDR: usize = 33;

/// The entries that the runtime uses. Written at boot, before other threads exist.
pub(crate) struct Auxv {
    phdr: AtomicUsize,
    phnum: AtomicUsize,
    phys_page_size: AtomicUsize,
    secure: AtomicUsize,
    random: AtomicUsize,
    hwcap2: AtomicUsize,
    sysinfo_ehdr: AtomicUsize,
}

static AUXV: Auxv = Auxv {
    phdr: AtomicUsize::new(0),
    phnum: AtomicUsize::new(0),
    phys_page_size: AtomicUsize::new(0),
    secure: AtomicUsize::new(0),
    random: AtomicUsize::new(0),
    hwcap2: AtomicUsize::new(0),
    sysinfo_ehdr: AtomicUsize::new(0),
};

pub(crate) fn get() -> &'static Auxv {
    &AUXV
}

impl Auxv {
    pub(crate) fn set(&self, tag: usize, val: usize) {
        let field = match tag {
            AT_PHDR => &self.phdr,
            AT_PHNUM => &self.phnum,
            AT_PAGESZ => &self.phys_page_size,
            AT_SECURE => &self.secure,
            AT_RANDOM => &self.random,
            AT_HWCAP2 => &self.hwcap2,
            AT_SYSINFO_EHDR => &self.sysinfo_ehdr,
            _ => return,
        };
        field.store(val, Ordering::Relaxed); // ORDERING: boot, one thread
    }

    fn read(field: &AtomicUsize) -> usize {
        field.load(Ordering::Relaxed) // ORDERING: written at boot
    }

    /// The main program's headers: address and number.
    pub(crate) fn phdrs(&self) -> (usize, usize) {
        (Self::read(&self.phdr), Self::read(&self.phnum))
    }

    /// Go: physPageSize. Without AT_PAGESZ it is x86-64's only page size.
    pub(crate) fn pagesz(&self) -> usize {
        match Self::read(&self.phys_page_size) {
            0 => crate::sys::mem::PAGE,
            n => n,
        }
    }

    /// Set-user-id, file capabilities and the like: the environment is not to be trusted.
    pub(crate) fn secure_mode(&self) -> bool {
        Self::read(&self.secure) != 0
    }

    pub(crate) fn random(&self) -> usize {
        Self::read(&self.random)
    }

    pub(crate) fn sysinfo_ehdr(&self) -> usize {
        Self::read(&self.sysinfo_ehdr)
    }

    /// HWCAP2_FSGSBASE: user code may execute wrfsbase.
    pub(crate) fn fsgsbase(&self) -> bool {
        Self::read(&self.hwcap2) & 2 != 0
    }
}
