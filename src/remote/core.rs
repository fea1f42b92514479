//! The flags as last read from the backend, and how well they are known to be what it holds.

use super::calls::{Calls, Purpose};
use super::health::Health;
use super::signal::Signal;
use super::{Backend, Loaded, RemoteOptions, changes};
use crate::revision_counter::RevisionCounter;
use crate::sys::{self, ForkSafeMutex, ForkSafeMutexGuard, HazardArc, HazardGuard};
use crate::{Batch, Error, ReadMode, Result, Snapshot, State, WhenLost};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(super) struct Core {
    pub(super) calls: Arc<Calls>,
    pub(super) options: RemoteOptions,
    /// The revisions of the store, which are not those of the backend.
    pub(super) changes: RevisionCounter,
    pub(super) health: Health,
    /// Raised when the flags should be read again.
    pub(super) demand: Arc<Signal>,
    kept: HazardArc<Kept>,
    /// The process in which reads are served from `kept`, by its generation; 0: they are not.
    served_in: AtomicU64,
    /// Held by whoever reads the flags or replaces `kept`.
    refreshing: ForkSafeMutex,
}

/// The flags of one moment.
pub(super) struct Kept {
    pub(super) flags: Snapshot,
    /// The backend's; 0: not known.
    revision: u64,
    /// `false`: nothing was read yet.
    is_read: bool,
}

pub(super) type KeptRef<'a> = HazardGuard<'a, Kept>;

impl Core {
    pub(super) fn new(backend: Box<dyn Backend>, options: RemoteOptions) -> Self {
        let demand = Arc::new(Signal::default());
        let is_watched = options.read_mode == ReadMode::Watched;
        Self {
            calls: Arc::new(Calls::new(backend, Arc::clone(&demand))),
            health: Health::new(if is_watched { State::Lost } else { State::Live }),
            options,
            changes: RevisionCounter::new(),
            demand,
            kept: HazardArc::new(Kept { flags: Snapshot::default(), revision: 0, is_read: false }),
            served_in: AtomicU64::new(0),
            refreshing: ForkSafeMutex::new(),
        }
    }

    /// By when a call that begins now must end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.options.call_timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }

    pub(super) fn is_watched(&self) -> bool {
        self.options.read_mode == ReadMode::Watched
    }

    fn keeps_flags(&self) -> bool {
        self.options.read_mode != ReadMode::Fresh
    }

    /// The flags, if reads are served from memory: the fast way.
    #[inline(always)]
    pub(super) fn served(&self) -> Option<KeptRef<'_>> {
        (self.served_in.load(Acquire) == sys::process_generation()).then(|| self.kept.load())
    }

    pub(super) fn kept(&self) -> KeptRef<'_> {
        self.kept.load()
    }

    /// Whether the flags are known to be what the backend holds.
    pub(super) fn kept_is_live(&self) -> bool {
        self.kept.load().is_read && self.health.state() == State::Live
    }

    /// Whether the kept flags have one that the batch changes.
    pub(super) fn keeps(&self, batch: &Batch) -> bool {
        self.keeps_flags() && batch.changes().any(|(key, _)| self.kept.load().flags.get(key).is_some())
    }

    /// The backend has said that its revision is still this one.
    pub(super) fn still_at(&self, revision: u64) {
        if self.kept_is_live() && (revision == self.backend_revision()) {
            self.health.verified(self.is_watched());
        }
    }

    pub(super) fn backend_revision(&self) -> u64 {
        self.kept.load().revision
    }

    /// The flags of a watched store, as far as its options allow that they are served.
    pub(super) fn served_or_lost(&self) -> Result<KeptRef<'_>> {
        self.update_serving();
        let kept = self.kept.load();
        match self.may_serve(&kept) {
            true => Ok(kept),
            false => Err(self.health.lost_error()),
        }
    }

    fn may_serve(&self, kept: &Kept) -> bool {
        let is_young = || self.options.max_stale.is_none_or(|limit| self.health.age() <= limit);
        let serves_lost = || self.options.when_lost == WhenLost::Serve && is_young();
        kept.is_read && (self.health.state() == State::Live || serves_lost())
    }

    /// Lets reads be served from memory in this process, or not any more.
    pub(super) fn update_serving(&self) {
        let serves = self.is_watched() && self.may_serve(&self.kept.load());
        self.served_in.store(if serves { sys::process_generation() } else { 0 }, SeqCst);
    }

    /// When reads stop being served, if the backend stays lost; `None`: never.
    pub(super) fn time_to_expiry(&self) -> Option<Duration> {
        let limit = self.options.max_stale.filter(|_| self.health.state() != State::Live)?;
        Some(limit.saturating_sub(self.health.age())).filter(|left| !left.is_zero())
    }

    fn lock(&self, deadline: Option<Instant>) -> Result<ForkSafeMutexGuard<'_>> {
        let busy = || Error::Unavailable("the backend was busy with another read until the deadline".into());
        self.refreshing.lock_until(deadline).ok_or_else(busy)
    }

    /// Reads the flags, unless the backend says that they are the same. Then `kept` is at least as new as the call.
    pub(super) fn refresh(&self, deadline: Option<Instant>) -> Result<()> {
        let _lock = self.lock(deadline)?;
        self.refresh_locked(deadline, None)
    }

    /// `own`: a change of this store's own that may explain why there are no flags any more.
    fn refresh_locked(&self, deadline: Option<Instant>, own: Option<&Batch>) -> Result<()> {
        let (seen, had_flags) = {
            let kept = self.kept.load();
            let after_own = |own: &Batch| kept.flags.iter().any(|(key, _)| own.outcome(key).is_none());
            (kept.revision, own.map_or(!kept.flags.is_empty(), after_own))
        };
        let result = self.calls.call(Purpose::Read, deadline, move |backend| match backend.load(seen) {
            Err(Error::NotImplemented(_)) => Ok(Loaded::Flags(backend.list_all()?, 0)),
            loaded => loaded,
        });
        // Lost is not empty, unless the backend says so.
        let is_lost = match &result {
            Ok(Loaded::Flags(flags, 0)) => flags.is_empty() && had_flags,
            Ok(Loaded::Gone) => had_flags,
            _ => false,
        };
        let result = result.and_then(|loaded| match loaded {
            _ if is_lost => Err(vanished()),
            Loaded::Same => Ok(()),
            Loaded::Gone => self.install(Snapshot::default(), 0),
            Loaded::Flags(flags, revision) => self.install(flags, revision),
        });
        match &result {
            Ok(()) => self.health.verified(self.is_watched()),
            Err(error) => self.health.failed(error, self.kept.load().is_read, self.is_watched()),
        }
        if is_lost {
            self.health.set_lost();
        }
        self.update_serving();
        result
    }

    /// Replaces the flags by what was read. The caller holds the lock.
    fn install(&self, flags: Snapshot, revision: u64) -> Result<()> {
        let flags = flags.into_indexed(self.options.max_bytes)?;
        let (was_read, is_same) = {
            let kept = self.kept.load();
            (kept.is_read, kept.is_read && kept.flags == flags)
        };
        self.kept.store(Kept { flags, revision, is_read: true });
        if !is_same {
            self.changes.bump();
            if was_read {
                self.health.count_refresh();
            }
        }
        Ok(())
    }

    /// Serves the flags of the fallback file until the backend is reached.
    pub(super) fn install_fallback(&self, flags: Snapshot) -> Result<()> {
        let _lock = self.lock(None)?;
        self.install(flags, 0)?;
        self.health.fall_back();
        self.update_serving();
        Ok(())
    }

    /// After a change of this store's own, which the backend has at `revision` (0: not known): reads see it from now on.
    pub(super) fn take_in(&self, own: &Batch, revision: u64, deadline: Option<Instant>) {
        if !self.options.notices_others {
            return self.changes.bump();
        }
        let Some(_lock) = self.keeps_flags().then(|| self.refreshing.lock_until(deadline)).flatten() else {
            // Whoever waits for a change hears of it when the flags have been compared.
            return self.demand.raise();
        };
        let (seen, is_read) = {
            let kept = self.kept.load();
            (kept.revision, kept.is_read)
        };
        if !is_read {
            self.changes.bump();
            return self.demand.raise();
        }
        if revision != 0 && revision == seen {
            return;
        }
        // No change by others is in between: the backend counts.
        if revision != 0 && seen != 0 && revision == seen.wrapping_add(1) && self.install_own(own, revision).is_ok() {
            self.health.verified(self.is_watched());
            return self.update_serving();
        }
        if self.refresh_locked(deadline, Some(own)).is_err() {
            // What others have changed is found out later.
            let _ = self.install_own(own, 0);
            self.demand.raise();
        }
    }

    fn install_own(&self, own: &Batch, revision: u64) -> Result<()> {
        let flags = self.kept.load().flags.changed_by(own, self.options.max_bytes)?;
        self.install(flags, revision)
    }

    /// After a change of which nobody knows whether it was made.
    pub(super) fn doubt(&self) {
        self.changes.bump();
        self.demand.raise();
    }

    /// Has the backend make the batch's changes.
    pub(super) fn commit(&self, batch: &Batch) -> Result<()> {
        let (deadline, sent) = (self.deadline(), batch.clone());
        let result = self.calls.call(Purpose::Change, deadline, move |backend| changes::commit(backend, &sent));
        self.finish(batch, result, deadline)
    }

    /// Takes the change in, or finds out later what became of it.
    pub(super) fn finish(&self, batch: &Batch, result: Result<u64>, deadline: Option<Instant>) -> Result<()> {
        match result {
            Ok(revision) => {
                self.note_answer();
                self.take_in(batch, revision, deadline);
                Ok(())
            }
            Err(error) => {
                // Whatever the backend says of a change that failed, a part may have been made.
                if !matches!(error, Error::NotImplemented(_) | Error::Conflict { .. }) {
                    self.doubt();
                }
                self.note_failure(&error);
                Err(error)
            }
        }
    }

    /// After a call that does not go through the kept flags.
    pub(super) fn note_answer(&self) {
        if !self.keeps_flags() && self.health.state() != State::Live {
            self.health.verified(false);
        }
    }

    pub(super) fn note_failure(&self, error: &Error) {
        if !self.keeps_flags() && matches!(error, Error::Unavailable(_)) {
            self.health.failed(error, false, false);
        }
    }
}

fn vanished() -> Error {
    Error::Unavailable("the flags have vanished from the backend, which is not believed to be empty".into())
}
