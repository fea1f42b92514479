use super::FileFlagStore;
use super::events::{Drained, Events};
use super::load;
use super::stamp::Stamp;
use crate::stop_token::StopToken;
use crate::sys::FileTimes;
use crate::{Error, Result, sys};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// However the events fall, a wait stats the file this often.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The same where there are no events.
const RECHECK_INTERVAL_WITHOUT_EVENTS: Duration = Duration::from_millis(50);

/// How often a file that is replaced while it is read is read again.
const ATTEMPTS: usize = 4;

/// The revision of a missing file, which is an empty store.
const MISSING: u64 = 1;

/// The revision of one version of the file. Its stamp is not racy.
#[derive(Debug, Clone, Copy)]
pub(super) struct CachedRevision {
    stamp: Stamp,
    revision: u64,
}

/// A number that differs whenever the file may have changed: a hash of its bytes, and of the stamp that tells one
/// writing of the same bytes from another. It costs one stat as long as the stamp is not racy, and not even that where
/// events announce changes.
pub(super) fn revision(store: &FileFlagStore) -> Result<u64> {
    match (store.cached_revision.load().as_deref(), store.cache.stamp_by_events()) {
        (Some(cached), Some(stamp)) if cached.stamp == stamp => Ok(cached.revision),
        _ => revision_by_stat(store),
    }
}

/// The same with a stat. Reads after it see what it saw, or newer.
fn revision_by_stat(store: &FileFlagStore) -> Result<u64> {
    let before = sys::coarse_clock();
    let stamp = Stamp::at(&store.path);
    store.cache.invalidate_unless(stamp.as_ref().ok().and_then(Option::as_ref));
    match (store.cached_revision.load().as_deref(), stamp?) {
        (Some(cached), Some(stamp)) if cached.stamp == stamp => Ok(cached.revision),
        _ => revision_by_content(store, before),
    }
}

/// The same by reading the file. `before`: the coarse clock at a moment before.
fn revision_by_content(store: &FileFlagStore, before: Duration) -> Result<u64> {
    let path = &store.path;
    let mut bytes = Vec::new();
    let mut attempts = 0..ATTEMPTS;
    let opened = loop {
        let opened = match load::load_once(path, store.options.max_bytes, &store.history, &mut bytes) {
            Err(error) if load::is_gone(&error) && attempts.next().is_some() => continue,
            opened => opened?,
        };
        store.cache.invalidate_unless(opened.as_ref().map(|opened| &opened.stamp));
        let Some(opened) = opened else {
            return Ok(MISSING);
        };
        // A file that is replaced between its opening and its fstat has the times of its end.
        if Stamp::at(path)? == Some(opened.stamp) || attempts.next().is_none() {
            break opened;
        }
    };
    let mut hasher = DefaultHasher::new();
    (opened.stamp, bytes).hash(&mut hasher);
    let revision = hasher.finish().max(MISSING + 1);
    let times = if sys::is_local(&opened.file) { FileTimes::Local } else { FileTimes::Foreign };
    let is_racy = opened.stamp.is_racy(times, before);
    store.cached_revision.store((!is_racy).then(|| CachedRevision { stamp: opened.stamp, revision }.into()));
    Ok(revision)
}

/// Sleeps until the revision is no longer `seen`, in the thread that calls; nothing runs beside it. `None`: the deadline
/// came first, or the stop token.
pub(super) fn wait(
    store: &FileFlagStore,
    seen: u64,
    deadline: Option<Instant>,
    stop: Option<&StopToken>,
) -> Result<Option<u64>> {
    let mut events = store.spare_events.take();
    let outcome = wait_with(store, seen, deadline, stop, &mut events);
    store.spare_events.put(events);
    outcome
}

fn wait_with(
    store: &FileFlagStore,
    seen: u64,
    deadline: Option<Instant>,
    stop: Option<&StopToken>,
    events: &mut Option<Events>,
) -> Result<Option<u64>> {
    let mut has_logged = false;
    loop {
        // The events are asked for first, so that no change falls between the stat and the sleep.
        if let Err(error) = Events::follow_or_start(&store.path, events) {
            if !std::mem::replace(&mut has_logged, true) {
                let error = Error::io(&store.path, "watch for file-system events", &error);
                let interval = RECHECK_INTERVAL_WITHOUT_EVENTS.as_millis();
                tracing::info!("{error}: the file is checked every {interval} ms instead");
            }
        }
        let interval = if events.is_some() { RECHECK_INTERVAL } else { RECHECK_INTERVAL_WITHOUT_EVENTS };
        loop {
            let revision = revision_by_stat(store)?;
            if revision != seen {
                return Ok(Some(revision));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || stop.is_some_and(StopToken::is_set) {
                return Ok(None);
            }
            Events::sleep(events.as_ref(), stop, left.unwrap_or(interval).min(interval));
            match Events::drain_relevant(events) {
                Drained::Nothing => {}
                Drained::Relevant => break,
                Drained::Lost => {
                    let path = store.path.display();
                    tracing::warn!("{path}: the program has closed a descriptor of flagstore's; it opens another");
                    break;
                }
            }
        }
    }
}
