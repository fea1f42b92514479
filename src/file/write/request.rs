use crate::file::options::FileOptions;
use crate::{Batch, Result};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A change that a caller waits for, made by the caller or by the leader of its group.
pub(super) struct Request {
    pub(super) path: PathBuf,
    pub(super) options: FileOptions,
    pub(super) batch: Batch,
    /// Whether a missing file is created even where the batch leaves no flag in it.
    pub(super) create_if_missing: bool,
    /// Whether a key that the batch changes was there.
    outcome: OnceLock<Result<bool>>,
}

impl Request {
    pub(super) fn new(path: PathBuf, options: FileOptions, batch: Batch, create_if_missing: bool) -> Self {
        Self { path, options, batch, create_if_missing, outcome: OnceLock::new() }
    }

    /// Whether one write can complete both.
    pub(super) fn can_share_write_with(&self, other: &Self) -> bool {
        let terms = |request: &Self| {
            let FileOptions { durability, mode, max_bytes, .. } = request.options;
            (durability, mode, max_bytes, request.create_if_missing)
        };
        terms(self) == terms(other) && self.path == other.path
    }

    pub(super) fn complete(&self, outcome: Result<bool>) {
        // Only once: the leader that claimed it is alone with it.
        let _ = self.outcome.set(outcome);
    }

    pub(super) fn outcome(&self) -> Option<&Result<bool>> {
        self.outcome.get()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.outcome.get().is_some()
    }
}
