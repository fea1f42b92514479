//! What the kernel tells a process of itself.

use std::ptr;
use std::sync::atomic::AtomicU64;

/// A word on a page that a child finds empty. `None`: Linux before 4.14, or a sandbox refuses it.
pub(in crate::sys) fn wiped_word() -> Option<*mut AtomicU64> {
    /// The kernel rounds up to whole pages of whatever size.
    const LENGTH: usize = 4096;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new page of zeros, which are a valid word, that nobody else knows; given back if it is of no use.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), LENGTH, access, kind, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, LENGTH, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, LENGTH);
            return None;
        }
        Some(page.cast())
    }
}

/// Whether the program has rights that whoever started it lacks (setuid, setgid, file capabilities), so that its
/// environment is a stranger's.
#[cfg(feature = "capi")]
pub(crate) fn is_privileged() -> bool {
    // SAFETY: takes a plain number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The random bytes that the kernel gave the process at its start: getauxval(3). No system call, so nothing refuses it.
pub(crate) fn process_random() -> [u8; 16] {
    // SAFETY: takes a plain number; the address is that of sixteen bytes which live as long as the process.
    unsafe {
        match libc::getauxval(libc::AT_RANDOM) as *const [u8; 16] {
            random if random.is_null() => [0; 16],
            random => random.read_unaligned(),
        }
    }
}

/// Random bytes of the kernel's; zeros where it refuses them. The system call itself: glibc has had none for long.
#[cfg(feature = "redis")]
pub(crate) fn fresh_random() -> [u8; 16] {
    let mut bytes = [0u8; 16];
    // SAFETY: pointer and length are of one array.
    unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), libc::GRND_NONBLOCK) };
    bytes
}
