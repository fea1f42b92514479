//! Whether the backend is reached, since when it is not, and who was told.

use crate::{Error, Push, State, Status};
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(super) struct Health {
    state: AtomicU32,
    push: AtomicU32,
    start: Instant,
    /// When the flags were last known to be the backend's, in milliseconds since the start.
    verified: AtomicU64,
    /// The failure that reads are told of while there is nothing to serve.
    last_error: ArcSwapOption<Error>,
    /// It was reached once, and is not now; or the fallback file serves.
    is_lost: AtomicBool,
    reconnects: AtomicU64,
    refreshes: AtomicU64,
}

const STATES: [State; 4] = [State::Live, State::Stale, State::Fallback, State::Lost];
const PUSHES: [Push; 3] = [Push::None, Push::Announced, Push::Tracked];

impl Health {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: AtomicU32::new(state as u32),
            push: AtomicU32::new(Push::None as u32),
            start: Instant::now(),
            verified: AtomicU64::new(0),
            last_error: ArcSwapOption::empty(),
            is_lost: AtomicBool::new(false),
            reconnects: AtomicU64::new(0),
            refreshes: AtomicU64::new(0),
        }
    }

    pub(super) fn state(&self) -> State {
        STATES[self.state.load(SeqCst) as usize]
    }

    fn set_state(&self, state: State) {
        self.state.store(state as u32, SeqCst);
    }

    pub(super) fn set_push(&self, push: Push) {
        self.push.store(push as u32, SeqCst);
    }

    pub(super) fn push(&self) -> Push {
        PUSHES[self.push.load(SeqCst) as usize]
    }

    /// Since the flags were last known to be the backend's, or since the store was opened.
    pub(super) fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.verified.load(SeqCst)))
    }

    pub(super) fn status(&self, revision: u64, is_watched: bool) -> Status {
        Status {
            state: self.state(),
            push: self.push(),
            age: if is_watched || self.state() != State::Live { self.age() } else { Duration::ZERO },
            revision,
            reconnects: self.reconnects.load(SeqCst),
            refreshes: self.refreshes.load(SeqCst),
        }
    }

    pub(super) fn count_refresh(&self) {
        self.refreshes.fetch_add(1, SeqCst);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(SeqCst)
    }

    /// The flags are still the backend's.
    pub(super) fn touch(&self) {
        self.verified.store(self.start.elapsed().as_millis() as u64, SeqCst);
    }

    /// The backend has said that the flags are its own.
    pub(super) fn verified(&self, logs: bool) {
        let age = self.age();
        self.touch();
        if self.state() == State::Live {
            return;
        }
        self.last_error.store(None);
        if self.is_lost.swap(false, SeqCst) {
            self.reconnects.fetch_add(1, SeqCst);
            if logs {
                tracing::warn!("the backend is reached again after {} ms", age.as_millis());
            }
        }
        self.set_state(State::Live);
    }

    /// The backend was not reached, or its flags have vanished. `was_reached`: it had been before.
    pub(super) fn failed(&self, error: &Error, was_reached: bool, logs: bool) {
        self.last_error.store(Some(error.clone().into()));
        if self.state() == State::Live {
            self.set_state(State::Stale);
        }
        if was_reached && !self.is_lost.swap(true, SeqCst) && logs {
            tracing::warn!("the backend is lost: {error}");
        }
    }

    /// The flags have vanished from where they were stored.
    pub(super) fn vanished(&self) {
        self.set_state(State::Lost);
    }

    /// There are flags now.
    pub(super) fn can_serve(&self) {
        if self.state() == State::Lost {
            self.set_state(State::Stale);
        }
    }

    /// The fallback file serves.
    pub(super) fn fall_back(&self) {
        self.is_lost.store(true, SeqCst);
        self.set_state(State::Fallback);
    }

    /// Changes are not heard of, in a forked child or because a wait has failed.
    pub(super) fn is_doubtful(&self) {
        if self.state() == State::Live {
            self.set_state(State::Stale);
        }
    }

    pub(super) fn lost_error(&self) -> Error {
        match self.last_error.load().as_deref() {
            Some(Error::Unavailable(message)) => Error::Unavailable(message.clone()),
            Some(error) => Error::Unavailable(format!("the backend is lost: {error}")),
            None => Error::Unavailable("the flags have not been read yet".into()),
        }
    }
}
