use crate::nul_terminated::NulTerminated;
use crate::{Batch, Error, Result};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A change copies one part of so many, and shares the others.
const SHARDS: usize = 256;

/// An immutable map of the flags. A changed one shares all but a few parts with the one before.
#[derive(Clone)]
pub(crate) struct ShardedMap {
    parts: [Arc<Shard>; SHARDS],
    len: usize,
    hasher: RandomState,
}

type Shard = HashTable<Flag>;

/// A key and its compact value in one text, with a NUL between them: whoever has found the one has the other.
#[derive(Clone)]
pub(crate) struct Flag {
    text: NulTerminated,
    key_len: usize,
}

impl Flag {
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
    fn is_of(&self, key: &str) -> bool {
        // Bytes, or the text would be asked whether a character ends there.
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
        Self { parts: std::array::from_fn(|_| Arc::clone(&empty)), len: 0, hasher: RandomState::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flag> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    #[inline(always)]
    pub(crate) fn find(&self, key: &str) -> Option<&Flag> {
        let hash = self.hasher.hash_one(key);
        self.parts[part_of(hash)].find(hash, |flag| flag.is_of(key))
    }

    #[inline(always)]
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(Flag::value)
    }

    /// The flags with the batch's changes made, or `None` if they change nothing.
    pub(crate) fn changed_by(&self, batch: &Batch) -> Result<Option<Self>> {
        let mut after = if batch.clears() { Self::new() } else { self.clone() };
        let mut changed = batch.clears() && self.len > 0;
        for (key, value) in batch.edits() {
            changed |= match value {
                Some(value) => after.insert(key, value.as_json())?,
                None => after.remove(key),
            };
        }
        Ok(changed.then_some(after))
    }

    /// Whether that changed anything.
    fn insert(&mut self, key: &str, json: &str) -> Result<bool> {
        if self.get(key) == Some(json) {
            return Ok(false);
        }
        let flag = Flag::new(key, json)?;
        self.remove(key);
        let hash = self.hasher.hash_one(key);
        let hasher = self.hasher.clone();
        self.part(hash).insert_unique(hash, flag, |flag| hasher.hash_one(flag.key()));
        self.len += 1;
        Ok(true)
    }

    /// Whether there was such a flag.
    fn remove(&mut self, key: &str) -> bool {
        if self.find(key).is_none() {
            return false;
        }
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.part(hash).find_entry(hash, |flag| flag.is_of(key)) {
            entry.remove();
        }
        self.len -= 1;
        true
    }

    /// A part of our own, to be changed.
    fn part(&mut self, hash: u64) -> &mut Shard {
        Arc::make_mut(&mut self.parts[part_of(hash)])
    }
}

/// By bits of the hash that its place within the part does not depend on.
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}
