use crate::sys;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Lets one thread at a time call out to code of the caller's.
///
/// A mutex would not do: a fork while another thread is in there would leave the child a lock that nobody opens. Here
/// the holder's process is part of the lock, and a child takes it over.
#[derive(Debug)]
pub(crate) struct ForkSafeMutex {
    /// The holder: process and thread; 0: nobody.
    holder: AtomicU64,
    /// What the others sleep on.
    releases: AtomicU32,
}

/// ForkSafeMutexGuard until dropped.
pub(crate) struct ForkSafeMutexGuard<'a>(&'a ForkSafeMutex);

impl ForkSafeMutex {
    pub(crate) const fn new() -> Self {
        Self { holder: AtomicU64::new(0), releases: AtomicU32::new(0) }
    }

    /// Waits for the turn. `None`: this thread has it already.
    pub(crate) fn lock(&self) -> Option<ForkSafeMutexGuard<'_>> {
        let process = u64::from(std::process::id()) << 32;
        let me = process | u64::from(sys::thread_number());
        loop {
            let releases = self.releases.load(SeqCst);
            let holder = self.holder.load(SeqCst);
            if holder == me {
                return None;
            }
            let is_free = holder == 0 || holder >> 32 != process >> 32;
            if !is_free {
                sys::futex_wait(&self.releases, releases, None);
            } else if self.holder.compare_exchange(holder, me, SeqCst, SeqCst).is_ok() {
                return Some(ForkSafeMutexGuard(self));
            }
        }
    }
}

impl Drop for ForkSafeMutexGuard<'_> {
    fn drop(&mut self) {
        self.0.holder.store(0, SeqCst);
        self.0.releases.fetch_add(1, SeqCst);
        sys::futex_wake_all(&self.0.releases);
    }
}
