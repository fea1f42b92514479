use std::time::Duration;

/// How well a store knows what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether reads are served, and from where.
    pub state: State,
    /// How the store learns of changes by others.
    pub push: Push,
    /// The time since the served flags were last known to be those of the store; zero: they always are.
    pub age: Duration,
    /// The [`revision`](crate::FlagStore::revision) of the flags that are served.
    pub revision: u64,
    /// How often the store was reached again after it had been lost.
    pub reconnects: u64,
    /// How often the flags were read again because of a change.
    pub refreshes: u64,
}

/// Whether a store serves reads, and from where. A later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// What is served is what the store holds, as far as it can be known.
    Live,
    /// The last good snapshot is served; the store is not reached at the moment.
    Stale,
    /// The same, from the fallback file: the store was not reached since it was opened.
    Fallback,
    /// There is nothing to be served, or all flags of the store have vanished.
    Lost,
}

/// How a store learns of changes by others. A later one is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Push {
    /// It looks: at every read, or in intervals.
    None,
    /// Changes are announced.
    Announced,
    /// The server remembers what was read and tells when it changes.
    Tracked,
}

impl Status {
    /// The status of a store that is always live, such as a file.
    pub fn live(revision: u64) -> Self {
        Self { state: State::Live, push: Push::None, age: Duration::ZERO, revision, reconnects: 0, refreshes: 0 }
    }
}
