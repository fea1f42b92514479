//! A file to play with, in memory where the system has such a file system.

use flagstore::{Durability, FileFlagStore, FileOptions, ReadMode};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new().prefix("flagstore-fuzz-").to_owned();
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.expect("a temporary directory")
}

/// The one file in a directory of its own.
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Self { directory: directory() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("flags.json")
    }

    pub fn write(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).expect("the file is writable");
    }

    pub fn read(&self) -> Vec<u8> {
        fs::read(self.path()).expect("the file is readable")
    }

    /// Which file it is and when it was written last: it stays while nobody writes.
    pub fn identity(&self) -> (u64, i64, i64) {
        let metadata = fs::metadata(self.path()).expect("the file is there");
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    }

    pub fn store(&self) -> FileFlagStore {
        self.store_that_reads(ReadMode::Fresh)
    }

    /// Without sync, for speed.
    pub fn store_that_reads(&self, read_mode: ReadMode) -> FileFlagStore {
        let options = FileOptions::new().read_mode(read_mode).durability(Durability::None);
        FileFlagStore::open_with(self.path(), options).expect("the file opens")
    }
}

/// A store looks again for some 30 ms at a file that makes no sense and was changed a moment ago. Here the clock of the
/// day is an hour ahead of the file system's: every file is old, and none is waited for.
// SAFETY: the one definition of the name in the test's own program, with the system's own signature and meaning.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the caller's own arguments.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if result == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: the call above has filled it.
        unsafe { (*time).tv_sec += 3600 };
    }
    result as libc::c_int
}
