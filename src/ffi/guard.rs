//! What every exported function with an error argument runs in.

use super::error::{self, flagstore_error_t};
use super::panic::catch_panic;
use crate::{Error, Result, sys};
use std::ptr;

/// Runs the body of an exported function: what fails, or panics, is logged and becomes an error object and `fallback`. A
/// cancellation of the thread waits until it is over.
pub(super) fn guard<T>(error: *mut *mut flagstore_error_t, fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    if !error.is_null() {
        // SAFETY: the caller promises room for a pointer.
        unsafe { *error = ptr::null_mut() };
    }
    sys::without_cancellation(|| match catch_panic(body) {
        Ok(value) => value,
        Err(failure) => {
            report(error, failure);
            fallback
        }
    })
}

#[cold]
fn report(error: *mut *mut flagstore_error_t, failure: Error) {
    failure.log();
    if !error.is_null() {
        // SAFETY: the caller of the exported function promised room for a pointer.
        unsafe { *error = error::into_raw(&failure) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{FLAGSTORE_INTERNAL, flagstore_error_code, flagstore_error_message};
    use std::ffi::CStr;

    #[test]
    fn a_panic_is_an_internal_error() {
        let mut failure = ptr::null_mut();
        assert_eq!(guard(&mut failure, 7, || panic!("a bug of {} kinds", 2)), 7);
        assert_eq!(flagstore_error_code(failure), FLAGSTORE_INTERNAL);
        // SAFETY: the message of a living error.
        let message = unsafe { CStr::from_ptr(flagstore_error_message(failure)) };
        assert_eq!(message.to_str(), Ok("internal error: a bug of 2 kinds"));
        crate::ffi::library::flagstore_free(failure.cast());
    }
}
