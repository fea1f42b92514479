//! Options of a store that is elsewhere.

use super::open::{FLAGSTORE_OPEN_READ_ONLY, FLAGSTORE_READ_CHECKED, FLAGSTORE_READ_FRESH, FLAGSTORE_READ_WATCHED};
use super::{arguments, versioned_struct};
use crate::{Error, ReadMode, RemoteOptions, Result, WhenLost};
use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

/// While the backend is lost, reads get the last good snapshot (the default).
pub const FLAGSTORE_LOST_SERVE: i32 = 0;
/// While the backend is lost, reads fail with FLAGSTORE_UNAVAILABLE.
pub const FLAGSTORE_LOST_FAIL: i32 = 1;

/// Opening does not wait for the first snapshot: reads fail with FLAGSTORE_UNAVAILABLE until it is
/// there.
pub const FLAGSTORE_OPEN_LAZY: u32 = 4;

/// Options of a store that is elsewhere. Set all of it to zero, then `size` to
/// sizeof(flagstore_remote_options_t), then what you want; zero means the default in every field.
/// Times are in milliseconds.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct flagstore_remote_options_t {
    /// sizeof(flagstore_remote_options_t)
    pub size: usize,
    /// FLAGSTORE_READ_FRESH asks the backend at every read; FLAGSTORE_READ_CHECKED asks at every
    /// read whether the snapshot is still the same; FLAGSTORE_READ_WATCHED serves a snapshot from
    /// memory, which a thread of the library keeps up to date
    pub read_mode: i32,
    /// one of FLAGSTORE_LOST_*, for FLAGSTORE_READ_WATCHED
    pub when_lost: i32,
    /// FLAGSTORE_OPEN_READ_ONLY and FLAGSTORE_OPEN_LAZY, added up
    pub flags: u32,
    /// how long opening with FLAGSTORE_READ_WATCHED waits for the first snapshot; 0: 2000
    pub open_timeout_ms: i32,
    /// the deadline of a whole call; 0: 500
    pub call_timeout_ms: i32,
    /// FLAGSTORE_LOST_SERVE becomes FLAGSTORE_LOST_FAIL after so long; 0: never
    pub max_stale_ms: i32,
    /// how often to look although nothing was announced; 0: 60000 where changes are announced, 5000
    /// where not
    pub verify_ms: i32,
    /// a re-read begins after a random part of this, so that many clients do not all read at once;
    /// 0: 100; -1: at once
    pub spread_ms: i32,
    /// the longest delay between attempts to reach a lost backend; 0: 1000
    pub retry_max_ms: i32,
    /// must be 0
    pub reserved: u32,
    /// a larger result fails with FLAGSTORE_IO (EFBIG); 0: 256 MiB
    pub max_bytes: u64,
    /// for FLAGSTORE_READ_WATCHED: a flags file that keeps the last good snapshot, and is read when
    /// the backend is not reached at open, with FLAGSTORE_OPEN_LAZY after the first failure. One
    /// process writes it, once a second at most; it is created with mode 0600; NULL: none. The
    /// string is copied
    pub fallback_path: *const c_char,
}

impl flagstore_remote_options_t {
    /// What the caller asks for; NULL asks for the defaults.
    pub(super) fn checked(given: *const Self) -> Result<RemoteOptions> {
        let empty = Self {
            size: 0,
            read_mode: 0,
            when_lost: 0,
            flags: 0,
            open_timeout_ms: 0,
            call_timeout_ms: 0,
            max_stale_ms: 0,
            verify_ms: 0,
            spread_ms: 0,
            retry_max_ms: 0,
            reserved: 0,
            max_bytes: 0,
            fallback_path: ptr::null(),
        };
        // SAFETY: the struct is of integers and a pointer, for which any bytes will do.
        let given = if given.is_null() { empty } else { unsafe { versioned_struct::copy(given, empty, "options")? } };
        given.to_options()
    }

    fn to_options(self) -> Result<RemoteOptions> {
        let read_mode = match self.read_mode {
            FLAGSTORE_READ_FRESH => ReadMode::Fresh,
            FLAGSTORE_READ_CHECKED => ReadMode::Checked,
            FLAGSTORE_READ_WATCHED => ReadMode::Watched,
            other => return refuse("read_mode", other.into()),
        };
        let when_lost = match self.when_lost {
            FLAGSTORE_LOST_SERVE => WhenLost::Serve,
            FLAGSTORE_LOST_FAIL => WhenLost::Fail,
            other => return refuse("when_lost", other.into()),
        };
        if self.flags & !(FLAGSTORE_OPEN_READ_ONLY | FLAGSTORE_OPEN_LAZY) != 0 {
            return refuse("flags", self.flags.into());
        }
        if self.reserved != 0 {
            return refuse("reserved", self.reserved.into());
        }
        // 0 is the default.
        let time = |field: &str, given: i32| match u64::try_from(given) {
            Ok(0) => Ok(None),
            Ok(milliseconds) => Ok(Some(Duration::from_millis(milliseconds))),
            Err(_) => refuse(field, given.into()),
        };
        let defaults = RemoteOptions::new();
        Ok(RemoteOptions {
            read_mode,
            when_lost,
            read_only: self.flags & FLAGSTORE_OPEN_READ_ONLY != 0,
            lazy: self.flags & FLAGSTORE_OPEN_LAZY != 0,
            open_timeout: time("open_timeout_ms", self.open_timeout_ms)?.unwrap_or(defaults.open_timeout),
            call_timeout: time("call_timeout_ms", self.call_timeout_ms)?.or(defaults.call_timeout),
            max_stale: time("max_stale_ms", self.max_stale_ms)?,
            verify: time("verify_ms", self.verify_ms)?,
            spread: match self.spread_ms {
                -1 => Duration::ZERO,
                given => time("spread_ms", given)?.unwrap_or(defaults.spread),
            },
            retry_max: time("retry_max_ms", self.retry_max_ms)?.unwrap_or(defaults.retry_max),
            max_bytes: match self.max_bytes {
                0 => defaults.max_bytes,
                given => usize::try_from(given).unwrap_or(usize::MAX),
            },
            fallback_path: match self.fallback_path.is_null() {
                true => None,
                false => Some(arguments::text(self.fallback_path, "options.fallback_path")?.into()),
            },
            ..defaults
        })
    }
}

fn refuse<T>(field: &str, value: i64) -> Result<T> {
    Err(Error::InvalidArgument(format!("options.{field} is {value}")))
}
