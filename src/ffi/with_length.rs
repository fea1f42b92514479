//! The same by pointer and length, for C++ string_view, Go strings, and keys that contain U+0000. A NULL pointer is
//! refused even with length 0.

use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{flagstore_t, handle};
use super::{arguments, object, store, typed};
use std::ffi::c_char;
use std::ptr;

/// As `flagstore_get`. The length of the result in bytes, without its NUL, goes to `json_len`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    json_len: *mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let mut length = 0;
    let found = guard(error, ptr::null_mut(), || {
        store::get(handle(store)?, arguments::text_with_length(key, key_len, "key")?, &mut length)
    });
    arguments::write_len(json_len, length);
    found
}

/// As `flagstore_set`.
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

/// As `flagstore_delete`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_delete_n(
    store: *mut flagstore_t,
    key: *const c_char,
    key_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || handle(store)?.delete(arguments::text_with_length(key, key_len, "key")?))
}

/// As `flagstore_get_bool`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_bool_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: bool,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, fallback, || {
        typed::get_bool(handle(store)?, arguments::text_with_length(key, key_len, "key")?, fallback)
    })
}

/// As `flagstore_get_int64`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_int64_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: i64,
    error: *mut *mut flagstore_error_t,
) -> i64 {
    guard(error, fallback, || {
        typed::get_int64(handle(store)?, arguments::text_with_length(key, key_len, "key")?, fallback)
    })
}

/// As `flagstore_get_double`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_double_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    fallback: f64,
    error: *mut *mut flagstore_error_t,
) -> f64 {
    guard(error, fallback, || {
        typed::get_double(handle(store)?, arguments::text_with_length(key, key_len, "key")?, fallback)
    })
}

/// The string under `key`, to be freed, its length in bytes in `value_len`, which may be NULL; the string may contain
/// NULs and ends with one more. NULL with *error NULL: there is no such flag; NULL with *error set: the call failed,
/// with FLAGSTORE_TYPE_MISMATCH if the value is not a string.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_string_n(
    store: *const flagstore_t,
    key: *const c_char,
    key_len: usize,
    value_len: *mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let length = std::cell::Cell::new(0);
    let found = guard(error, ptr::null_mut(), || {
        typed::read_text(handle(store)?, arguments::text_with_length(key, key_len, "key")?, |string| {
            length.set(string.len());
            object::text_into_raw(string)
        })
    });
    arguments::write_len(value_len, length.get());
    found
}
