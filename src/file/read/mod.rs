//! The way of a read: a mode with a cache answers from memory, if it may; else the file is read.

mod checked;
mod flags_view;
mod fresh;
mod watched;

pub(super) use flags_view::FlagsView;
pub(super) use fresh::FreshCache;

use super::history::FileHistory;
use super::options::{FileOptions, ReadMode};
use super::stamp::Stamp;
use crate::{Error, Result};
use checked::{CachedRef, CheckedCache};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use watched::WatchedCache;

/// The cache of a store, by its [`ReadMode`].
pub(super) enum ReadCache {
    /// None that answers without the file.
    Fresh,
    Checked(CheckedCache),
    Watched(WatchedCache),
}

impl ReadCache {
    pub(super) fn start(path: &Path, options: &FileOptions, history: &Arc<FileHistory>) -> Result<Self> {
        if options.read_mode == ReadMode::Fresh {
            return Ok(Self::Fresh);
        }
        let c_path =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::os(path, "use the path", libc::EINVAL))?;
        let cache = CheckedCache::new(path, c_path, options.max_bytes, Arc::clone(history));
        Ok(match options.read_mode {
            ReadMode::Watched => match WatchedCache::start(cache) {
                Ok(watched) => Self::Watched(watched),
                Err((cache, error)) => {
                    let error = Error::io(path, "start the thread of a watched store", &error);
                    tracing::warn!("{error}: every read stats the file instead");
                    Self::Checked(cache)
                }
            },
            _ => Self::Checked(cache),
        })
    }

    /// The flags as the file holds them now. `None`: the file must be read.
    #[inline]
    pub(super) fn current(&self) -> Option<CachedRef<'_>> {
        match self {
            Self::Fresh => None,
            Self::Checked(cache) => cache.current(),
            Self::Watched(cache) => cache.current(),
        }
    }

    /// The same, if they are at hand.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<CachedRef<'_>> {
        let (cache, is_valid) = match self {
            Self::Fresh => return None,
            Self::Checked(cache) => (cache, false),
            Self::Watched(cache) => (cache.known_valid()?, true),
        };
        // In this order: the stamp of a moment after the content was cached.
        let cached = cache.cached();
        (is_valid || cache.has_stamp_of(&cached)).then_some(cached)
    }

    /// The file's stamp by events alone, without a stat.
    pub(super) fn stamp_by_events(&self) -> Option<Stamp> {
        match self {
            Self::Watched(cache) => cache.stamp_by_events(),
            Self::Fresh | Self::Checked(_) => None,
        }
    }

    /// Somebody has found the file with this stamp (`None`: missing): no later read may see an older version.
    pub(super) fn invalidate_unless(&self, seen: Option<&Stamp>) {
        if let Self::Watched(cache) = self {
            cache.invalidate_unless(seen);
        }
    }

    /// This store may have changed the file: the next read must see it.
    pub(super) fn revalidate(&self) {
        if let Self::Watched(cache) = self {
            cache.revalidate();
        }
    }
}
