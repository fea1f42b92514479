use crate::key::{self, KeyHasher};
use crate::nul_terminated::NulTerminated;
use crate::value::StoredValue;
use crate::{Batch, Error, Result};
use hashbrown::HashTable;
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

type Group = [Arc<Shard>; FANOUT];
type Shard = HashTable<Entry>;

/// A key and its compact value in one text, with a NUL between them: one cache miss finds both.
#[derive(Clone)]
pub(crate) struct Entry {
    text: NulTerminated,
    key_len: usize,
}

impl Entry {
    fn new(key: &str, json: &str) -> Result<Self> {
        let mut text = String::new();
        // With room for both NULs.
        text.try_reserve_exact(key.len() + json.len() + 2).map_err(|_| Error::OutOfMemory)?;
        text.extend([key, "\0", json]);
        Ok(Self { text: NulTerminated::new(text), key_len: key.len() })
    }

    pub(crate) fn key(&self) -> &str {
        &self.text.as_str()[..self.key_len]
    }

    #[inline(always)]
    fn value(&self) -> StoredValue<'_> {
        StoredValue::Whole(self.text.with_nul().get(self.key_len + 1..).unwrap_or_default())
    }

    #[inline(always)]
    fn has_key(&self, key: &[u8]) -> bool {
        self.text.with_nul().as_bytes().get(..self.key_len).is_some_and(|own| key::is_same(own, key))
    }

    /// The key and the value, each with the NUL behind it.
    pub(crate) fn with_nul(&self) -> (&str, &str) {
        self.text.with_nul().split_at(self.key_len + 1)
    }
}

impl ShardedMap {
    pub(crate) fn new() -> Self {
        let empty = Arc::new(Shard::new());
        let group = Arc::new(std::array::from_fn(|_| Arc::clone(&empty)));
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
        self.groups[group][shard].find(hash, |entry| entry.has_key(key))
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
        let entry = Entry::new(key, json)?;
        self.remove(key);
        let hash = self.hasher.hash(key.as_bytes());
        let hasher = self.hasher.clone();
        self.shard_mut(hash).insert_unique(hash, entry, |entry| hasher.hash(entry.key().as_bytes()));
        self.len += 1;
        Ok(true)
    }

    /// Returns whether there was such a flag.
    fn remove(&mut self, key: &str) -> bool {
        let key = key.as_bytes();
        if self.find(key).is_none() {
            return false;
        }
        let hash = self.hasher.hash(key);
        if let Ok(entry) = self.shard_mut(hash).find_entry(hash, |entry| entry.has_key(key)) {
            entry.remove();
        }
        self.len -= 1;
        true
    }

    /// The shard of this hash; it and its group are copied if they are shared.
    fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        let (group, shard) = place(hash);
        Arc::make_mut(&mut Arc::make_mut(&mut self.groups[group])[shard])
    }
}

/// The group and the shard in it, from bits of the hash that the position within the shard does not depend on.
#[inline(always)]
fn place(hash: u64) -> (usize, usize) {
    ((hash >> 40) as usize % FANOUT, (hash >> 44) as usize % FANOUT)
}
