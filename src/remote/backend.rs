use crate::{Batch, Error, Push, Result, Snapshot, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a [`RemoteFlagStore`](super::RemoteFlagStore) asks of the engine that keeps the flags: a database, a service.
///
/// Four methods suffice. With the others the store is as good as a built-in one: batches are atomic with
/// [`commit`](Self::commit), a snapshot is of one moment with [`load`](Self::load), and changes by others are known at
/// once with [`wait`](Self::wait). What a method does not provide is [`Error::NotImplemented`].
///
/// A backend that was not reached, so that nothing has changed, fails with [`Error::Unavailable`]; a change that was
/// sent and not answered with [`Error::Uncertain`].
///
/// Revisions are the backend's own: numbers that are not 0 and differ where the content does. A backend that counts its
/// changes one by one saves the store a read after each change of its own.
pub trait Backend: Send + Sync {
    /// The flag's value, or `None` if there is no such flag.
    ///
    /// # Errors
    ///
    /// The backend's own.
    fn get(&self, key: &str) -> Result<Option<Value>>;

    /// Stores the value under the key.
    ///
    /// # Errors
    ///
    /// The backend's own. [`Error::NotImplemented`]: the store commits a batch instead.
    fn set(&self, key: &str, value: &Value) -> Result<()>;

    /// Removes the flag; `false` if there was none.
    ///
    /// # Errors
    ///
    /// The backend's own.
    fn delete(&self, key: &str) -> Result<bool>;

    /// Every flag.
    ///
    /// # Errors
    ///
    /// The backend's own. [`Error::NotImplemented`]: the store loads instead.
    fn list_all(&self) -> Result<Snapshot>;

    /// Whether calls may overlap. Otherwise the store makes one at a time, [`wait`](Self::wait) excepted, which
    /// overlaps all others.
    fn is_concurrent(&self) -> bool {
        false
    }

    /// Whether every call looks at its deadline itself: then it is made in the caller's thread.
    #[doc(hidden)]
    fn keeps_deadlines(&self) -> bool {
        false
    }

    /// Makes all changes of the batch, or none if an expectation does not hold: [`Batch::check`] compares. Returns the
    /// revision after it; 0: not known.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if an expectation does not hold; the backend's own. [`Error::NotImplemented`]: the store
    /// makes the changes one by one, which is not atomic.
    fn commit(&self, batch: &Batch) -> Result<u64> {
        let _ = batch;
        Err(Error::NotImplemented("commit"))
    }

    /// Every flag as of one moment, unless the revision is still `seen`; 0: none was seen.
    ///
    /// # Errors
    ///
    /// The backend's own. [`Error::NotImplemented`]: the store lists instead.
    fn load(&self, seen: u64) -> Result<Loaded> {
        let _ = seen;
        Err(Error::NotImplemented("load"))
    }

    /// Blocks until the revision is no longer `seen` and returns it; `None`: the timeout, of a few seconds at most, came
    /// first, or [`wake`](Self::wake).
    ///
    /// # Errors
    ///
    /// The backend's own. [`Error::NotImplemented`]: the store looks in intervals.
    fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let _ = (seen, timeout);
        Err(Error::NotImplemented("wait"))
    }

    /// How the last [`wait`](Self::wait) that succeeded would have learned of a change; for the
    /// [`Status`](crate::Status). [`Push::None`]: of some changes, or of none.
    fn push(&self) -> Push {
        Push::Announced
    }

    /// Whether flags of the revision `kept` have in them what was changed at the revision `change`. Neither is 0.
    #[doc(hidden)]
    fn includes(&self, kept: u64, change: u64) -> bool {
        kept == change
    }

    /// Makes a [`wait`](Self::wait) that is under way return.
    fn wake(&self) {}

    /// Comes before every other call in a forked child: closes the copies of the parent's descriptors, without a word
    /// to the server. Locks of the backend may be held by threads that the child does not have.
    fn forked(&self) {}

    /// The last call, when the store and its last watch are gone.
    fn close(&self) {}
}

/// The outcome of [`Backend::load`].
#[derive(Debug, Clone)]
pub enum Loaded {
    /// The revision is still the one that was seen.
    Same,
    /// The flags, which may be none, and their revision; 0: not known.
    Flags(Snapshot, u64),
    /// The same without the flags that cannot be read, each with its error: a list leaves them out.
    Partly(Snapshot, u64, BTreeMap<String, Error>),
    /// What was stored there has vanished, which is not the same as no flags: the database was emptied or is another.
    Gone,
}
