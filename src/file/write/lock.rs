//! The lock of a file between all threads and processes: the queue of this process, then flock on the lock file.

use super::queue::{Admission, Leader};
use super::request::Request;
use super::resolved_path::ResolvedPath;
use crate::file::load;
use crate::{Error, Result, sys};
use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a leader waits for the rest of the group that came together the last time: they come again at once or not
/// soon.
const GROUP_COMMIT_DELAY: Duration = Duration::from_micros(50);

/// How often a lock file that was only just created is tried again before its refusal is believed.
const ATTEMPTS: u32 = 5;

/// The lock, held until dropped.
pub(super) struct Lock {
    leader: Leader,
    file: Arc<File>,
}

impl Lock {
    /// Waits for the lock until the request's time is up. `None`: the leader of its group has completed the request.
    pub(super) fn acquire(
        path: &ResolvedPath,
        request: &Arc<Request>,
        deadline: Option<Instant>,
    ) -> Result<Option<Self>> {
        let lock_path = path.lock_path();
        let timeout = request.options.lock_timeout.unwrap_or_default();
        let locked = || Error::Locked { path: path.path.clone(), timeout };
        let failed = |error: io::Error| Error::io(&lock_path, "lock the lock file", &error);
        let leader = match Leader::wait(&lock_path, request, deadline) {
            Admission::Leader(leader) => leader,
            Admission::Completed => return Ok(None),
            Admission::TimedOut => return Err(locked()),
        };
        let mut refusals = 0;
        loop {
            let file = match leader.lock(|| open(&lock_path), deadline) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create(path, &lock_path)?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && refusals < ATTEMPTS => {
                    // Its creator may be about to share it.
                    sys::sleep(Duration::from_millis(1 << refusals));
                    refusals += 1;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(refused(&lock_path, &error));
                }
                result => result.map_err(failed)?.ok_or_else(locked)?,
            };
            if let Some(metadata) = still_at(&file, &lock_path).inspect_err(|_| leader.forget()).map_err(failed)? {
                sys::share_lock(&file, metadata, &path.directory);
                return Ok(Some(Self { leader, file }));
            }
            leader.release(file);
        }
    }

    /// The requests to be completed under this lock, as [`Leader::claim_group`] has it.
    pub(super) fn claim_group(&self) -> Vec<Arc<Request>> {
        self.leader.claim_group()
    }

    /// Gives those who came together the last time, and come again at once, the time to do so.
    pub(super) fn wait_for_group(&self) {
        let start = Instant::now();
        while self.leader.is_smaller_than_last() && start.elapsed() < GROUP_COMMIT_DELAY {
            std::thread::yield_now();
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.leader.release(Arc::clone(&self.file));
    }
}

/// The file's metadata, if it is still at the path. Somebody may have removed the lock file: a lock on a file that is no
/// longer there excludes nobody.
fn still_at(file: &File, path: &Path) -> io::Result<Option<Metadata>> {
    let held = file.metadata()?;
    match path.symlink_metadata() {
        Ok(there) => Ok(((there.dev(), there.ino()) == (held.dev(), held.ino())).then_some(held)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK a FIFO in its place would hang the caller.
    let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    sys::above_stdio(file)
}

/// Creates the lock file, beside what is a regular file or missing. It is never removed.
fn create(path: &ResolvedPath, lock_path: &Path) -> Result<()> {
    if let Ok(metadata) = path.path.metadata() {
        load::check_regular(&path.path, metadata.mode())?;
    }
    let directory = path.directory.metadata().map_or(0, |directory| directory.mode());
    // Those who may write the directory may read it, as far as the umask allows; the rest is done under the lock.
    let mode = 0o400 | (directory & 0o222) << 1;
    let mut options = OpenOptions::new();
    // O_CREAT with O_RDONLY is beyond std's `create`, which wants write access.
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    match options.read(true).custom_flags(flags).mode(mode).open(lock_path) {
        Ok(file) => {
            if let Ok(metadata) = file.metadata() {
                sys::share_lock(&file, metadata, &path.directory);
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(lock_path, "create the lock file", &error)),
    }
}

/// Says whose the lock file is, and what to do.
fn refused(path: &Path, error: &io::Error) -> Error {
    let action: Cow<'static, str> = match path.symlink_metadata() {
        Ok(metadata) => format!(
            "open the lock file of user {} (a change by that user or by root opens it to all who may write the directory)",
            metadata.uid()
        )
        .into(),
        Err(_) => "open the lock file".into(),
    };
    Error::io(path, action, error)
}
