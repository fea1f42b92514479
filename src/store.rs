use crate::stop_token::StopToken;
use crate::{Batch, Result, Snapshot, Status, Value, ValueRef};
use once_cell::race::OnceBox;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

/// How often a wait compares the revision, unless the backend has a wait of its own.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a wait of a backend may keep a watch from ending.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// The contract of every backend: a map from a flag's key to one JSON value.
///
/// A store is used from any number of threads at once; each call is atomic. A key is any text, the empty one
/// included. A stored `null` is a value, not absence.
///
/// # A backend of one's own
///
/// Four methods make a store that works; the others have defaults in terms of these. A default is replaced where the
/// backend can do better: [`commit`](Self::commit) first, whose default is not atomic.
///
/// ```
/// use flagstore::{FlagStore, Result, Snapshot, Value};
/// use std::collections::BTreeMap;
/// use std::sync::{Mutex, MutexGuard, PoisonError};
///
/// #[derive(Default)]
/// struct Flags(Mutex<BTreeMap<String, Value>>);
///
/// impl Flags {
///     fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner)
///     }
/// }
///
/// impl FlagStore for Flags {
///     fn get(&self, key: &str) -> Result<Option<Value>> {
///         Ok(self.lock().get(key).cloned())
///     }
///
///     fn set(&self, key: &str, value: Value) -> Result<()> {
///         self.lock().insert(key.to_owned(), value);
///         Ok(())
///     }
///
///     fn delete(&self, key: &str) -> Result<bool> {
///         Ok(self.lock().remove(key).is_some())
///     }
///
///     fn list_all(&self) -> Result<Snapshot> {
///         Snapshot::from_flags(self.lock().clone())
///     }
/// }
///
/// let store: Box<dyn FlagStore> = Box::new(Flags::default());
/// store.set("checkout.new-button", true.into())?;
/// assert_eq!(store.len()?, 1);
/// assert_eq!(store.list_json()?, r#"{"checkout.new-button":true}"#);
/// # Ok::<(), flagstore::Error>(())
/// ```
///
/// # Errors
///
/// Every method can fail as its backend does. A [`FileFlagStore`](crate::FileFlagStore) fails with
/// [`Error::Io`](crate::Error::Io) where the system refuses, [`Corrupt`](crate::Error::Corrupt) if the file is not one
/// JSON object, and [`TooLarge`](crate::Error::TooLarge) beyond `max_bytes`; its changes also with
/// [`Locked`](crate::Error::Locked), [`ReadOnly`](crate::Error::ReadOnly) and
/// [`NotDurable`](crate::Error::NotDurable). An [`InMemoryFlagStore`](crate::InMemoryFlagStore) fails only for want of
/// memory. A backend of one's own has [`Error::backend`](crate::Error::backend). Nothing has changed when a change has
/// failed, except under `NotDurable` and where a method says otherwise.
pub trait FlagStore: Send + Sync {
    /// The flag's value, or `None` if there is no such flag.
    ///
    /// # Errors
    ///
    /// Those of the backend: see [`FlagStore`](Self#errors).
    fn get(&self, key: &str) -> Result<Option<Value>>;

    /// Stores `value` under `key`, whatever was there before.
    ///
    /// # Errors
    ///
    /// Those of the backend: see [`FlagStore`](Self#errors).
    fn set(&self, key: &str, value: Value) -> Result<()>;

    /// Removes the flag; `false` if there was none.
    ///
    /// # Errors
    ///
    /// Those of the backend: see [`FlagStore`](Self#errors).
    fn delete(&self, key: &str) -> Result<bool>;

    /// Every flag as of one moment, in key order.
    ///
    /// # Errors
    ///
    /// Those of the backend: see [`FlagStore`](Self#errors).
    fn list_all(&self) -> Result<Snapshot>;

    /// [`list_all`](Self::list_all) as one compact JSON object.
    ///
    /// # Errors
    ///
    /// Those of [`list_all`](Self::list_all) and of [`Snapshot::to_json`].
    fn list_json(&self) -> Result<String> {
        self.list_all()?.to_json()
    }

    /// The number of flags. The default counts [`list_all`](Self::list_all).
    ///
    /// # Errors
    ///
    /// Those of [`list_all`](Self::list_all).
    fn len(&self) -> Result<usize> {
        Ok(self.list_all()?.len())
    }

    /// Whether there is no flag.
    ///
    /// # Errors
    ///
    /// Those of [`len`](Self::len).
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Calls `visit` once with the flag's value, borrowed from the store: [`get`](Self::get) without the copy. If the
    /// call fails, `visit` is not called.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        let value = self.get(key)?;
        visit(value.as_ref().map(Value::as_ref));
        Ok(())
    }

    /// Makes all changes of the batch in one step, or none if an expectation does not hold.
    ///
    /// The default is **not atomic**: it reads the expected flags with [`get`](Self::get) and then makes the changes
    /// one after another. Others may change the flags in between and see some changes without the rest, and a failure
    /// leaves the earlier changes made. [`Batch::check`] serves those who write their own.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`](crate::Error::Conflict) if an expectation does not hold; nothing has changed then.
    /// Otherwise those of the backend: see [`FlagStore`](Self#errors).
    fn commit(&self, batch: &Batch) -> Result<()> {
        let expected = batch.expectations().map(|(key, _)| Ok((key, self.get(key)?)));
        let found = expected.collect::<Result<BTreeMap<_, _>>>()?;
        batch.check(|key| found.get(key)?.as_ref().map(Value::as_ref))?;
        if batch.clears() {
            // A flag that is set again is never absent in between.
            for (key, _) in &self.list_all()? {
                if !matches!(batch.outcome(key), Some(Some(_))) {
                    self.delete(key)?;
                }
            }
        }
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.set(key, value.clone())?,
                None => drop(self.delete(key)?),
            }
        }
        Ok(())
    }

    /// A number that is never 0 and differs from an earlier answer whenever the content may have changed since. It
    /// means nothing to another process.
    ///
    /// The default hashes [`list_all`](Self::list_all): content that changes and changes back has its earlier number.
    ///
    /// # Errors
    ///
    /// Those of [`list_all`](Self::list_all).
    fn revision(&self) -> Result<u64> {
        static HASHER: OnceBox<RandomState> = OnceBox::new();
        Ok(HASHER.get_or_init(Box::default).hash_one(self.list_all()?).max(1))
    }

    /// Blocks until the revision is no longer `seen` and returns it; `None`: the deadline came first. Without a
    /// deadline it blocks for ever.
    ///
    /// The default asks for the [`revision`](Self::revision) every 50 ms.
    ///
    /// # Errors
    ///
    /// Those of [`revision`](Self::revision).
    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        loop {
            let revision = self.revision()?;
            if revision != seen {
                return Ok(Some(revision));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            thread::sleep(left.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL));
        }
    }

    /// Whether reads are served, and how old what they see may be. The default is a store that is always live.
    ///
    /// # Errors
    ///
    /// Those of [`revision`](Self::revision).
    fn status(&self) -> Result<Status> {
        Ok(Status::live(self.revision()?))
    }

    /// Returns once reads through this store see everything that was finished, by anybody, before the call. Without a
    /// deadline it may take for ever. The default has nothing to do, as for every store that asks at each read.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) if the store was not reached in time; otherwise those of the
    /// backend.
    fn sync(&self, deadline: Option<Instant>) -> Result<()> {
        let _ = deadline;
        Ok(())
    }

    /// The length, in bytes, of the largest value that may fit: nothing longer need be parsed.
    #[doc(hidden)]
    fn max_bytes(&self) -> usize {
        usize::MAX
    }

    /// Whether the flags are this machine's: what is true of a memory or file store. Others may lose theirs.
    #[doc(hidden)]
    fn is_local(&self) -> bool {
        false
    }

    /// [`wait`](Self::wait) that also ends, with `None`, once `stop` is set and the store has been woken.
    #[doc(hidden)]
    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        loop {
            let next_check = Instant::now() + STOP_INTERVAL;
            let until = deadline.map_or(next_check, |deadline| deadline.min(next_check));
            if stop.is_set() {
                return Ok(None);
            }
            let revision = self.wait(seen, Some(until))?;
            if revision.is_some() || deadline == Some(until) {
                return Ok(revision);
            }
        }
    }

    /// Makes every [`wait_unless_stopped`](Self::wait_unless_stopped) check its stop token.
    #[doc(hidden)]
    fn wake(&self) {}
}
