//! Flags that are kept elsewhere, by a backend of the caller's: asked at each read, or followed by a snapshot in memory.

mod backend;
mod options;
mod signal;
mod pool;
mod calls;
mod changes;
mod health;
mod kept;
mod removals;
mod core;
mod fallback;
mod follower;

#[cfg(feature = "redis")]
pub(crate) use calls::deadline;
#[cfg(feature = "redis")]
pub(crate) use signal::Signal;

pub use backend::{Backend, Loaded};
pub use options::{RemoteOptions, WhenLost};

use self::core::Core;
use self::kept::KeptRef;
use crate::stop_token::StopToken;
use crate::sys::{self, ForkSafeMutex};
use crate::value::StoredValue;
use crate::{Batch, Error, FlagStore, ReadMode, Result, Snapshot, Status, Value, ValueRef};
use arc_swap::ArcSwapOption;
use calls::Purpose;
use follower::Follower;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How often an open that waits tries again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Flags that a [`Backend`] keeps: a database, a service, whatever a program can ask.
///
/// ```
/// use flagstore::{Backend, FlagStore, InMemoryFlagStore, ReadMode, RemoteFlagStore, RemoteOptions};
/// use flagstore::{Result, Snapshot, Value};
///
/// /// Stands for a database.
/// struct Engine(InMemoryFlagStore);
///
/// impl Backend for Engine {
///     fn get(&self, key: &str) -> Result<Option<Value>> {
///         self.0.get(key)
///     }
///
///     fn set(&self, key: &str, value: &Value) -> Result<()> {
///         self.0.set(key, value.clone())
///     }
///
///     fn delete(&self, key: &str) -> Result<bool> {
///         self.0.delete(key)
///     }
///
///     fn list_all(&self) -> Result<Snapshot> {
///         self.0.list_all()
///     }
/// }
///
/// let options = RemoteOptions::new().read_mode(ReadMode::Watched);
/// let store = RemoteFlagStore::open_with(Engine(InMemoryFlagStore::new()), options)?;
/// store.set("beta", true.into())?;
/// assert_eq!(store.get("beta")?, Some(true.into()));
/// # Ok::<(), flagstore::Error>(())
/// ```
pub struct RemoteFlagStore {
    core: Arc<Core>,
    /// `None`: there was no need for one, or no thread is to be had.
    follower: ArcSwapOption<Follower>,
    starting: ForkSafeMutex,
    has_warned: AtomicBool,
    /// How long the end of the store waits for calls that are under way.
    patience: Duration,
}

impl RemoteFlagStore {
    /// Opens a store over the backend with the default options: each read asks.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with).
    pub fn open(backend: impl Backend + 'static) -> Result<Self> {
        Self::open_with(backend, RemoteOptions::default())
    }

    /// Opens a store over the backend. Only a watched store asks the backend now.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], or the backend's own error, if the first snapshot of a watched store did not come in time
    /// and there is no fallback file; the backend has been closed then.
    pub fn open_with(backend: impl Backend + 'static, options: RemoteOptions) -> Result<Self> {
        let patience = options.call_timeout.unwrap_or_default();
        let mut store = Self {
            core: Arc::new(Core::new(Box::new(backend), options)),
            follower: ArcSwapOption::empty(),
            starting: ForkSafeMutex::new(),
            has_warned: AtomicBool::new(false),
            // An open that fails ends in time.
            patience: Duration::ZERO,
        };
        if store.core.is_watched() {
            if !store.core.options.lazy {
                store.read_first()?;
            }
            store.is_followed();
        }
        store.patience = patience;
        Ok(store)
    }

    /// Reads the first snapshot, or the fallback file's.
    fn read_first(&self) -> Result<()> {
        let result = self.refresh_by(Instant::now().checked_add(self.core.options.open_timeout));
        result.or_else(|error| if fallback::serve(&self.core, &error) { Ok(()) } else { Err(error) })
    }

    /// Reads the flags, by as many calls as it takes.
    fn refresh_by(&self, deadline: Option<Instant>) -> Result<()> {
        loop {
            let of_call = self.core.deadline();
            // Without a deadline of calls all are made in their callers' threads, one at a time; so is this.
            match self.core.refresh(of_call.map(|of_call| deadline.map_or(of_call, |deadline| deadline.min(of_call)))) {
                Err(Error::Unavailable(message))
                    if deadline.is_none_or(|deadline| Instant::now() + RETRY_INTERVAL < deadline) =>
                {
                    tracing::debug!("{message}: trying again");
                    sys::sleep(RETRY_INTERVAL);
                }
                result => return result,
            }
        }
    }

    /// Whether threads of this process follow the backend; starts them if need be.
    fn is_followed(&self) -> bool {
        let runs = |follower: &Option<Arc<Follower>>| follower.as_ref().is_some_and(|follower| follower.runs_here());
        if runs(&self.follower.load()) {
            return true;
        }
        let Some(_lock) = self.starting.lock() else {
            return false;
        };
        if runs(&self.follower.load()) {
            return true;
        }
        if self.core.calls.note_fork().is_err() {
            return false;
        }
        if self.follower.swap(None).is_some() {
            self.core.forked();
        }
        match Follower::start(&self.core) {
            Ok(follower) => {
                self.follower.store(Some(Arc::new(follower)));
                self.core.update_serving();
                true
            }
            Err(error) => {
                if !self.has_warned.swap(true, SeqCst) {
                    tracing::warn!("no thread is to be had ({error}): the backend is asked at every read");
                }
                false
            }
        }
    }

    /// What `read` makes of the flag's value, without a copy of it, if it is at hand. `Some(None)`: there is no such flag,
    /// and the key is ASCII; a key that is found is text already. `None`: `read` has none, the key may not be text, or
    /// the flags are not at hand.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn peek<T>(&self, key: &[u8], read: impl FnOnce(StoredValue<'_>) -> Option<T>) -> Option<Option<T>> {
        let kept = self.core.served()?;
        match kept.flags.peek(key)? {
            Some(value) => read(value).map(Some),
            None => (key.is_ascii() && kept.unreadable.is_empty()).then_some(None),
        }
    }

    /// The kept flags as the read mode wants them; `None`: it asks the backend.
    fn current(&self) -> Result<Option<KeptRef<'_>>> {
        if let Some(served) = self.core.served() {
            return Ok(Some(served));
        }
        match self.core.options.read_mode {
            ReadMode::Fresh => Ok(None),
            ReadMode::Watched if self.is_followed() => self.core.served_or_lost().map(Some),
            _ => {
                self.core.refresh(self.core.deadline())?;
                Ok(Some(self.core.kept()))
            }
        }
    }

    /// Has the backend answer a read.
    fn ask<T: Send + 'static>(&self, work: impl FnOnce(&dyn Backend) -> Result<T> + Send + 'static) -> Result<T> {
        let core = &self.core;
        let answer = core.calls.call(Purpose::Read, core.deadline(), work);
        match &answer {
            Ok(_) => core.note_answer(),
            Err(error) => core.note_failure(error),
        }
        answer
    }

    fn check_writable(&self) -> Result<()> {
        match self.core.options.read_only {
            true => Err(Error::ReadOnly { path: PathBuf::from("the backend") }),
            false => Ok(()),
        }
    }

    fn wait_for_revision(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Result<Option<u64>> {
        let core = &self.core;
        if core.options.notices_others && !self.is_followed() {
            // No thread looks, so this one does.
            return self.poll_revision(seen, deadline, stop);
        }
        let revision = self.revision()?;
        Ok(if revision != seen { Some(revision) } else { core.changes.wait(seen, deadline, stop) })
    }

    fn poll_revision(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Result<Option<u64>> {
        loop {
            let revision = self.revision()?;
            if revision != seen {
                return Ok(Some(revision));
            }
            let next = Instant::now() + RETRY_INTERVAL;
            let until = deadline.map_or(next, |deadline| deadline.min(next));
            let revision = self.core.changes.wait(seen, Some(until), stop);
            if revision.is_some() || deadline == Some(until) || stop.is_some_and(StopToken::is_set) {
                return Ok(revision);
            }
        }
    }
}

impl Drop for RemoteFlagStore {
    fn drop(&mut self) {
        let _ = self.core.calls.note_fork();
        if let Some(follower) = self.follower.swap(None).and_then(Arc::into_inner) {
            follower.end();
        }
        self.core.calls.close(self.patience);
    }
}

impl fmt::Debug for RemoteFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFlagStore").field("options", &self.core.options).finish_non_exhaustive()
    }
}

impl FlagStore for RemoteFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        match self.current()? {
            Some(kept) => kept.get(key)?.map(ValueRef::to_value).transpose(),
            None => {
                let key = key.to_owned();
                self.ask(move |backend| backend.get(&key))
            }
        }
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.check_writable()?;
        let (batch, wants_revision) = (Batch::of(key, Some(value.clone())), self.core.is_read());
        let key = key.to_owned();
        let set = move |backend: &dyn Backend| changes::set(backend, &key, &value, wants_revision);
        self.core.change(&batch, move |backend| Ok((set(backend)?, true))).map(drop)
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.check_writable()?;
        let (batch, key) = (Batch::of(key, None), key.to_owned());
        self.core.change(&batch, move |backend| Ok((0, backend.delete(&key)?)))
    }

    fn list_all(&self) -> Result<Snapshot> {
        match self.current()? {
            Some(kept) => Ok(kept.flags.clone()),
            None => {
                let (flags, revision) = self.ask(changes::list)?;
                if flags.is_empty() && revision == Some(0) && !self.core.may_be_empty() {
                    // Lost is not empty.
                    return Err(changes::vanished());
                }
                match flags.bytes() > self.core.options.max_bytes {
                    true => Err(Error::TooLarge { path: None, key: None }),
                    false => Ok(flags),
                }
            }
        }
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        match self.current()? {
            Some(kept) => visit(kept.get(key)?),
            None => visit(self.get(key)?.as_ref().map(Value::as_ref)),
        }
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.check_writable()?;
        let sent = batch.clone();
        self.core.change(batch, move |backend| Ok((changes::commit(backend, &sent)?, true))).map(drop)
    }

    fn revision(&self) -> Result<u64> {
        let core = &self.core;
        let follows = core.is_watched() && self.is_followed();
        if core.options.notices_others && !follows {
            core.refresh(core.deadline())?;
        }
        Ok(core.changes.revision())
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        self.wait_for_revision(seen, deadline, None)
    }

    fn status(&self) -> Result<Status> {
        let core = &self.core;
        // In a forked child it is known only then.
        let _ = core.is_watched() && self.is_followed();
        Ok(core.status())
    }

    fn sync(&self, deadline: Option<Instant>) -> Result<()> {
        match self.core.is_watched() {
            true => self.refresh_by(deadline),
            false => Ok(()),
        }
    }

    fn max_bytes(&self) -> usize {
        self.core.options.max_bytes
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        self.wait_for_revision(seen, deadline, Some(stop))
    }

    fn wake(&self) {
        self.core.changes.wake();
    }
}
