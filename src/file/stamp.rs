use crate::{Error, Result, sys};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

const RECENT: Duration = Duration::from_millis(100);

/// Whether two looks at a file saw the same content of the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(status: &libc::stat64) -> Self {
        Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size as u64,
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }

    /// What the path leads to now; `None` if to nothing.
    pub(super) fn at(path: &Path) -> Result<Option<Self>> {
        match sys::stat_at(path) {
            Ok(status) => Ok(Some(Self::of(&status))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, "look at the file", &error)),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// Whether every change since the stamp was taken shows in it: clocks of file systems are coarse. `before` is their
    /// clock at a moment before the content was read. A stamp without nanoseconds may be of a clock that has only
    /// (even) seconds; one in the future is of none that can be trusted.
    pub(super) fn is_settled(&self, before: Duration) -> bool {
        let newest = since_epoch(self.modified.max(self.changed));
        let coarse = self.modified.1 == 0 && self.changed.1 == 0;
        let tick = Duration::from_millis(if coarse { 2_100 } else { 20 });
        before.checked_sub(newest).is_some_and(|age| age > tick)
    }

    /// The same of a stamp that was taken from the file, and for as long as that is kept open: no new file has its
    /// number, and the kernel may remember that its times have been seen.
    pub(super) fn is_settled_while_open(&self, file: &File, before: Duration) -> bool {
        self.is_settled(before) || self.changed.1 != 0 && sys::has_precise_times(file)
    }

    /// Whether it had changed so lately, at the moment `before` of the file system's clock, that whoever changed it may
    /// not have been done.
    pub(super) fn changed_recently(&self, before: Duration) -> bool {
        let newest = since_epoch(self.modified.max(self.changed));
        // A stamp in the future may be as young as any.
        before.checked_sub(newest).is_none_or(|age| age < RECENT)
    }
}

fn since_epoch(time: (i64, i64)) -> Duration {
    Duration::new(u64::try_from(time.0).unwrap_or(0), u32::try_from(time.1).unwrap_or(0))
}
