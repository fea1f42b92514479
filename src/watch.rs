use crate::background_thread::BackgroundThread;
use crate::stop_token::StopToken;
use crate::{Error, FlagStore, Result, Snapshot, sys};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes that follow one another this closely are reported together.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// A store that never comes to rest is reported on this often.
const LONGEST_DEBOUNCE: Duration = Duration::from_millis(200);
/// How long to wait before a store that failed is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// One flag that changed. Its values before and now are compact JSON texts; `None`: it was or is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Each text has a NUL behind it.
    key: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// The flag.
    pub fn key(&self) -> &'a str {
        trim(self.key)
    }

    /// Its value before.
    pub fn old_json(&self) -> Option<&'a str> {
        self.old.map(trim)
    }

    /// Its value now.
    pub fn new_json(&self) -> Option<&'a str> {
        self.new.map(trim)
    }

    /// Key, old and new, each with the NUL behind it.
    pub(crate) fn with_nul(&self) -> (&'a str, Option<&'a str>, Option<&'a str>) {
        (self.key, self.old, self.new)
    }
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, old, new) = (self.key(), self.old_json(), self.new_json());
        f.debug_struct("Change").field("key", &key).field("old_json", &old).field("new_json", &new).finish()
    }
}

fn trim(text: &str) -> &str {
    text.strip_suffix('\0').unwrap_or(text)
}

/// Calls back, from a thread of its own, once for each flag that changes; until dropped.
///
/// Dropping it waits for a call that is under way, unless it is dropped inside that very call. A forked child has no
/// such thread: nothing is called there, and dropping the watch does not wait.
///
/// ```
/// use flagstore::{FlagStore, InMemoryFlagStore, Watch};
/// use std::sync::{Arc, mpsc};
///
/// let store = Arc::new(InMemoryFlagStore::new());
/// let (sender, receiver) = mpsc::channel();
/// let watch = Watch::start(store.clone(), Some("limit".into()), move |change| {
///     let _ = sender.send(change.new_json().map(str::to_owned));
/// })?;
/// store.set("limit", 3.into())?;
/// assert_eq!(receiver.recv().ok().flatten().as_deref(), Some("3"));
/// drop(watch);
/// # Ok::<(), flagstore::Error>(())
/// ```
pub struct Watch {
    store: Arc<dyn FlagStore>,
    thread: BackgroundThread,
}

impl Watch {
    /// Watches one flag, or all if `key` is `None`. Changes after this has returned are reported. A store that cannot
    /// be read for a while keeps its last good snapshot.
    ///
    /// # Errors
    ///
    /// Those of the store's [`revision`](FlagStore::revision) and [`list_all`](FlagStore::list_all);
    /// [`Error::Io`] if the system has no thread left.
    pub fn start(
        store: Arc<dyn FlagStore>,
        key: Option<String>,
        callback: impl FnMut(&Change<'_>) + Send + 'static,
    ) -> Result<Self> {
        let revision = store.revision()?;
        let last_snapshot = store.list_all()?;
        let watcher = Watcher { store: Arc::clone(&store), key, callback, revision, last_snapshot, last_error: None };
        let thread = BackgroundThread::start("flagstore-watch", sys::STACK, |stop| watcher.run(stop))
            .map_err(|error| Error::io(Path::new("watch"), "start its thread", &error))?;
        Ok(Self { store, thread })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Self { store, thread } = self;
        thread.stop(|| store.wake());
    }
}

struct Watcher<F> {
    store: Arc<dyn FlagStore>,
    key: Option<String>,
    callback: F,
    revision: u64,
    /// The flags as last reported.
    last_snapshot: Snapshot,
    /// The failure that was logged last, until the store can be read again.
    last_error: Option<Error>,
}

impl<F: FnMut(&Change<'_>)> Watcher<F> {
    fn run(mut self, stop: &StopToken) {
        while !stop.is_set() {
            match self.wait_and_report(stop) {
                Ok(()) => self.last_error = None,
                Err(error) => {
                    // No revision is 0: once repaired, the store is read again. What is corrupt heals by a change.
                    if !matches!(error, Error::Corrupt { .. }) {
                        self.revision = 0;
                        stop.wait(RETRY_DELAY);
                    }
                    self.log(error);
                }
            }
        }
    }

    /// No caller hears of it. Once, however often it is tried again.
    fn log(&mut self, error: Error) {
        if self.last_error.as_ref() != Some(&error) {
            error.log();
            self.last_error = Some(error);
        }
    }

    fn wait_and_report(&mut self, stop: &StopToken) -> Result<()> {
        if self.wait_until_quiet(stop)? { self.report(stop) } else { Ok(()) }
    }

    /// Waits for a change and then until no other has followed for a while. `false`: stopped.
    fn wait_until_quiet(&mut self, stop: &StopToken) -> Result<bool> {
        let Some(revision) = self.store.wait_unless_stopped(self.revision, None, stop)? else {
            return Ok(false);
        };
        self.revision = revision;
        let latest = Instant::now() + LONGEST_DEBOUNCE;
        loop {
            let now = Instant::now();
            let quiet = (now + DEBOUNCE).min(latest);
            match self.store.wait_unless_stopped(self.revision, Some(quiet), stop)? {
                Some(revision) if now < latest => self.revision = revision,
                _ => return Ok(!stop.is_set()),
            }
        }
    }

    /// Compares the flags with those last reported. A store that cannot be read keeps its last good snapshot.
    fn report(&mut self, stop: &StopToken) -> Result<()> {
        let now = self.store.list_all()?;
        let before = std::mem::replace(&mut self.last_snapshot, now.clone());
        let (mut old, mut new) = (0, 0);
        while !stop.is_set() {
            let (was, is) = (before.entry(old), now.entry(new));
            let change = match (was, is) {
                (None, None) => break,
                (Some((key, was)), Some((other, is))) if key == other => Change { key, old: Some(was), new: Some(is) },
                (Some((key, was)), is) if is.is_none_or(|(other, _)| trim(key) < trim(other)) => {
                    Change { key, old: Some(was), new: None }
                }
                (_, Some((key, is))) => Change { key, old: None, new: Some(is) },
                (Some((key, was)), None) => Change { key, old: Some(was), new: None },
            };
            old += usize::from(change.old.is_some());
            new += usize::from(change.new.is_some());
            if change.old != change.new && self.key.as_deref().is_none_or(|wanted| wanted == change.key()) {
                (self.callback)(&change);
            }
        }
        Ok(())
    }
}
