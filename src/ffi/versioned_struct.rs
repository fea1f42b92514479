//! Structs that callers fill: each begins with its size, so that old and new headers go together.

use crate::{Error, Result};
use std::mem::size_of;
use std::ptr;

/// A copy of the caller's struct: one of an older header is filled up from `empty`, the tail of a newer one must be
/// zero.
///
/// # Safety
/// T begins with its size and takes any bytes that a caller may give.
pub(super) unsafe fn copy<T>(given: *const T, empty: T, name: &str) -> Result<T> {
    if given.is_null() {
        return Err(Error::InvalidArgument(format!("{name} is NULL")));
    }
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    if !(size_of::<usize>()..=4096).contains(&size) {
        return Err(Error::InvalidArgument(format!("{name}.size is {size}, not that of the struct")));
    }
    let mut copy = empty;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller promises `size` bytes; no more than both structs have are copied.
    let tail = unsafe {
        ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut copy).cast(), known);
        std::slice::from_raw_parts(given.cast::<u8>().add(known), size - known)
    };
    if tail.iter().any(|&byte| byte != 0) {
        let message = format!("{name} has fields that this version of the library does not know");
        return Err(Error::InvalidArgument(message));
    }
    Ok(copy)
}
