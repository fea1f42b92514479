use crate::stop_token::StopToken;
use crate::{Error, FlagStore, Result, Snapshot, sys};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Edits that follow one another this closely are reported together.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// But a store that never comes to rest is reported on this often.
const RESTLESS: Duration = Duration::from_millis(200);
/// How long to wait before asking a store again that could not answer.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// One flag that changed. Both values are compact JSON text; `None`: there was, or is, no such flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// With the NUL behind it, as all of them.
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
    stop: Arc<StopToken>,
    store: Arc<dyn FlagStore>,
    thread: Option<JoinHandle<()>>,
    process: u64,
}

impl Watch {
    /// Watches one flag, or all if `key` is `None`. What changes after this has returned is seen. A store that cannot
    /// be read for a while keeps its last good snapshot.
    ///
    /// # Errors
    ///
    /// Those of the store's [`revision`](FlagStore::revision) and [`list_all`](FlagStore::list_all);
    /// [`Error::Io`] if the system has no thread or descriptor left.
    pub fn start(
        store: Arc<dyn FlagStore>,
        key: Option<String>,
        callback: impl FnMut(&Change<'_>) + Send + 'static,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| Error::io(Path::new("watch"), "start it", &error);
        let stop = Arc::new(StopToken::new().map_err(failed)?);
        let revision = store.revision()?;
        let picture = store.list_all()?;
        let watcher = Watcher { store: Arc::clone(&store), stop: Arc::clone(&stop), key, callback, revision, picture };
        let thread = sys::spawn("flagstore-watch", sys::STACK, Box::new(move || watcher.run())).map_err(failed)?;
        Ok(Self { stop, store, thread: Some(thread), process: sys::process_generation() })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.process != sys::process_generation() {
            // The thread lives in the parent; a join would wait for ever.
            return std::mem::forget(thread);
        }
        self.stop.set();
        self.store.wake();
        if !sys::is_current_thread(&thread) {
            let _ = thread.join();
        }
    }
}

struct Watcher<F> {
    store: Arc<dyn FlagStore>,
    stop: Arc<StopToken>,
    key: Option<String>,
    callback: F,
    revision: u64,
    picture: Snapshot,
}

impl<F: FnMut(&Change<'_>)> Watcher<F> {
    fn run(mut self) {
        while !self.stop.is_set() {
            match self.debounce() {
                Ok(true) => match self.report() {
                    // What is corrupt gets well by a change.
                    Ok(()) | Err(Error::Corrupt { .. }) => {}
                    Err(_) => {
                        self.stop.event().wait(RETRY_DELAY);
                        // No revision is 0: look again at once.
                        self.revision = 0;
                    }
                },
                Ok(false) => {}
                // The store has logged it. It may get well again.
                Err(_) => self.stop.event().wait(RETRY_DELAY),
            }
        }
    }

    /// Waits for a change and then for quiet. `false`: stopped.
    fn debounce(&mut self) -> Result<bool> {
        let Some(revision) = self.store.wait_unless_stopped(self.revision, None, &self.stop)? else {
            return Ok(false);
        };
        self.revision = revision;
        let restless = Instant::now() + RESTLESS;
        loop {
            let now = Instant::now();
            let quiet = (now + DEBOUNCE).min(restless);
            match self.store.wait_unless_stopped(self.revision, Some(quiet), &self.stop)? {
                Some(revision) if now < restless => self.revision = revision,
                _ => return Ok(!self.stop.is_set()),
            }
        }
    }

    /// Compares what is with what was. A store that cannot be read keeps its last good picture.
    fn report(&mut self) -> Result<()> {
        let now = self.store.list_all()?;
        let before = std::mem::replace(&mut self.picture, now.clone());
        let (mut old, mut new) = (0, 0);
        while !self.stop.is_set() {
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
