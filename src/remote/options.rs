use crate::ReadMode;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`RemoteFlagStore`](super::RemoteFlagStore) is opened and used.
///
/// ```
/// use flagstore::{ReadMode, RemoteOptions, WhenLost};
/// use std::time::Duration;
///
/// let options = RemoteOptions::new().read_mode(ReadMode::Watched).max_stale(Duration::from_secs(60));
/// assert_eq!(options.when_lost, WhenLost::Serve);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// How reads reach the backend: [`Fresh`](ReadMode::Fresh) asks at every read, [`Checked`](ReadMode::Checked) asks
    /// at every read whether the snapshot is still the same, [`Watched`](ReadMode::Watched) serves a snapshot that a
    /// thread keeps up to date.
    pub read_mode: ReadMode,
    /// What reads of a watched store get while the backend is lost.
    pub when_lost: WhenLost,
    /// Every change is refused.
    pub read_only: bool,
    /// Whether opening a watched store does not wait for the first snapshot.
    pub lazy: bool,
    /// How long opening a watched store waits for the first snapshot.
    pub open_timeout: Duration,
    /// How long a call may take in all; `None`: as long as the backend does, in the caller's thread.
    pub call_timeout: Option<Duration>,
    /// After so long [`WhenLost::Serve`] becomes [`WhenLost::Fail`]; `None`: never.
    pub max_stale: Option<Duration>,
    /// How often the store looks although nothing was announced; `None`: every minute where changes are announced, else
    /// every 5 s.
    pub verify: Option<Duration>,
    /// A re-read begins after a random part of this, so that many clients do not all read at once.
    pub spread: Duration,
    /// The longest delay between attempts to reach the backend.
    pub retry_max: Duration,
    /// A larger result, in bytes, is refused. Never more than 4 GiB.
    pub max_bytes: usize,
    /// A flags file that keeps the last good snapshot, and is read when the backend is not reached at open.
    pub fallback_path: Option<PathBuf>,
    /// Whether changes by others are looked for. Otherwise the revision counts this store's own changes, and no thread
    /// is started.
    #[doc(hidden)]
    pub notices_others: bool,
}

/// What reads of a watched store get while the backend is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenLost {
    /// The last good snapshot.
    #[default]
    Serve,
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    Fail,
}

impl RemoteOptions {
    /// The defaults: fresh reads, 2 s to open, 0.5 s for a call, re-reads spread over 100 ms, 256 MiB.
    pub fn new() -> Self {
        Self {
            read_mode: ReadMode::default(),
            when_lost: WhenLost::default(),
            read_only: false,
            lazy: false,
            open_timeout: Duration::from_secs(2),
            call_timeout: Some(Duration::from_millis(500)),
            max_stale: None,
            verify: None,
            spread: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
            max_bytes: 256 << 20,
            fallback_path: None,
            notices_others: true,
        }
    }

    /// How reads reach the backend.
    #[must_use]
    pub fn read_mode(self, read_mode: ReadMode) -> Self {
        Self { read_mode, ..self }
    }

    /// What reads of a watched store get while the backend is lost.
    #[must_use]
    pub fn when_lost(self, when_lost: WhenLost) -> Self {
        Self { when_lost, ..self }
    }

    /// Whether every change is refused, with [`Error::ReadOnly`](crate::Error::ReadOnly).
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Whether opening a watched store does not wait for the first snapshot.
    #[must_use]
    pub fn lazy(self, lazy: bool) -> Self {
        Self { lazy, ..self }
    }

    /// How long opening a watched store waits for the first snapshot.
    #[must_use]
    pub fn open_timeout(self, open_timeout: Duration) -> Self {
        Self { open_timeout, ..self }
    }

    /// How long a call may take in all; `None`: as long as the backend does, in the caller's thread.
    #[must_use]
    pub fn call_timeout(self, call_timeout: impl Into<Option<Duration>>) -> Self {
        Self { call_timeout: call_timeout.into(), ..self }
    }

    /// How old the snapshot may be that is served while the backend is lost; `None`: any age.
    #[must_use]
    pub fn max_stale(self, max_stale: impl Into<Option<Duration>>) -> Self {
        Self { max_stale: max_stale.into(), ..self }
    }

    /// How often the store looks although nothing was announced.
    #[must_use]
    pub fn verify(self, verify: impl Into<Option<Duration>>) -> Self {
        Self { verify: verify.into(), ..self }
    }

    /// Over how long many clients spread their re-reads.
    #[must_use]
    pub fn spread(self, spread: Duration) -> Self {
        Self { spread, ..self }
    }

    /// The longest delay between attempts to reach the backend.
    #[must_use]
    pub fn retry_max(self, retry_max: Duration) -> Self {
        Self { retry_max, ..self }
    }

    /// How long a result may be, in bytes; then [`Error::TooLarge`](crate::Error::TooLarge).
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// A flags file that keeps the last good snapshot, and is read when the backend is not reached at open.
    #[must_use]
    pub fn fallback_path(self, fallback_path: impl Into<Option<PathBuf>>) -> Self {
        Self { fallback_path: fallback_path.into(), ..self }
    }
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self::new()
    }
}
