//! The last good snapshot in a flags file, for processes that start while the backend is not reached.

use super::core::Core;
use crate::sys::{self, ProcessLocal};
use crate::{Batch, Durability, Error, FileFlagStore, FileOptions, FlagStore, Result, Snapshot};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the file is left alone after it was written.
const INTERVAL: Duration = Duration::from_secs(1);

/// For the owner alone: the flags of a store elsewhere may be secret.
const MODE: u32 = 0o600;

/// Whether the file has flags: then a backend without any, and without a word that it should be so, is not believed.
pub(super) fn has_flags(core: &Core) -> bool {
    core.options.fallback_path.as_deref().is_some_and(|path| flags_of(core, path).is_ok_and(|flags| !flags.is_empty()))
}

fn flags_of(core: &Core, path: &Path) -> Result<Snapshot> {
    let options = FileOptions::new().read_only(true).must_exist(true).max_bytes(core.options.max_bytes);
    FileFlagStore::open_with(path, options)?.list_all()
}

/// Serves the flags of the file, if there is one, until the backend is reached; `false`: nothing is served.
pub(super) fn serve(core: &Core, error: &Error) -> bool {
    let Some(path) = &core.options.fallback_path else {
        return false;
    };
    match flags_of(core, path).and_then(|flags| core.install_fallback(flags)) {
        Ok(()) => {
            tracing::warn!("{error}: the flags of {} are served until the backend is reached", path.display());
            true
        }
        Err(unreadable) => {
            // None was written so far: nothing to tell of.
            if unreadable.errno() != Some(libc::ENOENT) {
                unreadable.log();
            }
            false
        }
    }
}

/// Writes the file, if no other process does.
pub(super) struct Writer {
    path: PathBuf,
    max_bytes: usize,
    /// The lock of the one process that writes, and ends with it.
    lock: Option<ProcessLocal<File>>,
    store: Option<FileFlagStore>,
    written: Option<Snapshot>,
    next: Instant,
    /// The failure that was logged last.
    last_error: Option<Error>,
}

impl Writer {
    pub(super) fn new(path: &Path, max_bytes: usize) -> Self {
        Self {
            path: path.into(),
            max_bytes,
            lock: None,
            store: None,
            written: None,
            next: Instant::now(),
            last_error: None,
        }
    }

    /// Keeps the snapshot, which must have been read from the backend just now. Returns when to try again, if need be.
    pub(super) fn keep(&mut self, flags: &Snapshot) -> Option<Instant> {
        if self.written.as_ref() == Some(flags) {
            return None;
        }
        let now = Instant::now();
        if now < self.next {
            return Some(self.next);
        }
        self.next = now + INTERVAL;
        match self.try_keep(flags) {
            Ok(true) => {
                self.written = Some(flags.clone());
                self.last_error = None;
                None
            }
            Ok(false) => Some(self.next),
            Err(error) => {
                // No caller hears of it. Once, however often it is tried again.
                if self.last_error.as_ref() != Some(&error) {
                    error.log();
                    self.last_error = Some(error);
                }
                Some(self.next)
            }
        }
    }

    /// `false`: another process writes the file.
    fn try_keep(&mut self, flags: &Snapshot) -> Result<bool> {
        if self.lock.as_ref().and_then(ProcessLocal::get).is_none() {
            self.lock = lock(&self.path)?;
        }
        if self.lock.is_none() {
            return Ok(false);
        }
        let store = match self.store.take() {
            Some(store) => store,
            None => {
                let options = FileOptions::new().durability(Durability::Ordered).mode(MODE).max_bytes(self.max_bytes);
                FileFlagStore::open_uncreated(&self.path, options)?
            }
        };
        let mut batch = Batch::new();
        batch.clear();
        for (key, value) in flags {
            batch.set(key, value.to_value()?);
        }
        store.commit(&batch)?;
        self.store = Some(store);
        Ok(true)
    }
}

/// The writer's lock, on a file beside the flags. `None`: another process has it.
fn lock(path: &Path) -> Result<Option<ProcessLocal<File>>> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".writer");
    let lock_path = path.with_file_name(name);
    let open = || -> io::Result<Option<ProcessLocal<File>>> {
        let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).mode(MODE).custom_flags(flags).open(&lock_path)?;
        let file = sys::above_stdio(file)?;
        Ok(sys::try_lock_for_process(&file)?.then(|| ProcessLocal::new(file)))
    };
    open().map_err(|error| Error::io(&lock_path, "lock the fallback file for its writer", &error))
}
