use crate::{Kind, Value};
use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::{fmt, io, time::Duration};

/// The result of a call on a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. The message names path, key, line and column where there are any; lines and columns count
/// from 1, columns in characters. [`source`](std::error::Error::source) is the [`io::Error`] behind [`Io`](Self::Io)
/// and [`NotDurable`](Self::NotDurable).
///
/// ```
/// use flagstore::{Error, FlagStore, InMemoryFlagStore, Value};
///
/// let refused: Error = "{\"rate\": 0,5}".parse::<Value>().unwrap_err();
/// assert_eq!(refused.to_string(), "not JSON: line 1 column 12: expected a key in double quotes");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is not one that the function takes: a NULL, text that is not UTF-8, an option out of range.
    #[error("{0}")]
    InvalidArgument(String),
    /// The text given as a value is not one JSON value.
    #[error("{}not JSON: line {line} column {column}: {problem}", about(&None, .key))]
    InvalidJson {
        /// The flag it was meant for, if known.
        key: Option<String>,
        /// Line of the problem.
        line: usize,
        /// Column of the problem.
        column: usize,
        /// The problem.
        problem: &'static str,
    },
    /// The stored text is not one JSON object. Nothing was overwritten.
    #[error("{}:{line}:{column}: corrupt: {problem}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line of the problem.
        line: usize,
        /// Column of the problem.
        column: usize,
        /// The problem.
        problem: &'static str,
    },
    /// The system refused.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The attempt, as in "cannot open the file".
        action: Cow<'static, str>,
        /// The system's own error.
        source: OsError,
    },
    /// Another thread or process held the lock for the whole of the timeout. Nothing was written.
    #[error("{}: locked by another process or thread for more than {} ms", .path.display(), .timeout.as_millis())]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long the call waited.
        timeout: Duration,
    },
    /// The store was opened read-only.
    #[error("{}: opened read-only", .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// This backend does not provide the call.
    #[error("not implemented: {0}")]
    NotImplemented(&'static str),
    /// A typed read found a value of another type, or a number that the type cannot hold.
    #[error("flag {key:?}: {found}, not {wanted}")]
    TypeMismatch {
        /// The flag.
        key: String,
        /// The type that is stored.
        found: Kind,
        /// The type that was asked for.
        wanted: &'static str,
    },
    /// A batch's expectation does not hold. Nothing was changed.
    #[error("flag {key:?}: expected {}, found {}", brief(.expected), brief(.found))]
    Conflict {
        /// The flag.
        key: String,
        /// The expected value; `None`: no such flag.
        expected: Option<Value>,
        /// The stored value.
        found: Option<Value>,
    },
    /// A backend of the caller's failed: see [`Error::backend`].
    #[error("{message}")]
    Backend {
        /// The code that callers in C get; 0: `FLAGSTORE_BACKEND`.
        code: i32,
        /// The system's error number, or 0.
        errno: i32,
        /// What the backend said.
        message: String,
    },
    /// The change is visible, but the last fsync failed: it may not survive a power cut. Setting again is safe.
    #[error("{}: changed, but not certain to survive a power cut: {source}", .path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: OsError,
    },
    /// A store elsewhere was not reached in time. Nothing was changed.
    #[error("{0}")]
    Unavailable(String),
    /// The answer of a store elsewhere did not come: the change may have been made or not. Making it again may make it
    /// twice: read first, or commit a [`Batch`](crate::Batch) with expectations.
    #[error("{0}")]
    Uncertain(String),
    /// A value, a file or a result is larger than the store allows. Nothing was changed.
    #[error("{}larger than max_bytes", about(.path, .key))]
    TooLarge {
        /// The file; `None`: it was refused before a file was looked at.
        path: Option<PathBuf>,
        /// The flag, if known.
        key: Option<String>,
    },
    /// There is no memory for the result.
    #[error("not enough memory for the result")]
    OutOfMemory,
    /// A bug in flagstore.
    #[error("internal error: {0}")]
    Internal(String),
}

fn about(path: &Option<PathBuf>, key: &Option<String>) -> String {
    let path = path.iter().map(|path| format!("{}: ", path.display()));
    path.chain(key.iter().map(|key| format!("flag {key:?}: "))).collect()
}

/// Enough of a value to tell it from another.
fn brief(value: &Option<Value>) -> String {
    const CHARACTERS: usize = 60;
    match value.as_ref().map(Value::as_json) {
        None => "no such flag".into(),
        Some(json) if json.len() <= CHARACTERS => json.into(),
        Some(json) => json.chars().take(CHARACTERS).chain("...".chars()).collect(),
    }
}

impl Error {
    /// The failure of a backend of the caller's own, as its users will read it. Name the store and the flag.
    pub fn backend(message: impl Into<String>) -> Self {
        Self::Backend { code: 0, errno: 0, message: message.into() }
    }

    /// Whether a change that failed so has been made.
    pub(crate) fn is_not_durable(&self) -> bool {
        matches!(self, Self::NotDurable { .. } | Self::Backend { code: NOT_DURABLE, .. })
    }

    /// The system's error number behind the failure, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } | Self::NotDurable { source, .. } => Some(source.errno()),
            Self::OutOfMemory => Some(libc::ENOMEM),
            Self::TooLarge { .. } => Some(libc::EFBIG),
            Self::Backend { errno, .. } if *errno != 0 => Some(*errno),
            _ => None,
        }
    }

    pub(crate) fn io(path: &Path, action: impl Into<Cow<'static, str>>, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), action: action.into(), source: error.into() }
    }

    /// The same, by the system's error number.
    pub(crate) fn os(path: &Path, action: impl Into<Cow<'static, str>>, errno: i32) -> Self {
        Self::Io { path: path.to_owned(), action: action.into(), source: errno.into() }
    }

    /// The same, naming the flag that the value is for.
    pub(crate) fn of_flag(self, flag: &str) -> Self {
        let key = Some(flag.to_owned());
        match self {
            Self::InvalidJson { line, column, problem, .. } => Self::InvalidJson { key, line, column, problem },
            Self::TooLarge { path, .. } => Self::TooLarge { path, key },
            other => other,
        }
    }

    /// Logs it, at the level it deserves: what the caller or another program did is a warning.
    pub(crate) fn log(&self) {
        match self {
            Self::Io { .. } | Self::NotDurable { .. } | Self::Internal(_) => tracing::error!("{self}"),
            // A stored value may be a secret, and a log has other readers than the caller.
            Self::Conflict { key, .. } => tracing::warn!("flag {key:?}: not what the batch expected"),
            _ => tracing::warn!("{self}"),
        }
    }
}

/// Codes of the C interface that a store elsewhere may answer with: see [`Error::Backend`].
pub(crate) const NOT_DURABLE: i32 = 11;
#[cfg(feature = "redis")]
pub(crate) const READ_ONLY: i32 = 6;

/// An [`io::Error`] that can be cloned and compared: it has an error number, and two are equal if their numbers are.
#[derive(Debug)]
pub struct OsError(io::Error);

impl OsError {
    /// The system's error number.
    pub fn errno(&self) -> i32 {
        errno_of(&self.0)
    }
}

impl From<i32> for OsError {
    /// The error of this number, such as `libc::ENOSPC`.
    fn from(errno: i32) -> Self {
        Self(io::Error::from_raw_os_error(errno))
    }
}

impl From<&io::Error> for OsError {
    /// An error that std made itself gets the number `EIO`, or `ENOMEM` where that is the reason.
    fn from(error: &io::Error) -> Self {
        errno_of(error).into()
    }
}

impl Clone for OsError {
    fn clone(&self) -> Self {
        self.errno().into()
    }
}

impl PartialEq for OsError {
    fn eq(&self, other: &Self) -> bool {
        self.errno() == other.errno()
    }
}

impl Eq for OsError {}

impl Deref for OsError {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Errors that std makes itself (a write of zero bytes, out of memory) carry no errno.
fn errno_of(error: &io::Error) -> i32 {
    match error.raw_os_error() {
        Some(errno) => errno,
        None if error.kind() == io::ErrorKind::OutOfMemory => libc::ENOMEM,
        None => libc::EIO,
    }
}
