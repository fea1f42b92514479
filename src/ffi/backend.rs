//! Backends
//!
//! A store over functions of the program: flags that live anywhere, in a database or behind a
//! service, with everything else in this header on top. Four functions make a store, the others
//! make it as good as those of the library.

use super::backend_table::{flagstore_backend_t, flagstore_reply_t};
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{self, flagstore_t};
use super::panic::guard_infallible;
use super::remote_options::flagstore_remote_options_t;
use super::table_backend::TableBackend;
use super::{arguments, versioned_struct};
use crate::{Error, RemoteFlagStore, RemoteOptions, Result};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

/// Opens a store over the caller's functions; the struct is copied. Reads ask the backend, and a
/// call takes as long as the backend does. The caller frees the store with flagstore_free. NULL:
/// the call failed, and `close` is not called.
///
/// Changes that others make in the backend are noticed only if it has `load` or `wait`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_backend_open(
    backend: *const flagstore_backend_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || {
        let backend = checked(backend)?;
        let notices_others = backend.load.is_some() || backend.wait.is_some();
        let options = RemoteOptions::new().call_timeout(None);
        open(backend, RemoteOptions { notices_others, ..options })
    })
}

/// As flagstore_backend_open, with options; NULL options are the defaults. Then a call keeps its
/// deadline whatever the backend does: the backend is called in a thread of the library, and one
/// that does not return in time is left to itself. The caller frees the store with
/// flagstore_free. NULL: the call failed, with FLAGSTORE_UNAVAILABLE if a WATCHED store's first
/// snapshot did not come in time and there is no fallback file; then `close` is called, at once or
/// when the last call has returned.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_backend_open_with(
    backend: *const flagstore_backend_t,
    options: *const flagstore_remote_options_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || {
        let options = flagstore_remote_options_t::checked(options)?;
        open(checked(backend)?, options)
    })
}

fn checked(backend: *const flagstore_backend_t) -> Result<flagstore_backend_t> {
    // SAFETY: the struct is of pointers to functions, for which zero is none, and of plain values.
    let backend = unsafe { versioned_struct::copy(backend, flagstore_backend_t::empty(), "backend")? };
    let refuse = |field, value| Err(Error::InvalidArgument(format!("backend.{field} is {value}")));
    match backend {
        flagstore_backend_t { flags: 2.., .. } => refuse("flags", backend.flags),
        flagstore_backend_t { reserved: 1.., .. } => refuse("reserved", backend.reserved),
        _ => Ok(backend),
    }
}

fn open(backend: flagstore_backend_t, options: RemoteOptions) -> Result<*mut flagstore_t> {
    let store = RemoteFlagStore::open_with(TableBackend::new(backend), options)?;
    Ok(open::into_raw(open::Backend::Remote(Arc::new(store))))
}

/// Hands one value over to the call that `reply` came with; key and JSON are copied. In a `get`
/// the key is known: it may be NULL. It returns nothing and cannot fail: a key that is not UTF-8
/// or not the one that was asked for, or a value that is not JSON, makes the call that `reply`
/// came with fail with FLAGSTORE_BACKEND.
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
