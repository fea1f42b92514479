//! Batches
//!
//! Several changes in one atomic write, with conditions. One thread at a time may build a batch.
//! Calls that take it as `const` only read it: then any number of threads may use it at once, and
//! commit it again and elsewhere.
//!
//! What is given is copied. The last word on a key counts: a later set or delete replaces an
//! earlier one, a later expectation an earlier one. The batch is as it was after a call that
//! failed.

use super::arguments::{self, lend};
use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::open::{flagstore_t, handle};
use super::panic::guard_infallible;
use super::store::value_of;
use crate::nul_terminated::NulTerminated;
use crate::{Batch, Result, Value};
use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes that are made together, and what they expect of the store. Free it with
/// flagstore_free.
#[allow(non_camel_case_types)]
#[derive(Default)]
pub struct flagstore_batch_t(Mutex<State>);

impl flagstore_batch_t {
    /// The batch as a backend reads it.
    pub(super) fn of(batch: &Batch) -> Self {
        Self(Mutex::new(State { batch: Arc::new(batch.clone()), listing: None }))
    }
}

#[derive(Default)]
struct State {
    /// Shared with the commits that are under way.
    batch: Arc<Batch>,
    /// The batch in key order, for its readers; made for the first of them after a change.
    listing: Option<Listing>,
}

/// The strings that are lent: they live until the batch is changed or freed.
struct Listing {
    changes: Vec<Entry>,
    expectations: Vec<Entry>,
}

struct Entry {
    key: NulTerminated,
    json: Option<NulTerminated>,
}

/// An empty batch. The caller frees it with flagstore_free. NULL only by a bug of the library.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_new() -> *mut flagstore_batch_t {
    guard_infallible(ptr::null_mut(), || Ok(object::into_raw(Kind::Batch, flagstore_batch_t::default())))
}

/// Will store the JSON value under `key`. true: noted. false: failed, with FLAGSTORE_INVALID_JSON
/// if the text is not one JSON value.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_set(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    json: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || set(batch, arguments::text(key, "key")?, arguments::text(json, "json")?))
}

/// As flagstore_batch_set, by pointer and length. true: noted. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_set_n(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let key = arguments::text_with_length(key, key_len, "key")?;
        set(batch, key, arguments::text_with_length(json, json_len, "json")?)
    })
}

/// Will remove the flag, if there is one. true: noted. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_delete(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || delete(batch, arguments::text(key, "key")?))
}

/// As flagstore_batch_delete, by pointer and length. true: noted. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_delete_n(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    key_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || delete(batch, arguments::text_with_length(key, key_len, "key")?))
}

/// Will remove every flag before the other changes of the batch are made, whenever this is
/// called. true: noted. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_clear(batch: *mut flagstore_batch_t, error: *mut *mut flagstore_error_t) -> bool {
    guard(error, false, || change(batch, Batch::clear))
}

/// The commit will succeed only if the flag then equals `json` as a JSON value: white space and
/// the order of keys do not matter, 1 and 1.0 differ. NULL json: only if there is no such flag.
/// The store is compared as it is before the batch's own changes. true: noted. false: failed, with
/// FLAGSTORE_INVALID_JSON if the text is not one JSON value.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    json: *const c_char,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let key = arguments::text(key, "key")?;
        expect(batch, key, if json.is_null() { None } else { Some(arguments::text(json, "json")?) })
    })
}

/// As flagstore_batch_expect, by pointer and length; NULL json with length 0: only if there is no
/// such flag. true: noted. false: failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect_n(
    batch: *mut flagstore_batch_t,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let key = arguments::text_with_length(key, key_len, "key")?;
        // NULL with a length is a mistake, not "no such flag".
        let is_absent = json.is_null() && json_len == 0;
        let json = (!is_absent).then(|| arguments::text_with_length(json, json_len, "json")).transpose()?;
        expect(batch, key, json)
    })
}

/// Makes all changes of the batch in one write, or none. true: done. false: failed, with
/// FLAGSTORE_CONFLICT if an expectation does not hold; then nothing has changed, except under
/// FLAGSTORE_NOT_DURABLE. The batch stays the caller's and may be committed again.
///
/// On a backend of your own without `commit` the changes are made one after another, under the
/// store's lock: other users of this handle see all or none, but a call that fails half-way leaves
/// the earlier changes, and another process may see some. If that backend then says that nothing
/// has changed (FLAGSTORE_UNAVAILABLE), the caller gets FLAGSTORE_UNCERTAIN.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_commit(
    store: *mut flagstore_t,
    batch: *const flagstore_batch_t,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let store = handle(store)?;
        // Nothing is locked while the store works.
        let batch = Arc::clone(&lock(batch)?.batch);
        store.commit(&batch).map(|()| true)
    })
}

/// Whether the batch first removes every flag. false also for NULL and for what is not a batch.
///
/// With this and the functions below a program reads what a batch will do.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_clears(batch: *const flagstore_batch_t) -> bool {
    guard_infallible(false, || Ok(lock(batch)?.batch.clears()))
}

/// The number of flags that the batch stores or removes one by one. 0 also for NULL and for what
/// is not a batch.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_count(batch: *const flagstore_batch_t) -> usize {
    guard_infallible(0, || Ok(lock(batch)?.listing().changes.len()))
}

/// The key of the change at `index`, which counts from 0 in byte order; each key comes once. Its
/// length goes to `len`, which may be NULL. The string is borrowed from the batch and lives until
/// the batch is changed or freed; it ends with a NUL that the length does not count. NULL past
/// the end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_key(batch: *const flagstore_batch_t, index: usize, len: *mut usize) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(key(lock(batch)?.listing().changes.get(index)), len)))
}

/// The compact JSON text that the change at `index` stores, borrowed as from flagstore_batch_key,
/// with its length in `len`, which may be NULL. NULL if the change removes the flag, and past the
/// end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_value(
    batch: *const flagstore_batch_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(json(lock(batch)?.listing().changes.get(index)), len)))
}

/// The number of flags of which the batch expects something. 0 also for NULL and for what is not
/// a batch.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect_count(batch: *const flagstore_batch_t) -> usize {
    guard_infallible(0, || Ok(lock(batch)?.listing().expectations.len()))
}

/// The key of the expectation at `index`, in the order, and borrowed, as from
/// flagstore_batch_key, with its length in `len`, which may be NULL. NULL past the end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect_key(
    batch: *const flagstore_batch_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(key(lock(batch)?.listing().expectations.get(index)), len)))
}

/// The compact JSON text that the flag must equal, borrowed as from flagstore_batch_key, with its
/// length in `len`, which may be NULL. NULL if there must be no such flag, and past the end.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_batch_expect_value(
    batch: *const flagstore_batch_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    guard_infallible(ptr::null(), || Ok(lend(json(lock(batch)?.listing().expectations.get(index)), len)))
}

/// Whether two texts spell the same JSON value, as flagstore_batch_expect compares them: for
/// backends that commit by themselves. false also if either is NULL, not UTF-8 or not one JSON
/// value.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_json_equal(a: *const c_char, a_len: usize, b: *const c_char, b_len: usize) -> bool {
    guard_infallible(false, || {
        let (a, b) = (arguments::bytes(a, a_len, "a")?, arguments::bytes(b, b_len, "b")?);
        Ok(value_in(a).is_some_and(|value| Some(value) == value_in(b)))
    })
}

fn value_in(json: &[u8]) -> Option<Value> {
    Value::parse(std::str::from_utf8(json).ok()?).ok()
}

fn set(batch: *const flagstore_batch_t, key: &str, json: &str) -> Result<bool> {
    let value = value_of(key, json, usize::MAX)?;
    change(batch, |batch| batch.set(key, value))
}

fn delete(batch: *const flagstore_batch_t, key: &str) -> Result<bool> {
    change(batch, |batch| batch.delete(key))
}

fn expect(batch: *const flagstore_batch_t, key: &str, json: Option<&str>) -> Result<bool> {
    let value = json.map(|json| value_of(key, json, usize::MAX)).transpose()?;
    change(batch, |batch| batch.expect(key, value))
}

fn lock<'a>(batch: *const flagstore_batch_t) -> Result<MutexGuard<'a, State>> {
    let batch = object::borrow(batch, Kind::Batch, "batch")?;
    Ok(batch.0.lock().unwrap_or_else(PoisonError::into_inner))
}

fn change(batch: *const flagstore_batch_t, change: impl FnOnce(&mut Batch)) -> Result<bool> {
    let mut state = lock(batch)?;
    state.listing = None;
    change(Arc::make_mut(&mut state.batch));
    Ok(true)
}

fn key(entry: Option<&Entry>) -> Option<&str> {
    entry.map(|entry| entry.key.with_nul())
}

fn json(entry: Option<&Entry>) -> Option<&str> {
    entry?.json.as_ref().map(NulTerminated::with_nul)
}

impl State {
    fn listing(&mut self) -> &Listing {
        self.listing.get_or_insert_with(|| Listing {
            changes: self.batch.changes().map(Entry::from).collect(),
            expectations: self.batch.expectations().map(Entry::from).collect(),
        })
    }
}

impl From<(&str, Option<&Value>)> for Entry {
    fn from((key, value): (&str, Option<&Value>)) -> Self {
        Self { key: key.into(), json: value.map(|value| value.text().clone()) }
    }
}
