//! Batches: several changes in one atomic write, with conditions. One thread at a time may build a batch; commit only
//! reads it, and may be called again.

use super::arguments;
use super::error::flagstore_error_t;
use super::guard::{guard, guard_infallible};
use super::object::{self, Kind};
use super::open::{flagstore_t, handle};
use super::store::value_of;
use crate::{Batch, Result};
use std::ffi::c_char;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// RevisionCounter that are made together. Free it with `flagstore_free`.
#[allow(non_camel_case_types)]
pub struct flagstore_batch_t(Mutex<Batch>);

/// An empty batch, to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_new() -> *mut flagstore_batch_t {
    guard_infallible(ptr::null_mut(), || Ok(object::into_raw(Kind::Batch, flagstore_batch_t(Mutex::default()))))
}

/// Will store the JSON value under `key`; the batch's last word on a key counts. false: failed, with
/// FLAGSTORE_INVALID_JSON if the text is not one JSON value, and the batch is as it was.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_set(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    json: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let (key, json) = (arguments::text(key, "key")?, arguments::text(json, "json")?);
        let value = value_of(key, json, usize::MAX)?;
        with(batch, |batch| batch.set(key, value))
    })
}

/// Will remove the flag, if there is one; the batch's last word on a key counts.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_delete(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let key = arguments::text(key, "key")?;
        with(batch, |batch| batch.delete(key))
    })
}

/// Will remove everything before the changes of the batch are made, whether they were added before or after this.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_clear(batch: *mut flagstore_batch_t, error: *mut *mut flagstore_error_t) -> bool {
    guard(error, false, || with(batch, Batch::clear))
}

/// Commit only if the flag then equals `json` as a JSON value: white space and the order of keys do not matter, `1`
/// and `1.0` differ. NULL json: only if there is no such flag. What is expected is of the store before the batch.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    json: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let key = arguments::text(key, "key")?;
        let value =
            if json.is_null() { None } else { Some(value_of(key, arguments::text(json, "json")?, usize::MAX)?) };
        with(batch, |batch| batch.expect(key, value))
    })
}

/// Makes all changes of the batch in one write, or none. true: done; false: failed, with FLAGSTORE_CONFLICT if an
/// expectation did not hold; then nothing was written.
///
/// On a custom backend the changes are made one after another, under the store's lock: other users of this handle see
/// all or none, but a call that fails half-way leaves the earlier changes, and another process may see some.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_commit(
    store: *mut flagstore_t,
    batch: *const flagstore_batch_t,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let store = handle(store)?;
        // A copy, so that nothing is locked while the store works.
        let batch = borrow(batch)?.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        store.commit(&batch).map(|()| true)
    })
}

fn borrow<'a>(batch: *const flagstore_batch_t) -> Result<&'a flagstore_batch_t> {
    object::borrow(batch, Kind::Batch, "batch")
}

fn with(batch: *const flagstore_batch_t, change: impl FnOnce(&mut Batch)) -> Result<bool> {
    change(&mut borrow(batch)?.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(true)
}
