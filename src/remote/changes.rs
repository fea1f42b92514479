//! The changes of a store, as its backend can make them.

use super::{Backend, Loaded};
use crate::{Batch, Error, Result, Snapshot, Value};
use std::collections::BTreeMap;

/// Makes all changes in one step where the backend can do that, else one by one. Returns the revision; 0: not known.
pub(super) fn commit(backend: &dyn Backend, batch: &Batch) -> Result<u64> {
    match backend.commit(batch) {
        Err(Error::NotImplemented(_)) => commit_one_by_one(backend, batch).map(|()| 0),
        result => result,
    }
}

/// Stores one value. `wants_revision`: a commit, which tells it, is better.
pub(super) fn set(backend: &dyn Backend, key: &str, value: &Value, wants_revision: bool) -> Result<u64> {
    let commit = || backend.commit(&Batch::of(key, Some(value.clone())));
    let set = || backend.set(key, value).map(|()| 0);
    let lacks = |result: &Result<u64>| matches!(result, Err(Error::NotImplemented(_)));
    let first = if wants_revision { commit() } else { set() };
    if !lacks(&first) {
        return first;
    }
    let second = if wants_revision { set() } else { commit() };
    if lacks(&second) { Err(Error::NotImplemented("set")) } else { second }
}

/// Every flag, as of one moment where the backend can tell, and what a load said of the
/// revision; 0: not known.
pub(super) fn list(backend: &dyn Backend) -> Result<(Snapshot, Option<u64>)> {
    match backend.load(0) {
        Err(Error::NotImplemented(_)) => Ok((backend.list_all()?, None)),
        Err(error) => Err(error),
        Ok(Loaded::Flags(flags, revision)) => Ok((flags, Some(revision))),
        Ok(Loaded::Partly(flags, revision, unreadable)) => {
            log_unreadable(&unreadable);
            Ok((flags, Some(revision)))
        }
        Ok(Loaded::Gone) => Err(vanished()),
        Ok(Loaded::Same) => Err(same_of_nothing()),
    }
}

pub(super) fn log_unreadable(unreadable: &BTreeMap<String, Error>) {
    for error in unreadable.values() {
        tracing::warn!("left out of the list: {error}");
    }
}

pub(super) fn vanished() -> Error {
    Error::Unavailable("the flags have vanished from the backend, which is not believed to be empty".into())
}

pub(super) fn same_of_nothing() -> Error {
    Error::backend("the backend's load said that nothing has changed, but nothing was loaded")
}

fn commit_one_by_one(backend: &dyn Backend, batch: &Batch) -> Result<()> {
    let mut found = BTreeMap::new();
    for (key, _) in batch.expectations() {
        found.insert(key, backend.get(key)?);
    }
    batch.check(|key| found.get(key)?.as_ref().map(Value::as_ref))?;
    let mut made = 0;
    let mut make = |change: Result<()>| match change {
        // Nothing has changed, says this one call; but the calls before have made changes.
        Err(error @ (Error::Unavailable(_) | Error::NotImplemented(_))) if made > 0 => {
            Err(Error::Uncertain(format!("{error}; {made} changes of the batch were made before")))
        }
        result => {
            made += usize::from(result.is_ok());
            result
        }
    };
    if batch.clears() {
        // A flag that is set again is never absent in between.
        for (key, _) in &list(backend)?.0 {
            if !matches!(batch.outcome(key), Some(Some(_))) {
                make(backend.delete(key).map(drop))?;
            }
        }
    }
    for (key, value) in batch.changes() {
        make(match value {
            Some(value) => backend.set(key, value),
            None => backend.delete(key).map(drop),
        })?;
    }
    Ok(())
}
