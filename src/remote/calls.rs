//! How the backend is called: one call at a time unless it is concurrent, each within its deadline.
//!
//! Nobody can interrupt a function of the caller's. So a call with a deadline is made by a worker thread, and one that does
//! not return in time is left to itself.

use super::backend::Backend;
use super::pool::{Job, Outcome, Pool};
use super::signal::Signal;
use crate::sys::{self, ForkSafeMutex};
use crate::{Error, Push, Result};
use arc_swap::ArcSwapOption;
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nobody asks a backend that did not answer in time; twice as long after each further time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether a call that was not answered may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Change,
    /// A read for the kept flags of a watched store, which has pauses of its own.
    Follow,
}

thread_local! {
    /// The store whose backend this thread is inside.
    static INSIDE_OF: Cell<*const Calls> = const { Cell::new(ptr::null()) };
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// By when the call of a backend that this thread is inside must end.
#[cfg(feature = "redis")]
pub(crate) fn deadline() -> Option<Instant> {
    DEADLINE.get()
}

pub(super) struct Calls {
    backend: Box<dyn Backend>,
    /// The process that the backend's connections belong to, as a number.
    generation: AtomicU64,
    forks: ForkSafeMutex,
    /// Held by a call in the caller's own thread, unless calls may overlap.
    turn: ForkSafeMutex,
    pool: ArcSwapOption<Pool>,
    warned: AtomicBool,
    inside: Inside,
    pauses: Pauses,
    /// Raised when a call has ended whose caller had given up.
    late: Arc<Signal>,
}

impl Calls {
    pub(super) fn new(backend: Box<dyn Backend>, late: Arc<Signal>) -> Self {
        Self {
            backend,
            generation: AtomicU64::new(sys::process_generation()),
            forks: ForkSafeMutex::new(),
            turn: ForkSafeMutex::new(),
            pool: ArcSwapOption::empty(),
            warned: AtomicBool::new(false),
            inside: Inside::new(),
            pauses: Pauses::new(),
            late,
        }
    }

    /// Has `work` call the backend, in this thread if there is no deadline.
    pub(super) fn call<T: Send + 'static>(
        self: &Arc<Self>,
        purpose: Purpose,
        deadline: Option<Instant>,
        work: impl FnOnce(&dyn Backend) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.note_fork()?;
        self.refuse_own_call()?;
        match deadline {
            None => self.call_here(work),
            Some(deadline) if self.backend.keeps_deadlines() => self.call_by(purpose, deadline, work),
            Some(deadline) => self.call_in_pool(purpose, deadline, work),
        }
    }

    /// See [`Backend::keeps_deadlines`].
    pub(super) fn keep_deadlines(&self) -> bool {
        self.backend.keeps_deadlines()
    }

    pub(super) fn push(&self) -> Push {
        self.backend.push()
    }

    /// Whether flags of the revision `kept` have in them what was changed at the revision `change`; 0: not known.
    pub(super) fn includes(&self, kept: u64, change: u64) -> bool {
        kept != 0 && change != 0 && self.backend.includes(kept, change)
    }

    /// The backend may not call the store that it serves, which waits for it.
    pub(super) fn refuse_own_call(&self) -> Result<()> {
        if INSIDE_OF.get() == ptr::from_ref(self) { Err(own_call()) } else { Ok(()) }
    }

    fn call_here<T>(&self, work: impl FnOnce(&dyn Backend) -> Result<T>) -> Result<T> {
        let _turn = if self.backend.is_concurrent() { None } else { Some(self.turn.lock().ok_or_else(own_call)?) };
        let _inside = self.enter().ok_or_else(closed)?;
        work(&*self.backend)
    }

    /// In this thread, by a backend that looks at the clock itself.
    fn call_by<T>(
        &self,
        purpose: Purpose,
        deadline: Instant,
        work: impl FnOnce(&dyn Backend) -> Result<T>,
    ) -> Result<T> {
        if purpose != Purpose::Follow {
            self.pauses.check(false)?;
        }
        let before = DEADLINE.replace(Some(deadline));
        let whole = deadline.saturating_duration_since(Instant::now());
        let result = self.call_here(work);
        DEADLINE.set(before);
        // A backend that is asked again and again until it is too late ends a little before.
        let was_slow = deadline.saturating_duration_since(Instant::now()) * 4 <= whole;
        match &result {
            Err(Error::Unavailable(_) | Error::Uncertain(_)) if was_slow => self.pauses.begin(),
            // It was not reached at once.
            Err(Error::Unavailable(_)) => {}
            _ => self.pauses.end(),
        }
        result
    }

    fn call_in_pool<T: Send + 'static>(
        self: &Arc<Self>,
        purpose: Purpose,
        deadline: Instant,
        work: impl FnOnce(&dyn Backend) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.pool();
        self.pauses.check(pool.is_stuck())?;
        let result = Arc::new(Mutex::new(None));
        let job = {
            let (calls, result) = (Arc::clone(self), Arc::clone(&result));
            Job::new(move || {
                let found = calls.enter().ok_or_else(closed).and_then(|_inside| work(&*calls.backend));
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            })
        };
        match pool.run(&job, deadline, &self.late) {
            Outcome::Done => {
                self.pauses.end();
                let found = result.lock().unwrap_or_else(PoisonError::into_inner).take();
                found.unwrap_or_else(|| Err(Error::Internal("the backend panicked".into())))
            }
            Outcome::NoThread(error) => {
                if !self.warned.swap(true, SeqCst) {
                    tracing::warn!("no thread is to be had ({error}): calls of the backend may miss their deadline");
                }
                if let Some(_turn) = self.turn.lock() {
                    job.run_here();
                }
                let found = result.lock().unwrap_or_else(PoisonError::into_inner).take();
                found.unwrap_or_else(|| Err(own_call()))
            }
            Outcome::NotBegun => {
                let message = "the backend was busy with other calls until the deadline; nothing was sent";
                Err(Error::Unavailable(message.into()))
            }
            Outcome::Abandoned => {
                self.pauses.begin();
                Err(match purpose {
                    Purpose::Read | Purpose::Follow => Error::Unavailable("the backend did not answer in time".into()),
                    Purpose::Change => Error::Uncertain(
                        "the backend did not answer in time: the change may have been made or not".into(),
                    ),
                })
            }
        }
    }

    /// Waits in this thread, beside any other calls.
    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let _inside = self.enter().ok_or_else(closed)?;
        self.backend.wait(seen, timeout)
    }

    /// Makes a wait that is under way return.
    pub(super) fn wake(&self) {
        if let Some(_inside) = self.enter() {
            self.backend.wake();
        }
    }

    fn pool(&self) -> Arc<Pool> {
        loop {
            if let Some(pool) = self.pool.load_full() {
                return pool;
            }
            let most = if self.backend.is_concurrent() { Pool::WORKERS } else { 1 };
            let made = Some(Arc::new(Pool::new(most)));
            let _ = self.pool.compare_and_swap(&None::<Arc<Pool>>, made);
        }
    }

    /// In a forked child: nothing of the parent's is used any more.
    pub(super) fn note_fork(&self) -> Result<()> {
        let generation = sys::process_generation();
        if self.generation.load(SeqCst) == generation {
            return Ok(());
        }
        let _lock = self.forks.lock().ok_or_else(own_call)?;
        if self.generation.load(SeqCst) == generation {
            return Ok(());
        }
        // The parent's workers, and the locks that they may hold, are none of this process's.
        std::mem::forget(self.pool.swap(None));
        self.inside.reset();
        self.pauses.end();
        self.backend.forked();
        self.generation.store(generation, SeqCst);
        Ok(())
    }

    fn enter(&self) -> Option<InsideGuard<'_>> {
        self.inside.enter().then(|| InsideGuard { calls: self, before: INSIDE_OF.replace(self) })
    }

    /// Closes the backend once no call is inside it: now, if that is so within `patience`, else when the last one
    /// returns.
    pub(super) fn close(&self, patience: Duration) {
        let pool = self.pool.swap(None);
        if let Some(pool) = &pool {
            pool.stop();
        }
        if self.inside.close() {
            self.backend.close();
        }
        if self.inside.wait_until_left(Instant::now() + patience) {
            if let Some(pool) = pool {
                pool.join();
            }
        }
    }
}

fn own_call() -> Error {
    Error::backend("the backend called the store that it serves")
}

fn closed() -> Error {
    Error::Unavailable("the store has been closed".into())
}

/// Counts the calls inside the backend, so that the last one of a closed store closes the backend.
struct Inside {
    /// The number of calls, and [`CLOSING`].
    state: AtomicU32,
}

const CLOSING: u32 = 1 << 31;

impl Inside {
    fn new() -> Self {
        Self { state: AtomicU32::new(0) }
    }

    fn reset(&self) {
        self.state.store(0, SeqCst);
    }

    /// `false`: the store is closed.
    fn enter(&self) -> bool {
        self.state.fetch_update(SeqCst, SeqCst, |state| (state & CLOSING == 0).then_some(state + 1)).is_ok()
    }

    /// Whether this was the last call of a closed store.
    fn leave(&self) -> bool {
        let is_last = self.state.fetch_sub(1, SeqCst) == CLOSING + 1;
        if is_last {
            sys::futex_wake_all(&self.state);
        }
        is_last
    }

    /// Lets nobody in any more. Whether nobody is inside.
    fn close(&self) -> bool {
        self.state.fetch_or(CLOSING, SeqCst) == 0
    }

    /// Whether the last call has returned by then.
    fn wait_until_left(&self, deadline: Instant) -> bool {
        loop {
            let state = self.state.load(SeqCst);
            let left = deadline.saturating_duration_since(Instant::now());
            if state == CLOSING || left.is_zero() {
                return state == CLOSING;
            }
            sys::futex_wait(&self.state, state, Some(left));
        }
    }
}

struct InsideGuard<'a> {
    calls: &'a Calls,
    before: *const Calls,
}

impl Drop for InsideGuard<'_> {
    fn drop(&mut self) {
        INSIDE_OF.set(self.before);
        if self.calls.inside.leave() {
            self.calls.backend.close();
        }
    }
}

/// A backend that did not answer in time is not asked by everybody: further calls fail at once, but for one now and then
/// that tries.
struct Pauses {
    start: Instant,
    failures: AtomicU32,
    /// Milliseconds since the start.
    until: AtomicU64,
}

impl Pauses {
    fn new() -> Self {
        Self { start: Instant::now(), failures: AtomicU32::new(0), until: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn length(&self) -> u64 {
        let doublings = self.failures.load(SeqCst).saturating_sub(1).min(8);
        (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE).as_millis() as u64
    }

    fn check(&self, is_stuck: bool) -> Result<()> {
        if self.failures.load(SeqCst) == 0 && !is_stuck {
            return Ok(());
        }
        let (now, until) = (self.now(), self.until.load(SeqCst));
        // The first one after the pause tries, and the others wait for its outcome.
        let tries = !is_stuck
            && now >= until
            && self.until.compare_exchange(until, now + self.length(), SeqCst, SeqCst).is_ok();
        match tries {
            true => Ok(()),
            false => {
                Err(Error::Unavailable("the backend did not answer an earlier call in time; nothing was sent".into()))
            }
        }
    }

    fn begin(&self) {
        self.failures.fetch_add(1, SeqCst);
        self.until.store(self.now() + self.length(), SeqCst);
    }

    fn end(&self) {
        if self.failures.load(SeqCst) != 0 {
            self.failures.store(0, SeqCst);
        }
    }
}
