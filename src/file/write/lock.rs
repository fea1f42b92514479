//! The lock of a file between all threads and processes: a turn in this process, then flock on the sidecar file.

use super::queue::{Admission, Leader};
use super::replace;
use super::request::Request;
use super::resolved_path::ResolvedPath;
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a turn waits for those whom the last one left in the line or served: they come again at once or not soon.
const GROUP_COMMIT_DELAY: Duration = Duration::from_micros(50);

/// The lock, held until dropped.
pub(super) struct Lock {
    turn: Leader,
    file: Arc<File>,
}

impl Lock {
    /// Waits for the lock until the request's time is up. `None`: whoever had it before has served the request.
    pub(super) fn acquire(
        place: &ResolvedPath,
        request: &Arc<Request>,
        deadline: Option<Instant>,
    ) -> Result<Option<Self>> {
        let path = place.lock_path();
        let timeout = request.options.lock_timeout.unwrap_or_default();
        let locked = || Error::Locked { path: place.path.clone(), timeout };
        let failed = |error: io::Error| Error::io(&path, "lock the lock file", &error);
        let turn = match Leader::wait(&path, request, deadline) {
            Admission::Leader(turn) => turn,
            Admission::Completed => return Ok(None),
            Admission::TimedOut => return Err(locked()),
        };
        loop {
            let file = match turn.lock(|| open(&path), deadline) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create(place, &path, replace::mode_of(place, &request.options)?).map_err(failed)?;
                    continue;
                }
                result => result.map_err(failed)?.ok_or_else(locked)?,
            };
            if is_still_at(&file, &path).inspect_err(|_| turn.forget()).map_err(failed)? {
                return Ok(Some(Self { turn, file }));
            }
            turn.release(file);
        }
    }

    /// The requests to be served under this lock, as [`Leader::take`] has it.
    pub(super) fn claim_group(&self) -> Vec<Arc<Request>> {
        self.turn.claim_group()
    }

    /// Gives those who came together the last time, and come again at once, the time to do so.
    pub(super) fn wait_for_group(&self) {
        let start = Instant::now();
        while self.turn.is_smaller_than_last() && start.elapsed() < GROUP_COMMIT_DELAY {
            std::thread::yield_now();
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

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW).open(path)?;
    sys::above_stdio(file)
}

/// Creates the lock file for everybody who may read the data file. It is never removed.
fn create(place: &ResolvedPath, path: &Path, mode: u32) -> io::Result<()> {
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
    Ok(())
}
