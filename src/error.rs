use crate::{Kind, Value};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{io, time::Duration};

/// What a store answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. The message names path, key, line and column where there are any; lines and columns count
/// from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller gave what the function does not take: a NULL, text that is not UTF-8, an option out of range.
    #[error("{0}")]
    InvalidArgument(String),
    /// The text given as a value is not one JSON value.
    #[error("{}not JSON: line {line} column {column}: {problem}", about(.key))]
    InvalidJson {
        /// The flag it was meant for, if known.
        key: Option<String>,
        /// Line of the problem.
        line: usize,
        /// Column of the problem.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// What is stored is not one JSON object. Nothing was overwritten.
    #[error("{}:{line}:{column}: corrupt: {problem}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line of the problem.
        line: usize,
        /// Column of the problem.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The system refused.
    #[error("{}: cannot {action}: {}", .path.display(), io::Error::from_raw_os_error(*.errno))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: Cow<'static, str>,
        /// The system's error number.
        errno: i32,
    },
    /// Somebody else held the lock for the whole of the timeout. Nothing was written.
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
        /// What was asked for.
        wanted: &'static str,
    },
    /// What a batch expected of a flag does not hold. Nothing was changed.
    #[error("flag {key:?}: expected {}, found {}", brief(.expected), brief(.found))]
    Conflict {
        /// The flag.
        key: String,
        /// What the batch expected; `None`: no such flag.
        expected: Option<Value>,
        /// What is stored.
        found: Option<Value>,
    },
    /// A backend of the caller's failed.
    #[error("{message}")]
    Backend {
        /// The code it gave.
        code: i32,
        /// The system's error number it gave, or 0.
        errno: i32,
        /// What it said.
        message: String,
    },
    /// The change is visible, but the last fsync failed: it may not survive a power cut. Setting again is safe.
    #[error("{}: changed, but not certain to survive a power cut: {}", .path.display(), io::Error::from_raw_os_error(*.errno))]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The system's error number.
        errno: i32,
    },
    /// The value would be larger than the store allows.
    #[error("{}larger than max_bytes", about(.key))]
    TooLarge {
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

fn about(key: &Option<String>) -> String {
    key.as_ref().map(|key| format!("flag {key:?}: ")).unwrap_or_default()
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
    /// The system's error number behind the failure, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { errno, .. } | Self::NotDurable { errno, .. } => Some(*errno),
            Self::OutOfMemory => Some(libc::ENOMEM),
            Self::TooLarge { .. } => Some(libc::EFBIG),
            Self::Backend { errno, .. } if *errno != 0 => Some(*errno),
            _ => None,
        }
    }

    pub(crate) fn io(path: &Path, action: impl Into<Cow<'static, str>>, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), action: action.into(), errno: errno_of(error) }
    }

    /// The same, naming the flag that a value is of.
    pub(crate) fn of_flag(self, flag: &str) -> Self {
        let key = Some(flag.to_owned());
        match self {
            Self::InvalidJson { line, column, problem, .. } => Self::InvalidJson { key, line, column, problem },
            Self::TooLarge { .. } => Self::TooLarge { key },
            other => other,
        }
    }

    /// Tells the log, at the level the error deserves: the caller's or a neighbour's doing is a warning.
    pub(crate) fn log(&self) {
        match self {
            Self::Io { .. } | Self::NotDurable { .. } | Self::Internal(_) => tracing::error!("{self}"),
            // A stored value may be a secret, and a log has other readers than the caller.
            Self::Conflict { key, .. } => tracing::warn!("flag {key:?}: not what the batch expected"),
            _ => tracing::warn!("{self}"),
        }
    }
}

/// Errors that std makes itself (a write of zero bytes, out of memory) carry no errno.
fn errno_of(error: &io::Error) -> i32 {
    match error.kind() {
        _ if error.raw_os_error().is_some() => error.raw_os_error().unwrap_or_default(),
        io::ErrorKind::OutOfMemory => libc::ENOMEM,
        _ => libc::EIO,
    }
}
