//! The library as C sees it: include/flagstore.h in Rust, and owners for what it hands out.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Once;

pub const OK: i32 = 0;
pub const INVALID_ARGUMENT: i32 = 1;
pub const INVALID_JSON: i32 = 2;
pub const IO: i32 = 4;
pub const READ_ONLY: i32 = 6;
pub const TYPE_MISMATCH: i32 = 8;

pub const SYNC_NONE: u64 = 1;
pub const OPEN_EXISTING: u64 = 1;
pub const OPEN_READ_ONLY: u64 = 2;

/// A store, an error, a text: for the linker they are all pointers.
pub type Pointer = *mut c_void;
type Text = *const c_char;
type Error = *mut Pointer;
type Log = unsafe extern "C" fn(Pointer, i32, Text);

unsafe extern "C" {
    pub fn flagstore_free(object: Pointer);
    pub fn flagstore_has_feature(name: Text) -> bool;
    pub fn flagstore_set_log(callback: Option<Log>, userdata: Pointer, level: i32);

    pub fn flagstore_error_code(error: Pointer) -> i32;
    pub fn flagstore_error_message(error: Pointer) -> Text;
    pub fn flagstore_error_os_code(error: Pointer) -> i32;
    pub fn flagstore_error_name(code: i32) -> Text;
    pub fn flagstore_error_new(code: i32, message: Text) -> Pointer;

    pub fn flagstore_memory_open(error: Error) -> Pointer;
    pub fn flagstore_file_open(path: Text, error: Error) -> Pointer;
    pub fn flagstore_file_open_with(path: Text, options: *const u64, error: Error) -> Pointer;

    pub fn flagstore_get(store: Pointer, key: Text, error: Error) -> Pointer;
    pub fn flagstore_set(store: Pointer, key: Text, json: Text, error: Error) -> bool;
    pub fn flagstore_delete(store: Pointer, key: Text, error: Error) -> bool;
    pub fn flagstore_list_all(store: Pointer, error: Error) -> Pointer;
    pub fn flagstore_len(store: Pointer, error: Error) -> i64;

    pub fn flagstore_get_bool(store: Pointer, key: Text, fallback: bool, error: Error) -> bool;
    pub fn flagstore_get_int64(store: Pointer, key: Text, fallback: i64, error: Error) -> i64;
    pub fn flagstore_get_double(store: Pointer, key: Text, fallback: f64, error: Error) -> f64;
    pub fn flagstore_get_string(store: Pointer, key: Text, fallback: Text, error: Error) -> Pointer;
    pub fn flagstore_get_type(store: Pointer, key: Text, error: Error) -> i32;
    pub fn flagstore_set_bool(store: Pointer, key: Text, value: bool, error: Error) -> bool;
    pub fn flagstore_set_int64(store: Pointer, key: Text, value: i64, error: Error) -> bool;
    pub fn flagstore_set_double(store: Pointer, key: Text, value: f64, error: Error) -> bool;
    pub fn flagstore_set_string(store: Pointer, key: Text, value: Text, error: Error) -> bool;

    pub fn flagstore_get_n(store: Pointer, key: Text, key_len: usize, len: *mut usize, error: Error) -> Pointer;
    pub fn flagstore_set_n(
        store: Pointer,
        key: Text,
        key_len: usize,
        json: Text,
        json_len: usize,
        error: Error,
    ) -> bool;
    pub fn flagstore_delete_n(store: Pointer, key: Text, key_len: usize, error: Error) -> bool;
    pub fn flagstore_get_bool_n(store: Pointer, key: Text, key_len: usize, fallback: bool, error: Error) -> bool;
    pub fn flagstore_get_int64_n(store: Pointer, key: Text, key_len: usize, fallback: i64, error: Error) -> i64;
    pub fn flagstore_get_double_n(store: Pointer, key: Text, key_len: usize, fallback: f64, error: Error) -> f64;
    pub fn flagstore_get_string_n(store: Pointer, key: Text, key_len: usize, len: *mut usize, error: Error) -> Pointer;
    pub fn flagstore_json_equal(a: Text, a_len: usize, b: Text, b_len: usize) -> bool;
}

/// What the library handed out, perhaps NULL; freed when dropped.
pub struct Object(pub Pointer);

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: nobody else frees it.
        unsafe { flagstore_free(self.0) };
    }
}

impl Object {
    /// The bytes of a text up to its NUL, or those of the given length, which a NUL must follow.
    pub fn bytes(&self, length: Option<usize>) -> Option<&[u8]> {
        let start = NonNull::new(self.0)?.as_ptr().cast_const().cast();
        let Some(length) = length else {
            // SAFETY: the library promises a NUL-terminated text.
            return Some(unsafe { CStr::from_ptr(start) }.to_bytes());
        };
        // SAFETY: the library promises that many bytes and a NUL.
        let with_nul = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length + 1) };
        assert_eq!(with_nul[length], 0);
        Some(&with_nul[..length])
    }

    pub fn text(&self, length: Option<usize>) -> Option<&str> {
        self.bytes(length).map(|bytes| std::str::from_utf8(bytes).expect("the library's texts are UTF-8"))
    }
}

/// Makes a call, with room for an error or with NULL, and checks the code of its error.
pub fn expecting<T>(code: i32, with_error: bool, call: impl FnOnce(Error) -> T) -> T {
    start();
    if !with_error {
        return call(ptr::null_mut());
    }
    // Whatever was there before is harmless.
    let mut error = NonNull::<c_void>::dangling().as_ptr();
    let result = call(&mut error);
    let error = Object(error);
    // SAFETY: an error object or NULL.
    let (got, message) = unsafe { (flagstore_error_code(error.0), CStr::from_ptr(flagstore_error_message(error.0))) };
    let message = message.to_str().expect("messages are UTF-8");
    assert_eq!(got, code, "{message}");
    assert_eq!(message.is_empty(), code == OK);
    result
}

/// The library's first call makes panics silent; those of the tests shall be seen.
fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let hook = std::panic::take_hook();
        // SAFETY: NULL is allowed.
        unsafe { flagstore_free(ptr::null_mut()) };
        std::panic::set_hook(hook);
    });
}

/// Whether both are JSON and mean the same.
pub fn json_equal(a: &[u8], b: &[u8]) -> bool {
    start();
    // SAFETY: pointers and lengths are of living slices.
    unsafe { flagstore_json_equal(a.as_ptr().cast(), a.len(), b.as_ptr().cast(), b.len()) }
}

/// Bytes that are not UTF-8 are no key and no value.
pub fn refuses_text(bytes: &[u8]) {
    assert!(!json_equal(bytes, bytes));
    // SAFETY: pointers and lengths are of living slices.
    unsafe {
        let store = Object(expecting(OK, true, |error| flagstore_memory_open(error)));
        let (key, bad, length) = (c"key".as_ptr(), bytes.as_ptr().cast(), bytes.len());
        assert!(!expecting(INVALID_ARGUMENT, true, |error| flagstore_set_n(store.0, key, 3, bad, length, error)));
        assert!(!expecting(INVALID_ARGUMENT, true, |error| flagstore_set_n(store.0, bad, length, key, 3, error)));
        let none =
            expecting(INVALID_ARGUMENT, true, |error| flagstore_get_n(store.0, bad, length, ptr::null_mut(), error));
        assert!(none.is_null());
        assert_eq!(expecting(OK, true, |error| flagstore_len(store.0, error)), 0);
    }
}
