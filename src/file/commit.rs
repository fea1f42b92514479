use super::lock::Lock;
use super::options::{Durability, FileOptions};
use super::place::Place;
use super::read::{self, Content};
use super::replace::{self, Replaced};
use super::request::Request;
use crate::document::Document;
use crate::json::{self, Fault};
use crate::{Batch, Error, Result, Value};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How often somebody without our lock may change the file under a commit before it gives up.
const ATTEMPTS: usize = 5;

/// Creates the file with no flags in it, if it is still missing once the lock is held.
pub(super) fn create(path: &Path, options: &FileOptions) -> Result<()> {
    let mut request = Request::new(path.to_owned(), options.clone(), Batch::new());
    request.creates = true;
    commit(request).map(|_| ())
}

/// Makes the batch's changes: lock, read, change, replace. Says whether a key that it changes was there.
pub(super) fn apply(path: &Path, options: &FileOptions, batch: &Batch) -> Result<bool> {
    if options.read_only {
        return Err(Error::ReadOnly { path: path.to_owned() });
    }
    commit(Request::new(path.to_owned(), options.clone(), batch.clone()))
}

fn commit(request: Request) -> Result<bool> {
    // A deadline too far for the clock is none.
    let deadline = request.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let request = Arc::new(request);
    for _ in 0..ATTEMPTS {
        let place = Place::resolve(&request.path)?;
        if let Some(lock) = Lock::acquire(&place, &request, deadline)? {
            let mut group = Group { lock: &lock, requests: Vec::new() };
            match group.attempt(&place, &request) {
                Ok(Replaced::Done) => {}
                // Those who came with us try again by themselves.
                Ok(Replaced::Overtaken) => continue,
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
        errno: libc::EBUSY,
    })
}

/// The requests that one write serves, in the order in which they came.
struct Group<'a> {
    lock: &'a Lock,
    requests: Vec<Arc<Request>>,
}

impl Group<'_> {
    /// One round: reads, changes and replaces the file, and serves everybody unless it was overtaken.
    fn attempt(&mut self, place: &Place, ours: &Request) -> Result<Replaced> {
        let (path, options) = (&ours.path, &ours.options);
        let mut buffer = Vec::new();
        let (old, edited) =
            match read::settled(path, options.max_bytes, &mut buffer, |bytes| self.edit(bytes, options))? {
                Some((content, edited)) => (Some(content), edited),
                None => {
                    let edited = self.edit(b"{}\n", options).map_err(|fault| read::refused(path, b"{}\n", fault))?;
                    (None, edited)
                }
            };
        let durable = match write(place, ours, old.as_ref(), &edited) {
            Ok(Replaced::Overtaken) => return Ok(Replaced::Overtaken),
            Ok(Replaced::Done) => Ok(()),
            // The change is there, and so are the conflicts with it.
            Err(error @ Error::NotDurable { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        for (request, outcome) in self.requests.iter().zip(edited.outcomes) {
            request.serve(outcome.and_then(|existed| durable.clone().map(|()| existed)));
        }
        Ok(Replaced::Done)
    }

    /// What the requests that are here by now make of the text.
    fn edit(&mut self, bytes: &[u8], options: &FileOptions) -> Result<Edited, Fault> {
        let text = json::utf8(bytes)?;
        self.lock.await_crowd();
        self.requests = self.lock.take();
        match edit(text, &self.requests, options) {
            // One of them asks too much: each for itself.
            Err(Fault::TooLarge | Fault::OutOfMemory) if self.requests.len() > 1 => {
                self.requests.truncate(1);
                edit(text, &self.requests, options)
            }
            result => result,
        }
    }

    /// Nothing was changed, for nobody.
    fn fail(&mut self, error: &Error) {
        if self.requests.is_empty() {
            self.requests = self.lock.take();
        }
        self.requests.iter().for_each(|request| request.serve(Err(error.clone())));
    }
}

struct Edited {
    /// Of each request; what failed changes nothing.
    outcomes: Vec<Result<bool>>,
    /// `None`: the file says it already.
    text: Option<String>,
}

/// Makes the changes of all requests, one after the other.
fn edit(text: &str, requests: &[Arc<Request>], options: &FileOptions) -> Result<Edited, Fault> {
    let document = Document::parse(text, options.max_bytes)?;
    let mut total: Option<Cow<'_, Batch>> = None;
    let mut outcomes = Vec::with_capacity(requests.len());
    for Request { batch, .. } in requests.iter().map(Arc::as_ref) {
        let found = |key: &str| match total.as_ref().and_then(|total| total.outcome(key)) {
            Some(value) => value.map(Value::as_ref),
            None => document.get(key),
        };
        let outcome = batch.check(found).map(|()| batch.edits().any(|(key, _)| found(key).is_some()));
        if outcome.is_ok() {
            match &mut total {
                Some(total) => total.to_mut().add(batch),
                None => total = Some(Cow::Borrowed(batch)),
            }
        }
        outcomes.push(outcome);
    }
    let text = total.map(|total| document.edited(&total)).transpose()?.flatten();
    Ok(Edited { outcomes, text })
}

/// Puts the text in the file's place, or sees to it that what is there will stay.
fn write(place: &Place, ours: &Request, old: Option<&Content>, edited: &Edited) -> Result<Replaced> {
    let created = (old.is_none() && ours.creates).then_some("{}\n");
    match (edited.text.as_deref().or(created), old) {
        (Some(text), _) => replace::replace(&ours.path, place, old, text, &ours.options),
        (None, Some(content))
            if ours.options.durability == Durability::Durable && edited.outcomes.iter().any(Result::is_ok) =>
        {
            replace::sync_as_is(place, content).map(|()| Replaced::Done)
        }
        _ => Ok(Replaced::Done),
    }
}
