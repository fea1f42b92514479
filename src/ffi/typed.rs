//! Typed values
//!
//! Each getter returns the value, or `fallback` if it has no value to return: the flag is absent,
//! which is no error; its value is of another type or out of range, FLAGSTORE_TYPE_MISMATCH; or
//! the call failed.
//!
//! Only flagstore_get_string allocates memory that the caller frees.

use super::arguments::Key;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{flagstore_t, handle};
use super::peek::peek;
use super::{arguments, object};
use crate::value::StoredValue;
use crate::{Error, FlagStore, Kind, Result, Value, ValueRef};
use std::ffi::c_char;
use std::ptr;

/// There is no such flag.
pub const FLAGSTORE_TYPE_ABSENT: i32 = 0;
/// null
pub const FLAGSTORE_TYPE_NULL: i32 = 1;
/// true or false
pub const FLAGSTORE_TYPE_BOOL: i32 = 2;
/// any number
pub const FLAGSTORE_TYPE_NUMBER: i32 = 3;
/// a string
pub const FLAGSTORE_TYPE_STRING: i32 = 4;
/// an array
pub const FLAGSTORE_TYPE_ARRAY: i32 = 5;
/// an object
pub const FLAGSTORE_TYPE_OBJECT: i32 = 6;

/// The boolean under `key`; `fallback` if there is none, or on failure.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_bool(
    store: *const flagstore_t,
    key: *const c_char,
    fallback: bool,
    error: *mut *mut flagstore_error_t,
) -> bool {
    get_bool(store, Key::Terminated(key), fallback, error)
}

/// The integer under `key`: any JSON number that is integral and in range, also 3.0 and 3e2.
/// `fallback` if there is none, or on failure.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_int64(
    store: *const flagstore_t,
    key: *const c_char,
    fallback: i64,
    error: *mut *mut flagstore_error_t,
) -> i64 {
    get_int64(store, Key::Terminated(key), fallback, error)
}

/// The number under `key` as the nearest double; one that is too large for a double (1e400) is
/// FLAGSTORE_TYPE_MISMATCH. `fallback` if there is none, or on failure.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_double(
    store: *const flagstore_t,
    key: *const c_char,
    fallback: f64,
    error: *mut *mut flagstore_error_t,
) -> f64 {
    get_double(store, Key::Terminated(key), fallback, error)
}

/// The string under `key`, without its quotes and escapes; a copy of `fallback` if there is none,
/// or on failure. The caller frees either with flagstore_free. `fallback` may be NULL: then NULL
/// is returned. A string that contains U+0000, which a C string cannot carry, is
/// FLAGSTORE_TYPE_MISMATCH: see flagstore_get_string_n. So is one with the escape of a lone
/// surrogate (half an emoji), which UTF-8 cannot hold: flagstore_get hands it out as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_string(
    store: *const flagstore_t,
    key: *const c_char,
    fallback: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let is_text = fallback.is_null() || Key::Terminated(fallback).bytes().is_some_and(<[u8]>::is_ascii);
    // NULL goes the other way, which says what is wrong.
    let checked = Key::Terminated(if is_text { key } else { ptr::null() });
    let found = peek(store, checked, error, |value| object::text_into_raw(plain_string(value)?).ok());
    found.flatten().unwrap_or_else(|| get_string_slowly(store, key, fallback, error))
}

/// The type of the value under `key`, one of FLAGSTORE_TYPE_*; FLAGSTORE_TYPE_ABSENT (0) if there
/// is no such flag. -1: the call failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_get_type(
    store: *const flagstore_t,
    key: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> i32 {
    match peek(store, Key::Terminated(key), error, |value| Some(code(value.kind()))) {
        Some(found) => found.unwrap_or(FLAGSTORE_TYPE_ABSENT),
        None => get_type_slowly(store, key, error),
    }
}

/// Stores a boolean. true: done. false: failed, as flagstore_set.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_bool(
    store: *mut flagstore_t,
    key: *const c_char,
    value: bool,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || set(handle(store)?, key, value.into()))
}

/// Stores an integer. true: done. false: failed, as flagstore_set.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_int64(
    store: *mut flagstore_t,
    key: *const c_char,
    value: i64,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || set(handle(store)?, key, value.into()))
}

/// Stores a double with the shortest digits that mean it, as Python spells them (0.1, 1e+16,
/// 100000.0). true: done. false: failed, as flagstore_set; FLAGSTORE_INVALID_ARGUMENT for NaN and
/// the infinities, which JSON lacks.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_double(
    store: *mut flagstore_t,
    key: *const c_char,
    value: f64,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let finite = || Error::InvalidArgument(format!("value is {value}, which JSON cannot hold"));
        set(handle(store)?, key, Value::from_f64(value).ok_or_else(finite)?)
    })
}

/// Stores a string, given as plain UTF-8 text (not as JSON), which is copied. true: done. false:
/// failed, as flagstore_set.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_string(
    store: *mut flagstore_t,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || set(handle(store)?, key, Value::string(arguments::text(value, "value")?)?))
}

fn set(store: &dyn FlagStore, key: *const c_char, value: Value) -> Result<bool> {
    store.set(arguments::text(key, "key")?, value).map(|()| true)
}

#[inline(always)]
pub(super) fn get_bool(
    store: *const flagstore_t,
    key: Key,
    fallback: bool,
    error: *mut *mut flagstore_error_t,
) -> bool {
    match peek(store, key, error, |value| value.as_bool()) {
        Some(found) => found.unwrap_or(fallback),
        None => get_slowly(store, key, fallback, error, "a boolean", |value| value.as_bool()),
    }
}

#[inline(never)]
pub(super) fn get_int64(store: *const flagstore_t, key: Key, fallback: i64, error: *mut *mut flagstore_error_t) -> i64 {
    match peek(store, key, error, |value| value.value().as_i64()) {
        Some(found) => found.unwrap_or(fallback),
        None => get_slowly(store, key, fallback, error, "an integer that fits 64 bits", |value| value.as_i64()),
    }
}

#[inline(never)]
pub(super) fn get_double(
    store: *const flagstore_t,
    key: Key,
    fallback: f64,
    error: *mut *mut flagstore_error_t,
) -> f64 {
    match peek(store, key, error, |value| value.value().as_f64()) {
        Some(found) => found.unwrap_or(fallback),
        None => get_slowly(store, key, fallback, error, "a number that fits a double", |value| value.as_f64()),
    }
}

/// The string that a value is, if it is one without escapes.
pub(super) fn plain_string(value: StoredValue<'_>) -> Option<&str> {
    let string = value.text().strip_prefix('"')?.strip_suffix('"')?;
    (!string.contains('\\')).then_some(string)
}

/// A getter the long way.
#[inline(never)]
fn get_slowly<T: Copy>(
    store: *const flagstore_t,
    key: Key,
    fallback: T,
    error: *mut *mut flagstore_error_t,
    wanted: &'static str,
    typed: fn(ValueRef<'_>) -> Option<T>,
) -> T {
    guard(error, fallback, || Ok(read(handle(store)?, key.text()?, wanted, typed)?.unwrap_or(fallback)))
}

#[inline(never)]
fn get_string_slowly(
    store: *const flagstore_t,
    key: *const c_char,
    fallback: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> *mut c_char {
    let found = guard(error, ptr::null_mut(), || {
        let key = arguments::text(key, "key")?;
        if !fallback.is_null() {
            arguments::text(fallback, "fallback")?;
        }
        let copy = |string: &str| match string.contains('\0') {
            true => Err(mismatch(key, Kind::String, "a string without U+0000")),
            false => object::text_into_raw(string),
        };
        Ok(read_text(handle(store)?, key, copy)?.unwrap_or(ptr::null_mut()))
    });
    if !found.is_null() || fallback.is_null() {
        return found;
    }
    // The error of the failed read stands; only the copy is still to be made.
    guard(ptr::null_mut(), ptr::null_mut(), || object::text_into_raw(arguments::text(fallback, "fallback")?))
}

#[inline(never)]
fn get_type_slowly(store: *const flagstore_t, key: *const c_char, error: *mut *mut flagstore_error_t) -> i32 {
    guard(error, -1, || {
        let mut kind = FLAGSTORE_TYPE_ABSENT;
        handle(store)?
            .visit(arguments::text(key, "key")?, &mut |value| kind = value.map_or(kind, |value| code(value.kind())))?;
        Ok(kind)
    })
}

/// What `copy` makes of the string under `key`; `None`: there is no such flag.
pub(super) fn read_text<T>(store: &dyn FlagStore, key: &str, copy: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    let text = |value: ValueRef<'_>| value.to_text().map(|text| text.map(|text| copy(&text))).transpose();
    let found = read(store, key, "a string", text).map_err(|error| match error {
        Error::TypeMismatch { found: Kind::String, .. } => {
            mismatch(key, Kind::String, "a string without lone surrogates")
        }
        other => other,
    });
    found?.transpose()?.transpose()
}

/// What `typed` makes of the value while the store lends it; `None`: there is no such flag.
fn read<T>(
    store: &dyn FlagStore,
    key: &str,
    wanted: &'static str,
    typed: impl Fn(ValueRef<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let mut found = Ok(None);
    store.visit(key, &mut |value| {
        if let Some(value) = value {
            found = typed(value).map(Some).ok_or_else(|| value.kind());
        }
    })?;
    found.map_err(|kind| mismatch(key, kind, wanted))
}

#[cold]
fn mismatch(key: &str, found: Kind, wanted: &'static str) -> Error {
    Error::TypeMismatch { key: key.to_owned(), found, wanted }
}

fn code(kind: Kind) -> i32 {
    match kind {
        Kind::Null => FLAGSTORE_TYPE_NULL,
        Kind::Bool => FLAGSTORE_TYPE_BOOL,
        Kind::Number => FLAGSTORE_TYPE_NUMBER,
        Kind::String => FLAGSTORE_TYPE_STRING,
        Kind::Array => FLAGSTORE_TYPE_ARRAY,
        Kind::Object => FLAGSTORE_TYPE_OBJECT,
    }
}
