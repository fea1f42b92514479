//! What kind of file system a file is on, and what that says about its times.

use crate::sys::{FileTimes, check};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::Duration;

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
    // Elsewhere the plain name has the numbers of large file systems too.
    #[cfg(not(target_env = "gnu"))]
    use libc::{fstatfs as fstatfs64, statfs as statfs64};
    #[cfg(target_env = "gnu")]
    use libc::{fstatfs64, statfs64};
    let mut info = MaybeUninit::<statfs64>::uninit();
    // SAFETY: the descriptor is open; the struct is read only if the call has filled it.
    unsafe { (fstatfs64(file.as_raw_fd(), info.as_mut_ptr()) == 0).then(|| info.assume_init().f_type as u32) }
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

/// Makes everything that was written to the file's whole file system durable, names in directories too.
pub(crate) fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
}

/// The clock, since 1970, that local file systems take the times of changes from; it lags behind by a few milliseconds.
pub(crate) fn coarse_clock() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is valid; the clock exists since Linux 2.6.32.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    if result != 0 && size_of::<libc::time_t>() < 8 {
        return coarse_clock_after_2038();
    }
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// The same where the C library's struct has ended; Linux 5.1 and later.
fn coarse_clock_after_2038() -> Duration {
    /// clock_gettime64, which has this number on every 32-bit processor and is none elsewhere.
    const CLOCK_GETTIME64: libc::c_long = 403;
    let mut now = [0u64; 2];
    // SAFETY: the call fills seconds and nanoseconds, of 64 bits each.
    unsafe { libc::syscall(CLOCK_GETTIME64, libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    Duration::new(now[0], now[1] as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_the_one_that_runs() {
        let (major, minor) = kernel();
        let told = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let rest = told.strip_prefix(&format!("{major}.{minor}"));
        assert!(
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit())),
            "{major}.{minor} {told}"
        );
    }

    #[test]
    #[cfg(target_pointer_width = "32")]
    fn both_clocks_are_one() {
        let (before, now, after) = (coarse_clock(), coarse_clock_after_2038(), coarse_clock());
        assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
    }
}
