//! Snapshots: a consistent picture, read without parsing JSON. The strings are borrowed from the snapshot: they live
//! until it is freed, and end with a NUL that is not counted. Any number of threads may read one.

use super::arguments;
use super::error::flagstore_error_t;
use super::guard::{guard, guard_infallible};
use super::object::{self, Kind};
use super::open::{flagstore_t, handle};
use crate::{Result, Snapshot};
use std::ffi::c_char;
use std::ptr;

/// Every flag of a store as of one moment. Immutable; may outlive the store. Free it with `flagstore_free`.
#[allow(non_camel_case_types)]
pub struct flagstore_snapshot_t(Snapshot);

/// Takes a snapshot, to be freed; NULL: failed. One of a memory store shares the flags with it and copies nothing.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot(
    store: *const flagstore_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_snapshot_t {
    guard(error, ptr::null_mut(), || {
        let snapshot = handle(store)?.list_all()?;
        Ok(object::into_raw(Kind::Snapshot, flagstore_snapshot_t(snapshot)))
    })
}

/// The number of flags; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_count(snapshot: *const flagstore_snapshot_t) -> usize {
    guard_infallible(0, || Ok(borrow(snapshot)?.len()))
}

/// The key at `index`, counted from 0 in byte order, its length in bytes in `len`, which may be NULL. NULL past the
/// end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_key(
    snapshot: *const flagstore_snapshot_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(borrow(snapshot)?.entry(index).map(|(key, _)| key), len)))
}

/// The compact JSON text of the value at `index`, as `flagstore_snapshot_key`.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_value(
    snapshot: *const flagstore_snapshot_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(borrow(snapshot)?.entry(index).map(|(_, value)| value), len)))
}

/// The compact JSON text of the value under `key`, its length in `len`, which may be NULL. NULL: no such flag.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_find(
    snapshot: *const flagstore_snapshot_t,
    key: *const c_char,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(borrow(snapshot)?.find(arguments::text(key, "key")?), len)))
}

fn borrow<'a>(snapshot: *const flagstore_snapshot_t) -> Result<&'a Snapshot> {
    object::borrow(snapshot, Kind::Snapshot, "snapshot").map(|handle| &handle.0)
}

/// NulTerminated with its NUL, for as long as the snapshot lives.
fn lend(with_nul: Option<&str>, len: *mut usize) -> *const c_char {
    arguments::write_len(len, with_nul.map_or(0, |text| text.len() - 1));
    with_nul.map_or(ptr::null(), |text| text.as_ptr().cast())
}
