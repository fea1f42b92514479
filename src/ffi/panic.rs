//! A panic never leaves the library: it becomes an error.

use super::log_sink;
use crate::{Error, Result, sys};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of an exported function; a panic is [`Error::Internal`].
pub(super) fn catch_panic<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    log_sink::start();
    // A panic leaves nothing half done that outlives it: the stores change by one atomic step.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panic_error(panic)))
}

/// For functions without an error argument: what fails is logged and becomes `fallback`. Their bodies make no system
/// call at which the thread could be cancelled.
pub(super) fn guard_infallible<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    catch_panic(body).unwrap_or_else(|failure| {
        sys::without_cancellation(|| failure.log());
        fallback
    })
}

#[cold]
fn panic_error(panic: Box<dyn Any + Send>) -> Error {
    let message = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Internal(message.unwrap_or_else(|| "a panic without a message".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_panic_prints_nothing() {
        const INSIDE: &str = "FLAGSTORE_TEST_INSIDE";
        if std::env::var_os(INSIDE).is_some() {
            guard_infallible((), || panic!("nobody may see this"));
            std::process::exit(42);
        }
        let test = "ffi::panic::tests::a_panic_prints_nothing";
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
