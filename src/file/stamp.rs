use crate::sys::{self, FileStatus, FileTimes};
use crate::{Error, Result};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A writer that changed the file less than this ago may not be done.
const RECENT: Duration = Duration::from_millis(100);

/// How far the coarse clock of a file system may lag behind a later change.
const TICK: Duration = Duration::from_millis(20);

/// The same where times are whole seconds, or even ones (FAT).
const TICK_OF_SECONDS: Duration = Duration::from_millis(2_100);

/// Tells one version of the file from another, as git's index does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&FileStatus> for Stamp {
    #[inline(always)]
    fn from(status: &FileStatus) -> Self {
        let FileStatus { device, inode, size, modified, changed, .. } = *status;
        Self { device, inode, size, modified, changed }
    }
}

impl Stamp {
    /// The stamp of what the path leads to now; `None`: nothing is there.
    pub(super) fn at(path: &Path) -> Result<Option<Self>> {
        match sys::stat_at(path) {
            Ok(status) => Ok(Some(Self::from(&status))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, "stat the file", &error)),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether a later change might leave the stamp as it is: what git calls a racy timestamp (its documentation has
    /// a page of that name). `before` is the coarse clock at a moment before the content was read.
    ///
    /// A stamp without nanoseconds may be of a clock that has only seconds; one in the future is of a clock that
    /// cannot be compared.
    pub(super) fn is_racy(&self, times: FileTimes, before: Duration) -> bool {
        let tick = if self.modified.1 == 0 && self.changed.1 == 0 { TICK_OF_SECONDS } else { TICK };
        times == FileTimes::Foreign || self.age(before).is_none_or(|age| age <= tick)
    }

    /// The same for as long as the file is kept open: no new file gets its inode number, and the kernel may remember
    /// that its times have been seen.
    pub(super) fn is_racy_while_open(&self, times: FileTimes, before: Duration) -> bool {
        self.is_racy(times, before) && !(times == FileTimes::Precise && self.changed.1 != 0)
    }

    /// Whether its file has changed so recently, at the moment `now` of the coarse clock, that its writer may not be
    /// done. Only for times of this machine's clock.
    pub(super) fn changed_recently(&self, now: Duration) -> bool {
        self.age(now).is_none_or(|age| age < RECENT)
    }

    /// How old the last change is; `None`: it is in the future.
    fn age(&self, now: Duration) -> Option<Duration> {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let newest = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        now.checked_sub(newest)
    }
}
