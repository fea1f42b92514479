mod last_write;
mod lock;
mod queue;
mod replace;
mod request;
mod resolved_path;

pub(super) use last_write::LastWrite;
pub(crate) use queue::register_fork_handlers;

use crate::document::{self, Document};
use crate::file::load::{self, OpenedFile};
use crate::file::options::{Durability, FileOptions};
use crate::json::{self, ParseError};
use crate::{Batch, Error, Result, Value};
use lock::Lock;
use replace::ReplaceOutcome;
use request::Request;
use resolved_path::ResolvedPath;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How often somebody without our lock may change the file under a commit before it gives up.
const ATTEMPTS: usize = 5;

/// Creates the file with no flags in it, if it is still missing once the lock is held.
pub(super) fn create(path: &Path, options: &FileOptions) -> Result<()> {
    let written = Arc::new(LastWrite::nothing());
    let mut request = Request::new(path.to_owned(), options.clone(), Batch::new(), written);
    request.create_if_missing = true;
    commit(request).map(|_| ())
}

/// Makes the batch's changes: lock, read, change, replace. Says whether a key that it changes was there.
pub(super) fn apply(path: &Path, options: &FileOptions, batch: &Batch, written: &Arc<LastWrite>) -> Result<bool> {
    if options.read_only {
        return Err(Error::ReadOnly { path: path.to_owned() });
    }
    commit(Request::new(path.to_owned(), options.clone(), batch.clone(), Arc::clone(written)))
}

fn commit(request: Request) -> Result<bool> {
    // A deadline too far for the clock is none.
    let deadline = request.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let request = Arc::new(request);
    for _ in 0..ATTEMPTS {
        let place = ResolvedPath::resolve(&request.path)?;
        if let Some(lock) = Lock::acquire(&place, &request, deadline)? {
            let mut group = Group { lock: &lock, requests: Vec::new() };
            match group.attempt(&place, &request) {
                Ok(ReplaceOutcome::Done) => {}
                // Those who came with us try again by themselves.
                Ok(ReplaceOutcome::ChangedMeanwhile) => continue,
                Err(error) => group.fail(&error),
            }
        }
        if let Some(outcome) = request.outcome() {
            return outcome.clone();
        }
    }
    Err(Error::Io {
        path: request.path.clone(),
        action: "replace the file, for another program keeps changing it",
        source: libc::EBUSY.into(),
    })
}

/// The requests that one write serves, in the order in which they came.
struct Group<'a> {
    lock: &'a Lock,
    requests: Vec<Arc<Request>>,
}

impl Group<'_> {
    /// One round: reads, changes and replaces the file, and serves everybody unless it was overtaken.
    fn attempt(&mut self, place: &ResolvedPath, ours: &Request) -> Result<ReplaceOutcome> {
        let (old, edited) = self.read_and_edit(&ours.path, &ours.options, &ours.written)?;
        let durable = match write(place, ours, old, &edited) {
            Ok(ReplaceOutcome::ChangedMeanwhile) => return Ok(ReplaceOutcome::ChangedMeanwhile),
            Ok(ReplaceOutcome::Done) => Ok(()),
            // The change is there, and so are the conflicts with it.
            Err(error @ Error::NotDurable { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        if let Some(document) = edited.document.and_then(document::EditedDocument::into_document) {
            ours.written.keep(document);
        }
        for (request, outcome) in self.requests.iter().zip(edited.outcomes) {
            request.complete(outcome.and_then(|existed| durable.clone().map(|()| existed)));
        }
        Ok(ReplaceOutcome::Done)
    }

    /// Reads the file and makes the changes; no content: there is no file.
    fn read_and_edit(
        &mut self,
        path: &Path,
        options: &FileOptions,
        written: &LastWrite,
    ) -> Result<(Option<OpenedFile>, GroupOutcome)> {
        let refused = |fault| load::refused(path, &[], fault);
        if let Some(document) = written.take() {
            if let Some(content) = load::open_if_content_is(path, document.text().as_bytes()) {
                let edited = self.edit(&document, options).map_err(refused)?;
                written.keep(document);
                return Ok((Some(content), edited));
            }
        }
        let mut edit = |bytes: &[u8]| self.edit(&Document::parse(json::utf8(bytes)?, options.max_bytes)?, options);
        match load::read_with_retry(path, options.max_bytes, &mut Vec::new(), &mut edit)? {
            Some((content, edited)) => Ok((Some(content), edited)),
            None => edit(b"{}\n").map_err(refused).map(|edited| (None, edited)),
        }
    }

    /// What the requests that are here by now make of the document.
    fn edit(&mut self, document: &Document<'_>, options: &FileOptions) -> Result<GroupOutcome, ParseError> {
        self.lock.wait_for_group();
        self.requests = self.lock.claim_group();
        match edit(document, &self.requests, options) {
            // One of them asks too much: each for itself.
            Err(ParseError::TooLarge | ParseError::OutOfMemory) if self.requests.len() > 1 => {
                self.requests.truncate(1);
                edit(document, &self.requests, options)
            }
            result => result,
        }
    }

    /// Nothing was changed, for nobody.
    fn fail(&mut self, error: &Error) {
        if self.requests.is_empty() {
            self.requests = self.lock.claim_group();
        }
        self.requests.iter().for_each(|request| request.complete(Err(error.clone())));
    }
}

struct GroupOutcome {
    /// Of each request; what failed changes nothing.
    outcomes: Vec<Result<bool>>,
    /// `None`: the file says it already.
    document: Option<document::EditedDocument>,
}

/// Makes the changes of all requests, one after the other.
fn edit(document: &Document<'_>, requests: &[Arc<Request>], options: &FileOptions) -> Result<GroupOutcome, ParseError> {
    let mut total: Option<Cow<'_, Batch>> = None;
    let mut outcomes = Vec::with_capacity(requests.len());
    for Request { batch, .. } in requests.iter().map(Arc::as_ref) {
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
    let document = total.map(|total| document.edited(&total, options.cache_limit())).transpose()?.flatten();
    Ok(GroupOutcome { outcomes, document })
}

/// Puts the text in the file's place, or sees to it that what is there will stay.
fn write(
    place: &ResolvedPath,
    ours: &Request,
    old: Option<OpenedFile>,
    edited: &GroupOutcome,
) -> Result<ReplaceOutcome> {
    let created = (old.is_none() && ours.create_if_missing).then_some("{}\n");
    match (edited.document.as_ref().map(|edited| edited.text.as_str()).or(created), old) {
        (Some(text), old) => replace::replace(&ours.path, place, old, text, &ours.options),
        (None, Some(content))
            if ours.options.durability == Durability::Full && edited.outcomes.iter().any(Result::is_ok) =>
        {
            replace::sync_as_is(place, &content).map(|()| ReplaceOutcome::Done)
        }
        _ => Ok(ReplaceOutcome::Done),
    }
}
