//! What is kept of the file between reads, and whether it is still what the file holds.

use crate::file::load::{self, OpenedFile};
use crate::file::stamp::Stamp;
use crate::sys::ForkSafeMutex;
use crate::sys::ProcessLocal;
use crate::{Snapshot, document, json, sys};
use arc_swap::{ArcSwap, Guard};
use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The flags of one version of the file. Its stamp was settled when it was read: whoever finds the same stamp at the
/// path finds the same content.
pub(in crate::file) struct CachedFile {
    pub(in crate::file) stamp: Stamp,
    pub(in crate::file) flags: Snapshot,
    /// CachedRef open: the stamp may be settled only as long as it is.
    _file: Option<ProcessLocal<File>>,
}

/// A picture in use, borrowed without a lock.
pub(in crate::file) type CachedRef = Guard<Arc<CachedFile>>;

pub(in crate::file) struct Cache {
    path: PathBuf,
    /// The same, as stat takes it.
    c_path: CString,
    max_bytes: usize,
    /// Each was read later than the one before.
    kept: ArcSwap<CachedFile>,
    /// One thread at a time reads the file anew; the others would take as long, and as much memory.
    loader: ForkSafeMutex,
    /// A file system of which nothing is kept.
    remote: AtomicU64,
}

impl Cache {
    pub(in crate::file) fn new(path: &Path, c_path: CString, max_bytes: usize) -> Self {
        // The stamp of no file.
        let nothing = CachedFile { stamp: Stamp::default(), flags: Snapshot::default(), _file: None };
        let kept = ArcSwap::from_pointee(nothing);
        Self { path: path.into(), c_path, max_bytes, kept, loader: ForkSafeMutex::new(), remote: AtomicU64::new(0) }
    }

    pub(in crate::file) fn path(&self) -> &Path {
        &self.path
    }

    /// The picture as it is, without a look at the file.
    pub(in crate::file) fn kept(&self) -> CachedRef {
        self.kept.load()
    }

    /// The picture, if the file still has its stamp.
    pub(in crate::file) fn current(&self) -> Option<CachedRef> {
        let kept = self.kept.load();
        self.stamp().filter(|stamp| *stamp == kept.stamp).map(|_| kept)
    }

    /// The picture of what the file holds now, read anew if need be. `None`: it is not one to be kept (missing,
    /// corrupt, only just changed, on another machine) and must be read as if nothing were kept.
    pub(in crate::file) fn picture(&self) -> Option<CachedRef> {
        // In this order: what the path leads to after the picture was made.
        let kept = self.kept.load();
        let stamp = self.stamp()?;
        if stamp == kept.stamp { Some(kept) } else { self.reload(&stamp) }
    }

    fn stamp(&self) -> Option<Stamp> {
        sys::stat(&self.c_path).ok().map(|status| Stamp::of(&status))
    }

    #[cold]
    fn reload(&self, seen: &Stamp) -> Option<CachedRef> {
        if seen.device() == self.remote.load(Relaxed) {
            return None;
        }
        let _turn = self.loader.lock();
        if let Some(kept) = self.current() {
            return Some(kept);
        }
        let new = Arc::new(self.read()?);
        self.kept.store(Arc::clone(&new));
        Some(Guard::from_inner(new))
    }

    /// `None` is no error: whoever reads without a cache will meet it and settle or tell it.
    fn read(&self) -> Option<CachedFile> {
        let before = sys::coarse_clock();
        let mut bytes = Vec::new();
        let OpenedFile { file, stamp } = load::load(&self.path, self.max_bytes, &mut bytes).ok()??;
        if sys::is_remote(&file) {
            self.remote.store(stamp.device(), Relaxed);
            return None;
        }
        if !stamp.is_settled_while_open(&file, before) {
            return None;
        }
        let flags = document::snapshot(json::utf8(&bytes).ok()?, self.max_bytes).ok()?.indexed().ok()?;
        Some(CachedFile { stamp, flags, _file: Some(ProcessLocal::new(sys::above_stdio(file).ok()?)) })
    }
}
