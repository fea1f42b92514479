use crate::sys;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// A word to sleep on until somebody raises it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicU32,
    /// Without one a raise is no system call. A forked child may inherit some that it does not have.
    sleepers: AtomicU32,
}

impl Signal {
    /// The number of times that it was raised: for [`wait`](Self::wait).
    pub(crate) fn count(&self) -> u32 {
        self.raised.load(SeqCst)
    }

    pub(crate) fn raise(&self) {
        self.raised.fetch_add(1, SeqCst);
        if self.has_sleepers() {
            sys::futex_wake_all(&self.raised);
        }
    }

    /// The same for one sleeper.
    pub(crate) fn raise_one(&self) {
        self.raised.fetch_add(1, SeqCst);
        if self.has_sleepers() {
            sys::futex_wake_one(&self.raised);
        }
    }

    /// Sleeps while it was not raised again; may also wake for no reason.
    pub(crate) fn wait(&self, count: u32, timeout: Duration) {
        self.sleepers.fetch_add(1, SeqCst);
        sys::futex_wait(&self.raised, count, Some(timeout));
        self.sleepers.fetch_sub(1, SeqCst);
    }

    /// Whoever is not counted yet will see that it was raised, and not sleep.
    fn has_sleepers(&self) -> bool {
        self.sleepers.load(SeqCst) > 0
    }
}
