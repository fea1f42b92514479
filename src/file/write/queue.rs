//! Group commit, as LevelDB has it: the threads of this process that want the lock of one file wait in a queue. The first
//! is the leader: it waits for the locks of other processes, and may complete the requests behind it together with its
//! own, by one read, one write, one sync.
//!
//! One registry joins all stores of the process that name the same lock file. It survives fork: the child starts
//! with an empty one and closes the descriptors through which it would keep its parent's locks.

use super::request::Request;
use crate::sys;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread that polls for the lock sleeps in between.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { process: 0, generation: 0, forks: 0, last_ticket: 0, queues: Vec::new() });

struct Registry {
    /// The process that this registry belongs to: a fork that ran no handlers is noticed by it.
    process: u64,
    /// Tells a leader from before a fork from those after it.
    generation: u64,
    /// How often this process has forked: a child may have a descriptor that was not yet registered.
    forks: u64,
    last_ticket: u64,
    /// Few: one for each file that is being changed, or was changed by a group just now.
    queues: Vec<Queue>,
}

/// The threads that want the lock of one file; the first holds it or waits for other processes.
struct Queue {
    path: PathBuf,
    waiters: VecDeque<QueueEntry>,
    /// How many were in the queue when the last leader left it with its group: as many may come again.
    last_group_len: usize,
    /// The descriptor that is locked or about to be.
    descriptor: Option<RawFd>,
    waiter: Waiter,
    changed: Arc<Condvar>,
}

impl Queue {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            waiters: VecDeque::new(),
            last_group_len: 0,
            descriptor: None,
            waiter: Waiter::None,
            changed: Arc::new(Condvar::new()),
        }
    }

    fn is_idle(&self) -> bool {
        self.waiters.is_empty() && !matches!(self.waiter, Waiter::Blocked)
    }
}

struct QueueEntry {
    ticket: u64,
    request: Arc<Request>,
    /// The leader is at work on it.
    claimed: bool,
}

/// A thread that blocks in flock, because polling starves and a blocking flock has no timeout. It outlives the caller
/// whose time ran out; the lock that it gets goes to the next.
enum Waiter {
    None,
    Blocked,
    Done(io::Result<Arc<File>>),
}

impl Registry {
    fn reset(&mut self) {
        for queue in std::mem::take(&mut self.queues) {
            if let Some(descriptor) = queue.descriptor {
                // Without an unlock: that would release the parent's lock.
                sys::close_inherited(descriptor);
            }
            if let Waiter::Done(Ok(file)) = queue.waiter {
                std::mem::forget(file);
            }
        }
        self.process = sys::process_generation();
        self.generation += 1;
    }

    fn queue(&mut self, path: &Path) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.path.as_os_str() == path.as_os_str())
    }

    /// Gives back what no waiter needs any more. The queue of a group stays, to know the group when it comes again.
    fn remove_if_idle(&mut self, path: &Path) {
        let Some(queue) = self.queue(path).filter(|queue| queue.is_idle()) else {
            return;
        };
        queue.descriptor = None;
        if let Waiter::Done(Ok(file)) = std::mem::replace(&mut queue.waiter, Waiter::None) {
            sys::unlock(&file);
        }
        if queue.last_group_len < 2 {
            self.queues.retain(|queue| queue.path.as_os_str() != path.as_os_str());
        }
    }
}

/// Called when the C library is loaded, while no thread can be inside it, and when a file store is opened, for programs
/// in Rust. Done once, without waiting for the thread that does it, which a forked child would not have.
pub(crate) extern "C" fn register_fork_handlers() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        sys::at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
    }
}

fn registry() -> MutexGuard<'static, Registry> {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if registry.process != sys::process_generation() {
        registry.reset();
    }
    registry
}

thread_local! {
    /// The registry's lock while the thread forks, so that the child finds the registry whole and free.
    static FORKING: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
}

extern "C" fn before_fork() {
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = FORKING.try_with(|forking| forking.replace(Some(registry)));
}

extern "C" fn after_fork_in_parent() {
    let _ = FORKING.try_with(|forking| {
        if let Some(mut registry) = forking.replace(None) {
            registry.forks += 1;
        }
    });
}

extern "C" fn after_fork_in_child() {
    sys::note_fork();
    let _ = FORKING.try_with(|forking| {
        if let Some(mut registry) = forking.replace(None) {
            registry.reset();
        }
    });
}

/// How a request has left the queue.
pub(super) enum Admission {
    Leader(Leader),
    /// The leader of its group has completed it.
    Completed,
    /// The deadline came first; nobody is at work on the request, nor will be.
    TimedOut,
}

/// The first in the queue of one lock file, until dropped.
pub(super) struct Leader {
    path: PathBuf,
    ticket: u64,
    generation: u64,
    request: Arc<Request>,
    changed: Arc<Condvar>,
}

impl Leader {
    /// Joins the queue; waits until the request is the first, or complete.
    pub(super) fn wait(path: &Path, request: &Arc<Request>, deadline: Option<Instant>) -> Admission {
        let mut registry = registry();
        registry.last_ticket += 1;
        let (ticket, generation) = (registry.last_ticket, registry.generation);
        if registry.queue(path).is_none() {
            registry.queues.retain(|queue| !queue.is_idle());
            registry.queues.push(Queue::new(path));
        }
        let Some(queue) = registry.queue(path) else { unreachable!("it was added") };
        queue.waiters.push_back(QueueEntry { ticket, request: Arc::clone(request), claimed: false });
        let changed = Arc::clone(&queue.changed);
        let leader = Self { path: path.to_owned(), ticket, generation, request: Arc::clone(request), changed };
        loop {
            if request.is_complete() {
                drop(registry);
                return Admission::Completed;
            }
            let waiters = &leader.queue(&mut registry).waiters;
            if waiters.front().is_some_and(|first| first.ticket == ticket) {
                return Admission::Leader(leader);
            }
            // A claimed request can no longer be called off.
            let is_claimed = waiters.iter().any(|entry| entry.ticket == ticket && entry.claimed);
            let deadline = deadline.filter(|_| !is_claimed);
            if has_passed(deadline) {
                leader.queue(&mut registry).waiters.retain(|entry| entry.ticket != ticket);
                drop(registry);
                return Admission::TimedOut;
            }
            registry = sleep(registry, &leader.changed, deadline);
        }
    }

    /// The requests that one write can complete, in the order in which they came, our own first: those claimed before
    /// and those that have come since. What is not complete when the leader is dropped waits for the next.
    pub(super) fn claim_group(&self) -> Vec<Arc<Request>> {
        let mut registry = registry();
        let waiters = &mut self.queue(&mut registry).waiters;
        let group = waiters.iter_mut().filter(|entry| entry.request.can_share_write_with(&self.request));
        let claim = |entry: &mut QueueEntry| {
            entry.claimed = true;
            Arc::clone(&entry.request)
        };
        group.map(claim).collect()
    }

    /// Whether fewer wait than when the last leader left.
    pub(super) fn is_smaller_than_last(&self) -> bool {
        let mut registry = registry();
        let queue = self.queue(&mut registry);
        queue.waiters.len() < queue.last_group_len
    }

    /// Locks the file that `open` opens against other processes. `None`: the deadline came first.
    pub(super) fn lock(
        &self,
        open: impl Fn() -> io::Result<File>,
        deadline: Option<Instant>,
    ) -> io::Result<Option<Arc<File>>> {
        if matches!(self.queue(&mut registry()).waiter, Waiter::None) {
            let file = self.registered(open)?;
            match sys::try_lock(&file) {
                Ok(true) => return Ok(Some(file.into())),
                Ok(false) => {
                    let file = Arc::new(file);
                    if let Err(error) = self.start_waiter(&file) {
                        tracing::info!("no thread can wait for the lock, so it is polled: {error}");
                        return self.poll_lock(file, deadline);
                    }
                }
                Err(error) => {
                    self.forget();
                    return Err(error);
                }
            }
        }
        let mut registry = registry();
        loop {
            let queue = self.queue(&mut registry);
            if let Waiter::Done(result) = std::mem::replace(&mut queue.waiter, Waiter::None) {
                return result.map(Some);
            }
            queue.waiter = Waiter::Blocked;
            if has_passed(deadline) {
                return Ok(None);
            }
            registry = sleep(registry, &self.changed, deadline);
        }
    }

    /// Tries again in small steps.
    fn poll_lock(&self, file: Arc<File>, deadline: Option<Instant>) -> io::Result<Option<Arc<File>>> {
        loop {
            match sys::try_lock(&file) {
                Ok(false) if !has_passed(deadline) => sys::sleep(POLL_INTERVAL),
                Ok(false) => {
                    self.forget();
                    return Ok(None);
                }
                Ok(true) => return Ok(Some(file)),
                Err(error) => {
                    self.forget();
                    return Err(error);
                }
            }
        }
    }

    /// Opens the lock file so that no child of a fork keeps a copy of it without knowing.
    fn registered(&self, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
        loop {
            let forks = registry().forks;
            let file = open()?;
            let mut registry = registry();
            if registry.forks == forks {
                self.queue(&mut registry).descriptor = Some(file.as_raw_fd());
                return Ok(file);
            }
        }
    }

    fn queue<'a>(&self, registry: &'a mut Registry) -> &'a mut Queue {
        // A leader keeps its queue alive; only a fork in the middle of a call could have taken it away.
        registry.queue(&self.path).unwrap_or_else(|| unreachable!("a queue outlives its leader"))
    }

    /// Leaves the blocking wait to a thread of its own.
    fn start_waiter(&self, file: &Arc<File>) -> io::Result<()> {
        self.queue(&mut registry()).waiter = Waiter::Blocked;
        let (path, generation, file) = (self.path.clone(), self.generation, Arc::clone(file));
        let wait = move || {
            let result = sys::lock(&file);
            let mut registry = registry();
            if registry.generation != generation {
                return;
            }
            let Some(queue) = registry.queue(&path) else {
                return;
            };
            if result.is_err() {
                queue.descriptor = None;
            }
            queue.waiter = Waiter::Done(result.map(|()| file));
            queue.changed.notify_all();
            registry.remove_if_idle(&path);
        };
        let started = sys::spawn("flagstore-lock", 64 << 10, Box::new(wait));
        started.map(drop).inspect_err(|_| self.queue(&mut registry()).waiter = Waiter::None)
    }

    /// Called before the descriptor is closed: a child must not close what its number means next.
    pub(super) fn forget(&self) {
        let mut registry = registry();
        if registry.generation == self.generation {
            self.queue(&mut registry).descriptor = None;
        }
    }

    /// Unlocks and closes the file; the leader stays the first in the queue.
    pub(super) fn release(&self, file: Arc<File>) {
        sys::unlock(&file);
        self.forget();
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let mut registry = registry();
        if registry.generation != self.generation {
            return;
        }
        // A completed request is in no queue any more.
        let Some(queue) = registry.queue(&self.path) else {
            return;
        };
        let was_first = queue.waiters.front().is_some_and(|first| first.ticket == self.ticket);
        let before = queue.waiters.len();
        // Only the first may take others out: a leader counts on its own entry until here.
        queue.waiters.retain(|entry| entry.ticket != self.ticket && !(was_first && entry.request.is_complete()));
        if was_first {
            queue.last_group_len = before;
            queue.waiters.iter_mut().for_each(|entry| entry.claimed = false);
        }
        // All others, those just taken out too.
        if before > 1 {
            queue.changed.notify_all();
        }
        registry.remove_if_idle(&self.path);
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Unlocks the registry until something changed or the deadline has passed.
fn sleep(
    registry: MutexGuard<'static, Registry>,
    changed: &Condvar,
    deadline: Option<Instant>,
) -> MutexGuard<'static, Registry> {
    let Some(deadline) = deadline else {
        return changed.wait(registry).unwrap_or_else(PoisonError::into_inner);
    };
    let left = deadline.checked_duration_since(Instant::now()).unwrap_or_default();
    changed.wait_timeout(registry, left).unwrap_or_else(PoisonError::into_inner).0
}
