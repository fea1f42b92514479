//! Backends from outside the library.

use flagstore::{Batch, Error, FlagStore, Result, Snapshot, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The least that makes a store: the four methods, and nothing else.
#[derive(Debug, Default)]
pub struct FourMethods(Mutex<BTreeMap<String, Value>>);

impl FourMethods {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlagStore for FourMethods {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.lock().get(key).cloned())
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.lock().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.lock().remove(key).is_some())
    }

    fn list_all(&self) -> Result<Snapshot> {
        Ok(self.lock().clone().into_iter().collect())
    }
}

/// One that commits atomically, with what a batch lends.
#[derive(Debug, Default)]
pub struct Atomic(FourMethods);

impl FlagStore for Atomic {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.0.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.0.delete(key)
    }

    fn list_all(&self) -> Result<Snapshot> {
        self.0.list_all()
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let mut flags = self.0.lock();
        batch.check(|key| flags.get(key).map(Value::as_ref))?;
        if batch.clears() {
            flags.clear();
        }
        for (key, value) in batch.changes() {
            match value {
                Some(value) => drop(flags.insert(key.to_owned(), value.clone())),
                None => drop(flags.remove(key)),
            }
        }
        Ok(())
    }
}

/// One whose backend cannot be reached.
#[derive(Debug)]
pub struct Unreachable;

impl Unreachable {
    fn failure<T>() -> Result<T> {
        Err(Error::backend("flags.example: connection refused"))
    }
}

impl FlagStore for Unreachable {
    fn get(&self, _: &str) -> Result<Option<Value>> {
        Self::failure()
    }

    fn set(&self, _: &str, _: Value) -> Result<()> {
        Self::failure()
    }

    fn delete(&self, _: &str) -> Result<bool> {
        Self::failure()
    }

    fn list_all(&self) -> Result<Snapshot> {
        Self::failure()
    }
}
