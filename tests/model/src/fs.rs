//! The lock file: one inode that all processes of the model share, and descriptors that are open on it.

use shuttle::sync::{Condvar, Mutex};
use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, RawFd};

static LOCK_FILE: Mutex<LockFile> = Mutex::new(LockFile { open: BTreeSet::new(), last: 0, holder: None });
static FREED: Condvar = Condvar::new();

struct LockFile {
    open: BTreeSet<RawFd>,
    last: RawFd,
    /// The descriptor that has the lock.
    holder: Option<RawFd>,
}

pub(crate) fn start() {
    let mut lock_file = LOCK_FILE.lock().unwrap();
    *lock_file = LockFile { open: BTreeSet::new(), last: 2, holder: None };
}

/// Descriptors open now, and the one that has the lock.
pub fn state() -> (usize, Option<RawFd>) {
    let lock_file = LOCK_FILE.lock().unwrap();
    (lock_file.open.len(), lock_file.holder)
}

/// std's File, open on the lock file. No number is given out twice, so that a stale one is told.
#[derive(Debug)]
pub struct File(RawFd);

impl File {
    pub fn open_lock_file() -> Self {
        let mut lock_file = LOCK_FILE.lock().unwrap();
        lock_file.last += 1;
        let descriptor = lock_file.last;
        lock_file.open.insert(descriptor);
        Self(descriptor)
    }

    pub(crate) fn lock(&self) {
        let mut lock_file = LOCK_FILE.lock().unwrap();
        while lock_file.holder.is_some() {
            lock_file = FREED.wait(lock_file).unwrap();
        }
        lock_file.holder = Some(self.0);
    }

    pub(crate) fn try_lock(&self) -> bool {
        let mut lock_file = LOCK_FILE.lock().unwrap();
        let free = lock_file.holder.is_none();
        if free {
            lock_file.holder = Some(self.0);
        }
        free
    }

    pub(crate) fn unlock(&self) {
        let mut lock_file = LOCK_FILE.lock().unwrap();
        if lock_file.holder == Some(self.0) {
            lock_file.holder = None;
            FREED.notify_all();
        }
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.unlock();
        assert!(LOCK_FILE.lock().unwrap().open.remove(&self.0), "closed twice");
    }
}
