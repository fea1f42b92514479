//! The lock of a file between all threads and processes: a turn in this process, then flock on the sidecar file.

use super::place::Place;
use super::turn::Turn;
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The lock, held until dropped.
pub(super) struct Lock {
    turn: Turn,
    file: Arc<File>,
}

impl Lock {
    /// Waits for the lock at most for `timeout` (`None`: for ever). `mode` has the permission bits of the file, whose
    /// readers may take the lock too.
    pub(super) fn acquire(place: &Place, timeout: Option<Duration>, mode: u32) -> Result<Self> {
        let path = place.lock_path();
        // A deadline too far for the clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let locked = || Error::Locked { path: place.path.clone(), timeout: timeout.unwrap_or_default() };
        let failed = |error: io::Error| Error::io(&path, "lock the lock file", &error);
        let turn = Turn::wait(&path, deadline).ok_or_else(locked)?;
        loop {
            let file = turn.lock(|| open(place, &path, mode), deadline).map_err(failed)?.ok_or_else(locked)?;
            if is_still_at(&file, &path).inspect_err(|_| turn.forget()).map_err(failed)? {
                return Ok(Self { turn, file });
            }
            turn.release(file);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.turn.release(Arc::clone(&self.file));
    }
}

/// Somebody may have removed the lock file: a lock on a file that is no longer there excludes nobody.
fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match path.metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens the lock file, and creates it for everybody who may read the data file. It is never removed.
fn open(place: &Place, path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW);
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(place, path, mode)?,
        result => result?,
    };
    sys::above_stdio(file)
}

fn create(place: &Place, path: &Path, mode: u32) -> io::Result<File> {
    let readable = mode & 0o444;
    // O_CREAT with O_RDONLY is beyond std's `create`, which wants write access.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_CREAT | libc::O_CLOEXEC | libc::O_NOFOLLOW).mode(readable);
    let file = options.open(path)?;
    if let Ok(data) = place.path.metadata() {
        // Best effort: root must not lock out the file's owner, nor a umask the file's group.
        let _ = std::os::unix::fs::fchown(&file, Some(data.uid()), Some(data.gid()));
        let _ = file.set_permissions(Permissions::from_mode(readable));
    }
    Ok(file)
}
