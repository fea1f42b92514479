use super::FileFlagStore;
use super::events::Events;
use super::load;
use super::stamp::Stamp;
use crate::stop_token::StopToken;
use crate::{Error, Result, sys};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

/// However the events fall, a wait looks at the file this often.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);
/// And this often where there are no events.
const LOOK_WITHOUT_EVENTS: Duration = Duration::from_millis(50);

/// A number for what the file holds, and when that is known to have been all.
#[derive(Debug, Clone, Copy)]
pub(super) struct CachedRevision {
    stamp: Stamp,
    revision: u64,
}

/// How often a file that is replaced while it is read is read again.
const LOOKS: usize = 4;

/// The revision of a missing file, which is an empty store.
const MISSING: u64 = 1;

/// A number that differs whenever the file may have changed: of its bytes, and of the stamps that tell one writing of
/// the same bytes from another. While the stamps are old enough to be trusted, one stat is all it costs, and not even
/// that where events tell of changes.
pub(super) fn revision(store: &FileFlagStore) -> Result<u64> {
    match (store.known.load().as_deref(), store.reader.stamp_by_events()) {
        (Some(known), Some(stamp)) if known.stamp == stamp => Ok(known.revision),
        _ => looked_up(store),
    }
}

/// The same with a look at the file. Reads after it see what it saw, or newer.
fn looked_up(store: &FileFlagStore) -> Result<u64> {
    let path = &store.path;
    let before = sys::coarse_clock();
    let stamp = Stamp::at(path);
    store.reader.invalidate_unless(stamp.as_ref().ok().and_then(Option::as_ref));
    if let (Some(known), Some(stamp)) = (store.known.load().as_deref(), stamp?) {
        if known.stamp == stamp {
            return Ok(known.revision);
        }
    }
    let mut bytes = Vec::new();
    let mut looks = 0..LOOKS;
    let content = loop {
        let content = load::present(path, store.options.max_bytes, &mut bytes)?;
        store.reader.invalidate_unless(content.as_ref().map(|content| &content.stamp));
        let Some(content) = content else {
            return Ok(MISSING);
        };
        // One that is replaced between its opening and the look at its times has those of its end.
        if Stamp::at(path)? == Some(content.stamp) || looks.next().is_none() {
            break content;
        }
    };
    let mut hasher = DefaultHasher::new();
    (content.stamp, bytes).hash(&mut hasher);
    let revision = hasher.finish().max(MISSING + 1);
    let known = content.stamp.is_settled(before).then(|| CachedRevision { stamp: content.stamp, revision }.into());
    store.known.store(known);
    Ok(revision)
}

/// Sleeps until the revision is no longer `seen`. It happens in the thread that calls; nothing runs beside it.
pub(super) fn wait(
    store: &FileFlagStore,
    seen: u64,
    deadline: Option<Instant>,
    stop: Option<&StopToken>,
) -> Result<Option<u64>> {
    let mut events = store.idle_events.take();
    let outcome = waited(store, seen, deadline, stop, &mut events);
    store.idle_events.put(events);
    outcome
}

fn waited(
    store: &FileFlagStore,
    seen: u64,
    deadline: Option<Instant>,
    stop: Option<&StopToken>,
    events: &mut Option<Events>,
) -> Result<Option<u64>> {
    loop {
        // The events are asked for first, so that no change falls between the look and the sleep.
        follow(&store.path, events);
        let look = if events.is_some() { RECHECK_INTERVAL } else { LOOK_WITHOUT_EVENTS };
        loop {
            let revision = looked_up(store)?;
            if revision != seen {
                return Ok(Some(revision));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || stop.is_some_and(StopToken::is_set) {
                return Ok(None);
            }
            Events::sleep(events.as_ref(), stop, left.unwrap_or(look).min(look));
            if events.as_mut().is_some_and(Events::drain_relevant) {
                break;
            }
        }
    }
}

fn follow(path: &Path, events: &mut Option<Events>) {
    if let Err(error) = Events::follow_or_start(path, events) {
        let error = Error::io(path, "have file-system events", &error);
        tracing::info!("{error}: looking at the file every {} ms instead", LOOK_WITHOUT_EVENTS.as_millis());
    }
}
