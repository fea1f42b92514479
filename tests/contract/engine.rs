//! A backend of a Rust program: a map that counts its changes, of which it can provide as much as it is told.

use flagstore::{Backend, Batch, Error, Loaded, Result, Snapshot, Value};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub struct Engine {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether it has commit, load and wait.
    has_everything: bool,
}

struct State {
    flags: BTreeMap<String, Value>,
    revision: u64,
    is_woken: bool,
}

impl Engine {
    pub fn with_four_methods() -> Self {
        let state = State { flags: BTreeMap::new(), revision: 1, is_woken: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), has_everything: false }
    }

    pub fn with_everything() -> Self {
        Self { has_everything: true, ..Self::with_four_methods() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn require(&self, method: &'static str) -> Result<()> {
        if self.has_everything { Ok(()) } else { Err(Error::NotImplemented(method)) }
    }

    fn change<T>(&self, make: impl FnOnce(&mut BTreeMap<String, Value>) -> T) -> (T, u64) {
        let mut state = self.lock();
        let made = make(&mut state.flags);
        state.revision += 1;
        self.changed.notify_all();
        (made, state.revision)
    }
}

impl Backend for Engine {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.lock().flags.get(key).cloned())
    }

    fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.change(|flags| flags.insert(key.to_owned(), value.clone()));
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.change(|flags| flags.remove(key).is_some()).0)
    }

    fn list_all(&self) -> Result<Snapshot> {
        Snapshot::from_flags(self.lock().flags.clone())
    }

    fn is_concurrent(&self) -> bool {
        self.has_everything
    }

    fn commit(&self, batch: &Batch) -> Result<u64> {
        self.require("commit")?;
        let (checked, revision) = self.change(|flags| {
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
        });
        checked.map(|()| revision)
    }

    fn load(&self, seen: u64) -> Result<Loaded> {
        self.require("load")?;
        let state = self.lock();
        match state.revision == seen {
            true => Ok(Loaded::Same),
            false => Ok(Loaded::Flags(Snapshot::from_flags(state.flags.clone())?, state.revision)),
        }
    }

    fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        self.require("wait")?;
        let waits = |state: &mut State| state.revision == seen && !state.is_woken;
        let (mut state, _) = self.changed.wait_timeout_while(self.lock(), timeout, waits).unwrap();
        state.is_woken = false;
        Ok((state.revision != seen).then_some(state.revision))
    }

    fn wake(&self) {
        self.lock().is_woken = true;
        self.changed.notify_all();
    }
}
