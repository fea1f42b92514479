//! Snapshots
//!
//! Every flag as of one moment, to be read without parsing JSON. A snapshot does not change, may
//! outlive its store, and may be read by any number of threads at once.
//!
//! Its strings are borrowed: they live until the snapshot is freed, are not freed themselves, and
//! end with a NUL that their length does not count. These functions log what they are given wrong
//! and return the value that their comment names; they have no error argument.

use super::arguments;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::open::{flagstore_t, handle};
use super::panic::guard_infallible;
use crate::{Result, Snapshot};
use std::ffi::c_char;
use std::ptr;

/// Every flag of a store as of one moment. Free it with flagstore_free when nobody uses its
/// strings any more.
#[allow(non_camel_case_types)]
pub struct flagstore_snapshot_t(Snapshot);

/// Takes a snapshot of the store. The caller frees it with flagstore_free. NULL: the call failed.
/// A snapshot of a memory store shares the flags with it and copies nothing.
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

/// The number of flags. 0 for NULL and for what is not a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_count(snapshot: *const flagstore_snapshot_t) -> usize {
    guard_infallible(0, || Ok(borrow(snapshot)?.len()))
}

/// The key at `index`, which counts from 0 in byte order. Its length goes to `len`, which may be
/// NULL. The string is borrowed from the snapshot. NULL past the end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_key(
    snapshot: *const flagstore_snapshot_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(arguments::lend(borrow(snapshot)?.entry(index).map(|(key, _)| key), len)))
}

/// The compact JSON text of the value at `index`, with its length in `len`, which may be NULL.
/// The string is borrowed from the snapshot. NULL past the end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_value(
    snapshot: *const flagstore_snapshot_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(arguments::lend(borrow(snapshot)?.entry(index).map(|(_, value)| value), len)))
}

/// The compact JSON text of the value under `key`, with its length in `len`, which may be NULL.
/// The string is borrowed from the snapshot. NULL if there is no such flag, and for a key that is
/// NULL or not UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_find(
    snapshot: *const flagstore_snapshot_t,
    key: *const c_char,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(arguments::lend(borrow(snapshot)?.find(arguments::text(key, "key")?), len)))
}

/// As flagstore_snapshot_find, for a key of `key_len` bytes, which may contain U+0000. NULL if
/// there is no such flag.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_find_n(
    snapshot: *const flagstore_snapshot_t,
    key: *const c_char,
    key_len: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || {
        Ok(arguments::lend(borrow(snapshot)?.find(arguments::text_with_length(key, key_len, "key")?), len))
    })
}

/// The index of the first key that is not less than the `key_len` bytes at `key`, in byte order;
/// the count if there is none. The keys that begin with `key` stand in a row from there. On
/// failure, for a key that is NULL or not UTF-8, the count too; 0 for what is not a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_snapshot_seek(
    snapshot: *const flagstore_snapshot_t,
    key: *const c_char,
    key_len: usize,
) -> usize {
    let mut count = 0;
    let found = guard_infallible(None, || {
        let snapshot = borrow(snapshot)?;
        count = snapshot.len();
        Ok(Some(snapshot.seek(arguments::text_with_length(key, key_len, "key")?)))
    });
    found.unwrap_or(count)
}

fn borrow<'a>(snapshot: *const flagstore_snapshot_t) -> Result<&'a Snapshot> {
    object::borrow(snapshot, Kind::Snapshot, "snapshot").map(|handle| &handle.0)
}
