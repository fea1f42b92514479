//! Pages of memory.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of this system's pages of memory, in bytes.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: takes a plain number.
            let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0).max(1);
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// Whether the kernel says that there is no memory at the address, a multiple of 4.
///
/// It is asked to sleep while the word there has a certain value, for no time at all: the answer is EFAULT without
/// memory there, and nothing changes either way. No sandbox refuses this call, by which threads wait for one another
/// (Abseil's AddressIsReadable asks rt_sigprocmask for a change that does not exist, about which valgrind complains).
/// Where the system refuses to say, the answer is `false`.
pub(crate) fn is_unmapped(address: usize) -> bool {
    let no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel reads the word if it is there; the timeout is valid.
    let result = unsafe { libc::syscall(libc::SYS_futex, address, wait, u32::MAX, &raw const no_time) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
