use super::{futex_wait, futex_wake_all, process_generation, thread_number};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Instant;

/// A mutex that a fork cannot leave locked, for work that is long or calls out to code of the caller's.
///
/// The holder's process is part of the lock: a child takes it over.
#[derive(Debug)]
pub(crate) struct ForkSafeMutex {
    /// The holder: process generation and thread; 0: nobody.
    holder: AtomicU64,
    /// The word that waiters sleep on: it differs after every release.
    releases: AtomicU32,
    /// How many may sleep. A child of a fork may count some that it does not have.
    waiters: AtomicU32,
}

/// Held until dropped.
pub(crate) struct ForkSafeMutexGuard<'a>(&'a ForkSafeMutex);

impl ForkSafeMutex {
    pub(crate) const fn new() -> Self {
        Self { holder: AtomicU64::new(0), releases: AtomicU32::new(0), waiters: AtomicU32::new(0) }
    }

    /// Waits for the lock. `None`: this thread holds it already.
    pub(crate) fn lock(&self) -> Option<ForkSafeMutexGuard<'_>> {
        self.lock_until(None)
    }

    /// The same; `None` also if the lock was not free by the deadline.
    pub(crate) fn lock_until(&self, deadline: Option<Instant>) -> Option<ForkSafeMutexGuard<'_>> {
        // The low half of a generation tells a child from its parent on every kernel.
        let generation = process_generation();
        let process = (generation ^ generation >> 32) << 32;
        let me = process | u64::from(thread_number());
        loop {
            let releases = self.releases.load(SeqCst);
            let holder = self.holder.load(SeqCst);
            if holder == me {
                return None;
            }
            let is_free = holder == 0 || holder >> 32 != process >> 32;
            if !is_free {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left.is_some_and(|left| left.is_zero()) {
                    return None;
                }
                self.waiters.fetch_add(1, SeqCst);
                // One that was released in between is found by its word.
                futex_wait(&self.releases, releases, left);
                self.waiters.fetch_sub(1, SeqCst);
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
        if self.0.waiters.load(SeqCst) > 0 {
            futex_wake_all(&self.0.releases);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has found the lock taken sleeps only if the word is still what it was then.
    #[test]
    fn a_release_before_the_sleep_is_not_slept_through() {
        let mutex = ForkSafeMutex::new();
        for _ in 0..3 {
            let guard = mutex.lock().unwrap();
            assert!(mutex.lock().is_none(), "this thread has it");
            let seen = mutex.releases.load(SeqCst);
            drop(guard);
            assert_ne!(mutex.releases.load(SeqCst), seen);
        }
    }
}
