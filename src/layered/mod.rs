//! Stores over stores. `followers` are the threads by which a wait hears of a change in any layer.

mod followers;

use crate::snapshot::Union;
use crate::stop_token::StopToken;
use crate::{Batch, Error, FlagStore, Push, Result, Snapshot, State, Status, Value, ValueRef};
use followers::Followers;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Level;

/// How often a wait asks for the revision where no thread is to be had.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Stores over stores: a read asks the first layer, and the next where a flag is absent; changes go to one of them.
///
/// ```
/// use flagstore::{FlagStore, InMemoryFlagStore, LayeredFlagStore};
/// use std::sync::Arc;
///
/// let (overrides, defaults) = (Arc::new(InMemoryFlagStore::new()), Arc::new(InMemoryFlagStore::new()));
/// defaults.set("beta", false.into())?;
/// defaults.set("limit", 3.into())?;
///
/// let store = LayeredFlagStore::new(vec![overrides, defaults], 0)?;
/// store.set("beta", true.into())?;
/// assert_eq!(store.list_json()?, r#"{"beta":true,"limit":3}"#);
///
/// // The layer below shows again.
/// assert!(store.delete("beta")?);
/// assert_eq!(store.get("beta")?, Some(false.into()));
/// # Ok::<(), flagstore::Error>(())
/// ```
pub struct LayeredFlagStore {
    /// Ended before the layers that they follow.
    followers: Followers,
    layers: Vec<Arc<dyn FlagStore>>,
    write_to: usize,
}

impl LayeredFlagStore {
    /// A store over the layers, the first of which is the top. Changes, and the expectations of a batch, are for
    /// `layers[write_to]` alone. A layer may be layered itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if there is no layer, or `write_to` is past the last one.
    pub fn new(layers: Vec<Arc<dyn FlagStore>>, write_to: usize) -> Result<Self> {
        if layers.is_empty() {
            return Err(Error::InvalidArgument("there is no layer".into()));
        }
        if write_to >= layers.len() {
            return Err(Error::InvalidArgument(format!("write_to is {write_to}, of {} layers", layers.len())));
        }
        Ok(Self { followers: Followers::new(), layers, write_to })
    }

    fn written(&self) -> &dyn FlagStore {
        &*self.layers[self.write_to]
    }

    /// The flags of all layers, by one snapshot of each.
    fn union(&self) -> Result<Union> {
        let snapshots = self.layers.iter().map(|layer| layer.list_all());
        Ok(Union::new(snapshots.collect::<Result<_>>()?))
    }

    /// Logs it, in one line, if a layer above hides flags that were set. Unless that line is wanted, nobody is asked.
    fn log_hidden<'a>(&self, set: impl Iterator<Item = &'a str>) {
        let written = self.write_to;
        if written == 0 || !tracing::event_enabled!(Level::INFO) {
            return;
        }
        let hides = |layer: &Arc<dyn FlagStore>, key| !Arc::ptr_eq(layer, &self.layers[written]) && has(&**layer, key);
        let hiding = |key| self.layers[..written].iter().position(|layer| hides(layer, key));
        let mut hidden = set.filter_map(|key| Some((key, hiding(key)?)));
        let Some((key, above)) = hidden.next() else {
            return;
        };
        match hidden.count() {
            0 => tracing::info!("flag {key:?}: set in layers[{written}], but hidden by layers[{above}]"),
            more => tracing::info!(
                "flag {key:?} and {more} more: set in layers[{written}], but hidden by layers[{above}] or others above"
            ),
        }
    }

    fn wait_for_revision(&self, seen: u64, deadline: Option<Instant>, stop: Option<&StopToken>) -> Result<Option<u64>> {
        loop {
            // Asked first, so that no change falls between the revision and the sleep.
            let noticed = self.followers.noticed();
            let revision = self.revision()?;
            if revision != seen {
                return Ok(Some(revision));
            }
            let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if is_over || stop.is_some_and(StopToken::is_set) {
                return Ok(None);
            }
            let mut until = deadline;
            if !self.followers.run(&self.layers, deadline) {
                let next = Instant::now() + POLL_INTERVAL;
                until = Some(deadline.map_or(next, |deadline| deadline.min(next)));
            }
            self.followers.wait(noticed, until, stop);
        }
    }
}

/// Whether the layer is known to have the flag.
fn has(layer: &dyn FlagStore, key: &str) -> bool {
    let mut found = false;
    layer.visit(key, &mut |value| found = value.is_some()).is_ok() && found
}

/// One number of those of the layers: it differs when any of them does.
fn combined(revisions: impl Iterator<Item = u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    revisions.for_each(|revision| revision.hash(&mut hasher));
    hasher.finish().max(1)
}

impl fmt::Debug for LayeredFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, write_to, .. } = self;
        f.debug_struct("LayeredFlagStore").field("layers", &layers.len()).field("write_to", write_to).finish()
    }
}

impl FlagStore for LayeredFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        for layer in &self.layers {
            if let Some(value) = layer.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.written().set(key, value)?;
        self.log_hidden([key].into_iter());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.written().delete(key)
    }

    fn list_all(&self) -> Result<Snapshot> {
        self.union()?.into_snapshot()
    }

    fn list_json(&self) -> Result<String> {
        self.union()?.to_json()
    }

    fn len(&self) -> Result<usize> {
        Ok(self.union()?.len())
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        for layer in &self.layers {
            let mut is_answered = false;
            layer.visit(key, &mut |value| {
                if value.is_some() {
                    is_answered = true;
                    visit(value);
                }
            })?;
            if is_answered {
                return Ok(());
            }
        }
        visit(None);
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.written().commit(batch)?;
        self.log_hidden(batch.changes().filter(|(_, value)| value.is_some()).map(|(key, _)| key));
        Ok(())
    }

    fn revision(&self) -> Result<u64> {
        let revisions = self.layers.iter().map(|layer| layer.revision());
        Ok(combined(revisions.collect::<Result<Vec<_>>>()?.into_iter()))
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        self.wait_for_revision(seen, deadline, None)
    }

    fn status(&self) -> Result<Status> {
        let found = self.layers.iter().map(|layer| layer.status()).collect::<Result<Vec<_>>>()?;
        let elsewhere = self.layers.iter().zip(&found).filter(|(layer, _)| !layer.is_local());
        let sum = |counter: fn(&Status) -> u64| found.iter().map(counter).fold(0, u64::saturating_add);
        Ok(Status {
            state: found.iter().map(|status| status.state).max().unwrap_or(State::Live),
            push: elsewhere.map(|(_, status)| status.push).min().unwrap_or(Push::None),
            age: found.iter().map(|status| status.age).max().unwrap_or_default(),
            // The revision by the statuses: it asks no store that is elsewhere.
            revision: combined(found.iter().map(|status| status.revision)),
            reconnects: sum(|status| status.reconnects),
            refreshes: sum(|status| status.refreshes),
        })
    }

    fn sync(&self, deadline: Option<Instant>) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.sync(deadline))
    }

    fn max_bytes(&self) -> usize {
        self.written().max_bytes()
    }

    fn is_local(&self) -> bool {
        self.layers.iter().all(|layer| layer.is_local())
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        self.wait_for_revision(seen, deadline, Some(stop))
    }

    fn wake(&self) {
        self.followers.wake();
    }
}
