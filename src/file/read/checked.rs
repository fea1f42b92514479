//! The snapshot of a file, served as long as stat finds the file unchanged.

use crate::file::history::FileHistory;
use crate::file::load::{self, OpenedFile};
use crate::file::stamp::Stamp;
use crate::sys::{FileTimes, ForkSafeMutex, HazardArc, HazardGuard, ProcessLocal};
use crate::{Snapshot, document, json, sys};
use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The flags of one version of the file. Its stamp is not racy: the same stamp at the path means the same content.
pub(in crate::file) struct CachedFile {
    pub(super) stamp: Stamp,
    pub(super) flags: Snapshot,
    /// Kept open: only so long may the stamp be free of races.
    _file: Option<ProcessLocal<File>>,
}

/// A cached file in use, borrowed without a lock.
pub(in crate::file) type CachedRef<'a> = HazardGuard<'a, CachedFile>;

impl CachedFile {
    pub(in crate::file) fn flags(&self) -> &Snapshot {
        &self.flags
    }
}

pub(in crate::file) struct CheckedCache {
    path: PathBuf,
    /// The same, as stat takes it.
    c_path: CString,
    max_bytes: usize,
    history: Arc<FileHistory>,
    /// Each was read later than the one before.
    cached: HazardArc<CachedFile>,
    /// One thread at a time reads the file; the others would take as long, and as much memory.
    loader: ForkSafeMutex,
    /// A device whose files are not cached, for nobody knows whose clock their times come from.
    foreign_device: AtomicU64,
}

impl CheckedCache {
    pub(super) fn new(path: &Path, c_path: CString, max_bytes: usize, history: Arc<FileHistory>) -> Self {
        // No file has this stamp.
        let nothing = CachedFile { stamp: Stamp::default(), flags: Snapshot::default(), _file: None };
        Self {
            path: path.into(),
            c_path,
            max_bytes,
            history,
            cached: HazardArc::new(nothing),
            loader: ForkSafeMutex::new(),
            foreign_device: AtomicU64::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The cached file, without a stat.
    #[inline(always)]
    pub(super) fn cached(&self) -> CachedRef<'_> {
        self.cached.load()
    }

    /// The cached file, if the file at the path still has its stamp.
    pub(super) fn unchanged(&self) -> Option<CachedRef<'_>> {
        let cached = self.cached.load();
        self.has_stamp_of(&cached).then_some(cached)
    }

    /// Whether the file still is that of `cached`.
    #[inline(always)]
    pub(super) fn has_stamp_of(&self, cached: &CachedFile) -> bool {
        self.stamp().is_some_and(|stamp| stamp == cached.stamp)
    }

    /// The file as it is now, read if need be. `None`: it cannot be cached (it is missing, corrupt, only just
    /// changed, on another machine) and must be read without a cache, which retries or reports the problem.
    #[inline]
    pub(super) fn current(&self) -> Option<CachedRef<'_>> {
        // In this order: the stamp of a moment after the content was cached.
        let cached = self.cached.load();
        let stamp = self.stamp()?;
        if stamp == cached.stamp { Some(cached) } else { self.reload(&stamp) }
    }

    #[inline(always)]
    fn stamp(&self) -> Option<Stamp> {
        sys::stat(&self.c_path).ok().map(|status| Stamp::from(&status))
    }

    #[cold]
    fn reload(&self, seen: &Stamp) -> Option<CachedRef<'_>> {
        if seen.device() == self.foreign_device.load(Relaxed) {
            return None;
        }
        let _lock = self.loader.lock();
        if let Some(cached) = self.unchanged() {
            return Some(cached);
        }
        self.cached.store(self.read()?);
        Some(self.cached.load())
    }

    /// `None` is not an error: the caller falls back to an uncached read.
    fn read(&self) -> Option<CachedFile> {
        let before = sys::coarse_clock();
        let mut bytes = Vec::new();
        let OpenedFile { file, stamp, .. } =
            load::load(&self.path, self.max_bytes, &self.history, &mut bytes).ok()??;
        let times = sys::file_times(&file, stamp.device());
        if times == FileTimes::Foreign {
            self.foreign_device.store(stamp.device(), Relaxed);
            return None;
        }
        if stamp.is_racy_while_open(times, before) {
            return None;
        }
        let flags = document::snapshot(json::utf8(&bytes).ok()?, self.max_bytes).ok()?.indexed().ok()?;
        self.history.saw_file();
        Some(CachedFile { stamp, flags, _file: Some(ProcessLocal::new(sys::above_stdio(file).ok()?)) })
    }
}
