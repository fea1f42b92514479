use crate::sys;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// Tells a wait in another thread to end. A store whose waits do not sleep on it must be woken after it was set.
#[derive(Debug)]
pub struct StopToken {
    /// 1: set. The word that [`wait`](Self::wait) sleeps on.
    set: AtomicU32,
    /// For waits that sleep in poll. `None`: none is to be had, and they look at the word in short intervals.
    event: Option<sys::Event>,
}

/// How long a wait may sleep in poll where nothing could interrupt it.
const SLICE: Duration = Duration::from_millis(50);

impl StopToken {
    /// A token that is not set.
    pub fn new() -> Self {
        Self { set: AtomicU32::new(0), event: sys::Event::new().ok() }
    }

    /// Sets it, for good.
    pub fn set(&self) {
        self.set.store(1, SeqCst);
        sys::futex_wake_all(&self.set);
        if let Some(event) = &self.event {
            event.raise();
        }
    }

    /// Whether it has been set.
    pub fn is_set(&self) -> bool {
        self.set.load(SeqCst) == 1
    }

    /// Sleeps until it is set, at most for `timeout`; may also wake for no reason.
    pub(crate) fn wait(&self, timeout: Duration) {
        sys::futex_wait(&self.set, 0, Some(timeout));
    }

    /// Sleeps until the descriptor is ready or the token is set, at most for `timeout`; may also wake for no reason.
    pub(crate) fn poll(&self, descriptor: BorrowedFd<'_>, timeout: Duration) {
        match self.event.as_ref().and_then(sys::Event::descriptor) {
            Some(event) => sys::poll([Some(descriptor), Some(event)], timeout),
            None => sys::poll([Some(descriptor), None], timeout.min(SLICE)),
        }
    }
}

impl Default for StopToken {
    fn default() -> Self {
        Self::new()
    }
}
