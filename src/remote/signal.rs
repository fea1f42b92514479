use crate::sys;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// A word to sleep on until somebody raises it.
#[derive(Debug, Default)]
pub(crate) struct Signal(AtomicU32);

impl Signal {
    /// The number of times that it was raised: for [`wait`](Self::wait).
    pub(crate) fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }

    pub(crate) fn raise(&self) {
        self.0.fetch_add(1, SeqCst);
        sys::futex_wake_all(&self.0);
    }

    /// The same for one sleeper.
    pub(crate) fn raise_one(&self) {
        self.0.fetch_add(1, SeqCst);
        sys::futex_wake_one(&self.0);
    }

    /// Sleeps while it was not raised again; may also wake for no reason.
    pub(crate) fn wait(&self, count: u32, timeout: Duration) {
        sys::futex_wait(&self.0, count, Some(timeout));
    }
}
