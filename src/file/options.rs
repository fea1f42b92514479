use std::time::Duration;

/// How the reads of a [`FileFlagStore`](super::FileFlagStore) reach the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReadMode {
    /// Every read reads the file.
    #[default]
    Fresh,
    /// Every read stats the file, and reads it if its size or times have changed.
    Checked,
    /// A thread receives file-system events; between them a read takes the flags from memory.
    Watched,
}

/// Which failures a change survives once the call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// A power cut: the change is on stable storage.
    #[default]
    Full,
    /// A killed process only: no fsync. After a power cut the file may be empty or torn.
    None,
    /// A power cut leaves an old or a new whole file, but the last changes may be missing.
    Ordered,
}

/// How a [`FileFlagStore`](super::FileFlagStore) is opened and used.
///
/// ```
/// use flagstore::{Durability, FileFlagStore, FileOptions, ReadMode};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("flags.json");
///
/// let options = FileOptions::new().read_mode(ReadMode::Checked).durability(Durability::Ordered).mode(0o640);
/// let store = FileFlagStore::open_with(&path, options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOptions {
    /// How reads reach the file.
    pub read_mode: ReadMode,
    /// Which failures a change survives.
    pub durability: Durability,
    /// A missing file is an error at open.
    pub must_exist: bool,
    /// Every change is refused and nothing is created.
    pub read_only: bool,
    /// How long a change waits for the lock; `None`: for ever.
    pub lock_timeout: Option<Duration>,
    /// Permission bits of a created file; `None`: 0666 less the umask.
    pub mode: Option<u32>,
    /// A larger file or result, in bytes, is refused. Never more than 4 GiB.
    pub max_bytes: usize,
}

impl FileOptions {
    /// The defaults: fresh reads, full durability, 5 s for the lock, 256 MiB.
    pub fn new() -> Self {
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

    /// How reads reach the file.
    #[must_use]
    pub fn read_mode(self, read_mode: ReadMode) -> Self {
        Self { read_mode, ..self }
    }

    /// Which failures a change survives.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Whether a missing file is an error at open: [`Error::Io`](crate::Error::Io) with `ENOENT`.
    #[must_use]
    pub fn must_exist(self, must_exist: bool) -> Self {
        Self { must_exist, ..self }
    }

    /// Whether every change is refused, with [`Error::ReadOnly`](crate::Error::ReadOnly), and nothing is created.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// How long a change waits for the lock, then [`Error::Locked`](crate::Error::Locked); `None`: for ever.
    #[must_use]
    pub fn lock_timeout(self, lock_timeout: impl Into<Option<Duration>>) -> Self {
        Self { lock_timeout: lock_timeout.into(), ..self }
    }

    /// The permission bits of a created file; `None`: 0666 less the umask.
    #[must_use]
    pub fn mode(self, mode: impl Into<Option<u32>>) -> Self {
        Self { mode: mode.into(), ..self }
    }

    /// How long the file or a result may be, in bytes, at most 4 GiB; then
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Caches hold files and buffers up to this length, in bytes: many calls on a large file would gain, but a store
    /// that is called once must not hold that much for ever.
    pub(super) fn cache_limit(&self) -> usize {
        (self.max_bytes / 8).min(16 << 20)
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self::new()
    }
}
