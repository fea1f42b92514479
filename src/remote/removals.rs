use crate::Batch;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

/// The removals by this store, which explain why the backend has no flags any more. Otherwise they have vanished.
#[derive(Default)]
pub(super) struct Removals {
    /// How many are under way, until reads of the store see what they did.
    begun: AtomicU32,
    /// One has ended, and the flags have not been read since.
    unread: AtomicBool,
}

/// A change that may be a removal; ends when dropped.
pub(super) struct Removal<'a>(Option<&'a Removals>);

impl Removals {
    pub(super) fn begin(&self, batch: &Batch) -> Removal<'_> {
        let removes = batch.clears() || batch.changes().any(|(_, value)| value.is_none());
        Removal(removes.then(|| {
            self.begun.fetch_add(1, SeqCst);
            self
        }))
    }

    /// Whether there was one that reads do not show yet.
    pub(super) fn are_unread(&self) -> bool {
        self.unread.load(SeqCst) || self.begun.load(SeqCst) > 0
    }

    /// The same before a read, which will show it.
    pub(super) fn before_read(&self) -> bool {
        self.unread.swap(false, SeqCst) || self.are_unread()
    }

    pub(super) fn after_failed_read(&self, before: bool) {
        self.unread.fetch_or(before, SeqCst);
    }

    /// In a forked child, which does not have the threads that began them.
    pub(super) fn forked(&self) {
        self.begun.store(0, SeqCst);
    }
}

impl Removal<'_> {
    /// It was made, or may have been, and reads of the store do not see it yet.
    pub(super) fn is_unread(&self) {
        if let Some(removals) = self.0 {
            removals.unread.store(true, SeqCst);
        }
    }
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        if let Some(removals) = self.0 {
            removals.begun.fetch_sub(1, SeqCst);
        }
    }
}
