//! Threads that call the backend for those who have a deadline.

use super::signal::Signal;
use crate::sys::{self, ForkSafeMutex, ForkSafeMutexGuard};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One call of the backend.
pub(super) struct Job {
    /// One of the four below: the word that its caller sleeps on.
    state: AtomicU32,
    work: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

const WAITING: u32 = 0;
const RUNNING: u32 = 1;
const DONE: u32 = 2;
/// Its caller has given up.
const ABANDONED: u32 = 3;

/// How long a worker without a job sleeps at a time.
const IDLE: Duration = Duration::from_secs(3600);

/// What became of a job by its deadline.
pub(super) enum Outcome {
    Done,
    /// It never will: nobody has begun with it.
    NotBegun,
    /// It is still under way, and its caller is gone.
    Abandoned,
    NoThread(io::Error),
}

impl Job {
    pub(super) fn new(work: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self { state: AtomicU32::new(WAITING), work: Mutex::new(Some(Box::new(work))) })
    }

    /// In the caller's own thread.
    pub(super) fn run_here(&self) {
        if let Some(work) = lock(&self.work).take() {
            work();
        }
    }

    /// Returns whether its caller has given up meanwhile.
    fn run(&self) -> bool {
        if self.state.compare_exchange(WAITING, RUNNING, SeqCst, SeqCst).is_err() {
            return false;
        }
        let work = lock(&self.work).take();
        // A backend that panics must not end the worker; its caller finds no result.
        let _ = catch_unwind(AssertUnwindSafe(|| work.into_iter().for_each(|work| work())));
        let is_abandoned = self.state.swap(DONE, SeqCst) == ABANDONED;
        sys::futex_wake_all(&self.state);
        is_abandoned
    }

    fn is_done_by(&self, deadline: Instant) -> bool {
        loop {
            let state = self.state.load(SeqCst);
            let left = deadline.saturating_duration_since(Instant::now());
            if state == DONE || left.is_zero() {
                return state == DONE;
            }
            sys::futex_wait(&self.state, state, Some(left));
        }
    }
}

pub(super) struct Pool {
    /// How many workers it may have.
    most: usize,
    queue: Mutex<Queue>,
    /// Held by whoever takes the queue's own lock, which so is always free. ThreadSanitizer sees this order of threads,
    /// but not that by std's locks.
    entry: ForkSafeMutex,
    /// Raised when there is a job.
    ready: Signal,
    /// Jobs under way whose callers have given up.
    abandoned: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Arc<Job>>,
    workers: Vec<JoinHandle<()>>,
    idle: usize,
    is_stopped: bool,
}

impl Pool {
    /// Of a backend whose calls may overlap.
    pub(super) const WORKERS: usize = 16;

    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            queue: Mutex::default(),
            entry: ForkSafeMutex::new(),
            ready: Signal::default(),
            abandoned: AtomicUsize::new(0),
        }
    }

    /// Whether all workers are inside calls whose callers have given up.
    pub(super) fn is_stuck(&self) -> bool {
        self.abandoned.load(SeqCst) >= self.most
    }

    /// Has a worker run the job. `late` is raised when a job ends after its deadline.
    pub(super) fn run(self: &Arc<Self>, job: &Arc<Job>, deadline: Instant, late: &Arc<Signal>) -> Outcome {
        {
            let (_entry, mut queue) = self.lock();
            if queue.idle <= queue.jobs.len() && queue.workers.len() < self.most {
                let (pool, late) = (Arc::clone(self), Arc::clone(late));
                match sys::spawn("flagstore-call", sys::STACK, Box::new(move || pool.work(&late))) {
                    Ok(worker) => queue.workers.push(worker),
                    Err(error) if queue.workers.is_empty() => return Outcome::NoThread(error),
                    Err(_) => {}
                }
            }
            queue.jobs.push_back(Arc::clone(job));
        }
        self.ready.raise_one();
        if job.is_done_by(deadline) {
            return Outcome::Done;
        }
        if job.state.compare_exchange(WAITING, ABANDONED, SeqCst, SeqCst).is_ok() {
            self.lock().1.jobs.retain(|queued| !Arc::ptr_eq(queued, job));
            return Outcome::NotBegun;
        }
        // Counted first: the worker subtracts what it finds abandoned.
        self.abandoned.fetch_add(1, SeqCst);
        match job.state.compare_exchange(RUNNING, ABANDONED, SeqCst, SeqCst) {
            Ok(_) => Outcome::Abandoned,
            Err(_) => {
                self.abandoned.fetch_sub(1, SeqCst);
                Outcome::Done
            }
        }
    }

    fn work(&self, late: &Signal) {
        while let Some(job) = self.next() {
            if job.run() {
                self.abandoned.fetch_sub(1, SeqCst);
                late.raise();
            }
        }
    }

    /// `None`: the pool is stopped.
    fn next(&self) -> Option<Arc<Job>> {
        self.lock().1.idle += 1;
        loop {
            let raised = self.ready.count();
            {
                let (_entry, mut queue) = self.lock();
                if let Some(job) = queue.jobs.pop_front() {
                    queue.idle -= 1;
                    return Some(job);
                }
                if queue.is_stopped {
                    return None;
                }
            }
            self.ready.wait(raised, IDLE);
        }
    }

    fn lock(&self) -> (Option<ForkSafeMutexGuard<'_>>, MutexGuard<'_, Queue>) {
        // In this order, and the other way round when they are dropped.
        let entry = self.entry.lock();
        (entry, lock(&self.queue))
    }

    /// Ends each worker after its job.
    pub(super) fn stop(&self) {
        self.lock().1.is_stopped = true;
        self.ready.raise();
    }

    /// Waits for the workers' end; not for that of the thread which calls this.
    pub(super) fn join(&self) {
        let workers = std::mem::take(&mut self.lock().1.workers);
        for worker in workers.into_iter().filter(|worker| !sys::is_current_thread(worker)) {
            let _ = worker.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
