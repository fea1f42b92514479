//! Locks, status and kind of files.

use super::check;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

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
    use std::os::unix::ffi::OsStrExt as _;
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

/// Makes everything that was written to the file's whole file system durable, names in directories too.
pub(crate) fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
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

// Of linux/magic.h. Several drivers share the first two.
const EXT: u32 = 0xEF53;
const TMPFS: u32 = 0x0102_1994;
const XFS: u32 = 0x5846_5342;
const BTRFS: u32 = 0x9123_683E;
/// Other file systems that take their times from this machine, and tell it of every change: overlay, F2FS, ZFS,
/// bcachefs, ramfs, JFS, ReiserFS, FAT, exFAT.
const OTHER_LOCAL: [u32; 9] =
    [0x794C_7630, 0xF2F5_2010, 0x2FC1_2FC1, 0xCA45_1A4E, 0x8584_58F6, 0x3153_464A, 0x5265_4973, 0x4D44, 0x2011_BAB0];

/// The number of the open file's kind of file system. `None`: the system refuses to tell.
fn file_system(file: &File) -> Option<u32> {
    let mut info = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open; the struct is read only if the call has filled it.
    unsafe { (libc::fstatfs(file.as_raw_fd(), info.as_mut_ptr()) == 0).then(|| info.assume_init().f_type as u32) }
}

/// Whether the file or directory is known to be on a file system of this machine: then its times are of this machine's
/// clock, and each change is an event here.
pub(crate) fn is_local(file: &File) -> bool {
    file_system(file).is_some_and(|kind| [EXT, TMPFS, XFS, BTRFS].contains(&kind) || OTHER_LOCAL.contains(&kind))
}

/// What the open file's times can tell: Linux 6.13 and later give the first change after a stat a time of the precise
/// clock, on what is mounted as ext4, XFS, btrfs and tmpfs.
pub(crate) fn file_times(file: &File, device: u64) -> FileTimes {
    let is_precise = match file_system(file) {
        Some(XFS | BTRFS) => true,
        // ext2, ext3 and devtmpfs are not.
        Some(EXT) => is_mounted_as(device, "ext4"),
        Some(TMPFS) => is_mounted_as(device, "tmpfs"),
        Some(other) if OTHER_LOCAL.contains(&other) => false,
        _ => return FileTimes::Foreign,
    };
    if is_precise && kernel() >= (6, 13) { FileTimes::Precise } else { FileTimes::Local }
}

/// Whether the device is mounted as this type, by proc_pid_mountinfo(5). What is not to be found is not.
fn is_mounted_as(device: u64, name: &str) -> bool {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else {
        return false;
    };
    let number = format!("{}:{}", libc::major(device as _), libc::minor(device as _));
    // "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw"
    let type_of = |line: &str| line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next().map(str::to_owned));
    let mut types = mounts.lines().filter(|line| line.split(' ').nth(2) == Some(&number)).map(type_of).peekable();
    types.peek().is_some() && types.all(|mounted| mounted.as_deref() == Some(name))
}

/// The version of the running kernel; (0, 0): the system refuses to tell.
fn kernel() -> (u32, u32) {
    let mut name = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: uname fills the whole struct or fails; the release ends with a NUL.
    let release = unsafe {
        if libc::uname(name.as_mut_ptr()) != 0 {
            return (0, 0);
        }
        CStr::from_ptr(name.assume_init_ref().release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = release.split(|other: char| !other.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The clock, since 1970, that local file systems take the times of changes from; it lags behind by a few milliseconds.
pub(crate) fn coarse_clock() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is valid; the clock exists since Linux 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}
