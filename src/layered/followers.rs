//! One thread for each layer, which waits for its changes. They are started by the first wait of each process.

use crate::FlagStore;
use crate::background_thread::BackgroundThread;
use crate::revision_counter::RevisionCounter;
use crate::stop_token::StopToken;
use crate::sys::{self, ForkSafeMutex, ProcessGeneration};
use arc_swap::ArcSwapOption;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long to wait before a layer that failed is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

pub(super) struct Followers {
    /// Counts what the threads have noticed.
    notices: Arc<RevisionCounter>,
    /// `None`: nobody has waited yet, or no thread is to be had.
    threads: ArcSwapOption<Threads>,
    starting: ForkSafeMutex,
    has_warned: AtomicBool,
}

impl Followers {
    pub(super) fn new() -> Self {
        Self {
            notices: Arc::new(RevisionCounter::new()),
            threads: ArcSwapOption::empty(),
            starting: ForkSafeMutex::new(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// A number that differs after every change that the threads have noticed.
    pub(super) fn noticed(&self) -> u64 {
        self.notices.revision()
    }

    /// Sleeps until they notice another, at most until the deadline or the stop token's end.
    pub(super) fn wait(&self, noticed: u64, deadline: Option<Instant>, stop: Option<&StopToken>) {
        self.notices.wait(noticed, deadline, stop);
    }

    /// Makes every wait check whether it still has to wait.
    pub(super) fn wake(&self) {
        self.notices.wake();
    }

    /// Whether threads of this process follow the layers; starts them if need be.
    pub(super) fn run(&self, layers: &[Arc<dyn FlagStore>], deadline: Option<Instant>) -> bool {
        if self.run_here() {
            return true;
        }
        let Some(_lock) = self.starting.lock_until(deadline) else {
            return false;
        };
        if self.run_here() {
            return true;
        }
        match Threads::start(layers, &self.notices) {
            Ok(threads) => {
                // In a forked child, this forgets the parent's.
                self.threads.store(Some(Arc::new(threads)));
                true
            }
            Err(error) => {
                if !self.has_warned.swap(true, SeqCst) {
                    tracing::warn!("no thread is to be had ({error}): the layers are checked in short intervals");
                }
                false
            }
        }
    }

    fn run_here(&self) -> bool {
        self.threads.load().as_ref().is_some_and(|threads| threads.generation.is_current())
    }
}

struct Threads {
    generation: ProcessGeneration,
    followed: Vec<(Arc<dyn FlagStore>, BackgroundThread)>,
}

impl Threads {
    fn start(layers: &[Arc<dyn FlagStore>], notices: &Arc<RevisionCounter>) -> io::Result<Self> {
        let mut threads = Self { generation: ProcessGeneration::current(), followed: Vec::new() };
        for layer in layers {
            let (followed, notices) = (Arc::clone(layer), Arc::clone(notices));
            let work = move |stop: &StopToken| follow(&*followed, &notices, stop);
            let thread = BackgroundThread::start("flagstore-layer", sys::STACK, work)?;
            threads.followed.push((Arc::clone(layer), thread));
        }
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // All of them end at the same time.
        for (layer, thread) in &self.followed {
            thread.tell_to_stop();
            layer.wake();
        }
        for (layer, thread) in &mut self.followed {
            thread.stop(|| layer.wake());
        }
    }
}

/// Notices every change of the layer.
fn follow(layer: &dyn FlagStore, notices: &RevisionCounter, stop: &StopToken) {
    // No revision is 0: the first wait ends at once, and has whoever began to wait before it look again.
    let mut seen = 0;
    while !stop.is_set() {
        match layer.wait_unless_stopped(seen, None, stop) {
            Ok(Some(revision)) => {
                seen = revision;
                notices.bump();
            }
            Ok(None) => {}
            Err(_) => {
                // Whoever waits asks the layer too, and has the same error to return.
                seen = 0;
                notices.bump();
                stop.wait(RETRY_DELAY);
            }
        }
    }
}
