//! The straight way of a read: what the caller gave is in order and the value is in memory. The store is asked itself,
//! without a visitor, and nothing here can fail or panic. Whatever else there is to say goes the other way, through
//! [`guard`](super::guard::guard), which starts anew.

use super::arguments::Key;
use super::error::flagstore_error_t;
use super::object::{self, Kind};
use super::open::{Backend, flagstore_t};
use crate::value::StoredValue;

/// What `read` makes of the value of `key`, and no error; `Some(None)`: there is no such flag, and no error. `None`: go
/// the other way.
#[inline(always)]
pub(super) fn peek<T>(
    store: *const flagstore_t,
    key: Key,
    error: *mut *mut flagstore_error_t,
    read: impl FnOnce(StoredValue<'_>) -> Option<T>,
) -> Option<Option<T>> {
    let (store, key) = (object::peek(store, Kind::Store)?, key.bytes()?);
    let found = match &store.0 {
        Backend::Memory(store) => store.peek(key, read)?,
        Backend::File(store) => store.peek(key, read)?,
        Backend::Remote(store) => store.peek(key, read)?,
        Backend::Other(_) => return None,
    };
    if !error.is_null() {
        // SAFETY: the caller promises room for a pointer.
        unsafe { *error = std::ptr::null_mut() };
    }
    Some(found)
}
