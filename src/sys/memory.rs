//! What lies in the memory of this process.

/// Whether the address is in this process's memory.
pub(crate) fn is_mapped(address: usize) -> bool {
    let mut residence = 0u8;
    // SAFETY: mincore only looks at the page, of at least 4096 bytes, and writes one byte about it.
    unsafe { libc::mincore((address & !4095) as *mut libc::c_void, 1, &mut residence) == 0 }
}
