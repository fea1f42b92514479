use std::time::Duration;

/// How a file store's reads reach the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadMode {
    /// Every read reads the file.
    #[default]
    Fresh,
    /// Every read looks at the file's size and times, and reads it if they differ from what was kept.
    Checked,
    /// A thread has the system tell of changes; between them a read is a look into memory.
    Watched,
}

/// What a change survives once the call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut: the change is on stable storage.
    #[default]
    Full,
    /// A killed process only: no fsync. After a power cut the file may be empty or torn.
    None,
    /// A power cut leaves an old or a new whole file, but the last changes may be missing.
    Ordered,
}

/// How a [`FileFlagStore`](super::FileFlagStore) is opened and kept.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// How reads reach the file.
    pub read_mode: ReadMode,
    /// What a change survives.
    pub durability: Durability,
    /// A missing file is an error at open.
    pub must_exist: bool,
    /// Every change is refused and nothing is created.
    pub read_only: bool,
    /// How long a change waits for the lock; `None`: for ever.
    pub lock_timeout: Option<Duration>,
    /// Permission bits of a created file; `None`: 0666 less the umask.
    pub mode: Option<u32>,
    /// A larger file or result is refused (`EFBIG`). Never more than 4 GiB.
    pub max_bytes: usize,
}

impl FileOptions {
    /// Of larger files nothing is kept to save time, in bytes: many a call on a large file costs less with it, one
    /// should not cost for ever.
    pub(super) fn cache_limit(&self) -> usize {
        (self.max_bytes / 8).min(16 << 20)
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            read_mode: ReadMode::default(),
            durability: Durability::default(),
            must_exist: false,
            read_only: false,
            lock_timeout: Some(Duration::from_secs(5)),
            mode: None,
            max_bytes: 256 << 20,
        }
    }
}
