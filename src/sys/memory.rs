//! Pages of memory.

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
