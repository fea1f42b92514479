//! What is kept of the file between reads, and whether it is still what the file holds.

use super::read::{self, Content};
use super::stamp::Stamp;
use crate::exclusive::Exclusive;
use crate::lasting::Lasting;
use crate::{Snapshot, document, json, sys};
use arc_swap::{ArcSwap, Guard};
use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The flags of one version of the file. Its stamp was settled when it was read: whoever finds the same stamp at the
/// path finds the same content.
pub(super) struct Picture {
    pub(super) stamp: Stamp,
    pub(super) flags: Snapshot,
    /// Kept open: the stamp may be settled only as long as it is.
    _file: Option<Lasting<File>>,
}

/// A picture in use, borrowed without a lock.
pub(super) type Kept = Guard<Arc<Picture>>;

pub(super) struct Cache {
    path: PathBuf,
    /// The same, as stat takes it.
    c_path: CString,
    max_bytes: usize,
    /// Each was read later than the one before.
    kept: ArcSwap<Picture>,
    /// One thread at a time reads the file anew; the others would take as long, and as much memory.
    loader: Exclusive,
    /// A file system of which nothing is kept.
    remote: AtomicU64,
}

impl Cache {
    pub(super) fn new(path: &Path, c_path: CString, max_bytes: usize) -> Self {
        // The stamp of no file.
        let nothing = Picture { stamp: Stamp::default(), flags: Snapshot::default(), _file: None };
        let kept = ArcSwap::from_pointee(nothing);
        Self { path: path.into(), c_path, max_bytes, kept, loader: Exclusive::new(), remote: AtomicU64::new(0) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The picture as it is, without a look at the file.
    pub(super) fn kept(&self) -> Kept {
        self.kept.load()
    }

    /// The picture, if the file still has its stamp.
    pub(super) fn current(&self) -> Option<Kept> {
        let kept = self.kept.load();
        self.stamp().filter(|stamp| *stamp == kept.stamp).map(|_| kept)
    }

    /// The picture of what the file holds now, read anew if need be. `None`: it is not one to be kept (missing,
    /// corrupt, only just changed, on another machine) and must be read as if nothing were kept.
    pub(super) fn picture(&self) -> Option<Kept> {
        // In this order: what the path leads to after the picture was made.
        let kept = self.kept.load();
        let stamp = self.stamp()?;
        if stamp == kept.stamp { Some(kept) } else { self.renew(&stamp) }
    }

    fn stamp(&self) -> Option<Stamp> {
        sys::stat(&self.c_path).ok().map(|status| Stamp::of(&status))
    }

    #[cold]
    fn renew(&self, seen: &Stamp) -> Option<Kept> {
        if seen.device() == self.remote.load(Relaxed) {
            return None;
        }
        let _turn = self.loader.enter();
        if let Some(kept) = self.current() {
            return Some(kept);
        }
        let new = Arc::new(self.read()?);
        self.kept.store(Arc::clone(&new));
        Some(Guard::from_inner(new))
    }

    /// `None` is no error: whoever reads without a cache will meet it and settle or tell it.
    fn read(&self) -> Option<Picture> {
        let before = sys::coarse_clock();
        let mut bytes = Vec::new();
        let Content { file, stamp } = read::load(&self.path, self.max_bytes, &mut bytes).ok()??;
        if sys::is_remote(&file) {
            self.remote.store(stamp.device(), Relaxed);
            return None;
        }
        if !stamp.is_settled_while_open(&file, before) {
            return None;
        }
        let flags = document::snapshot(json::utf8(&bytes).ok()?, self.max_bytes).ok()?.indexed().ok()?;
        Some(Picture { stamp, flags, _file: Some(Lasting::new(sys::above_stdio(file).ok()?)) })
    }
}
