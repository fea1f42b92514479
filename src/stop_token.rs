use crate::sys;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Instant;

/// Counts the changes made through a store of this process and wakes those who wait for the next.
///
/// It has no lock, so that no fork can leave one behind: a waiter sleeps on a futex.
#[derive(Debug)]
pub(crate) struct RevisionCounter {
    revision: AtomicU64,
    /// What the waiters sleep on: it differs after every change and every call to look again.
    turns: AtomicU32,
    waiters: AtomicU32,
}

impl RevisionCounter {
    pub(crate) const fn new() -> Self {
        Self { revision: AtomicU64::new(1), turns: AtomicU32::new(0), waiters: AtomicU32::new(0) }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(SeqCst)
    }

    /// After the content has changed.
    pub(crate) fn bump(&self) {
        self.revision.fetch_add(1, SeqCst);
        self.wake();
    }

    /// Makes every waiter look again whether it still has to wait.
    pub(crate) fn wake(&self) {
        self.turns.fetch_add(1, SeqCst);
        if self.waiters.load(SeqCst) > 0 {
            sys::futex_wake_all(&self.turns);
        }
    }

    /// Sleeps until the revision is no longer `seen`. `None`: the deadline came first, or the stop.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Option<u64> {
        self.waiters.fetch_add(1, SeqCst);
        let revision = loop {
            let turn = self.turns.load(SeqCst);
            let revision = self.revision();
            if revision != seen {
                break Some(revision);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || stop.is_some_and(StopToken::is_set) {
                break None;
            }
            sys::futex_wait(&self.turns, turn, left);
        };
        self.waiters.fetch_sub(1, SeqCst);
        revision
    }
}

/// Tells a wait in another thread to end. The store it waits on must be woken after it was set.
#[derive(Debug)]
pub struct StopToken {
    set: AtomicBool,
    /// For waits that sleep in poll.
    event: sys::Event,
}

impl StopToken {
    /// Not yet set.
    ///
    /// # Errors
    ///
    /// The system's, if it has no descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { set: AtomicBool::new(false), event: sys::Event::new()? })
    }

    /// Tells it, for good.
    pub fn set(&self) {
        self.set.store(true, SeqCst);
        self.event.raise();
    }

    /// Whether it has been told.
    pub fn is_set(&self) -> bool {
        self.set.load(SeqCst)
    }

    pub(crate) fn event(&self) -> &sys::Event {
        &self.event
    }
}
