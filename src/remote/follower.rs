//! The threads of a store that follows its backend: one reads the flags again when that is due, another waits for the
//! backend's word that it is.

use super::core::Core;
use super::fallback::{self, Writer};
use super::signal::Signal;
use crate::background_thread::BackgroundThread;
use crate::stop_token::StopToken;
use crate::sys::{self, ProcessGeneration};
use crate::{Error, Push, State};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one wait of the backend may take.
pub(super) const WAIT: Duration = Duration::from_secs(2);
/// How often the flags are looked at where changes are announced, and where not.
const VERIFY_WITH_PUSH: Duration = Duration::from_secs(60);
const VERIFY_WITHOUT_PUSH: Duration = Duration::from_secs(5);
/// Before a lost backend is asked again, at first; twice as long each time.
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// A backend that announces without an end is not read more often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);
/// How soon the waiter sees that the reader has reached a lost backend.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often a wait that should end is told so.
const WAKE_INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Follower {
    core: Arc<Core>,
    generation: ProcessGeneration,
    reader: BackgroundThread,
    /// Taken when it is joined.
    waiter: Option<JoinHandle<()>>,
    stop_waiter: Arc<StopToken>,
    waiter_ended: Arc<Signal>,
}

impl Follower {
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Self> {
        let reader = {
            // Whatever the waiter asks for, even before the reader runs.
            let (core, seen) = (Arc::clone(core), core.demand.count());
            BackgroundThread::start("flagstore-remote", sys::STACK, move |stop| Reader::new(&core).run(seen, stop))?
        };
        let (stop_waiter, waiter_ended) = (Arc::new(StopToken::new()), Arc::new(Signal::default()));
        let waiter = {
            let (core, stop, ended) = (Arc::clone(core), Arc::clone(&stop_waiter), Arc::clone(&waiter_ended));
            sys::spawn(
                "flagstore-wait",
                sys::STACK,
                Box::new(move || {
                    wait_for_changes(&core, &stop);
                    ended.raise();
                }),
            )
        };
        // Without it the reader looks in intervals.
        let waiter = waiter.ok();
        let generation = ProcessGeneration::current();
        Ok(Self { core: Arc::clone(core), generation, reader, waiter, stop_waiter, waiter_ended })
    }

    /// Whether its threads are this process's.
    pub(super) fn runs_here(&self) -> bool {
        self.generation.is_current()
    }

    /// Ends its threads. A wait that does not return in time is left to itself.
    pub(super) fn end(mut self) {
        if !self.runs_here() {
            return;
        }
        self.stop_waiter.set();
        self.reader.stop(|| self.core.demand.raise());
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let until = Instant::now() + WAIT + self.core.options.call_timeout.unwrap_or_default();
        while self.waiter_ended.count() == 0 && Instant::now() < until {
            // It may not have begun with its wait yet.
            self.core.calls.wake();
            self.waiter_ended.wait(0, WAKE_INTERVAL);
        }
        if self.waiter_ended.count() != 0 {
            let _ = waiter.join();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // In a forked child, where a join would wait for ever.
        std::mem::forget(self.waiter.take());
    }
}

/// Tells the reader of each change that the backend announces.
fn wait_for_changes(core: &Core, stop: &StopToken) {
    let (mut seen, mut failures) = (core.backend_revision(), 0);
    while !stop.is_set() {
        let demands = core.demand.count();
        match core.calls.wait(seen, WAIT) {
            Ok(changed) => {
                failures = 0;
                core.health.set_push(core.calls.push());
                match changed {
                    Some(revision) => {
                        seen = revision;
                        if revision == 0 || revision != core.backend_revision() {
                            core.demand.raise();
                        }
                    }
                    // It would have told of any change.
                    None if core.health.push() == Push::Tracked => {
                        if core.demand.count() == demands && core.kept_is_live() {
                            core.health.touch();
                        }
                    }
                    None => core.still_at(seen),
                }
                stop.wait(SHORTEST_INTERVAL);
            }
            Err(Error::NotImplemented(_)) => return,
            Err(_) => {
                failures += 1;
                core.health.set_push(Push::None);
                // A wait of the caller's may have failed for reasons of its own.
                if core.calls.keep_deadlines() {
                    core.is_doubtful();
                }
                // The reader finds out whether the backend is lost.
                core.demand.raise();
                stop.wait(retry_delay(failures, core.options.retry_max));
                // While the reader tries to reach it, a second attempt each time would only be a load.
                while !stop.is_set() && matches!(core.health.state(), State::Stale | State::Fallback) {
                    stop.wait(LOOK_AGAIN);
                }
            }
        }
    }
}

struct Reader<'a> {
    core: &'a Core,
    failures: u32,
    fallback: Option<Writer>,
    /// When to write the fallback file again.
    write_at: Option<Instant>,
}

impl<'a> Reader<'a> {
    fn new(core: &'a Core) -> Self {
        let writer = |path: &std::path::PathBuf| Writer::new(path, core.options.max_bytes);
        let fallback = core.options.fallback_path.as_ref().map(writer);
        let write_at = fallback.is_some().then(Instant::now);
        Self { core, failures: 0, fallback, write_at }
    }

    /// `seen`: the demands that need no read.
    fn run(mut self, mut seen: u32, stop: &StopToken) {
        let core = self.core;
        let mut next = Instant::now() + if core.kept_is_live() { self.verify_interval() } else { Duration::ZERO };
        while !stop.is_set() {
            self.keep_fallback();
            let is_asked = core.demand.count() != seen;
            if !is_asked && Instant::now() < next {
                core.demand.wait(seen, self.time_to_sleep(next));
                continue;
            }
            // A lost backend has its own delays.
            if self.failures == 0 {
                sleep_until(Instant::now() + random_part(core.options.spread), stop);
            }
            seen = core.demand.count();
            next = match core.refresh(core.deadline()) {
                Ok(()) => {
                    self.failures = 0;
                    self.write_at = self.fallback.is_some().then(Instant::now);
                    Instant::now() + self.verify_interval()
                }
                Err(error) => {
                    self.failures += 1;
                    if self.failures == 1 && !core.is_read() {
                        fallback::serve(core, &error);
                    }
                    let delay = retry_delay(self.failures, core.options.retry_max);
                    // Whoever asks meanwhile waits as long.
                    sleep_until(Instant::now() + delay, stop);
                    Instant::now()
                }
            };
        }
    }

    fn time_to_sleep(&self, next: Instant) -> Duration {
        let left = next.saturating_duration_since(Instant::now());
        let write = self.write_at.map_or(left, |at| at.saturating_duration_since(Instant::now()));
        // Rounded up, so that nobody spins through the last millisecond.
        left.min(write) + Duration::from_millis(1)
    }

    /// Spread by a third, so that clients that began together do not stay together.
    fn verify_interval(&self) -> Duration {
        let pushed = self.core.health.push() != Push::None;
        let usual = if pushed { VERIFY_WITH_PUSH } else { VERIFY_WITHOUT_PUSH };
        let interval = self.core.options.verify.unwrap_or(usual);
        interval * 2 / 3 + random_part(interval * 2 / 3)
    }

    /// Never what is only believed to be the backend's.
    fn keep_fallback(&mut self) {
        let Some(writer) = self.fallback.as_mut().filter(|_| self.write_at.is_some_and(|at| at <= Instant::now()))
        else {
            return;
        };
        self.write_at = match self.core.kept_is_live() {
            true => writer.keep(&self.core.kept().flags),
            false => None,
        };
    }
}

fn sleep_until(until: Instant, stop: &StopToken) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stop.is_set() {
            return;
        }
        stop.wait(left);
    }
}

/// Doubled each time, up to `most`, and of that a random part.
fn retry_delay(failures: u32, most: Duration) -> Duration {
    let limit = (FIRST_RETRY * (1 << failures.saturating_sub(1).min(16))).min(most);
    random_part(limit).max(limit / 16).max(Duration::from_millis(1))
}

fn random_part(of: Duration) -> Duration {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // Each process has other random bytes, and a child another generation.
    let mut hasher = DefaultHasher::new();
    (sys::process_random(), sys::process_generation(), NUMBER.fetch_add(1, Relaxed)).hash(&mut hasher);
    of.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}
