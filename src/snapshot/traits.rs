use super::{Packed, Repr, Snapshot, without_nul};
use crate::{Value, ValueRef};
use serde::{Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

/// The flags of a [`Snapshot`] in key order, each with its value.
#[derive(Debug, Clone)]
pub struct SnapshotIter<'a> {
    snapshot: &'a Snapshot,
    indices: Range<usize>,
}

impl<'a> SnapshotIter<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, indices: 0..snapshot.len() }
    }

    fn entry(snapshot: &'a Snapshot, index: usize) -> Option<(&'a str, ValueRef<'a>)> {
        snapshot.entry(index).map(|(key, value)| (without_nul(key), ValueRef::compact(without_nul(value))))
    }
}

impl<'a> Iterator for SnapshotIter<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Self::entry(self.snapshot, self.indices.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        Self::entry(self.snapshot, self.indices.nth(n)?)
    }
}

impl DoubleEndedIterator for SnapshotIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        Self::entry(self.snapshot, self.indices.next_back()?)
    }
}

impl ExactSizeIterator for SnapshotIter<'_> {}

impl FusedIterator for SnapshotIter<'_> {}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = (&'a str, ValueRef<'a>);
    type IntoIter = SnapshotIter<'a>;

    fn into_iter(self) -> SnapshotIter<'a> {
        self.iter()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Snapshot {
    /// [`from_flags`](Self::from_flags) for flags that are known to fit.
    ///
    /// # Panics
    ///
    /// If keys and values together take more than 4 GiB, or there is no room for them.
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(flags: I) -> Self {
        Self::from_flags(flags).unwrap_or_else(|error| panic!("a snapshot: {error}"))
    }
}

impl Default for Snapshot {
    /// No flags.
    fn default() -> Self {
        Self(Repr::Packed(Arc::<Packed>::default()))
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.0, &other.0) {
            (Repr::Packed(ours), Repr::Packed(theirs)) => Arc::ptr_eq(ours, theirs),
            (Repr::Shared(ours), Repr::Shared(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        };
        same || self.iter().eq(other)
    }
}

impl Eq for Snapshot {}

impl Hash for Snapshot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|entry| entry.hash(state));
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// As a map of the keys to the values, which read as [`Value`] does.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}
