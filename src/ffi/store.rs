//! The contract
//!
//! Five calls that every store answers. Keys and JSON are UTF-8 text that ends with a NUL. A key
//! is any text, the empty one included; a value is one JSON value. Each call is atomic: other
//! threads and processes see all of it or nothing.

use super::arguments::Key;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{flagstore_t, handle};
use super::peek::peek;
use super::{arguments, object};
use crate::{FlagStore, Result, Value, ValueRef};
use std::borrow::Cow;
use std::ffi::c_char;
use std::ptr;

/// The flag's value as compact JSON text. The caller frees it with flagstore_free. NULL with
/// *error NULL: there is no such flag. NULL with *error set: the call failed. A stored null is
/// the text "null", not NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get(
    store: *const flagstore_t,
    key: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    get(store, Key::Terminated(key), &mut 0, error)
}

/// Stores the JSON value that `json` spells under `key`, whatever was there before; both are
/// copied. true: done. false: the call failed and nothing has changed, except under
/// FLAGSTORE_NOT_DURABLE. FLAGSTORE_INVALID_JSON if the text is not one JSON value.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set(
    store: *mut flagstore_t,
    key: *const c_char,
    json: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || set(handle(store)?, arguments::text(key, "key")?, arguments::text(json, "json")?))
}

/// Removes the flag. true: it existed. false with *error NULL: it did not. false with *error set:
/// the call failed, and nothing has changed, except under FLAGSTORE_NOT_DURABLE.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_delete(
    store: *mut flagstore_t,
    key: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || handle(store)?.delete(arguments::text(key, "key")?))
}

/// Every flag as of one moment, as one compact JSON object with sorted keys. The caller frees it
/// with flagstore_free. NULL: the call failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_list_all(store: *const flagstore_t, error: *mut *mut flagstore_error_t) -> *mut c_char {
    guard(error, ptr::null_mut(), || object::text_into_raw(&handle(store)?.list_json()?))
}

/// The number of flags. -1: the call failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_len(store: *const flagstore_t, error: *mut *mut flagstore_error_t) -> i64 {
    guard(error, -1, || Ok(handle(store)?.len()? as i64))
}

/// The value as text for the caller, its length in `length`; NULL if there is no such flag.
#[inline(always)]
pub(super) fn get(
    store: *const flagstore_t,
    key: Key,
    length: &mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    match peek(store, key, error, |value| into_raw(value.text(), length).ok()) {
        Some(found) => found.unwrap_or(ptr::null_mut()),
        None => get_slowly(store, key, length, error),
    }
}

#[inline(never)]
fn get_slowly(
    store: *const flagstore_t,
    key: Key,
    length: &mut usize,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    guard(error, ptr::null_mut(), || visit(handle(store)?, key.text()?, length))
}

fn visit(store: &dyn FlagStore, key: &str, length: &mut usize) -> Result<*mut c_char> {
    let (mut found, mut written) = (Ok(ptr::null_mut()), None);
    store.visit(key, &mut |value| match value.map(ValueRef::compact_json) {
        None => {}
        Some(Ok(Cow::Borrowed(json))) => found = into_raw(json, length),
        // To be copied when what it was read from is gone.
        Some(Ok(Cow::Owned(json))) => written = Some(json),
        Some(Err(error)) => found = Err(error.of_flag(key)),
    })?;
    written.map_or(found, |json| into_raw(&json, length))
}

#[inline(always)]
fn into_raw(json: &str, length: &mut usize) -> Result<*mut c_char> {
    *length = json.len();
    object::text_into_raw(json)
}

pub(super) fn set(store: &dyn FlagStore, key: &str, json: &str) -> Result<bool> {
    store.set(key, value_of(key, json, store.max_bytes())?).map(|()| true)
}

/// The value that the caller's text spells, of `limit` bytes at most; the error names the flag it was meant for.
pub(super) fn value_of(key: &str, json: &str, limit: usize) -> Result<Value> {
    Value::parse_within(json, limit).map_err(|error| error.of_flag(key))
}
