//! Locks, status and kind of files.

use super::check;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
#[cfg(target_pointer_width = "64")]
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open as long as `file` lives.
        match check(unsafe { libc::flock(file.as_raw_fd(), operation) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result.map(|_| ()),
        }
    }
}

/// Takes the exclusive lock of the open file; waits for it without a limit.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    flock(file, libc::LOCK_EX)
}

/// Takes the exclusive lock of the open file if nobody has it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, libc::LOCK_EX | libc::LOCK_NB) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        result => result.map(|()| true),
    }
}

/// Gives the lock back, also where a forked child still has a copy of the descriptor.
pub(crate) fn unlock(file: &File) {
    // An unlock of an open file does not fail.
    let _ = flock(file, libc::LOCK_UN);
}

/// Takes a lock that is this process's alone: a forked child does not share it, and it ends with the process. Whether it
/// was free.
pub(crate) fn try_lock_for_process(file: &File) -> io::Result<bool> {
    // SAFETY: zero is a valid value of each field: from the start to the end, whatever that is.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    // SAFETY: the descriptor is open; the struct lives during the call.
    match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) }) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same open file under a descriptor that is not 0, 1 or 2, which a host may take for its standard streams.
pub(crate) fn above_stdio(file: File) -> io::Result<File> {
    if file.as_raw_fd() > 2 {
        return Ok(file);
    }
    // SAFETY: the descriptor is open; the new one belongs to nobody else.
    let descriptor = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: as above.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Closes a descriptor that a fork left in the child and whose owner exists only in the parent.
pub(crate) fn close_inherited(descriptor: RawFd) {
    // SAFETY: the caller knows that nobody in this process will use or close it.
    unsafe { libc::close(descriptor) };
}

/// Who and what a file is, and when it changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileStatus {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Type and permission bits.
    pub(crate) mode: u32,
    pub(crate) links: u64,
    /// Seconds since 1970, nanoseconds.
    pub(crate) modified: (i64, i64),
    pub(crate) changed: (i64, i64),
}

#[cfg(target_pointer_width = "64")]
impl From<&libc::stat> for FileStatus {
    fn from(status: &libc::stat) -> Self {
        Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size as u64,
            mode: status.st_mode,
            links: status.st_nlink as _,
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }
}

/// What the path leads to. Without the copy of the path that std makes at every call.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) fn stat(path: &CStr) -> io::Result<FileStatus> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the path ends with a NUL; the struct is read only if the call has filled it.
    unsafe { check(libc::stat(path.as_ptr(), status.as_mut_ptr())).map(|_| status.assume_init_ref().into()) }
}

/// What is open.
#[cfg(target_pointer_width = "64")]
pub(crate) fn fstat(descriptor: BorrowedFd<'_>) -> io::Result<FileStatus> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the descriptor is open, or the call says that it is not; the struct is read only if the call has filled it.
    unsafe { check(libc::fstat(descriptor.as_raw_fd(), status.as_mut_ptr())).map(|_| status.assume_init_ref().into()) }
}

/// What the path leads to.
pub(crate) fn stat_at(path: &Path) -> io::Result<FileStatus> {
    stat(&CString::new(path.as_os_str().as_bytes())?)
}

/// Where the C library's own struct may end in 2038, std asks by another call.
#[cfg(not(target_pointer_width = "64"))]
mod narrow {
    use super::*;
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    impl From<Metadata> for FileStatus {
        fn from(status: Metadata) -> Self {
            Self {
                device: status.dev(),
                inode: status.ino(),
                size: status.size(),
                mode: status.mode(),
                links: status.nlink(),
                modified: (status.mtime(), status.mtime_nsec()),
                changed: (status.ctime(), status.ctime_nsec()),
            }
        }
    }

    pub(crate) fn stat(path: &CStr) -> io::Result<FileStatus> {
        std::fs::metadata(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()))).map(FileStatus::from)
    }

    pub(crate) fn fstat(descriptor: BorrowedFd<'_>) -> io::Result<FileStatus> {
        // Not closed: it is only borrowed.
        // SAFETY: the descriptor outlives the call.
        let file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor.as_raw_fd()) });
        file.metadata().map(FileStatus::from)
    }
}
#[cfg(not(target_pointer_width = "64"))]
pub(crate) use narrow::{fstat, stat};

/// Reads once into the room that `buffer` has left behind its length, at most `limit` bytes. 0: the end of the file.
pub(crate) fn read_into(file: &File, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let length = room.len().min(limit);
    loop {
        // SAFETY: the room is as long as said; the length grows by no more than what was written there.
        let count = unsafe { libc::read(file.as_raw_fd(), room.as_mut_ptr().cast(), length) };
        match usize::try_from(count) {
            Ok(count) => {
                // SAFETY: as above.
                unsafe { buffer.set_len(buffer.len() + count) };
                return Ok(count);
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// What a file's times can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileTimes {
    /// They come from another machine's clock, or nobody knows.
    Foreign,
    /// They come from this machine's coarse clock.
    Local,
    /// The same, and no change of an open file can have a time that was seen before.
    Precise,
}
