use crate::stop_token::StopToken;
use crate::{Batch, Error, Result, Snapshot, Value, ValueRef};
use std::time::Instant;

/// The contract of every backend: a map from a flag's key to one JSON value.
///
/// A store is used from any number of threads at once; each call is atomic. A key is any text, the empty one
/// included. A stored `null` is a value, not absence.
pub trait FlagStore: Send + Sync {
    /// The flag's value, or `None` if there is no such flag.
    fn get(&self, key: &str) -> Result<Option<Value>>;

    /// Stores `value` under `key`, whatever was there before.
    fn set(&self, key: &str, value: Value) -> Result<()>;

    /// Removes the flag; `false` if there was none.
    fn delete(&self, key: &str) -> Result<bool>;

    /// Every flag as of one moment, in key order.
    fn list_all(&self) -> Result<Snapshot>;

    /// [`list_all`](Self::list_all) as one compact JSON object.
    fn list_json(&self) -> Result<String> {
        self.list_all()?.to_json()
    }

    /// The number of flags.
    fn len(&self) -> Result<usize>;

    /// Whether there is no flag at all.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Calls `visit` once with the flag's value, borrowed from the store: [`get`](Self::get) without the copy.
    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        let value = self.get(key)?;
        visit(value.as_ref().map(Value::as_ref));
        Ok(())
    }

    /// The length, in bytes, of the largest value that may fit.
    fn max_bytes(&self) -> usize {
        usize::MAX
    }

    /// Makes all changes of the batch in one step, or none: [`Error::Conflict`] if what it expects does not hold.
    fn commit(&self, batch: &Batch) -> Result<()> {
        let _ = batch;
        Err(Error::NotImplemented("commit"))
    }

    /// A number that is never 0 and differs from an earlier answer whenever the content may have changed since.
    fn revision(&self) -> Result<u64> {
        Err(Error::NotImplemented("revision"))
    }

    /// Blocks until the revision is no longer `seen` and gives it; `None`: the deadline came first, or the stop.
    fn wait(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Result<Option<u64>> {
        let _ = (seen, deadline, stop);
        Err(Error::NotImplemented("wait"))
    }

    /// Makes every wait look whether it was told to stop. For stores whose waits do not look at the stop themselves.
    fn wake(&self) {}
}
