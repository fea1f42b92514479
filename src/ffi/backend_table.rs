//! The functions that a backend brings, and where they answer.

use super::error::flagstore_error_t;
use crate::Value;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};

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

/// The functions of a backend. Set all of it to zero, then `size`, then the functions. Each
/// returns true, or false with an error object in *error, made by flagstore_error_new or by a
/// call on another store: the library frees it, and the store's caller gets its code and message.
/// A function that is NULL makes the calls that need it fail with FLAGSTORE_NOT_IMPLEMENTED.
///
/// Keys and JSON come by pointer and length, in UTF-8, with a NUL behind them, and are valid
/// during the call. The calls of one store never overlap, but come from whatever thread uses the
/// store. They must not throw. They may call the library for other stores, but not for their own,
/// which fails with FLAGSTORE_BACKEND.
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
    /// removes the flag and stores in *existed whether there was one
    pub remove: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            key: *const c_char,
            key_len: usize,
            existed: *mut bool,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// replies every flag, in any order; flagstore_len, snapshots, watches and clear need it too
    pub list_all: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            reply: *mut flagstore_reply_t,
            error: *mut *mut flagstore_error_t,
        ) -> bool,
    >,
    /// called once, when the store and its last watch have been freed; may be NULL
    pub close: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
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
    // The reply to a get is about the key that was asked for.
    let key = match (of, key) {
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
