//! Whose turn it is among the threads of this process, first come, first served; and the one wait for the lock of
//! other processes that all of them share. Whoever has the turn may serve those behind it together with itself: one
//! read, one write, one sync for all.
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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { process: 0, generation: 0, forks: 0, last_ticket: 0, queues: Vec::new() });

struct Registry {
    /// The process that this registry belongs to: a fork that ran no handlers is noticed by it.
    process: u64,
    /// Tells a turn from before a fork from those after it.
    generation: u64,
    /// How often this process has forked: whether a child may have a descriptor that was not yet registered.
    forks: u64,
    last_ticket: u64,
    /// Few: one for each file that is being changed, or was by many just now.
    queues: Vec<Queue>,
}

/// The threads that want the lock of one file; the first in waiters holds it or waits for other processes.
struct Queue {
    path: PathBuf,
    waiters: VecDeque<QueueEntry>,
    /// How many were in the waiters when the last turn ended, those it served among them: as many may come again.
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

/// A entry in the waiters.
struct QueueEntry {
    ticket: u64,
    request: Arc<Request>,
    /// Whoever has the turn is at work on it.
    claimed: bool,
}

/// A thread that blocks in flock, because polling starves and a blocking flock has no timeout. It outlives the caller
/// whose time ran out and serves the next.
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

    /// Gives back what nobody in the waiters needs any more. The queue of a last_group_len stays, to know it when it comes again.
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

/// Called when the library is loaded, while no thread can be inside it: a fork in the middle of doing this at the
/// first call would leave the child without it, or waiting for a thread that it does not have.
pub(crate) extern "C" fn register_fork_handlers() {
    sys::at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
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
    let _ = FORKING.try_with(|forking| {
        if let Some(mut registry) = forking.replace(None) {
            registry.reset();
        }
    });
}

/// What came of waiting for the turn.
pub(super) enum Admission {
    Leader(Leader),
    /// The request was served by somebody before us.
    Completed,
    /// The deadline came first; nobody is at work on the request, nor will be.
    TimedOut,
}

/// The turn at one lock file: the entry at the head of the waiters, which is left when dropped.
pub(super) struct Leader {
    path: PathBuf,
    ticket: u64,
    generation: u64,
    request: Arc<Request>,
    changed: Arc<Condvar>,
}

impl Leader {
    /// Waits until nobody in this process is before us, or the request has been served.
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
        let turn = Self { path: path.to_owned(), ticket, generation, request: Arc::clone(request), changed };
        loop {
            if request.is_complete() {
                drop(registry);
                return Admission::Completed;
            }
            let waiters = &turn.queue(&mut registry).waiters;
            if waiters.front().is_some_and(|first| first.ticket == ticket) {
                return Admission::Leader(turn);
            }
            // What is being done can no longer be called off.
            let taken = waiters.iter().any(|entry| entry.ticket == ticket && entry.claimed);
            let deadline = deadline.filter(|_| !taken);
            if has_passed(deadline) {
                turn.queue(&mut registry).waiters.retain(|entry| entry.ticket != ticket);
                drop(registry);
                return Admission::TimedOut;
            }
            registry = sleep(registry, &turn.changed, deadline);
        }
    }

    /// The requests to be served in this turn, our own first, each in the order in which it came: those taken before
    /// and those that have come since. They must be served before the turn is dropped, or wait for another.
    pub(super) fn claim_group(&self) -> Vec<Arc<Request>> {
        let mut registry = registry();
        let waiters = &mut self.queue(&mut registry).waiters;
        let ours = waiters.iter_mut().filter(|entry| entry.request.can_share_write_with(&self.request));
        ours.map(|entry| {
            entry.claimed = true;
            Arc::clone(&entry.request)
        })
        .collect()
    }

    /// Whether fewer are in the waiters than when the last turn ended.
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
                Ok(false) => self.start_waiter(file)?,
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
        // A turn keeps its queue alive; only a fork in the middle of a call could have taken it away.
        registry.queue(&self.path).unwrap_or_else(|| unreachable!("a queue outlives its turns"))
    }

    /// Leaves the blocking wait to a thread of its own.
    fn start_waiter(&self, file: File) -> io::Result<()> {
        self.queue(&mut registry()).waiter = Waiter::Blocked;
        let (path, generation) = (self.path.clone(), self.generation);
        let file = Arc::new(file);
        let waited_for = Arc::clone(&file);
        let wait = move || {
            let result = sys::lock(&waited_for);
            let mut registry = registry();
            let is_ours = registry.generation == generation;
            if let Some(queue) = registry.queue(&path).filter(|_| is_ours) {
                if result.is_err() {
                    queue.descriptor = None;
                }
                queue.waiter = Waiter::Done(result.map(|()| waited_for));
                queue.changed.notify_all();
                registry.remove_if_idle(&path);
            }
        };
        sys::spawn("flagstore-lock", 64 << 10, Box::new(wait)).map(drop).inspect_err(|_| {
            self.queue(&mut registry()).waiter = Waiter::None;
            self.forget();
        })
    }

    /// The descriptor is about to be closed. Before that happens: a child must not close what its number means next.
    pub(super) fn forget(&self) {
        let mut registry = registry();
        if registry.generation == self.generation {
            self.queue(&mut registry).descriptor = None;
        }
    }

    /// Unlocks and closes the file; the entry in the waiters is kept.
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
        // Whom another has served is in no queue any more, nor perhaps is anybody.
        let Some(queue) = registry.queue(&self.path) else {
            return;
        };
        let had_the_turn = queue.waiters.front().is_some_and(|first| first.ticket == self.ticket);
        let before = queue.waiters.len();
        // Only who has the turn may take others out: it counts on its own entry until here.
        queue.waiters.retain(|entry| entry.ticket != self.ticket && !(had_the_turn && entry.request.is_complete()));
        if had_the_turn {
            queue.last_group_len = before;
            queue.waiters.iter_mut().for_each(|entry| entry.claimed = false);
        }
        // All others there were, those just taken out too.
        if before > 1 {
            queue.changed.notify_all();
        }
        registry.remove_if_idle(&self.path);
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Gives the registry up until something changed or the deadline has passed.
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
