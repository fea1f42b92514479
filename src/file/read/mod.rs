mod checked;
mod flags_view;
mod fresh;
mod watched;

pub(super) use flags_view::FlagsView;
pub(super) use fresh::FreshCache;

use super::options::ReadMode;
use crate::file::stamp::Stamp;
use crate::{Error, Result};
use checked::{Cache, CachedRef};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use watched::Watched;

/// The way of a read to the flags, by [`ReadMode`].
pub(super) enum Reader {
    Fresh,
    Checked(Cache),
    Watched(Watched),
}

impl Reader {
    pub(super) fn start(mode: ReadMode, path: &Path, max_bytes: usize) -> Result<Self> {
        let cache = || match CString::new(path.as_os_str().as_bytes()) {
            Ok(c_path) => Ok(Cache::new(path, c_path, max_bytes)),
            Err(_) => Err(Error::Io { path: path.into(), action: "use the path", source: libc::EINVAL.into() }),
        };
        Ok(match mode {
            ReadMode::Fresh => Self::Fresh,
            ReadMode::Checked => Self::Checked(cache()?),
            ReadMode::Watched => Self::Watched(Watched::start(cache()?)?),
        })
    }

    /// The flags as the file holds them now. `None`: read it.
    pub(super) fn picture(&self) -> Option<CachedRef> {
        match self {
            Self::Fresh => None,
            Self::Checked(cache) => cache.picture(),
            Self::Watched(watched) => watched.picture(),
        }
    }

    /// What is known of the file from events alone, without a look at it.
    pub(super) fn stamp_by_events(&self) -> Option<Stamp> {
        match self {
            Self::Watched(watched) => watched.stamp(),
            Self::Fresh | Self::Checked(_) => None,
        }
    }

    /// Somebody has looked at the file and found it with this stamp: no later read may see an older one.
    pub(super) fn invalidate_unless(&self, seen: Option<&Stamp>) {
        if let Self::Watched(watched) = self {
            watched.invalidate_unless(seen);
        }
    }

    /// The file may have been changed by this store: the next read must see it.
    pub(super) fn revalidate(&self) {
        if let Self::Watched(watched) = self {
            watched.revalidate();
        }
    }
}
