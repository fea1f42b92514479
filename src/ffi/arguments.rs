//! Text that C hands in and is lent.

use crate::{Error, Result};
use std::ffi::{CStr, c_char};
use std::ptr;

/// A key as the caller gave it.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Terminated(*const c_char),
    WithLength(*const c_char, usize),
}

impl Key {
    /// Checked.
    pub(super) fn text<'a>(self) -> Result<&'a str> {
        match self {
            Self::Terminated(pointer) => text(pointer, "key"),
            Self::WithLength(pointer, length) => text_with_length(pointer, length, "key"),
        }
    }

    /// Its bytes, which need not be text; `None`: it is NULL, or longer than memory.
    #[inline(always)]
    pub(super) fn bytes<'a>(self) -> Option<&'a [u8]> {
        match self {
            // SAFETY: the caller promises a NUL-terminated string that stays as it is during the call.
            Self::Terminated(pointer) => (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_bytes()),
            Self::WithLength(pointer, length) => (!pointer.is_null() && length <= isize::MAX as usize)
                // SAFETY: the caller promises that many bytes, which stay as they are during the call.
                .then(|| unsafe { std::slice::from_raw_parts(pointer.cast(), length) }),
        }
    }
}

/// A NUL-terminated string of the caller's, in UTF-8.
pub(super) fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return null(name);
    }
    // SAFETY: the caller promises a NUL-terminated string that stays as it is during the call.
    utf8(unsafe { CStr::from_ptr(pointer) }.to_bytes(), name)
}

/// `length` bytes of the caller's, in UTF-8.
pub(super) fn text_with_length<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a str> {
    utf8(bytes(pointer, length, name)?, name)
}

/// `length` bytes of the caller's.
pub(super) fn bytes<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return null(name);
    }
    if length > isize::MAX as usize {
        return Err(Error::InvalidArgument(format!("{name} is longer than memory")));
    }
    // SAFETY: the caller promises that many bytes, which stay as they are during the call.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

#[cold]
fn null<T>(name: &str) -> Result<T> {
    Err(Error::InvalidArgument(format!("{name} is NULL")))
}

fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8; for short keys this check is faster.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).map_err(|error| not_utf8(name, error))
}

#[cold]
fn not_utf8(name: &str, error: std::str::Utf8Error) -> Error {
    Error::InvalidArgument(format!("{name} is not UTF-8 (at byte {})", error.valid_up_to()))
}

/// A NUL-terminated string of the caller's, repaired where it is not UTF-8.
pub(super) fn lossy(pointer: *const c_char) -> String {
    // SAFETY: the caller promises a NUL-terminated string.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Text with a NUL behind it, lent to the caller: its pointer, and its length where the caller wants to know it.
pub(super) fn lend(with_nul: Option<&str>, len: *mut usize) -> *const c_char {
    write_len(len, with_nul.map_or(0, |text| text.len() - 1));
    with_nul.map_or(ptr::null(), |text| text.as_ptr().cast())
}

/// Stores a length where the caller wants to know it.
pub(super) fn write_len(room: *mut usize, length: usize) {
    if !room.is_null() {
        // SAFETY: the caller promises room for a size.
        unsafe { *room = length };
    }
}
