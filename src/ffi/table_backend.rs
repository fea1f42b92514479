//! A backend that is a table of C functions.

use super::backend_table::{Replies, flagstore_backend_t, flagstore_reply_t};
use super::batch::flagstore_batch_t;
use super::error::{self, FLAGSTORE_BACKEND, flagstore_error_t};
use super::object::{self, Kind};
use crate::nul_terminated::NulTerminated;
use crate::{Backend, Batch, Error, Loaded, Result, Snapshot, Value};
use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

pub(super) struct TableBackend(flagstore_backend_t);

// SAFETY: the opener of such a store promises functions that may be called from any thread with this context.
unsafe impl Send for TableBackend {}
// SAFETY: as above; whether calls may overlap is part of the table.
unsafe impl Sync for TableBackend {}

impl TableBackend {
    pub(super) fn new(table: flagstore_backend_t) -> Self {
        Self(table)
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
    match called_or_false(call)? {
        true => Ok(()),
        false => Err(failure(format!("the backend's {name} failed without saying why"))),
    }
}

/// The same of a function that may answer `false` without an error.
fn called_or_false(call: impl FnOnce(*mut *mut flagstore_error_t) -> bool) -> Result<bool> {
    let mut error = ptr::null_mut();
    let answer = call(&mut error);
    if error.is_null() { Ok(answer) } else { Err(error::from_raw(error)) }
}

fn values(reply: flagstore_reply_t) -> Result<BTreeMap<String, Value>> {
    let replies: Replies = reply.finish();
    replies.map_err(failure)
}

impl Backend for TableBackend {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        let get = self.0.get.ok_or(Error::NotImplemented("get"))?;
        let mut reply = flagstore_reply_t::to_get(key);
        let name = NulTerminated::from(key);
        // SAFETY: the function takes these by contract; key and reply live during the call.
        called("get", |error| unsafe { get(self.0.context, pointer(&name), key.len(), &mut reply, error) })?;
        Ok(values(reply)?.remove(key))
    }

    fn set(&self, key: &str, value: &Value) -> Result<()> {
        let set = self.0.set.ok_or(Error::NotImplemented("set"))?;
        let (name, json) = (NulTerminated::from(key), value.text());
        // SAFETY: the function takes these by contract; key and text live during the call.
        called("set", |error| unsafe {
            set(self.0.context, pointer(&name), key.len(), pointer(json), json.as_str().len(), error)
        })
    }

    fn delete(&self, key: &str) -> Result<bool> {
        let remove = self.0.remove.ok_or(Error::NotImplemented("remove"))?;
        let (name, mut existed) = (NulTerminated::from(key), false);
        // SAFETY: the function takes these by contract; key and answer live during the call.
        called("remove", |error| unsafe { remove(self.0.context, pointer(&name), key.len(), &mut existed, error) })?;
        Ok(existed)
    }

    fn list_all(&self) -> Result<Snapshot> {
        let list_all = self.0.list_all.ok_or(Error::NotImplemented("list_all"))?;
        let mut reply = flagstore_reply_t::to_list();
        // SAFETY: the function takes these by contract; the reply lives during the call.
        called("list_all", |error| unsafe { list_all(self.0.context, &mut reply, error) })?;
        Snapshot::from_flags(values(reply)?)
    }

    fn is_concurrent(&self) -> bool {
        self.0.flags & super::backend_table::FLAGSTORE_BACKEND_CONCURRENT != 0
    }

    fn commit(&self, batch: &Batch) -> Result<u64> {
        let commit = self.0.commit.ok_or(Error::NotImplemented("commit"))?;
        let lent = object::into_raw(Kind::Batch, flagstore_batch_t::of(batch));
        let mut revision = 0;
        // SAFETY: the function takes these by contract; batch and answer live during the call.
        let result = called("commit", |error| unsafe { commit(self.0.context, lent, &mut revision, error) });
        object::free(lent.cast());
        result.map(|()| revision)
    }

    fn load(&self, seen: u64) -> Result<Loaded> {
        let load = self.0.load.ok_or(Error::NotImplemented("load"))?;
        let mut reply = flagstore_reply_t::to_list();
        let (mut revision, mut same) = (seen, false);
        // SAFETY: the function takes these by contract; reply and answers live during the call.
        called("load", |error| unsafe { load(self.0.context, &mut revision, &mut same, &mut reply, error) })?;
        let flags = values(reply)?;
        match same {
            true => Ok(Loaded::Same),
            false => Ok(Loaded::Flags(Snapshot::from_flags(flags)?, revision)),
        }
    }

    fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let wait = self.0.wait.ok_or(Error::NotImplemented("wait"))?;
        let timeout = timeout.as_millis().try_into().unwrap_or(i32::MAX);
        let mut revision = seen;
        // SAFETY: the function takes these by contract; the revision lives during the call.
        let has_changed = called_or_false(|error| unsafe { wait(self.0.context, &mut revision, timeout, error) })?;
        Ok(has_changed.then_some(revision))
    }

    fn wake(&self) {
        if let Some(wake) = self.0.wake {
            // SAFETY: the function takes this by contract.
            unsafe { wake(self.0.context) };
        }
    }

    fn forked(&self) {
        if let Some(forked) = self.0.forked {
            // SAFETY: the function takes this by contract.
            unsafe { forked(self.0.context) };
        }
    }

    fn close(&self) {
        if let Some(close) = self.0.close {
            // SAFETY: the function takes this by contract; nobody calls the backend after it.
            unsafe { close(self.0.context) };
        }
    }
}
