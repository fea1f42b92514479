use crate::nul_terminated::NulTerminated;
use crate::{Batch, Error, Result};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A change copies one shard and shares the others.
const SHARDS: usize = 256;

/// An immutable map of the flags. A changed one shares all but a few shards with the one before.
#[derive(Clone)]
pub(crate) struct ShardedMap {
    shards: [Arc<Shard>; SHARDS],
    len: usize,
    hasher: RandomState,
}

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
    fn value(&self) -> &str {
        let text = self.text.with_nul();
        &text[self.key_len + 1..text.len() - 1]
    }

    #[inline(always)]
    fn has_key(&self, key: &str) -> bool {
        // As bytes: a slice of the text would check for a character boundary.
        self.key_len == key.len() && self.text.with_nul().as_bytes()[..self.key_len] == *key.as_bytes()
    }

    /// The key and the value, each with the NUL behind it.
    pub(crate) fn with_nul(&self) -> (&str, &str) {
        self.text.with_nul().split_at(self.key_len + 1)
    }
}

impl ShardedMap {
    pub(crate) fn new() -> Self {
        let empty = Arc::new(Shard::new());
        Self { shards: std::array::from_fn(|_| Arc::clone(&empty)), len: 0, hasher: RandomState::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    #[inline(always)]
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        let hash = self.hasher.hash_one(key);
        self.shards[shard_index(hash)].find(hash, |entry| entry.has_key(key))
    }

    #[inline(always)]
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
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
        if self.get(key) == Some(json) {
            return Ok(false);
        }
        let entry = Entry::new(key, json)?;
        self.remove(key);
        let hash = self.hasher.hash_one(key);
        let hasher = self.hasher.clone();
        self.shard_mut(hash).insert_unique(hash, entry, |entry| hasher.hash_one(entry.key()));
        self.len += 1;
        Ok(true)
    }

    /// Returns whether there was such a flag.
    fn remove(&mut self, key: &str) -> bool {
        if self.find(key).is_none() {
            return false;
        }
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.shard_mut(hash).find_entry(hash, |entry| entry.has_key(key)) {
            entry.remove();
        }
        self.len -= 1;
        true
    }

    /// The shard of this hash, copied if it is shared.
    fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        Arc::make_mut(&mut self.shards[shard_index(hash)])
    }
}

/// From bits of the hash that the position within the shard does not depend on.
fn shard_index(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}
