use super::shard::{Entry, Shard};
use crate::key::KeyHasher;
use crate::value::StoredValue;
use crate::{Batch, Result};
use std::sync::Arc;

/// How many groups there are, and shards in each.
const FANOUT: usize = 16;

/// An immutable map of the flags. A change copies one shard and the way to it, and shares all others: two short arrays
/// are copied sooner than a long one, and other threads find more of what they have read already.
#[derive(Clone)]
pub(crate) struct ShardedMap {
    groups: [Arc<Group>; FANOUT],
    len: usize,
    hasher: KeyHasher,
}

type Group = [Shard; FANOUT];

impl ShardedMap {
    pub(crate) fn new() -> Self {
        let empty = Shard::new();
        let group = Arc::new(std::array::from_fn(|_| empty.clone()));
        Self { groups: std::array::from_fn(|_| Arc::clone(&group)), len: 0, hasher: KeyHasher::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|group| group.iter()).flat_map(|shard| shard.iter())
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.hasher.hash(key);
        let (group, shard) = place(hash);
        self.groups[group][shard].find(hash, key)
    }

    #[inline(always)]
    pub(crate) fn get(&self, key: &[u8]) -> Option<StoredValue<'_>> {
        self.find(key).map(Entry::value)
    }

    /// The flags after the batch's changes; `None` if they change nothing.
    pub(crate) fn changed_by(&self, batch: &Batch) -> Result<Option<Self>> {
        let mut after = if batch.clears() { Self::new() } else { self.clone() };
        let mut changed = batch.clears() && self.len > 0;
        for (key, value) in batch.changes() {
            changed |= match value {
                Some(value) => after.insert(key, value.as_json())?,
                None => after.remove(key),
            };
        }
        Ok(changed.then_some(after))
    }

    /// Returns whether that changed anything.
    fn insert(&mut self, key: &str, json: &str) -> Result<bool> {
        if self.get(key.as_bytes()).is_some_and(|value| value.text() == json) {
            return Ok(false);
        }
        let hash = self.hasher.hash(key.as_bytes());
        let entry = Entry::new(hash, key, json)?;
        let hasher = self.hasher.clone();
        self.len += usize::from(!self.shard_mut(hash).put(hash, entry, &hasher));
        Ok(true)
    }

    /// Returns whether there was such a flag.
    fn remove(&mut self, key: &str) -> bool {
        let key = key.as_bytes();
        if self.find(key).is_none() {
            return false;
        }
        let (hash, hasher) = (self.hasher.hash(key), self.hasher.clone());
        self.len -= usize::from(self.shard_mut(hash).remove(hash, key, &hasher));
        true
    }

    /// The shard of this hash; its group is copied if that is shared.
    fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        let (group, shard) = place(hash);
        &mut Arc::make_mut(&mut self.groups[group])[shard]
    }
}

/// The group and the shard in it, from bits of the hash that the position within the shard does not depend on.
#[inline(always)]
fn place(hash: u64) -> (usize, usize) {
    ((hash >> 40) as usize % FANOUT, (hash >> 44) as usize % FANOUT)
}
