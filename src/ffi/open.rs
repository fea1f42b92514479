//! Opening a store
//!
//! A store is opened, used from any thread, and freed with flagstore_free when no thread is
//! inside a call on it. Any number of stores, in any number of processes, may be open on one
//! file.
//!
//! A change of a file takes the lock of .NAME.lock beside it. All who may write the directory can
//! take that lock, and nobody else. A change replaces the file: hard links to it keep the old
//! flags, and a single file that is bind-mounted cannot be changed (mount its directory). The log
//! warns of both.

use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::{arguments, versioned_struct};
use crate::{
    Durability, Error, FileFlagStore, FileOptions, FlagStore, InMemoryFlagStore, ReadMode, RemoteFlagStore, Result,
};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// Every read reads the file (the default). The last content is kept, so that an
/// unchanged file is not parsed again.
pub const FLAGSTORE_READ_FRESH: i32 = 0;
/// A read is one stat of the file; the file is read again if its size, times or inode have
/// changed. Reads see what FLAGSTORE_READ_FRESH would see. It costs memory for the flags and one
/// open descriptor, but no thread.
///
/// The cache is used only if a later write is certain to change the timestamps: at once on what is
/// mounted as ext4, XFS, btrfs or tmpfs by Linux 6.13 or later, on other local file systems when
/// the last change is 20 ms old (2.1 s where times are whole seconds). Elsewhere (network file
/// systems, FUSE, what is not known) every read reads the file. A write that changes no time, as a
/// store through mmap may not, is not seen.
pub const FLAGSTORE_READ_CHECKED: i32 = 1;
/// A read takes the flags from memory: a thread of the library reads the file when the system
/// announces a change. This store's own changes are seen at once. Changes of others are seen
/// when that thread has run, commonly within a millisecond, and after a second at the latest
/// where no event announces them (a directory further up is renamed). Until then, and where
/// there are no events (their number is limited, network file systems have none: one warning in
/// the log), reads are as with FLAGSTORE_READ_CHECKED. Where no thread is to be had, the store
/// opens as such a one.
///
/// It costs what that costs, and one thread and two descriptors, which flagstore_free ends. A
/// forked child has no such thread: there the store reads as with FLAGSTORE_READ_CHECKED.
pub const FLAGSTORE_READ_WATCHED: i32 = 2;

/// A change is on stable storage before the call returns (the default).
pub const FLAGSTORE_SYNC_FULL: i32 = 0;
/// No fsync. Readers and killed processes never leave or see half a file, but after a power cut
/// it may be empty or torn.
pub const FLAGSTORE_SYNC_NONE: i32 = 1;
/// Never torn by a power cut, but the last changes may be missing after it.
pub const FLAGSTORE_SYNC_ORDERED: i32 = 2;

/// A missing file is an error at open (FLAGSTORE_IO, ENOENT).
pub const FLAGSTORE_OPEN_EXISTING: u32 = 1;
/// Every change fails with FLAGSTORE_READ_ONLY, and nothing is created.
pub const FLAGSTORE_OPEN_READ_ONLY: u32 = 2;

/// A store of flags. Any number of threads may use it at once without locking. Calls that take it
/// as `const` only read. Free it with flagstore_free when no thread is inside a call on it.
#[allow(non_camel_case_types)]
pub struct flagstore_t(pub(super) Backend);

/// The store behind a handle: those of the library by their own types, so that a read need not go through a table of
/// functions.
pub(super) enum Backend {
    Memory(Arc<InMemoryFlagStore>),
    File(Arc<FileFlagStore>),
    Remote(Arc<RemoteFlagStore>),
    Other(Arc<dyn FlagStore>),
}

/// Options of a file store. Set all of it to zero, then `size` to
/// sizeof(flagstore_file_options_t), then what you want; zero means the default in every field.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct flagstore_file_options_t {
    /// sizeof(flagstore_file_options_t)
    pub size: usize,
    /// one of FLAGSTORE_READ_*
    pub read_mode: i32,
    /// one of FLAGSTORE_SYNC_*
    pub durability: i32,
    /// FLAGSTORE_OPEN_*, added up
    pub flags: u32,
    /// how long a change waits for the lock, in milliseconds, before it fails with
    /// FLAGSTORE_LOCKED; 0: 5000; -1: for ever
    pub lock_timeout_ms: i32,
    /// permission bits of a created file; 0: 0666 less the umask
    pub mode: u32,
    /// must be 0
    pub reserved: u32,
    /// a larger file or result fails with FLAGSTORE_IO (EFBIG); 0: 256 MiB; at most 4 GiB are
    /// ever read
    pub max_bytes: u64,
}

/// Opens an empty store in memory, which ends with the handle: nothing is written anywhere. The
/// caller frees it with flagstore_free. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_memory_open(error: *mut *mut flagstore_error_t) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || Ok(into_raw(Backend::Memory(Arc::new(InMemoryFlagStore::new())))))
}

/// Opens the JSON file at `path` with the default options, and creates it ("{}") if it is
/// missing. The caller frees the store with flagstore_free. NULL on failure: FLAGSTORE_IO for a
/// missing directory, a link to nowhere, a path that is not a regular file, or a refusal.
///
/// The content is not read yet: a corrupt file is reported by the first call that needs it. A
/// relative path is resolved now: a later chdir does no harm.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_file_open(path: *const c_char, error: *mut *mut flagstore_error_t) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || open_file(path, FileOptions::default()))
}

/// As flagstore_file_open, with options; NULL options are the defaults. The caller frees the
/// store with flagstore_free. NULL on failure: also FLAGSTORE_INVALID_ARGUMENT for an option out
/// of range, and for the larger struct of a newer header that asks for what this library does not
/// have.
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
    let store = FileFlagStore::open_with(arguments::text(path, "path")?, options)?;
    Ok(into_raw(Backend::File(Arc::new(store))))
}

pub(super) fn into_raw(backend: Backend) -> *mut flagstore_t {
    object::into_raw(Kind::Store, flagstore_t(backend))
}

/// The core of the caller's handle.
pub(super) fn handle<'a>(store: *const flagstore_t) -> Result<&'a dyn FlagStore> {
    object::borrow(store, Kind::Store, "store").map(|handle| match &handle.0 {
        Backend::Memory(store) => store.as_ref() as &dyn FlagStore,
        Backend::File(store) => store.as_ref(),
        Backend::Remote(store) => store.as_ref(),
        Backend::Other(store) => store.as_ref(),
    })
}

/// The core of the caller's handle, for what may outlive it. `name`: what a message calls it.
pub(super) fn shared(store: *const flagstore_t, name: &str) -> Result<Arc<dyn FlagStore>> {
    object::borrow(store, Kind::Store, name).map(|handle| match &handle.0 {
        Backend::Memory(store) => Arc::clone(store) as Arc<dyn FlagStore>,
        Backend::File(store) => Arc::clone(store) as Arc<dyn FlagStore>,
        Backend::Remote(store) => Arc::clone(store) as Arc<dyn FlagStore>,
        Backend::Other(store) => Arc::clone(store),
    })
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
