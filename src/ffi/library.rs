//! The library
//!
//! Any thread may call these functions at any time.

use super::guard::guard;
use super::panic::guard_infallible;
use super::{arguments, object};
use std::ffi::{c_char, c_void};
use std::ptr;

/// The number of the binary interface that this header describes.
pub const FLAGSTORE_ABI_VERSION: u32 = 2;

/// The version of the library that is loaded, "MAJOR.MINOR.PATCH". The string is static. It
/// cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The number of the loaded library's binary interface. Header and library fit together if it
/// equals FLAGSTORE_ABI_VERSION; a host that loads the library with dlopen asks this first. It
/// cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_abi_version() -> u32 {
    FLAGSTORE_ABI_VERSION
}

/// Whether the loaded library has the feature of that name: "memory", "file", "backend", "layered"
/// and "redis" (the kinds of store), "checked" and "watched" (the read modes), "snapshot", "batch",
/// "watch", "status". false for a name that it does not know, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_has_feature(name: *const c_char) -> bool {
    guard_infallible(false, || {
        let features =
            ["memory", "file", "backend", "layered", "snapshot", "batch", "watch", "checked", "watched", "status"];
        let name = arguments::text(name, "name")?;
        Ok(features.contains(&name) || cfg!(feature = "redis") && name == "redis")
    })
}

/// Releases what the library handed out as `char *` or as a handle: a string, an error, a store,
/// a snapshot, a batch, a watch. NULL is allowed and does nothing. It returns nothing and cannot
/// fail.
///
/// No other thread may be inside a call that uses the object. What was borrowed from the object
/// (`const char *`) is gone with it; a snapshot or a watch of a freed store lives on.
///
/// A pointer that is none of these, or that was freed before, is a bug of the host: the library
/// writes one line to standard error and calls abort().
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_free(object: *mut c_void) {
    if object::free_if_text(object) {
        return;
    }
    guard(ptr::null_mut(), (), || {
        object::free(object);
        Ok(())
    })
}
