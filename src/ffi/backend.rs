//! A backend of your own: the four methods, from C.

use super::backend_store::BackendStore;
use super::error::{FLAGSTORE_BACKEND, flagstore_error_t};
use super::guard::{guard, guard_infallible};
use super::open::{self, flagstore_t};
use super::{arguments, object, versioned_struct};
use crate::{Error, Value};
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::ptr;

/// Where a backend puts its answer, with `flagstore_reply`, during the call only.
#[allow(non_camel_case_types)]
pub struct flagstore_reply_t {
    /// The key that a get asked for; `None`: a list.
    pub(crate) of: Option<String>,
    pub(crate) values: Result<BTreeMap<String, Value>, String>,
}

/// The functions of a backend. Each returns true, or false with an error object of `flagstore_error_new` (or of
/// another store's call) in *error, whose code and message the caller of the store gets. A function left NULL makes
/// the calls that need it fail with FLAGSTORE_NOT_IMPLEMENTED; `len` needs list_all.
///
/// Keys and JSON come by pointer and length, in UTF-8, with a NUL behind them, and are valid during the call. The calls of one store never
/// overlap, but come from whatever thread uses the store. They must not throw. A backend may call the library for
/// other stores, not for its own.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct flagstore_backend_t {
    /// sizeof(flagstore_backend_t)
    pub size: usize,
    /// given to every function
    pub context: *mut c_void,
    /// replies the flag's value; no reply: there is no such flag
    pub get: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// stores compact JSON
    pub set: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            json: *const c_char,
            json_len: usize,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// removes the flag and says whether it existed
    pub remove: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            existed: *mut bool,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// replies every flag, in any order
    pub list_all: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// called once, when the store and its last watch are freed; may be NULL
    pub close: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
}

/// Opens a store over the caller's functions, which are copied; to be freed. NULL: failed, and `close` is not called.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_backend_open(
    backend: *const flagstore_backend_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || {
        let empty = flagstore_backend_t {
            size: 0,
            context: ptr::null_mut(),
            get: None,
            set: None,
            remove: None,
            list_all: None,
            close: None,
        };
        // SAFETY: the struct is of pointers to functions, for which zero is none, and of plain values.
        let backend = unsafe { versioned_struct::copy(backend, empty, "backend")? };
        Ok(open::into_raw(BackendStore::new(backend)))
    })
}

/// Hands one value over to the call that `reply` came with; key and JSON are copied. In a `get` the key is known and
/// may be NULL. A key that is not UTF-8 or a value that is not JSON makes that call fail with FLAGSTORE_BACKEND.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_reply(
    reply: *mut flagstore_reply_t,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
) {
    guard_infallible((), || {
        if reply.is_null() {
            return Err(Error::InvalidArgument("reply is NULL".into()));
        }
        // SAFETY: the library lent the reply to the backend for this call, and lends each to one thread.
        let reply = unsafe { &mut *reply };
        let json = arguments::bytes(json, json_len, "json").unwrap_or_default();
        reply.take(arguments::bytes(key, key_len, "key").ok(), json);
        Ok(())
    })
}

/// The error that a backend left, made one of ours; the object is freed.
pub(crate) fn take_error(error: *mut flagstore_error_t) -> Option<Error> {
    if error.is_null() {
        return None;
    }
    let Ok(given) = object::borrow(error, object::Kind::Error, "error") else {
        let message = "the backend's error is not an error object".into();
        return Some(Error::Backend { code: FLAGSTORE_BACKEND, errno: 0, message });
    };
    let (code, errno, message) = given.parts();
    object::free(error.cast());
    Some(Error::Backend { code, errno, message })
}
