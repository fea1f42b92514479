//! std as the model has it, under the names of std: a test crate says `extern crate flagstore_model as std` and then
//! includes the library's own source. What can block or tell the time is simulated; all the rest is std's own.

pub use std::*;

pub mod fs;
pub mod sys;
pub mod time;

mod condvar;
mod mutex;

pub mod sync {
    pub use crate::condvar::{Condvar, WaitTimeoutResult};
    pub use crate::mutex::{Mutex, MutexGuard};
    pub use std::sync::{Arc, LockResult, Once, PoisonError, atomic};
}

pub mod thread {
    pub use shuttle::thread::{Builder, JoinHandle, spawn, yield_now};

    /// Time passes by this, where it may.
    pub fn sleep(duration: std::time::Duration) {
        crate::time::pass(duration);
        yield_now();
    }
}

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Runs `scenario` under many schedules, half of them random and half with few but well placed preemptions. A panic, a
/// deadlock (which is what a lost wake-up becomes) and a run without end fail the test, with the schedule printed.
pub fn explore(seed: u64, schedules: usize, scenario: fn()) {
    // The library's registry is one static: one scenario at a time.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let scenario = move || {
        time::start();
        fs::start();
        sys::start();
        scenario();
    };
    Runner::new(RandomScheduler::new_from_seed(seed, schedules / 2), Config::default()).run(scenario);
    Runner::new(PctScheduler::new_from_seed(seed, 4, schedules / 2), Config::default()).run(scenario);
}
