//! A backend of the caller's own: a table of C functions behind the same contract.

use super::backend_table::{Replies, flagstore_backend_t, flagstore_reply_t};
use super::error::{self, FLAGSTORE_BACKEND, flagstore_error_t};
use crate::json::{MAX_BYTES, ParseError, Scanner};
use crate::nul_terminated::NulTerminated;
use crate::revision_counter::RevisionCounter;
use crate::stop_token::StopToken;
use crate::sys::{ForkSafeMutex, ForkSafeMutexGuard};
use crate::{Batch, Error, FlagStore, Result, Snapshot, Value};
use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ptr;
use std::time::Instant;

/// A store over a table of C functions. One call at a time goes out to them.
pub(crate) struct BackendStore {
    backend: flagstore_backend_t,
    calls: ForkSafeMutex,
    changes: RevisionCounter,
}

// SAFETY: the opener of such a store promises functions that may be called from any thread, one at a time, with
// this context.
unsafe impl Send for BackendStore {}
// SAFETY: as above; `calls` keeps them apart.
unsafe impl Sync for BackendStore {}

impl BackendStore {
    pub(crate) fn new(backend: flagstore_backend_t) -> Self {
        Self { backend, calls: ForkSafeMutex::new(), changes: RevisionCounter::new() }
    }

    fn enter(&self) -> Result<ForkSafeMutexGuard<'_>> {
        self.calls.lock().ok_or_else(|| failure("the backend called the store that it serves"))
    }

    /// Runs `work` with the backend to itself.
    fn exclusively<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.enter().and_then(|_lock| work(self))
    }

    fn get_now(&self, key: &str) -> Result<Option<Value>> {
        let get = self.backend.get.ok_or(Error::NotImplemented("get"))?;
        let mut reply = flagstore_reply_t::to_get(key);
        let name = NulTerminated::from(key);
        // SAFETY: the function takes these by contract; key and reply live during the call.
        called("get", |error| unsafe { get(self.backend.context, pointer(&name), key.len(), &mut reply, error) })?;
        Ok(values(reply.finish())?.remove(key))
    }

    fn list_now(&self) -> Result<BTreeMap<String, Value>> {
        let list_all = self.backend.list_all.ok_or(Error::NotImplemented("list_all"))?;
        let mut reply = flagstore_reply_t::to_list();
        // SAFETY: the function takes these by contract; the reply lives during the call.
        called("list_all", |error| unsafe { list_all(self.backend.context, &mut reply, error) })?;
        values(reply.finish())
    }

    fn set_now(&self, key: &str, value: &Value) -> Result<()> {
        let set = self.backend.set.ok_or(Error::NotImplemented("set"))?;
        let (name, json) = (NulTerminated::from(key), value.text());
        // SAFETY: the function takes these by contract; key and text live during the call.
        let result = called("set", |error| unsafe {
            set(self.backend.context, pointer(&name), key.len(), pointer(json), json.as_str().len(), error)
        });
        // Also after a failure, which may have changed something.
        self.changes.bump();
        result
    }

    fn remove_now(&self, key: &str) -> Result<bool> {
        let remove = self.backend.remove.ok_or(Error::NotImplemented("remove"))?;
        let (name, mut existed) = (NulTerminated::from(key), false);
        // SAFETY: the function takes these by contract; key and answer live during the call.
        let result = called("remove", |error| unsafe {
            remove(self.backend.context, pointer(&name), key.len(), &mut existed, error)
        });
        if existed || result.is_err() {
            self.changes.bump();
        }
        result.map(|()| existed)
    }

    fn commit_now(&self, batch: &Batch) -> Result<()> {
        let mut found = BTreeMap::new();
        for (key, _) in batch.expectations() {
            found.insert(key, self.get_now(key)?);
        }
        batch.check(|key| found.get(key).and_then(Option::as_ref).map(Value::as_ref))?;
        if batch.clears() {
            let set_again = |key: &str| batch.changes().any(|(edited, value)| edited == key && value.is_some());
            for key in self.list_now()?.keys().filter(|key| !set_again(key)) {
                self.remove_now(key)?;
            }
        }
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.set_now(key, value)?,
                None => drop(self.remove_now(key)?),
            }
        }
        Ok(())
    }
}

impl Drop for BackendStore {
    fn drop(&mut self) {
        if let Some(close) = self.backend.close {
            // SAFETY: the function takes this by contract; nobody calls the backend after it.
            unsafe { close(self.backend.context) };
        }
    }
}

/// Text as C likes it: with a NUL behind it, and never a pointer to nowhere, as an empty str may be.
fn pointer(text: &NulTerminated) -> *const c_char {
    text.with_nul().as_ptr().cast()
}

fn failure(message: impl Into<String>) -> Error {
    Error::Backend { code: FLAGSTORE_BACKEND, errno: 0, message: message.into() }
}

/// Makes the call and takes the error object that it left, if it left one.
fn called(name: &str, call: impl FnOnce(*mut *mut flagstore_error_t) -> bool) -> Result<()> {
    let mut error = ptr::null_mut();
    let succeeded = call(&mut error);
    match error.is_null() {
        false => Err(error::from_raw(error)),
        true if succeeded => Ok(()),
        true => Err(failure(format!("the backend's {name} failed without saying why"))),
    }
}

fn values(replies: Replies) -> Result<BTreeMap<String, Value>> {
    replies.map_err(failure)
}

impl FlagStore for BackendStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        self.exclusively(|store| store.get_now(key))
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.exclusively(|store| store.set_now(key, &value))
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.exclusively(|store| store.remove_now(key))
    }

    fn list_all(&self) -> Result<Snapshot> {
        let flags = self.exclusively(Self::list_now)?;
        let build = || {
            let mut snapshot = Snapshot::builder(0, MAX_BYTES)?;
            for (key, value) in &flags {
                snapshot.push(key, &mut Scanner::at(value.as_json(), 0))?;
            }
            Ok(snapshot.finish())
        };
        build().map_err(|_: ParseError| Error::OutOfMemory)
    }

    fn len(&self) -> Result<usize> {
        Ok(self.exclusively(Self::list_now)?.len())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.exclusively(|store| store.commit_now(batch))
    }

    fn revision(&self) -> Result<u64> {
        Ok(self.changes.revision())
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        Ok(self.changes.wait(seen, deadline, None))
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        Ok(self.changes.wait(seen, deadline, Some(stop)))
    }

    fn wake(&self) {
        self.changes.wake();
    }
}
