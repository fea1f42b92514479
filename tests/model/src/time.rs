//! A clock that moves only when a scenario lets it, and then at any moment.

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
pub use std::time::Duration;

static NOW: AtomicU64 = AtomicU64::new(0);
static RUNNING: AtomicBool = AtomicBool::new(false);

/// Threads that sleep in a condition variable, for scenarios that wait until somebody does.
pub static SLEEPING: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn start() {
    NOW.store(1, SeqCst);
    RUNNING.store(false, SeqCst);
    SLEEPING.store(0, SeqCst);
}

/// From now on, whatever sleeps until a time may find that it has come. Without this, time stands still.
pub fn may_pass() {
    RUNNING.store(true, SeqCst);
}

/// The clock moves on, if it may.
pub(crate) fn pass(duration: Duration) {
    if RUNNING.load(SeqCst) {
        NOW.fetch_add(duration.as_nanos() as u64, SeqCst);
    }
}

/// Calls `ring` at some moment after which the clock shows `timeout` more, unless it is `too_late` by then.
pub(crate) fn alarm(
    timeout: Duration,
    too_late: impl Fn() -> bool + Send + 'static,
    ring: impl FnOnce() + Send + 'static,
) {
    if !RUNNING.load(SeqCst) {
        return;
    }
    let at = NOW.load(SeqCst) + timeout.as_nanos() as u64;
    thread::spawn(move || {
        for _ in 0..thread_rng().gen_range(0..40) {
            thread::yield_now();
            if too_late() {
                return;
            }
        }
        NOW.fetch_max(at, SeqCst);
        ring();
    });
}

/// std's Instant on the simulated clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    pub fn now() -> Self {
        Self(NOW.load(SeqCst))
    }

    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_nanos() as u64)
    }
}
