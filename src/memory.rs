use crate::revision_counter::RevisionCounter;
use crate::stop_token::StopToken;
use crate::sys::HazardArc;
use crate::value::StoredValue;
use crate::{Batch, FlagStore, Result, Snapshot, Value, ValueRef};
use sharded_map::ShardedMap;
use std::fmt;
use std::time::Instant;

pub(crate) mod sharded_map;

/// A store in memory, for the life of the process.
///
/// The flags are immutable and stand behind an atomic pointer: a reader takes no lock and never waits for a writer,
/// a change shares all but a few of the old flags, and a fork at any moment leaves the child a whole store.
///
/// ```
/// use flagstore::{FlagStore, InMemoryFlagStore, Value};
///
/// let store = InMemoryFlagStore::new();
/// store.set("beta", true.into())?;
/// assert_eq!(store.get("beta")?, Some(Value::from(true)));
/// assert!(store.delete("beta")?);
/// assert!(store.is_empty()?);
/// # Ok::<(), flagstore::Error>(())
/// ```
pub struct InMemoryFlagStore {
    flags: HazardArc<ShardedMap>,
    changes: RevisionCounter,
}

impl InMemoryFlagStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { flags: HazardArc::new(ShardedMap::new()), changes: RevisionCounter::new() }
    }

    /// What `read` makes of the flag's value, without a copy of it. `Some(None)`: there is no such flag, and the key is
    /// ASCII; a key that is found is text already. `None`: `read` has none, or the key may not be text.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn peek<T>(&self, key: &[u8], read: impl FnOnce(StoredValue<'_>) -> Option<T>) -> Option<Option<T>> {
        match self.flags.load().get(key) {
            Some(value) => read(value).map(Some),
            None => key.is_ascii().then_some(None),
        }
    }

    /// Makes the batch's changes, again if another thread was faster. Returns whether a key that it changes was there.
    fn apply(&self, batch: &Batch) -> Result<bool> {
        loop {
            let before = self.flags.load();
            batch.check(|key| before.get(key.as_bytes()).map(StoredValue::value))?;
            let existed = batch.changes().any(|(key, _)| before.get(key.as_bytes()).is_some());
            let Some(after) = before.changed_by(batch)? else {
                return Ok(existed);
            };
            if self.flags.replace(before, after) {
                self.changes.bump();
                return Ok(existed);
            }
        }
    }
}

impl Default for InMemoryFlagStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryFlagStore").field("len", &self.flags.load().len()).finish_non_exhaustive()
    }
}

impl FlagStore for InMemoryFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        self.flags.load().get(key.as_bytes()).map(|value| value.value().to_value()).transpose()
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.apply(&Batch::of(key, Some(value))).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.apply(&Batch::of(key, None))
    }

    fn list_all(&self) -> Result<Snapshot> {
        Ok(Snapshot::of_flags(self.flags.load_full()))
    }

    fn len(&self) -> Result<usize> {
        Ok(self.flags.load().len())
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        visit(self.flags.load().get(key.as_bytes()).map(StoredValue::value));
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.apply(batch).map(|_| ())
    }

    fn revision(&self) -> Result<u64> {
        Ok(self.changes.revision())
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        Ok(self.changes.wait(seen, deadline, None))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        Ok(self.changes.wait(seen, deadline, Some(stop)))
    }

    fn wake(&self) {
        self.changes.wake();
    }
}
