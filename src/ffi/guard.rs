use super::error::{self, flagstore_error_t};
use super::log;
use crate::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// Runs the body of an exported function: what fails, or panics, becomes an error object and `fallback`.
pub(super) fn guard<T>(error: *mut *mut flagstore_error_t, fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    if !error.is_null() {
        // SAFETY: the caller promises room for a pointer.
        unsafe { *error = ptr::null_mut() };
    }
    match catch_panic(body) {
        Ok(value) => value,
        Err(failure) => {
            report(error, failure);
            fallback
        }
    }
}

#[cold]
fn report(error: *mut *mut flagstore_error_t, failure: Error) {
    if failure.is_caller_error() {
        failure.log();
    }
    if !error.is_null() {
        // SAFETY: the caller of the exported function promised room for a pointer.
        unsafe { *error = error::into_raw(&failure) };
    }
}

/// For functions without an error argument: what fails is logged and becomes `fallback`.
pub(super) fn guard_infallible<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    guard(ptr::null_mut(), fallback, body)
}

fn catch_panic<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    log::start();
    // A panic leaves nothing half done that outlives it: the stores change by one atomic step.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(bug(panic)))
}

#[cold]
fn bug(panic: Box<dyn Any + Send>) -> Error {
    let message = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Internal(message.unwrap_or_else(|| "a panic without a message".into()))
}

impl Error {
    /// Stores log their own errors; those that a call finds in its arguments are logged here.
    pub(crate) fn is_caller_error(&self) -> bool {
        use Error::*;
        matches!(
            self,
            InvalidArgument(_)
                | NotImplemented(_)
                | InvalidJson { .. }
                | TypeMismatch { .. }
                | OutOfMemory
                | TooLarge { path: None, .. }
                | Internal(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{FLAGSTORE_INTERNAL, flagstore_error_code, flagstore_error_message};
    use std::ffi::CStr;
    use std::process::Command;

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

    #[test]
    fn a_panic_prints_nothing() {
        const INSIDE: &str = "FLAGSTORE_TEST_INSIDE";
        if std::env::var_os(INSIDE).is_some() {
            guard_infallible((), || panic!("nobody may see this"));
            std::process::exit(42);
        }
        let test = "ffi::guard::tests::a_panic_prints_nothing";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(42));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
