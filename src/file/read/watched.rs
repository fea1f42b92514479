//! A picture that is served without a look at the file, for as long as no event tells of a change.

use super::checked::{Cache, CachedRef};
use crate::file::events::Events;
use crate::file::stamp::Stamp;
use crate::stop_token::StopToken;
use crate::{Error, Result, sys};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// However the events fall, the thread looks at the file this often.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);
/// So long readers look for themselves after a change, at least; a file that keeps changing is not worth more. It
/// doubles while there is nothing to be served, up to `RECHECK_INTERVAL`.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// The cache and the thread that watches over it.
///
/// A forked child has no such thread: the mark does not hold there, so every read looks at the file.
pub(in crate::file) struct Watched {
    shared: Arc<Shared>,
    stop: Arc<StopToken>,
    thread: Option<JoinHandle<()>>,
    process: u64,
}

struct Shared {
    cache: Cache,
    validity: Validity,
}

impl Watched {
    pub(in crate::file) fn start(cache: Cache) -> Result<Self> {
        let path = cache.path().to_owned();
        let failed = |error: io::Error| Error::io(&path, "watch over the file", &error);
        let stop = Arc::new(StopToken::new().map_err(failed)?);
        let shared = Arc::new(Shared { cache, validity: Validity::new() });
        let watcher = Watcher { shared: Arc::clone(&shared), stop: Arc::clone(&stop), warned: false };
        let thread = sys::spawn("flagstore-cache", sys::STACK, Box::new(move || watcher.run())).map_err(failed)?;
        Ok(Self { shared, stop, thread: Some(thread), process: sys::process_generation() })
    }

    pub(in crate::file) fn picture(&self) -> Option<CachedRef> {
        let Shared { cache, validity } = &*self.shared;
        if validity.holds() {
            return Some(cache.kept());
        }
        let picture = cache.picture()?;
        // Another thread may have kept what it read before, and be about to set the mark for it.
        self.invalidate_unless(Some(&picture.stamp));
        Some(picture)
    }

    pub(in crate::file) fn stamp(&self) -> Option<Stamp> {
        let Shared { cache, validity } = &*self.shared;
        validity.holds().then(|| cache.kept().stamp)
    }

    pub(in crate::file) fn invalidate_unless(&self, seen: Option<&Stamp>) {
        let Shared { cache, validity } = &*self.shared;
        if seen != Some(&cache.kept().stamp) {
            validity.clear();
        }
    }

    pub(in crate::file) fn revalidate(&self) {
        let Shared { cache, validity } = &*self.shared;
        // A change that changed nothing is no reason to look.
        if cache.current().is_none() {
            validity.clear();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.process != sys::process_generation() {
            // The thread lives in the parent; a join would wait for ever.
            return std::mem::forget(thread);
        }
        self.stop.set();
        if !sys::is_current_thread(&thread) {
            let _ = thread.join();
        }
    }
}

/// Whether the picture is what the file holds: the number of the process in which that is so, which a child of a fork
/// never has.
struct Validity(AtomicU64);

/// A number with this bit is a doubt, each another one.
const DOUBT: u64 = 1 << 63;
static DOUBTS: AtomicU64 = AtomicU64::new(1);

impl Validity {
    fn new() -> Self {
        Self(AtomicU64::new(DOUBT))
    }

    fn holds(&self) -> bool {
        self.0.load(Acquire) == sys::process_generation()
    }

    fn clear(&self) {
        self.0.store(DOUBT | DOUBTS.fetch_add(1, Relaxed), SeqCst);
    }

    fn doubt(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Sets it unless there is another doubt by now.
    fn set(&self, doubt: u64) -> bool {
        self.0.compare_exchange(doubt, sys::process_generation(), SeqCst, SeqCst).is_ok()
    }
}

struct Watcher {
    shared: Arc<Shared>,
    stop: Arc<StopToken>,
    /// Whether the log knows that there are no events.
    warned: bool,
}

impl Watcher {
    fn run(mut self) {
        let mut events = None;
        let mut pause = RETRY_DELAY;
        while !self.stop.is_set() {
            self.follow(&mut events);
            if events.as_mut().is_some_and(|events| self.try_mark_valid(events)) {
                pause = RETRY_DELAY;
                self.rest(&mut events);
                self.shared.validity.clear();
            }
            self.stop.event().wait(pause);
            pause = (2 * pause).min(RECHECK_INTERVAL);
        }
    }

    /// Has the events of wherever the path leads by now. `None`: there are none to be had.
    fn follow(&mut self, events: &mut Option<Events>) {
        let path = self.shared.cache.path();
        match Events::follow_or_start(path, events) {
            Ok(()) => self.warned = false,
            Err(error) if !std::mem::replace(&mut self.warned, true) => {
                let error = Error::io(path, "have file-system events", &error);
                tracing::warn!("{error}: every read looks at the file instead");
            }
            Err(_) => {}
        }
    }

    /// Sets the mark if the picture is what the file holds, and nothing has happened since the look that says so.
    fn try_mark_valid(&self, events: &mut Events) -> bool {
        let Shared { cache, validity } = &*self.shared;
        // Not the one it gives: another thread may have put an older one in the place.
        drop(cache.picture());
        if cache.current().is_none() {
            return false;
        }
        let doubt = validity.doubt();
        !events.drain_relevant() && validity.set(doubt)
    }

    /// Sleeps while the mark is right.
    fn rest(&self, events: &mut Option<Events>) {
        let Shared { cache, validity } = &*self.shared;
        let mut look = Instant::now() + RECHECK_INTERVAL;
        while !self.stop.is_set() {
            let left = look.saturating_duration_since(Instant::now());
            Events::sleep(events.as_ref(), Some(&self.stop), left);
            if events.as_mut().is_none_or(Events::drain_relevant) {
                return;
            }
            if left.is_zero() {
                if !validity.holds() || cache.current().is_none() {
                    return;
                }
                look = Instant::now() + RECHECK_INTERVAL;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    /// The watcher has looked, and has yet to set the mark, when a reader finds a newer file but cannot keep it.
    #[test]
    fn nobody_is_served_what_is_older_than_what_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, "{}").unwrap();
        let cache = Cache::new(&path, CString::new(path.as_os_str().as_bytes()).unwrap(), 1 << 20);
        let shared = Arc::new(Shared { cache, validity: Validity::new() });
        let stop = Arc::new(StopToken::new().unwrap());
        let watched = Watched { shared: Arc::clone(&shared), stop, thread: None, process: sys::process_generation() };
        while watched.picture().is_none() {}
        let doubt = shared.validity.doubt();
        fs::write(directory.path().join("new"), "{\"a\": 1}").unwrap();
        fs::rename(directory.path().join("new"), &path).unwrap();
        watched.invalidate_unless(Stamp::at(&path).unwrap().as_ref());
        assert!(!shared.validity.set(doubt));
        assert!(!shared.validity.holds());
    }
}
