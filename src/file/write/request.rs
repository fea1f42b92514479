use super::last_write::LastWrite;
use crate::file::options::FileOptions;
use crate::{Batch, Result};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A change that a caller waits for, made by itself or by whoever has the lock before it.
pub(super) struct Request {
    pub(super) path: PathBuf,
    pub(super) options: FileOptions,
    /// Whether a missing file is created even where the batch leaves no flag in it.
    pub(super) create_if_missing: bool,
    pub(super) batch: Batch,
    pub(super) written: Arc<LastWrite>,
    /// Whether a key that the batch changes was there.
    outcome: OnceLock<Result<bool>>,
}

impl Request {
    pub(super) fn new(path: PathBuf, options: FileOptions, batch: Batch, written: Arc<LastWrite>) -> Self {
        Self { path, options, create_if_missing: false, batch, written, outcome: OnceLock::new() }
    }

    /// Whether one write can serve both.
    pub(super) fn can_share_write_with(&self, other: &Self) -> bool {
        let terms = |request: &Self| {
            let FileOptions { durability, mode, max_bytes, .. } = request.options;
            (durability, mode, max_bytes, request.create_if_missing)
        };
        terms(self) == terms(other) && self.path == other.path
    }

    pub(super) fn complete(&self, outcome: Result<bool>) {
        // Each is served once: whoever took it from the line is alone with it.
        let _ = self.outcome.set(outcome);
    }

    pub(super) fn outcome(&self) -> Option<&Result<bool>> {
        self.outcome.get()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.outcome.get().is_some()
    }
}
