//! Errors
//!
//! A call that fails logs the error (see "The log"), stores an error object in *error unless
//! `error` is NULL, and returns the value that its comment names. The caller frees the object
//! with flagstore_free.
//!
//! A code keeps its number for ever. Later versions may add codes: be ready for one that is not
//! listed here.

use super::arguments;
use super::object::{self, Kind};
use super::panic::guard_infallible;
use crate::Error;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// No error; the code of a NULL error object.
pub const FLAGSTORE_OK: i32 = 0;
/// The caller's mistake: NULL, text that is not UTF-8, a handle of another kind, an option out of
/// range.
pub const FLAGSTORE_INVALID_ARGUMENT: i32 = 1;
/// The text given as a value is not one JSON value; the message has line and column.
pub const FLAGSTORE_INVALID_JSON: i32 = 2;
/// The stored text is not one JSON object; the message has path, line and column. Nothing is
/// overwritten.
pub const FLAGSTORE_CORRUPT: i32 = 3;
/// The system refused; flagstore_error_os_code has its errno. Also: no memory (ENOMEM), or more
/// than max_bytes (EFBIG).
pub const FLAGSTORE_IO: i32 = 4;
/// The lock was not free within the timeout. Nothing was written.
pub const FLAGSTORE_LOCKED: i32 = 5;
/// The store was opened read-only.
pub const FLAGSTORE_READ_ONLY: i32 = 6;
/// The backend does not provide the call.
pub const FLAGSTORE_NOT_IMPLEMENTED: i32 = 7;
/// A typed getter found another type, or a number out of range.
pub const FLAGSTORE_TYPE_MISMATCH: i32 = 8;
/// An expectation of a batch does not hold. Nothing was changed.
pub const FLAGSTORE_CONFLICT: i32 = 9;
/// A backend failed, or replied what is not a key or not JSON.
pub const FLAGSTORE_BACKEND: i32 = 10;
/// The change was made and is visible, but the last fsync failed: it may not survive a power cut.
/// Making the change again is safe.
pub const FLAGSTORE_NOT_DURABLE: i32 = 11;
/// A store that is elsewhere was not reached in time. Nothing was changed: try again later.
pub const FLAGSTORE_UNAVAILABLE: i32 = 12;
/// The answer of a store that is elsewhere did not come: the change may have been made or not, or
/// a part of changes that a backend makes one by one. Making it again may make it twice. Read what
/// is there, or commit a batch with expectations: it fails with FLAGSTORE_CONFLICT if the first
/// attempt was successful.
pub const FLAGSTORE_UNCERTAIN: i32 = 13;
/// A bug in flagstore, caught before it could harm the host. Please report it.
pub const FLAGSTORE_INTERNAL: i32 = 99;

const NAMES: [(i32, &CStr); 15] = [
    (FLAGSTORE_OK, c"FLAGSTORE_OK"),
    (FLAGSTORE_INVALID_ARGUMENT, c"FLAGSTORE_INVALID_ARGUMENT"),
    (FLAGSTORE_INVALID_JSON, c"FLAGSTORE_INVALID_JSON"),
    (FLAGSTORE_CORRUPT, c"FLAGSTORE_CORRUPT"),
    (FLAGSTORE_IO, c"FLAGSTORE_IO"),
    (FLAGSTORE_LOCKED, c"FLAGSTORE_LOCKED"),
    (FLAGSTORE_READ_ONLY, c"FLAGSTORE_READ_ONLY"),
    (FLAGSTORE_NOT_IMPLEMENTED, c"FLAGSTORE_NOT_IMPLEMENTED"),
    (FLAGSTORE_TYPE_MISMATCH, c"FLAGSTORE_TYPE_MISMATCH"),
    (FLAGSTORE_CONFLICT, c"FLAGSTORE_CONFLICT"),
    (FLAGSTORE_BACKEND, c"FLAGSTORE_BACKEND"),
    (FLAGSTORE_NOT_DURABLE, c"FLAGSTORE_NOT_DURABLE"),
    (FLAGSTORE_UNAVAILABLE, c"FLAGSTORE_UNAVAILABLE"),
    (FLAGSTORE_UNCERTAIN, c"FLAGSTORE_UNCERTAIN"),
    (FLAGSTORE_INTERNAL, c"FLAGSTORE_INTERNAL"),
];

/// Why a call failed. It does not change: any thread may read it. Free it with flagstore_free.
#[allow(non_camel_case_types)]
pub struct flagstore_error_t {
    code: i32,
    os_code: i32,
    message: CString,
}

/// The code of the error: one of the above, or what a backend gave. FLAGSTORE_OK (0) for NULL,
/// FLAGSTORE_INVALID_ARGUMENT for what is not an error object.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_error_code(error: *const flagstore_error_t) -> i32 {
    read(error, FLAGSTORE_OK, FLAGSTORE_INVALID_ARGUMENT, |error| error.code)
}

/// The message in English, in UTF-8. It names the path, key, line and column that it is about;
/// lines and columns count from 1, columns in characters. It may contain anything that a path or
/// key contains, and FLAGSTORE_CONFLICT shows the beginning of the stored value: escape it before
/// it goes to a terminal or a log.
///
/// The string is borrowed from the error object and lives until that is freed. Never NULL: "" for
/// NULL and for what is not an error object.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_error_message(error: *const flagstore_error_t) -> *const c_char {
    read(error, c"".as_ptr(), c"".as_ptr(), |error| error.message.as_ptr())
}

/// The system's error number (errno) behind FLAGSTORE_IO or FLAGSTORE_NOT_DURABLE. 0 if there is
/// none, for NULL, and for what is not an error object.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_error_os_code(error: *const flagstore_error_t) -> i32 {
    read(error, 0, 0, |error| error.os_code)
}

/// The name of an error code, such as "FLAGSTORE_CORRUPT". The string is static. It cannot fail:
/// a code that this version does not have is "FLAGSTORE_UNKNOWN".
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_error_name(code: i32) -> *const c_char {
    name(code).as_ptr()
}

/// A new error object with a code and a copy of `message`. It is for the functions of a backend,
/// which store it in *error; otherwise free it with flagstore_free. Any code will do but
/// FLAGSTORE_OK, which is no error: then NULL. A NULL message is "", one that is not UTF-8 is
/// repaired.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_error_new(code: i32, message: *const c_char) -> *mut flagstore_error_t {
    guard_infallible(ptr::null_mut(), || {
        if code == FLAGSTORE_OK {
            return Ok(ptr::null_mut());
        }
        let message = if message.is_null() { String::new() } else { arguments::lossy(message) };
        Ok(make(code, 0, message))
    })
}

fn read<T>(error: *const flagstore_error_t, of_null: T, of_other: T, field: impl FnOnce(&flagstore_error_t) -> T) -> T {
    if error.is_null() {
        return of_null;
    }
    guard_infallible(of_other, || object::borrow(error, Kind::Error, "error").map(field))
}

fn name(code: i32) -> &'static CStr {
    NAMES.iter().find(|(known, _)| *known == code).map_or(c"FLAGSTORE_UNKNOWN", |(_, name)| name)
}

fn make(code: i32, os_code: i32, message: String) -> *mut flagstore_error_t {
    let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    object::into_raw(Kind::Error, flagstore_error_t { code, os_code, message })
}

/// An error object that a backend made, as an error of ours; the object is freed.
pub(super) fn from_raw(error: *mut flagstore_error_t) -> Error {
    let Ok(flagstore_error_t { code, os_code, message }) = object::borrow(error, Kind::Error, "error") else {
        let message = "the backend's error is not an error object".into();
        return Error::Backend { code: FLAGSTORE_BACKEND, errno: 0, message };
    };
    let (code, errno, message) = (*code, *os_code, message.to_string_lossy().into_owned());
    object::free(error.cast());
    match code {
        FLAGSTORE_UNAVAILABLE => Error::Unavailable(message),
        FLAGSTORE_UNCERTAIN => Error::Uncertain(message),
        _ => Error::Backend { code, errno, message },
    }
}

/// The error as an object for the caller.
pub(super) fn into_raw(error: &Error) -> *mut flagstore_error_t {
    make(code(error), error.errno().unwrap_or(0), error.to_string())
}

fn code(error: &Error) -> i32 {
    match error {
        Error::InvalidArgument(_) => FLAGSTORE_INVALID_ARGUMENT,
        Error::InvalidJson { .. } => FLAGSTORE_INVALID_JSON,
        Error::Corrupt { .. } => FLAGSTORE_CORRUPT,
        Error::Io { .. } | Error::OutOfMemory | Error::TooLarge { .. } => FLAGSTORE_IO,
        Error::Locked { .. } => FLAGSTORE_LOCKED,
        Error::ReadOnly { .. } => FLAGSTORE_READ_ONLY,
        Error::NotImplemented(_) => FLAGSTORE_NOT_IMPLEMENTED,
        Error::TypeMismatch { .. } => FLAGSTORE_TYPE_MISMATCH,
        Error::NotDurable { .. } => FLAGSTORE_NOT_DURABLE,
        Error::Conflict { .. } => FLAGSTORE_CONFLICT,
        Error::Unavailable(_) => FLAGSTORE_UNAVAILABLE,
        Error::Uncertain(_) => FLAGSTORE_UNCERTAIN,
        Error::Backend { code: 0, .. } => FLAGSTORE_BACKEND,
        Error::Backend { code, .. } => *code,
        Error::Internal(_) => FLAGSTORE_INTERNAL,
    }
}
