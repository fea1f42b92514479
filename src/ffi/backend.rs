//! Backends
//!
//! A store over four functions of the program: flags that live anywhere, with everything else in
//! this header on top.

use super::backend_store::BackendStore;
use super::backend_table::{flagstore_backend_t, flagstore_reply_t};
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{self, flagstore_t};
use super::panic::guard_infallible;
use super::{arguments, versioned_struct};
use crate::Error;
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

/// Opens a store over the caller's functions; the struct is copied. The caller frees the store
/// with flagstore_free. NULL: the call failed, and `close` is not called.
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
        Ok(open::into_raw(open::Backend::Other(Arc::new(BackendStore::new(backend)))))
    })
}

/// Hands one value over to the call that `reply` came with; key and JSON are copied. In a `get`
/// the key is known: it may be NULL. It returns nothing and cannot fail: a key that is not UTF-8,
/// or a value that is not JSON, makes the call that `reply` came with fail with
/// FLAGSTORE_BACKEND.
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
