use crate::change::{Changes, Stop};
use crate::text::Text;
use crate::{Batch, FlagStore, Result, Snapshot, Value, ValueRef};
use arc_swap::ArcSwap;
use rpds::HashTrieMapSync;
use std::time::Instant;

/// An immutable map: a changed one shares all but a path with the one before, a clone shares everything.
pub(crate) type Flags = HashTrieMapSync<Text, Value, foldhash::fast::RandomState>;

/// Flags for the life of the process.
///
/// The map is immutable and stands behind an atomic pointer: a reader takes no lock and never waits for a writer,
/// a change shares all but a path of the old map, and a fork at any moment leaves the child a whole store.
pub struct InMemoryFlagStore {
    flags: ArcSwap<Flags>,
    changes: Changes,
}

impl InMemoryFlagStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { flags: ArcSwap::from_pointee(empty()), changes: Changes::new() }
    }

    /// Puts what `change` makes of the flags in their place, again if another thread was faster. `None`: no change.
    /// Gives the flags as they were before.
    fn update(&self, change: impl Fn(&Flags) -> Result<Option<Flags>>) -> Result<Flags> {
        loop {
            let before = self.flags.load();
            let Some(after) = change(&before)? else {
                return Ok(Flags::clone(&before));
            };
            let seen = self.flags.compare_and_swap(&*before, after.into());
            if std::ptr::eq(&**seen, &**before) {
                self.changes.bump();
                return Ok(Flags::clone(&before));
            }
        }
    }

    fn apply(&self, batch: &Batch) -> Result<Flags> {
        self.update(|flags| {
            batch.check(|key| flags.get(key).map(Value::as_ref))?;
            let mut after = if batch.clears() { empty() } else { flags.clone() };
            let mut changed = batch.clears() && !flags.is_empty();
            for (key, value) in batch.edits() {
                match value {
                    Some(value) if after.get(key) != Some(value) => after.insert_mut(key.into(), value.clone()),
                    None if after.contains_key(key) => {
                        after.remove_mut(key);
                    }
                    _ => continue,
                }
                changed = true;
            }
            Ok(changed.then_some(after))
        })
    }
}

fn empty() -> Flags {
    Flags::new_with_hasher_and_ptr_kind(foldhash::fast::RandomState::default())
}

impl Default for InMemoryFlagStore {
    fn default() -> Self {
        Self::new()
    }
}

impl FlagStore for InMemoryFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.flags.load().get(key).cloned())
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.apply(&Batch::of(key, Some(value))).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.apply(&Batch::of(key, None))?.contains_key(key))
    }

    fn list_all(&self) -> Result<Snapshot> {
        Ok(Snapshot::of_map(Flags::clone(&self.flags.load())))
    }

    fn len(&self) -> Result<usize> {
        Ok(self.flags.load().size())
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        visit(self.flags.load().get(key).map(Value::as_ref));
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.apply(batch).map(|_| ())
    }

    fn revision(&self) -> Result<u64> {
        Ok(self.changes.revision())
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>, stop: Option<&Stop>) -> Result<Option<u64>> {
        Ok(self.changes.wait(seen, deadline, stop))
    }

    fn wake(&self) {
        self.changes.wake();
    }
}
