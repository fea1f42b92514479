//! The flags as last read from the backend, and how well they are known to be what it holds.

use super::calls::{Calls, Purpose};
use super::health::Health;
use super::kept::{Kept, KeptRef};
use super::removals::Removals;
use super::signal::Signal;
use super::{Backend, Loaded, RemoteOptions, changes, fallback};
use crate::revision_counter::RevisionCounter;
use crate::sys::{self, ForkSafeMutex, ForkSafeMutexGuard, HazardArc};
use crate::{Batch, Error, Push, ReadMode, Result, Snapshot, State, Status, WhenLost};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::SeqCst};
use std::time::Instant;

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
    /// Held for a moment, to replace `kept` or to decide whether it is served.
    replacing: ForkSafeMutex,
    /// Held by whoever reads the flags.
    reading: ForkSafeMutex,
    /// How many reads have begun.
    reads: AtomicU64,
    /// The last read that succeeded.
    last_read: AtomicU64,
    /// How many changes of this store's own were made in `kept`: a read that began before one does not replace it.
    own_changes: AtomicU64,
    removals: Removals,
}

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
            kept: HazardArc::new(Kept::default()),
            served_in: AtomicU64::new(0),
            replacing: ForkSafeMutex::new(),
            reading: ForkSafeMutex::new(),
            reads: AtomicU64::new(0),
            last_read: AtomicU64::new(0),
            own_changes: AtomicU64::new(0),
            removals: Removals::default(),
        }
    }

    /// By when a call that begins now must end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.options.call_timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }

    pub(super) fn is_watched(&self) -> bool {
        self.options.read_mode == ReadMode::Watched
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

    /// Whether the backend is believed when it has no flags and no revision: there were none, or this store removed them.
    pub(super) fn may_be_empty(&self) -> bool {
        self.kept.load().flags.is_empty() || self.removals.are_unread()
    }

    pub(super) fn is_read(&self) -> bool {
        self.kept.load().is_read
    }

    /// Whether the kept flags have one that the batch changes.
    fn keeps(&self, batch: &Batch) -> bool {
        batch.changes().any(|(key, _)| self.kept.load().flags.get(key).is_some())
    }

    /// The backend has said that its revision is still this one.
    pub(super) fn still_at(&self, revision: u64) {
        if self.health.push() != Push::None
            && revision != 0
            && revision == self.backend_revision()
            && self.kept_is_live()
        {
            self.health.touch();
        }
    }

    pub(super) fn backend_revision(&self) -> u64 {
        self.kept.load().revision
    }

    /// The flags of a watched store, as far as its options allow that they are served.
    pub(super) fn served_or_lost(&self) -> Result<KeptRef<'_>> {
        let kept = self.kept.load();
        match self.may_serve(&kept) {
            true => Ok(kept),
            false => Err(self.health.lost_error()),
        }
    }

    fn may_serve(&self, kept: &Kept) -> bool {
        let is_young = || self.options.max_stale.is_none_or(|limit| self.health.age() <= limit);
        let serves_lost = || self.options.when_lost == WhenLost::Serve || !self.health.is_lost();
        kept.is_read && (self.health.state() == State::Live || serves_lost() && is_young())
    }

    /// Lets reads be served from memory in this process, or not any more. To be called after each change of the state.
    pub(super) fn update_serving(&self) {
        let _lock = self.replacing.lock();
        // The fast way does not look at the clock.
        let is_for_long = self.options.max_stale.is_none() || self.health.state() == State::Live;
        let serves = self.is_watched() && is_for_long && self.may_serve(&self.kept.load());
        self.served_in.store(if serves { sys::process_generation() } else { 0 }, SeqCst);
    }

    pub(super) fn status(&self) -> Status {
        let status = self.health.status(self.changes.revision(), self.is_watched());
        let serves = status.state == State::Live || self.is_watched() && self.may_serve(&self.kept.load());
        Status { state: if serves { status.state } else { State::Lost }, ..status }
    }

    /// Nobody tells of changes for the moment.
    pub(super) fn is_doubtful(&self) {
        self.health.is_doubtful();
        self.update_serving();
    }

    /// In a forked child, whose threads do not follow the backend yet.
    pub(super) fn forked(&self) {
        self.health.is_doubtful();
        self.removals.forked();
        // A thread of the parent's may have replaced the flags and not have said so.
        self.changes.bump();
    }

    fn lock(&self, deadline: Option<Instant>) -> Result<ForkSafeMutexGuard<'_>> {
        let busy = || Error::Unavailable("the backend was busy with another read until the deadline".into());
        self.reading.lock_until(deadline).ok_or_else(busy)
    }

    /// Reads the flags, unless the backend says that they are the same. Then `kept` is at least as new as the call.
    pub(super) fn refresh(&self, deadline: Option<Instant>) -> Result<()> {
        self.calls.refuse_own_call()?;
        let reads = self.reads.load(SeqCst);
        let _lock = self.lock(deadline)?;
        if self.last_read.load(SeqCst) > reads {
            // Somebody else's read began after this call did.
            return Ok(());
        }
        let result = self.read(deadline);
        match &result {
            Ok(()) => self.health.verified(self.is_watched()),
            Err(error) => {
                self.health.failed(error, self.is_read() || !self.is_watched(), self.is_watched());
            }
        }
        self.update_serving();
        result
    }

    /// The same. The caller holds the lock, and says what the outcome means for the state.
    fn read(&self, deadline: Option<Instant>) -> Result<()> {
        loop {
            let number = self.reads.fetch_add(1, SeqCst) + 1;
            let own_changes = self.own_changes.load(SeqCst);
            let seen = self.backend_revision();
            let removals = self.removals.before_read();
            // Before and after the call, for a change of this store's own may come in between.
            let may_be_empty = self.may_be_empty();
            let purpose = if self.is_watched() { Purpose::Follow } else { Purpose::Read };
            let result = self.calls.call(purpose, deadline, move |backend| match backend.load(seen) {
                Err(Error::NotImplemented(_)) => Ok(Loaded::Flags(backend.list_all()?, 0)),
                loaded => loaded,
            });
            // Lost is not empty, unless the backend says so.
            let is_gone = match &result {
                Ok(Loaded::Flags(flags, 0)) => {
                    let was_not_empty = !may_be_empty && !self.may_be_empty();
                    flags.is_empty() && !removals && (was_not_empty || !self.is_read() && fallback::has_flags(self))
                }
                Ok(Loaded::Gone) => true,
                _ => false,
            };
            let result = match result {
                Ok(_) if is_gone => {
                    self.health.vanished();
                    Err(changes::vanished())
                }
                Ok(Loaded::Same) if seen == 0 => Err(changes::same_of_nothing()),
                Ok(Loaded::Same) => Ok(true),
                Ok(Loaded::Flags(flags, revision)) => self.install(flags, BTreeMap::new(), revision, own_changes),
                Ok(Loaded::Partly(flags, revision, rest)) => self.install(flags, rest, revision, own_changes),
                Ok(Loaded::Gone) => Err(changes::vanished()),
                Err(error) => Err(error),
            };
            match result {
                Ok(true) => {
                    self.last_read.store(number, SeqCst);
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => {
                    self.removals.after_failed_read(removals);
                    return Err(error);
                }
            }
        }
    }

    /// Replaces the flags by what was read; `false`: a change of this store's own has come in between.
    fn install(
        &self,
        flags: Snapshot,
        unreadable: BTreeMap<String, Error>,
        revision: u64,
        own_changes: u64,
    ) -> Result<bool> {
        let flags = flags.into_indexed(self.options.max_bytes)?;
        let _lock = self.replacing.lock();
        if self.own_changes.load(SeqCst) != own_changes {
            return Ok(false);
        }
        if self.kept.load().unreadable != unreadable {
            changes::log_unreadable(&unreadable);
        }
        if self.replace(flags, unreadable, revision) {
            self.health.count_refresh();
        }
        Ok(true)
    }

    /// Makes a change of this store's own, of the backend's revision `made_at` (0: not known), in the flags, whose revision
    /// is then `revision`. Flags that were read since may have it, and later ones on top of it.
    fn install_own(&self, own: &Batch, made_at: u64, revision: u64) -> Result<()> {
        let _lock = self.replacing.lock();
        if self.calls.includes(self.kept.load().revision, made_at) {
            return Ok(());
        }
        let flags = self.kept.load().flags.changed_by(own, self.options.max_bytes)?;
        let flags = flags.into_indexed(self.options.max_bytes)?;
        let mut unreadable = self.kept.load().unreadable.clone();
        unreadable.retain(|key, _| own.outcome(key).is_none());
        self.own_changes.fetch_add(1, SeqCst);
        self.replace(flags, unreadable, revision);
        Ok(())
    }

    /// Whether flags that had been read were others.
    fn replace(&self, flags: Snapshot, unreadable: BTreeMap<String, Error>, revision: u64) -> bool {
        let (was_read, is_same) = {
            let kept = self.kept.load();
            (kept.is_read, kept.is_read && kept.flags == flags && kept.unreadable == unreadable)
        };
        if !was_read {
            self.health.can_serve();
        }
        self.kept.store(Kept { flags, unreadable, revision, is_read: true });
        if !is_same {
            self.changes.bump();
        }
        was_read && !is_same
    }

    /// Serves the flags of the fallback file until the backend is reached; unless it was meanwhile.
    pub(super) fn install_fallback(&self, flags: Snapshot) -> Result<()> {
        let _lock = self.lock(None)?;
        if self.is_read() {
            return Ok(());
        }
        self.install(flags, BTreeMap::new(), 0, self.own_changes.load(SeqCst))?;
        self.health.fall_back();
        self.update_serving();
        Ok(())
    }

    /// After a change of this store's own, which the backend has at `revision` (0: not known): reads see it from now on.
    /// Whether they also see all that others have changed before.
    fn take_in(&self, own: &Batch, revision: u64, deadline: Option<Instant>) -> bool {
        if !self.is_read() {
            self.doubt();
            return false;
        }
        if let Some(_lock) = self.reading.lock_until(deadline) {
            let seen = self.backend_revision();
            if self.calls.includes(seen, revision) {
                return true;
            }
            // The backend counts: no change by others is in between.
            let is_next = revision != 0 && seen != 0 && revision == seen.wrapping_add(1);
            if is_next && self.install_own(own, revision, revision).is_ok() || self.read(deadline).is_ok() {
                self.health.verified(self.is_watched());
                self.update_serving();
                return true;
            }
        }
        // What others have changed is found out later, and also whether the backend is lost: this call had little time.
        let _ = self.install_own(own, revision, 0);
        self.demand.raise();
        false
    }

    /// After a change of which nobody knows what became of it.
    fn doubt(&self) {
        self.changes.bump();
        self.demand.raise();
    }

    /// Has the backend make the batch's changes by `work`, which tells the revision after them (0: not known), and
    /// whether there was something to change; so does this.
    pub(super) fn change(
        &self,
        batch: &Batch,
        work: impl FnOnce(&dyn Backend) -> Result<(u64, bool)> + Send + 'static,
    ) -> Result<bool> {
        let deadline = self.deadline();
        let removal = self.removals.begin(batch);
        match self.calls.call(Purpose::Change, deadline, work) {
            Ok((revision, existed)) => {
                self.note_answer();
                if (existed || self.keeps(batch)) && !self.take_in(batch, revision, deadline) {
                    removal.is_unread();
                }
                Ok(existed)
            }
            // The change is made, and reads see it.
            Err(error) if error.is_not_durable() => {
                if !self.take_in(batch, 0, deadline) {
                    removal.is_unread();
                }
                Err(error)
            }
            Err(error) => {
                if matches!(error, Error::Uncertain(_)) {
                    removal.is_unread();
                }
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
        if self.options.read_mode == ReadMode::Fresh {
            self.health.verified(false);
        }
    }

    pub(super) fn note_failure(&self, error: &Error) {
        if self.options.read_mode == ReadMode::Fresh && matches!(error, Error::Unavailable(_)) {
            self.health.failed(error, true, false);
        }
    }
}
