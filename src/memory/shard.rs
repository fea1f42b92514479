use crate::key::{self, KeyHasher};
use crate::nul_terminated::NulTerminated;
use crate::value::StoredValue;
use crate::{Error, Result};
use std::num::NonZeroU64;
use std::sync::Arc;

/// A hash table of a part of the flags, immutable where it is shared. A flag stands in the first free slot from the one
/// on that its hash says (linear probing). All is in one piece of memory, which saves a reader two cache misses of a
/// table behind a header.
#[derive(Clone)]
pub(super) struct Shard(Arc<[Option<Entry>]>);

/// A key and its compact value in one text, with a NUL between them: one cache miss finds both.
#[derive(Clone)]
pub(crate) struct Entry {
    text: NulTerminated,
    label: Label,
}

/// The length of a key and some bits of its hash: what has another label is another key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(NonZeroU64);

impl Label {
    /// The highest bits are of the hash, the lowest one is set, and between them is the length.
    const HASH_BITS: u64 = 0xffff << 48;

    #[inline(always)]
    fn new(hash: u64, key_len: usize) -> Self {
        Self(NonZeroU64::MIN | (key_len as u64) << 1 | hash & Self::HASH_BITS)
    }

    #[inline(always)]
    fn key_len(self) -> usize {
        ((self.0.get() & !Self::HASH_BITS) >> 1) as usize
    }
}

impl Entry {
    pub(super) fn new(hash: u64, key: &str, json: &str) -> Result<Self> {
        let mut text = String::new();
        // With room for both NULs.
        text.try_reserve_exact(key.len() + json.len() + 2).map_err(|_| Error::OutOfMemory)?;
        text.extend([key, "\0", json]);
        Ok(Self { text: NulTerminated::new(text), label: Label::new(hash, key.len()) })
    }

    pub(crate) fn key(&self) -> &str {
        &self.text.as_str()[..self.label.key_len()]
    }

    #[inline(always)]
    pub(super) fn value(&self) -> StoredValue<'_> {
        StoredValue::Whole(self.text.with_nul().get(self.label.key_len() + 1..).unwrap_or_default())
    }

    #[inline(always)]
    fn is_of(&self, label: Label, key: &[u8]) -> bool {
        let own = || self.text.with_nul().as_bytes().get(..key.len());
        self.label == label && own().is_some_and(|own| key::is_same(own, key))
    }

    /// The key and the value, each with the NUL behind it.
    pub(crate) fn with_nul(&self) -> (&str, &str) {
        self.text.with_nul().split_at(self.label.key_len() + 1)
    }
}

impl Shard {
    pub(super) fn new() -> Self {
        Self(Arc::new([]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.position(hash, key).ok().and_then(|at| self.0.get(at)?.as_ref())
    }

    /// The slot of the key, or else the free one where it would stand; there is one, unless there are no slots at all.
    #[inline(always)]
    fn position(&self, hash: u64, key: &[u8]) -> std::result::Result<usize, usize> {
        let label = Label::new(hash, key.len());
        let mut at = self.first_slot(hash);
        while let Some(Some(entry)) = self.0.get(at) {
            if entry.is_of(label, key) {
                return Ok(at);
            }
            at = self.next_slot(at);
        }
        Err(at)
    }

    /// Spreads the lower half of the hash over the slots.
    #[inline(always)]
    fn first_slot(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.0.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn next_slot(&self, at: usize) -> usize {
        if at + 1 < self.0.len() { at + 1 } else { 0 }
    }

    /// Puts the entry of a key in the place of the one that there was, if any; returns whether there was one.
    pub(super) fn put(&mut self, hash: u64, entry: Entry, hasher: &KeyHasher) -> bool {
        let position = self.position(hash, entry.key().as_bytes());
        let free = match position {
            Ok(at) => {
                Arc::make_mut(&mut self.0)[at] = Some(entry);
                return true;
            }
            Err(at) => at,
        };
        let len = self.iter().count() + 1;
        if Self::slots_for(len) <= self.0.len() {
            Arc::make_mut(&mut self.0)[free] = Some(entry);
        } else {
            self.grow(len, entry, hasher);
        }
        false
    }

    /// The fewest slots that `len` flags need. In a small table more are free, for memory does not count there, and every
    /// second slot that a reader has to look at was not foreseen by the processor.
    fn slots_for(len: usize) -> usize {
        len + len / 7 + len.min(16) + 1
    }

    fn grow(&mut self, len: usize, entry: Entry, hasher: &KeyHasher) {
        let mut larger = Self((0..Self::slots_for(len + len / 6 + 1)).map(|_| None).collect());
        for entry in self.iter().cloned().chain([entry]) {
            let key = entry.key().as_bytes();
            let hash = hasher.hash(key);
            if let (Err(free), Some(slots)) = (larger.position(hash, key), Arc::get_mut(&mut larger.0)) {
                slots[free] = Some(entry);
            }
        }
        *self = larger;
    }

    /// Returns whether there was such a flag.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], hasher: &KeyHasher) -> bool {
        let Ok(mut free) = self.position(hash, key) else {
            return false;
        };
        Arc::make_mut(&mut self.0)[free] = None;
        // What stands behind it moves up, unless that would be before its first slot.
        let mut at = self.next_slot(free);
        while let Some(entry) = &self.0[at] {
            let first = self.first_slot(hasher.hash(entry.key().as_bytes()));
            let is_between = if free <= at { free < first && first <= at } else { free < first || first <= at };
            if !is_between {
                Arc::make_mut(&mut self.0).swap(free, at);
                free = at;
            }
            at = self.next_slot(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Keys come, change and go at random, in a shard and in a map that is known to be right.
    #[test]
    fn it_is_a_map() {
        let hasher = KeyHasher::new();
        let (mut shard, mut map) = (Shard::new(), BTreeMap::new());
        let mut random = 1_u64;
        for round in 0..40_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // It grows, and shrinks again to nothing.
            let is_growing = round / 5_000 % 2 == 0;
            let number = random >> 40 & if round < 20_000 { 15 } else { 255 };
            let key = format!("team-7.feature-{number}");
            let hash_of = |key: &str| hasher.hash(key.as_bytes());
            let hash = hash_of(&key);
            let before = shard.clone();
            if (random >> 60 < 12) == is_growing {
                let json = round.to_string();
                let entry = Entry::new(hash, &key, &json).unwrap();
                assert_eq!(shard.put(hash, entry, &hasher), map.insert(key.clone(), json).is_some());
            } else {
                assert_eq!(shard.remove(hash, key.as_bytes(), &hasher), map.remove(&key).is_some());
            }
            let found = shard.find(hash, key.as_bytes()).map(|entry| entry.value().text().to_owned());
            assert_eq!(found.as_ref(), map.get(&key));
            if round % 16 == 0 {
                assert!(map.iter().all(|(key, json)| {
                    let found = shard.find(hash_of(key), key.as_bytes());
                    found.is_some_and(|entry| entry.key() == key && entry.value().text() == json)
                }));
                assert!(before.iter().count().abs_diff(map.len()) <= 1);
            }
            assert_eq!(shard.iter().count(), map.len());
        }
    }

    /// All hashes are the same: only the keys tell them apart, and the slots go round.
    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let keys = || (0..30).map(|number| format!("flag {number:02}"));
        for hash in [0, u64::MAX] {
            // So large that it need not grow, which would take the hasher.
            let mut shard = Shard((0..64).map(|_| None).collect());
            let hasher = KeyHasher::new();
            for key in keys() {
                assert!(!shard.put(hash, Entry::new(hash, &key, "true").unwrap(), &hasher));
            }
            assert!(keys().all(|key| shard.find(hash, key.as_bytes()).is_some_and(|entry| entry.key() == key)));
            assert!(shard.find(hash, b"flag 30").is_none() && shard.find(hash, b"flag").is_none());
        }
    }
}
