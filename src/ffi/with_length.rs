//! The same by pointer and length
//!
//! For C++ string_view, Go strings, and keys that contain U+0000. Lengths count bytes. The text
//! needs no NUL behind it, and no byte past its length is read. NULL is refused even with length
//! 0: pass "" for the empty key. What is returned ends with a NUL that its length does not count.

use super::arguments::Key;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{flagstore_t, handle};
use super::peek::peek;
use super::{arguments, object, store, typed};
use crate::Result;
use std::ffi::c_char;
use std::ptr;

/// As flagstore_get: the JSON text, to be freed with flagstore_free, or NULL if there is no such
/// flag or the call failed. Its length goes to `json_len`, which may be NULL; it is 0 with NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    json_len: *mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let mut length = 0;
    let found = store::get(store, Key::WithLength(key, key_len), &mut length, error);
    arguments::write_len(json_len, length);
    found
}

/// As flagstore_set. true: done. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_n(
    store: *mut flagstore_t,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        store::set(
            handle(store)?,
            arguments::text_with_length(key, key_len, "key")?,
            arguments::text_with_length(json, json_len, "json")?,
        )
    })
}

/// As flagstore_delete. true: the flag existed. false: it did not, or the call failed and *error
/// is set.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_delete_n(
    store: *mut flagstore_t,
    key: *const c_char,
    key_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || handle(store)?.delete(arguments::text_with_length(key, key_len, "key")?))
}

/// As flagstore_get_bool: the value, or `fallback`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_bool_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: bool,
    error: *mut *mut flagstore_error_t,
) -> bool {
    typed::get_bool(store, Key::WithLength(key, key_len), fallback, error)
}

/// As flagstore_get_int64: the value, or `fallback`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_int64_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: i64,
    error: *mut *mut flagstore_error_t,
) -> i64 {
    typed::get_int64(store, Key::WithLength(key, key_len), fallback, error)
}

/// As flagstore_get_double: the value, or `fallback`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_double_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: f64,
    error: *mut *mut flagstore_error_t,
) -> f64 {
    typed::get_double(store, Key::WithLength(key, key_len), fallback, error)
}

/// The string under `key`, without its quotes and escapes; it may contain NULs. The caller frees
/// it with flagstore_free. Its length goes to `value_len`, which may be NULL. NULL with *error
/// NULL: there is no such flag. NULL with *error set: the call failed, with
/// FLAGSTORE_TYPE_MISMATCH if the value is not a string.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_string_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    value_len: *mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let key = Key::WithLength(key, key_len);
    let found = match peek(store, key, error, |value| copy(typed::plain_string(value)?).ok()) {
        Some(found) => found,
        None => guard(error, None, || typed::read_text(handle(store)?, key.text()?, copy)),
    };
    let (string, length) = found.unwrap_or((ptr::null_mut(), 0));
    arguments::write_len(value_len, length);
    string
}

/// A copy of the string for the caller, and its length.
fn copy(string: &str) -> Result<(*mut c_char, usize)> {
    Ok((object::text_into_raw(string)?, string.len()))
}
