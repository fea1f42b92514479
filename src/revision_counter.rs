use crate::stop_token::StopToken;
use crate::sys;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Instant;

/// Counts the changes made through a store of this process and wakes those who wait for the next.
///
/// It has no lock, so that no fork can leave one behind: a waiter sleeps on a futex.
#[derive(Debug)]
pub(crate) struct RevisionCounter {
    revision: AtomicU64,
    /// The word that waiters sleep on: it differs after every change and every wake.
    wakes: AtomicU32,
    waiters: AtomicU32,
}

impl RevisionCounter {
    pub(crate) const fn new() -> Self {
        Self { revision: AtomicU64::new(1), wakes: AtomicU32::new(0), waiters: AtomicU32::new(0) }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(SeqCst)
    }

    /// After the content has changed.
    pub(crate) fn bump(&self) {
        self.revision.fetch_add(1, SeqCst);
        self.wake();
    }

    /// Makes every waiter check whether it still has to wait.
    pub(crate) fn wake(&self) {
        self.wakes.fetch_add(1, SeqCst);
        if self.waiters.load(SeqCst) > 0 {
            sys::futex_wake_all(&self.wakes);
        }
    }

    /// Sleeps until the revision is no longer `seen`. `None`: the deadline came first, or the stop token.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Option<u64> {
        self.waiters.fetch_add(1, SeqCst);
        let revision = loop {
            let wakes = self.wakes.load(SeqCst);
            let revision = self.revision();
            if revision != seen {
                break Some(revision);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || stop.is_some_and(StopToken::is_set) {
                break None;
            }
            sys::futex_wait(&self.wakes, wakes, left);
        };
        self.waiters.fetch_sub(1, SeqCst);
        revision
    }
}
