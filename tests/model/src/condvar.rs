use crate::mutex::MutexGuard;
use crate::time;
use shuttle::thread::{self, Thread};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LockResult, Mutex};
use std::time::Duration;

/// std's Condvar, simulated: with time-outs, which shuttle's has not.
#[derive(Default)]
pub struct Condvar {
    sleepers: Mutex<Vec<Arc<Sleeper>>>,
}

/// A thread in a wait. One that a time-out wakes does not wake the others: that could hide a wake-up lost on them.
struct Sleeper {
    thread: Thread,
    awake: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let sleeper = self.fall_asleep();
        sleeper.sleep(guard)
    }

    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let sleeper = self.fall_asleep();
        let timed = Arc::clone(&sleeper);
        let timed_out = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&timed_out);
        time::alarm(timeout, move || timed.awake.load(SeqCst), {
            let sleeper = Arc::clone(&sleeper);
            move || told.store(sleeper.wake(), SeqCst)
        });
        let guard = sleeper.sleep(guard).unwrap_or_else(|poison| poison.into_inner());
        self.sleepers.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &sleeper));
        Ok((guard, WaitTimeoutResult(timed_out.load(SeqCst))))
    }

    pub fn notify_all(&self) {
        let sleepers = std::mem::take(&mut *self.sleepers.lock().unwrap());
        for sleeper in sleepers {
            sleeper.wake();
        }
    }

    /// Still under the mutex, so that no notification is missed.
    fn fall_asleep(&self) -> Arc<Sleeper> {
        let sleeper = Arc::new(Sleeper { thread: thread::current(), awake: AtomicBool::new(false) });
        self.sleepers.lock().unwrap().push(Arc::clone(&sleeper));
        time::SLEEPING.fetch_add(1, SeqCst);
        sleeper
    }
}

impl Sleeper {
    fn sleep<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        drop(guard);
        while !self.awake.load(SeqCst) {
            thread::park();
        }
        time::SLEEPING.fetch_sub(1, SeqCst);
        mutex.lock()
    }

    /// Whether this was what woke it.
    fn wake(&self) -> bool {
        let first = !self.awake.swap(true, SeqCst);
        self.thread.unpark();
        first
    }
}
