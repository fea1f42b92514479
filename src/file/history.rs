use super::stamp::Stamp;
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a file that was found missing is believed to be so, in a directory that others keep changing.
const BELIEVED: Duration = Duration::from_secs(1);

/// A store's memory of its file: whether the file was ever there, and which bad state of it has been waited out.
///
/// Waiting once per state is enough: other programs leave the file missing or half written for a moment only.
pub(super) struct FileHistory {
    seen: AtomicBool,
    settled: ArcSwapOption<Settled>,
    warned_of_bind_mount: AtomicBool,
}

/// A file that is missing or does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadState {
    pub(super) is_missing: bool,
    /// The file's; its directory's where the file is missing.
    pub(super) stamp: Option<Stamp>,
}

struct Settled {
    state: BadState,
    at: Instant,
    waited: Duration,
}

impl FileHistory {
    pub(super) fn new() -> Self {
        let (seen, warned) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { seen, settled: ArcSwapOption::empty(), warned_of_bind_mount: warned }
    }

    /// The file was there, and could be parsed.
    pub(super) fn saw_file(&self) {
        if !self.seen.load(Relaxed) {
            self.seen.store(true, Relaxed);
        }
        if self.settled.load().is_some() {
            self.settled.store(None);
        }
    }

    pub(super) fn has_seen_file(&self) -> bool {
        self.seen.load(Relaxed)
    }

    /// Whether this very state has been waited out for at least so long.
    pub(super) fn has_waited_for(&self, state: &BadState, patience: Duration) -> bool {
        self.settled.load().as_ref().is_some_and(|settled| {
            let is_same = settled.state == *state;
            let still_missing = state.is_missing && settled.state.is_missing && settled.at.elapsed() < BELIEVED;
            (is_same || still_missing) && settled.waited >= patience
        })
    }

    pub(super) fn settle(&self, state: BadState, waited: Duration) {
        self.settled.store(Some(Settled { state, at: Instant::now(), waited }.into()));
    }

    /// True for the first caller only.
    pub(super) fn is_first_bind_mount_warning(&self) -> bool {
        !self.warned_of_bind_mount.swap(true, Relaxed)
    }
}
