//! What a store has read from its backend.

use crate::sys::HazardGuard;
use crate::{Error, Result, Snapshot, ValueRef};
use std::collections::BTreeMap;

/// The flags of one moment.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) flags: Snapshot,
    /// The flags that the backend has and that cannot be read, each with the error that a get returns.
    pub(super) unreadable: BTreeMap<String, Error>,
    /// The backend's; 0: not known.
    pub(super) revision: u64,
    /// `false`: nothing was read yet.
    pub(super) is_read: bool,
}

impl Kept {
    pub(super) fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        match self.flags.get(key) {
            None => self.unreadable.get(key).map_or(Ok(None), |error| Err(error.clone())),
            found => Ok(found),
        }
    }
}

pub(super) type KeptRef<'a> = HazardGuard<'a, Kept>;
