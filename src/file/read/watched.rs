//! The snapshot of a file, served without a system call as long as no event announces a change.

use super::checked::{CachedRef, CheckedCache};
use crate::background_thread::BackgroundThread;
use crate::file::events::{Drained, Events};
use crate::file::stamp::Stamp;
use crate::stop_token::StopToken;
use crate::{Error, sys};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// However the events fall, the thread stats the file this often.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time after a change during which readers stat the file themselves; a file that keeps changing is not
/// worth more. It doubles while there is nothing to be served, up to `RECHECK_INTERVAL`.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// The cache and the thread that watches over it.
///
/// A forked child has no such thread: no validity holds there, so every read stats the file.
pub(in crate::file) struct WatchedCache {
    shared: Arc<Shared>,
    _thread: BackgroundThread,
}

struct Shared {
    cache: CheckedCache,
    validity: Validity,
}

impl WatchedCache {
    /// Gives the cache back where no thread is to be had.
    pub(super) fn start(cache: CheckedCache) -> Result<Self, (CheckedCache, io::Error)> {
        let shared = Arc::new(Shared { cache, validity: Validity::new() });
        let watcher = Watcher { shared: Arc::clone(&shared), warned: Warned::default() };
        match BackgroundThread::start("flagstore-cache", sys::STACK, |stop| watcher.run(stop)) {
            Ok(thread) => Ok(Self { shared, _thread: thread }),
            Err(error) => match Arc::into_inner(shared) {
                Some(Shared { cache, .. }) => Err((cache, error)),
                None => unreachable!("the thread that was not started has given it back"),
            },
        }
    }

    #[inline]
    pub(super) fn current(&self) -> Option<CachedRef<'_>> {
        self.known_valid().map(CheckedCache::cached).or_else(|| self.current_by_stat())
    }

    /// The cache, if what is in it is known to be what the file holds.
    #[inline(always)]
    pub(super) fn known_valid(&self) -> Option<&CheckedCache> {
        self.shared.validity.holds().then_some(&self.shared.cache)
    }

    fn current_by_stat(&self) -> Option<CachedRef<'_>> {
        let cached = self.shared.cache.current()?;
        // Another thread may have cached an older version, and be about to declare it valid.
        self.invalidate_unless(Some(&cached.stamp));
        Some(cached)
    }

    pub(super) fn stamp_by_events(&self) -> Option<Stamp> {
        self.shared.validity.holds().then(|| self.shared.cache.cached().stamp)
    }

    pub(super) fn invalidate_unless(&self, seen: Option<&Stamp>) {
        if seen != Some(&self.shared.cache.cached().stamp) {
            self.shared.validity.invalidate();
        }
    }

    pub(super) fn revalidate(&self) {
        // A change that changed nothing is no reason to invalidate.
        if self.shared.cache.unchanged().is_none() {
            self.shared.validity.invalidate();
        }
    }
}

/// Whether the cache is what the file holds: then it is the generation of the process in which that is so, which a
/// forked child never has.
struct Validity(AtomicU64);

/// The bit of a number that stands for invalid; each invalidation has another number.
const INVALID: u64 = 1 << 63;
static INVALIDATIONS: AtomicU64 = AtomicU64::new(1);

impl Validity {
    fn new() -> Self {
        Self(AtomicU64::new(INVALID))
    }

    #[inline]
    fn holds(&self) -> bool {
        self.0.load(Acquire) == sys::process_generation()
    }

    fn invalidate(&self) {
        self.0.store(INVALID | INVALIDATIONS.fetch_add(1, Relaxed), SeqCst);
    }

    fn last_invalidation(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Declares the cache valid, unless another invalidation has come since.
    fn validate(&self, since: u64) -> bool {
        self.0.compare_exchange(since, sys::process_generation(), SeqCst, SeqCst).is_ok()
    }
}

struct Watcher {
    shared: Arc<Shared>,
    warned: Warned,
}

/// The warnings that the log has already.
#[derive(Default)]
struct Warned {
    no_events: bool,
    events_lost: bool,
}

impl Watcher {
    fn run(mut self, stop: &StopToken) {
        let mut events = None;
        let mut delay = RETRY_DELAY;
        while !stop.is_set() {
            self.follow(&mut events);
            if self.try_mark_valid(&mut events) {
                delay = RETRY_DELAY;
                self.sleep_while_valid(&mut events, stop);
                self.shared.validity.invalidate();
            }
            stop.wait(delay);
            delay = (2 * delay).min(RECHECK_INTERVAL);
        }
    }

    /// Asks for the events of wherever the path leads by now. `None`: there are none to be had.
    fn follow(&mut self, events: &mut Option<Events>) {
        let path = self.shared.cache.path();
        match Events::follow_or_start(path, events) {
            Ok(()) => self.warned.no_events = false,
            Err(error) if !std::mem::replace(&mut self.warned.no_events, true) => {
                let error = Error::io(path, "watch for file-system events", &error);
                tracing::warn!("{error}: every read stats the file instead");
            }
            Err(_) => {}
        }
    }

    /// Declares the cache valid if it is what the file holds, and nothing has happened since the stat that says so.
    fn try_mark_valid(&mut self, events: &mut Option<Events>) -> bool {
        let Shared { cache, validity } = &*self.shared;
        // Only cached here: another thread may replace it by an older version.
        drop(cache.current());
        if events.is_none() || cache.unchanged().is_none() {
            return false;
        }
        let since = validity.last_invalidation();
        self.drain(events) == Drained::Nothing && self.shared.validity.validate(since)
    }

    fn sleep_while_valid(&mut self, events: &mut Option<Events>, stop: &StopToken) {
        let mut recheck = Instant::now() + RECHECK_INTERVAL;
        while !stop.is_set() {
            let left = recheck.saturating_duration_since(Instant::now());
            Events::sleep(events.as_ref(), Some(stop), left);
            if self.drain(events) != Drained::Nothing {
                return;
            }
            if left.is_zero() {
                let Shared { cache, validity } = &*self.shared;
                if !validity.holds() || cache.unchanged().is_none() {
                    return;
                }
                recheck = Instant::now() + RECHECK_INTERVAL;
            }
        }
    }

    fn drain(&mut self, events: &mut Option<Events>) -> Drained {
        let drained = Events::drain_relevant(events);
        if drained == Drained::Lost && !std::mem::replace(&mut self.warned.events_lost, true) {
            let path = self.shared.cache.path().display();
            tracing::warn!("{path}: the program has closed a descriptor of flagstore's; it opens another");
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::history::FileHistory;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    fn shared_of(path: &Path) -> Arc<Shared> {
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let cache = CheckedCache::new(path, c_path, 1 << 20, Arc::new(FileHistory::new()));
        Arc::new(Shared { cache, validity: Validity::new() })
    }

    #[test]
    fn nothing_is_valid_without_events_or_while_there_is_nothing_to_be_served() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, "{}").unwrap();
        let shared = shared_of(&path);
        let mut watcher = Watcher { shared: Arc::clone(&shared), warned: Warned::default() };
        // A file that was only just changed cannot be cached.
        while shared.cache.current().is_none() {}
        assert!(!watcher.try_mark_valid(&mut None));
        assert!(!shared.validity.holds());
        let mut events = None;
        watcher.follow(&mut events);
        assert!(watcher.try_mark_valid(&mut events));
        assert!(shared.validity.holds());
        shared.validity.invalidate();
        fs::write(&path, "{").unwrap();
        watcher.follow(&mut events);
        assert!(!watcher.try_mark_valid(&mut events));
        assert!(!shared.validity.holds());
    }

    /// The watcher has found the cache unchanged, and has yet to declare it valid, when a reader finds a newer file that it
    /// cannot cache.
    #[test]
    fn nobody_is_served_what_is_older_than_what_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, "{}").unwrap();
        let shared = shared_of(&path);
        let idle = BackgroundThread::start("idle", sys::STACK, |_| ()).unwrap();
        let watched = WatchedCache { shared: Arc::clone(&shared), _thread: idle };
        while watched.current().is_none() {}
        let since = shared.validity.last_invalidation();
        fs::write(directory.path().join("new"), "{\"a\": 1}").unwrap();
        fs::rename(directory.path().join("new"), &path).unwrap();
        watched.invalidate_unless(Stamp::at(&path).unwrap().as_ref());
        assert!(!shared.validity.validate(since));
        assert!(!shared.validity.holds());
    }
}
