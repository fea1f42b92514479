//! The functions that a backend brings, and where they answer.

use super::batch::flagstore_batch_t;
use super::error::flagstore_error_t;
use crate::Value;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::ptr;

/// Where a backend puts its answer with flagstore_reply. The library owns it, and it is valid
/// during the call that it came with.
#[allow(non_camel_case_types)]
pub struct flagstore_reply_t {
    /// The key that a get asked for; `None`: a list.
    of: Option<String>,
    values: Replies,
}

/// The values that a backend handed over, or the first thing that was wrong with them.
pub(super) type Replies = Result<BTreeMap<String, Value>, String>;

/// The calls of the backend may overlap. Without it a store makes one call at a time, `wait`
/// excepted, which overlaps all others.
pub const FLAGSTORE_BACKEND_CONCURRENT: u32 = 1;

/// The functions of a backend. Set all of it to zero, then `size`, then the functions. Each
/// returns true, or false with an error object in *error, made by flagstore_error_new or by a
/// call on another store: the library frees it, and the store's caller gets its code and message.
///
/// `get`, `set`, `remove` and `list_all` make a store. One that is NULL makes the calls that need
/// it fail with FLAGSTORE_NOT_IMPLEMENTED, unless another will do: `commit` for a set, `load` for
/// a list. Everything after them is optional, and a struct that ends earlier works as if it were
/// zero. `commit` makes batches atomic, `load` snapshots; with `wait` changes by others are known
/// at once.
///
/// Keys and JSON come by pointer and length, in UTF-8, with a NUL behind them, and are valid
/// during the call. Calls come from whatever thread uses the store, and from threads of the
/// library. They must not throw. They may call the library for other stores, but not for their
/// own, which fails with FLAGSTORE_BACKEND.
///
/// A backend that was not reached, so that nothing has changed, answers FLAGSTORE_UNAVAILABLE. A
/// change that was sent and not answered is FLAGSTORE_UNCERTAIN.
///
/// A revision is a number of the backend's own. It is never 0 and differs where the content does.
/// A backend that counts its changes one by one spares the library a read after each of its own.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct flagstore_backend_t {
    /// sizeof(flagstore_backend_t)
    pub size: usize,
    /// handed to every function as it is; it must stay valid until `close` is called
    pub context: *mut c_void,
    /// replies the flag's value; without a reply there is no such flag
    pub get: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// stores compact JSON under the key
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
    /// removes the flag and stores in *existed whether there was one; *existed is false before
    pub remove: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            existed: *mut bool,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// replies every flag, in any order; without `load` flagstore_len, snapshots, watches and clear
    /// need it too. No reply where there were flags, which the store itself did not remove: they
    /// have vanished, as with `load`
    pub list_all: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// called once, when the store and its last watch have been freed, and after every other call:
    /// one that hangs delays it, but not the freeing for long; may be NULL
    pub close: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
    /// FLAGSTORE_BACKEND_*, added up
    pub flags: u32,
    /// must be 0
    pub reserved: u32,
    /// makes all changes of the batch, or none if an expectation does not hold, which is
    /// FLAGSTORE_CONFLICT; stores the revision after it in *revision, or leaves it 0. The functions
    /// from flagstore_batch_clears to flagstore_json_equal read the batch. NULL: the changes are
    /// made one by one
    pub commit: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            batch: *const flagstore_batch_t,
            revision: *mut u64,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// replies every flag as of one moment and stores their revision in *revision. If that is still
    /// *revision it may set *same instead, and reply nothing. No reply with a revision: there are no
    /// flags. No reply with *revision 0: the content has vanished, which is not believed to be
    /// empty
    pub load: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            revision: *mut u64,
            same: *mut bool,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// blocks until the revision is no longer *revision, then stores the new one there and returns
    /// true. false with *error NULL: `timeout_ms`, a few seconds at most, have passed, or `wake` was
    /// called. One wait at a time is under way, beside any other calls
    pub wait: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            revision: *mut u64,
            timeout_ms: i32,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// makes a wait that is under way return. Without it the freeing of a store may take as long as
    /// that wait does
    pub wake: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
    /// called in a forked child before any other function: close the copies of the parent's
    /// descriptors, without a word to the server, and nothing else. Locks may be held by threads
    /// that the child does not have
    pub forked: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
}

impl flagstore_backend_t {
    /// A backend with no function.
    pub(super) fn empty() -> Self {
        Self {
            size: 0,
            context: ptr::null_mut(),
            get: None,
            set: None,
            remove: None,
            list_all: None,
            close: None,
            flags: 0,
            reserved: 0,
            commit: None,
            load: None,
            wait: None,
            wake: None,
            forked: None,
        }
    }
}

impl flagstore_reply_t {
    pub(super) fn to_get(key: &str) -> Self {
        Self { of: Some(key.to_owned()), values: Ok(BTreeMap::new()) }
    }

    pub(super) fn to_list() -> Self {
        Self { of: None, values: Ok(BTreeMap::new()) }
    }

    pub(super) fn finish(self) -> Replies {
        self.values
    }

    /// Takes one value; the first that is wrong fails the whole reply.
    pub(super) fn take(&mut self, key: Option<&[u8]>, json: &[u8]) {
        if let Ok(values) = &mut self.values {
            match checked(self.of.as_deref(), key, json) {
                Ok((key, value)) => drop(values.insert(key, value)),
                Err(problem) => self.values = Err(problem),
            }
        }
    }
}

fn checked(of: Option<&str>, key: Option<&[u8]>, json: &[u8]) -> Result<(String, Value), String> {
    let key = match (of, key) {
        (Some(asked), Some(key)) if key != asked.as_bytes() => {
            let key = String::from_utf8_lossy(key);
            return Err(format!("flag {asked:?}: the backend replied another flag, {key:?}"));
        }
        (Some(asked), _) => asked,
        (None, Some(key)) => std::str::from_utf8(key).map_err(|_| "the backend replied a key that is not UTF-8")?,
        (None, None) => return Err("the backend replied a value without a key".into()),
    };
    let json = std::str::from_utf8(json).map_err(|_| format!("flag {key:?}: the backend's value is not UTF-8"))?;
    match Value::parse(json) {
        Ok(value) => Ok((key.to_owned(), value)),
        Err(error) => Err(format!("flag {key:?}: the backend's value is {error}")),
    }
}
