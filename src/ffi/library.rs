//! Library.

use super::panic::guard_infallible;
use super::{arguments, object};
use std::ffi::{c_char, c_void};

/// The number of the binary interface that this header describes.
pub const FLAGSTORE_ABI_VERSION: u32 = 2;

/// The version of the library, "MAJOR.MINOR.PATCH". Static.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The number of the library's binary interface: it fits a program if it equals the FLAGSTORE_ABI_VERSION of the
/// header that the program was compiled with. A host that loads the library with dlopen asks this first.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_abi_version() -> u32 {
    FLAGSTORE_ABI_VERSION
}

/// Whether this build has the feature: "memory", "file", "backend", "snapshot", "batch", "watch",
/// "checked" and "watched" (the read modes). False for a name it does not know, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_has_feature(name: *const c_char) -> bool {
    guard_infallible(false, || {
        let features = ["memory", "file", "backend", "snapshot", "batch", "watch", "checked", "watched"];
        Ok(features.contains(&arguments::text(name, "name")?))
    })
}

/// Frees whatever the library handed out: a string, an error, a store, a snapshot, a batch, a watch. NULL is
/// allowed. No thread may be inside a call
/// that uses the object. A pointer that is none of these, or was freed before, prints one line and aborts.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_free(object: *mut c_void) {
    guard_infallible((), || {
        object::free(object);
        Ok(())
    })
}
