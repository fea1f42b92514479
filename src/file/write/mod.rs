//! The way of a change: wait for the lock, load the file, claim the group of changes that wait with this one, apply them,
//! replace the file.

mod request;
mod queue;
mod lock;
mod resolved_path;
mod last_write;
mod replace;

pub(super) use last_write::LastWrite;
pub(crate) use queue::register_fork_handlers;

use super::FileFlagStore;
use super::load::{self, OpenedFile, Purpose};
use super::options::{Durability, FileOptions};
use crate::document::{Document, EditedDocument};
use crate::json::ParseError;
use crate::{Batch, Error, Result, Value};
use lock::Lock;
use replace::ReplaceOutcome;
use request::Request;
use resolved_path::ResolvedPath;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// How often somebody without our lock may change the file under a commit before it gives up.
const ATTEMPTS: usize = 5;

/// Creates the file with no flags in it, if it is still missing once the lock is held.
pub(super) fn create(store: &FileFlagStore) -> Result<()> {
    commit(store, Batch::new(), true).map(drop)
}

/// Makes the batch's changes. Returns whether a key that it changes was there.
pub(super) fn apply(store: &FileFlagStore, batch: &Batch) -> Result<bool> {
    if store.options.read_only {
        return Err(Error::ReadOnly { path: store.path.clone() });
    }
    commit(store, batch.clone(), false)
}

fn commit(store: &FileFlagStore, batch: Batch, create_if_missing: bool) -> Result<bool> {
    // A deadline too far for the clock is none.
    let deadline = store.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let request = Arc::new(Request::new(store.path.clone(), store.options.clone(), batch, create_if_missing));
    for _ in 0..ATTEMPTS {
        let path = ResolvedPath::resolve(&request.path)?;
        if let Some(lock) = Lock::acquire(&path, &request, deadline)? {
            write_group(store, &path, &lock, &request);
        }
        if let Some(outcome) = request.outcome() {
            return outcome.clone();
        }
    }
    Err(Error::os(&store.path, "replace the file, for another program keeps changing it", libc::EBUSY))
}

/// One round under the lock: it completes the whole group, or nobody where the file was changed meanwhile.
fn write_group(store: &FileFlagStore, path: &ResolvedPath, lock: &Lock, ours: &Request) {
    let Loaded { opened, document } = match load(store) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&lock.claim_group(), &error),
    };
    lock.wait_for_group();
    let mut group = lock.claim_group();
    let applied = match apply_group(&document, &group, &store.options) {
        // One of them asks for too much: each by itself.
        Err(ParseError::TooLarge | ParseError::OutOfMemory) if group.len() > 1 => {
            group.truncate(1);
            apply_group(&document, &group, &store.options)
        }
        applied => applied,
    };
    let GroupOutcome { outcomes, edited } = match applied {
        Ok(applied) => applied,
        Err(error) => return fail(&group, &load::parse_failure(&store.path, &[], error)),
    };
    let text = match &edited {
        Some(edited) => Some(edited.text.as_str()),
        None => (opened.is_none() && ours.create_if_missing).then_some("{}\n"),
    };
    let replaced = match (text, opened) {
        (Some(text), opened) => replace::replace(path, ours, opened, text),
        (None, Some(opened)) if ours.options.durability == Durability::Full && outcomes.iter().any(Result::is_ok) => {
            replace::sync_unchanged(path, &opened).map(|()| ReplaceOutcome::Done)
        }
        (None, _) => Ok(ReplaceOutcome::Done),
    };
    let durable = match replaced {
        Ok(ReplaceOutcome::Done) => Ok(()),
        Ok(ReplaceOutcome::ChangedMeanwhile) => return,
        // The change is there, and so are the conflicts with it.
        Err(error @ Error::NotDurable { .. }) => Err(error),
        Err(error) => return fail(&group, &error),
    };
    store.history.saw_file();
    if let Some(document) = edited.map_or(Some(document), EditedDocument::into_document) {
        store.last_write.keep(document);
    }
    for (request, outcome) in group.iter().zip(outcomes) {
        request.complete(outcome.and_then(|existed| durable.clone().map(|()| existed)));
    }
}

/// Nothing was changed, for nobody.
fn fail(group: &[Arc<Request>], error: &Error) {
    group.iter().for_each(|request| request.complete(Err(error.clone())));
}

/// The content of the file while the lock is held.
struct Loaded {
    /// `None`: there is no file.
    opened: Option<OpenedFile>,
    document: Document,
}

fn load(store: &FileFlagStore) -> Result<Loaded> {
    let (path, limit) = (&store.path, store.options.max_bytes);
    if let Some(document) = store.last_write.take() {
        if let Some(opened) = load::open_if_content_is(path, document.text().as_bytes()) {
            return Ok(Loaded { opened: Some(opened), document });
        }
    }
    let parse = |bytes: &mut Vec<u8>| Document::parse(bytes, limit);
    match load::read_with_retry(path, limit, &store.history, Purpose::Change, &mut Vec::new(), parse)? {
        Some((opened, document)) => Ok(Loaded { opened: Some(opened), document }),
        None => {
            let empty = Document::parse(&mut b"{}\n".to_vec(), limit);
            let document = empty.map_err(|error| load::parse_failure(path, &[], error))?;
            Ok(Loaded { opened: None, document })
        }
    }
}

struct GroupOutcome {
    /// One for each request; a request that failed changes nothing.
    outcomes: Vec<Result<bool>>,
    /// `None`: the file holds all of it already.
    edited: Option<EditedDocument>,
}

/// Makes the changes of all requests, one after the other.
fn apply_group(document: &Document, group: &[Arc<Request>], options: &FileOptions) -> Result<GroupOutcome, ParseError> {
    let mut total: Option<Cow<'_, Batch>> = None;
    let mut outcomes = Vec::with_capacity(group.len());
    for Request { batch, .. } in group.iter().map(Arc::as_ref) {
        let found = |key: &str| match total.as_ref().and_then(|total| total.outcome(key)) {
            Some(value) => value.map(Value::as_ref),
            None => document.get(key),
        };
        let outcome = batch.check(found).map(|()| batch.changes().any(|(key, _)| found(key).is_some()));
        if outcome.is_ok() {
            match &mut total {
                Some(total) => total.to_mut().add(batch),
                None => total = Some(Cow::Borrowed(batch)),
            }
        }
        outcomes.push(outcome);
    }
    let edited = total.map(|total| document.edited(&total, options.cache_limit())).transpose()?.flatten();
    Ok(GroupOutcome { outcomes, edited })
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::{Admission, Leader};
    use std::path::Path;

    #[test]
    fn a_leader_waits_for_as_many_as_came_the_last_time() {
        let lock_path = Path::new("/nowhere/.flags.json.lock");
        let request = || Arc::new(Request::new("/nowhere/flags.json".into(), FileOptions::new(), Batch::new(), false));
        let leader = |request: &Arc<Request>| match Leader::wait(lock_path, request, None) {
            Admission::Leader(leader) => leader,
            _ => panic!("nobody else wants the lock"),
        };
        let first = leader(&request());
        assert!(!first.is_smaller_than_last(), "there was none");
        let second = request();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(Leader::wait(lock_path, &second, None), Admission::Completed)));
            while first.claim_group().len() < 2 {
                std::thread::yield_now();
            }
            first.claim_group().iter().for_each(|request| request.complete(Ok(false)));
            drop(first);
        });
        let alone = leader(&request());
        assert!(alone.is_smaller_than_last());
        drop(alone);
        assert!(!leader(&request()).is_smaller_than_last(), "the last was alone");
    }
}
