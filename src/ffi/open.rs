//! Open.

use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::{arguments, versioned_struct};
use crate::{Durability, Error, FileFlagStore, FileOptions, FlagStore, InMemoryFlagStore, ReadMode, Result};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// Every read reads the file (the default). Nothing is kept between reads.
pub const FLAGSTORE_READ_FRESH: i32 = 0;
/// A read is one stat of the file; it is read again only if its size, times or inode differ from what was kept. Reads
/// see what FLAGSTORE_READ_FRESH would see. It costs memory for the flags and one open descriptor of the file, but no
/// thread. What is kept is used only where a later change is sure to show in the file's times: until they are 20 ms
/// old (2.1 s where they are whole seconds) every read reads the file, except on ext4, XFS, btrfs and tmpfs of Linux
/// 6.13 and later; and always on network file systems and FUSE. What changes no time, as a store through mmap may not,
/// is not seen.
pub const FLAGSTORE_READ_CHECKED: i32 = 1;
/// A read is a look into memory: a thread of the library takes the flags anew when the system tells of a change.
/// What this store itself changes is seen at once. What others change is seen when that thread has run, commonly
/// within a millisecond, and after a second at the latest where no event tells (a directory further up is renamed). In
/// between, and wherever there are no events (their number is limited, network file systems have none: one warning in
/// the log), reads are those of FLAGSTORE_READ_CHECKED. It costs what that costs, one thread and two descriptors more,
/// which flagstore_free ends. A child of fork has no such thread: there the store reads as FLAGSTORE_READ_CHECKED.
pub const FLAGSTORE_READ_WATCHED: i32 = 2;

/// A change is on stable storage before the call returns (the default).
pub const FLAGSTORE_SYNC_FULL: i32 = 0;
/// No fsync: atomic for readers and killed processes only. After a power cut the file may be empty or torn.
pub const FLAGSTORE_SYNC_NONE: i32 = 1;
/// Never torn by a power cut, but the last changes may be missing after it.
pub const FLAGSTORE_SYNC_ORDERED: i32 = 2;

/// A missing file is an error at open (FLAGSTORE_IO, ENOENT).
pub const FLAGSTORE_OPEN_EXISTING: u32 = 1;
/// Every change is FLAGSTORE_READ_ONLY, and nothing is created.
pub const FLAGSTORE_OPEN_READ_ONLY: u32 = 2;

/// A store of flags. Any number of threads may use it at once, without locking by the caller. Free it with
/// `flagstore_free` when no thread is inside a call on it.
#[allow(non_camel_case_types)]
pub struct flagstore_t {
    store: Arc<dyn FlagStore>,
}

/// Options of a file store. Set all of it to zero, then `size` to sizeof(flagstore_file_options_t); zero means the
/// default in every field.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct flagstore_file_options_t {
    /// sizeof(flagstore_file_options_t)
    pub size: usize,
    /// FLAGSTORE_READ_*
    pub read_mode: i32,
    /// FLAGSTORE_SYNC_FULL, FLAGSTORE_SYNC_NONE (may be empty or torn after a power cut) or FLAGSTORE_SYNC_ORDERED
    pub durability: i32,
    /// FLAGSTORE_OPEN_*, added up
    pub flags: u32,
    /// how long a change waits for the lock, in milliseconds; 0: 5000; -1: for ever; then FLAGSTORE_LOCKED
    pub lock_timeout_ms: i32,
    /// permission bits of a created file; 0: 0666 less the umask
    pub mode: u32,
    /// 0
    pub reserved: u32,
    /// a larger file or result is FLAGSTORE_IO (EFBIG); 0: 256 MiB; at most 4 GiB are ever read
    pub max_bytes: u64,
}

/// Opens an empty store in memory, for the life of the process. To be freed; NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_memory_open(error: *mut *mut flagstore_error_t) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || Ok(into_raw(InMemoryFlagStore::new())))
}

/// Opens the JSON file at `path` with the default options; creates it ("{}") if it is missing. To be freed; NULL on
/// failure: FLAGSTORE_IO for a missing directory, a link to nowhere, a path that is not a regular file, a refusal.
///
/// The content is not read yet: a corrupt file is reported by the first call that needs it. A relative path is
/// resolved now, so that a later change of directory does no harm.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_file_open(path: *const c_char, error: *mut *mut flagstore_error_t) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || open_file(path, FileOptions::default()))
}

/// The same with options; NULL options are the defaults. FLAGSTORE_INVALID_ARGUMENT for a value out of range, and for
/// a larger struct of a newer header that asks for what this library does not have.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_file_open_with(
    path: *const c_char,
    options: *const flagstore_file_options_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || {
        let defaults = flagstore_file_options_t::default();
        // SAFETY: the struct is of integers, for which any bytes will do.
        let given =
            if options.is_null() { defaults } else { unsafe { versioned_struct::copy(options, defaults, "options")? } };
        open_file(path, given.checked()?)
    })
}

fn open_file(path: *const c_char, options: FileOptions) -> Result<*mut flagstore_t> {
    Ok(into_raw(FileFlagStore::open_with(arguments::text(path, "path")?, options)?))
}

pub(super) fn into_raw(store: impl FlagStore + 'static) -> *mut flagstore_t {
    object::into_raw(Kind::Store, flagstore_t { store: Arc::new(store) })
}

/// The core of the caller's handle.
pub(super) fn handle<'a>(store: *const flagstore_t) -> Result<&'a dyn FlagStore> {
    object::borrow(store, Kind::Store, "store").map(|handle| handle.store.as_ref())
}

/// The core of the caller's handle, for a watch that may outlive it.
pub(super) fn shared(store: *const flagstore_t) -> Result<Arc<dyn FlagStore>> {
    object::borrow(store, Kind::Store, "store").map(|handle| Arc::clone(&handle.store))
}

impl flagstore_file_options_t {
    fn checked(&self) -> Result<FileOptions> {
        let refuse = |field: &str, value: i64| Err(Error::InvalidArgument(format!("options.{field} is {value}")));
        let durability = match self.durability {
            FLAGSTORE_SYNC_FULL => Durability::Full,
            FLAGSTORE_SYNC_NONE => Durability::None,
            FLAGSTORE_SYNC_ORDERED => Durability::Ordered,
            other => return refuse("durability", other.into()),
        };
        if self.flags & !(FLAGSTORE_OPEN_EXISTING | FLAGSTORE_OPEN_READ_ONLY) != 0 {
            return refuse("flags", self.flags.into());
        }
        if self.mode > 0o777 {
            return refuse("mode", self.mode.into());
        }
        if self.reserved != 0 {
            return refuse("reserved", self.reserved.into());
        }
        let defaults = FileOptions::default();
        let lock_timeout = match self.lock_timeout_ms {
            0 => defaults.lock_timeout,
            -1 => None,
            given => match u64::try_from(given) {
                Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
                Err(_) => return refuse("lock_timeout_ms", given.into()),
            },
        };
        let read_mode = match self.read_mode {
            FLAGSTORE_READ_FRESH => ReadMode::Fresh,
            FLAGSTORE_READ_CHECKED => ReadMode::Checked,
            FLAGSTORE_READ_WATCHED => ReadMode::Watched,
            other => return refuse("read_mode", other.into()),
        };
        Ok(FileOptions {
            read_mode,
            durability,
            must_exist: self.flags & FLAGSTORE_OPEN_EXISTING != 0,
            read_only: self.flags & FLAGSTORE_OPEN_READ_ONLY != 0,
            lock_timeout,
            mode: Some(self.mode).filter(|mode| *mode != 0),
            max_bytes: match self.max_bytes {
                0 => defaults.max_bytes,
                given => usize::try_from(given).unwrap_or(usize::MAX),
            },
        })
    }
}
