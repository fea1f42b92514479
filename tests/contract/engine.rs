//! Backends as a program brings them: an engine in memory, with all methods and with no more than it takes.

use flagstore::{Backend, Batch, Error, FlagStore, InMemoryFlagStore, Loaded, Result, Snapshot, Value};
use std::sync::Mutex;
use std::time::Duration;

/// Everything but a way to wake it: its waits are short.
#[derive(Default)]
pub struct Engine {
    flags: FourMethods,
    /// Held while flags and revision are looked at together.
    lock: Mutex<()>,
}

#[derive(Default)]
pub struct FourMethods(InMemoryFlagStore);

impl Backend for FourMethods {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.0.set(key, value.clone())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.0.delete(key)
    }

    fn list_all(&self) -> Result<Snapshot> {
        self.0.list_all()
    }
}

impl Engine {
    fn locked<T>(&self, work: impl FnOnce(&InMemoryFlagStore) -> Result<T>) -> Result<T> {
        let _lock = self.lock.lock().map_err(|_| Error::backend("an earlier call panicked"))?;
        work(&self.flags.0)
    }
}

impl Backend for Engine {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        self.flags.get(key)
    }

    fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.locked(|flags| flags.set(key, value.clone()))
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.locked(|flags| flags.delete(key))
    }

    fn list_all(&self) -> Result<Snapshot> {
        self.flags.list_all()
    }

    fn is_concurrent(&self) -> bool {
        true
    }

    fn commit(&self, batch: &Batch) -> Result<u64> {
        self.locked(|flags| {
            flags.commit(batch)?;
            flags.revision()
        })
    }

    fn load(&self, seen: u64) -> Result<Loaded> {
        self.locked(|flags| match flags.revision()? {
            revision if revision == seen => Ok(Loaded::Same),
            revision => Ok(Loaded::Flags(flags.list_all()?, revision)),
        })
    }

    fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let timeout = timeout.min(Duration::from_millis(10));
        self.flags.0.wait(seen, std::time::Instant::now().checked_add(timeout))
    }
}
